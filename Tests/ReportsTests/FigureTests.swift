import Foundation
import ResLensResults
import Testing

@testable import ResLensReports

private func figure(_ ys: [Double], scale: Figure.Scale = .linear, spread: Double? = nil) -> Figure {
  let points = ys.enumerated().map { Figure.Point(x: Double($0 + 1), y: $1, spread: spread) }
  return Figure(
    name: "test", title: "test",
    panels: [
      .init(
        x: .init("x"), y: .init("y", scale: scale),
        series: [.init("a", style: .init(colour: "#000000", marker: .circle), points: points)])
    ])
}

/// The fields of CSV text by RFC 4180, written apart from the code under test.
private func fields(_ csv: String) -> [[String]] {
  var rows: [[String]] = [[""]]
  var quoted = false
  var previous: Character = " "
  for character in csv {
    switch (character, quoted) {
    case ("\"", false) where previous == "\"": append("\""); quoted = true
    case ("\"", _): quoted.toggle()
    case (",", false): rows[rows.count - 1].append("")
    case ("\n", false): rows.append([""])
    default: append(character)
    }
    previous = character
  }
  func append(_ character: Character) { rows[rows.count - 1][rows[rows.count - 1].count - 1].append(character) }
  return rows.dropLast()
}

@Suite("A figure") struct FigureTests {
  @Test("has a CSV that reads back to the same numbers and names, whatever columns its tables have") func csv() throws {
    let values = [0.1, -1e-17, 1.0 / 3, .nan, -.infinity, 5e300]
    let table = try Table(
      "t", keys: [.init("split"), .init("step")], values: [.init("mean")],
      rows: values.enumerated().map { ["train", .number(Double($0)), .number($1)] })
    let mean = try Table(
      "t", keys: [.init("split"), .init("step")], values: [.init("spread"), .init("mean")],
      rows: [["train", 1, .missing, 2]])
    var data = FigureData()
    let name = "run, \"quoted\""
    data.add([("run", .name(name))], table)
    data.add([("run", .name("two\nlines\r\nand \u{7} a bell"))], mean)
    let rows = fields(data.csv)
    #expect(rows[0] == ["run", "split", "step", "mean", "spread"] && rows.count == 8)
    for (index, value) in values.enumerated() {
      #expect(rows[index + 1].prefix(3) == [name, "train", "\(index)"] && rows[index + 1][4] == "")
      let read = try #require(Double(rows[index + 1][3]))
      #expect(read == value || read.isNaN && value.isNaN)
    }
    #expect(rows[7].suffix(4) == ["train", "1", "2", ""] && rows[7][0].hasPrefix("two lines"))
    #expect(data.csv.split(whereSeparator: \.isNewline).count == 8)
  }

  @Test("has a script with a line for each point, whatever a name holds") func lineBreaks() {
    var broken = figure([0.1, -1e-17, 1.0 / 3], spread: 0.25)
    broken.panels[0].title = "two\nlines\r\nand \u{7} a bell"
    broken.panels[0].series[0].points[1].marked = true
    let rows = fields(broken.points.map { $0 + "\n" }.joined())
    for (row, point) in zip(rows, broken.panels[0].series[0].points) {
      #expect(row.prefix(5).map { Double($0) } == [1, point.x, point.y, point.y - 0.25, point.y + 0.25])
      #expect(row[5] == (point.marked ? "1" : "0"))
    }
    #expect(rows.count == 3 && broken.script.contains("'two lines"))
  }

  @Test("ends a quoted text in its script nowhere but at its end") func quotes() {
    var hostile = figure([1, 2])
    hostile.panels[0].title = "it's'; system 'true"
    #expect(hostile.script.contains("set title 'it''s''; system ''true'"))
  }

  @Test("shows all finite values, and a range even where there are none", arguments: [Double.nan, .infinity])
  func nonFinite(_ value: Double) {
    let mixed = figure([1, value, 3])
    let range = mixed.yRange(of: mixed.panels[0])
    #expect(range.lowerBound < 1 && range.upperBound > 3 && range.upperBound < 4)
    let none = figure([value, value])
    #expect(none.yRange(of: none.panels[0]) == 0...1)
    #expect(none.script.contains("no finite values"))
    let single = figure([2])
    #expect(single.yRange(of: single.panels[0]).contains(2))
  }

  @Test("leaves values that have no logarithm out of a logarithmic range") func logarithm() {
    let falling = figure([1, 0.01, 0, -3], scale: .logarithmic)
    let range = falling.yRange(of: falling.panels[0])
    #expect(range.lowerBound > 0.001 && range.lowerBound < 0.01 && range.upperBound > 1)
  }

  @Test("gives a band no more room than half of what the means take, above and below") func band() {
    let wide = figure([0, 1], spread: 50)
    let range = wide.yRange(of: wide.panels[0])
    #expect(range.lowerBound >= -0.7 && range.upperBound <= 1.7)
    let narrow = figure([0, 1], spread: 0.1)
    #expect(narrow.yRange(of: narrow.panels[0]).lowerBound > -0.3)
  }

  @Test("shares the y range among panels of one quantity only") func sharedRange() {
    var two = figure([0, 1])
    two.panels += figure([5, 9]).panels
    two.panels.append(two.panels[0])
    two.panels[2].y.label = "other"
    #expect(two.yRange(of: two.panels[0]) == two.yRange(of: two.panels[1]))
    #expect(two.yRange(of: two.panels[0]).upperBound > 9)
    #expect(two.yRange(of: two.panels[2]).upperBound < 2)
  }

  @Test("keeps a long legend inside the picture and above the panels") func legend() {
    var many = figure([1, 2])
    many.legend = (1...12).map { .init("runs/quite-a-long-name-of-a-run-folder-\($0)", style: .train) }
    let layout = Layout(many)
    #expect(layout.legend.count == 12)
    #expect(layout.legend.allSatisfy { $0.x >= 0 && $0.x < Layout.width - 200 && $0.y < layout.height })
    #expect(Set(layout.legend.map(\.y)).count >= 4)
  }

  @Test("numbers its curves alike in the places of points and in the commands") func curves() {
    var two = figure([1, 2])
    two.panels += figure([3, 4]).panels
    #expect(two.points.map { $0.prefix(2) } == ["1,", "1,", "2,", "2,"])
    #expect(two.script.contains("$points << END\n1,1.0,1.0,,,0\n1,2.0,2.0,,,0\n2,"))
    #expect(two.script.contains("(x(1)):3") && two.script.contains("(x(2)):3"))
  }

  @Test("has a map whose cells meet halfway between uneven places, empty where there is no value") func map() throws {
    let map = Figure.Map(colour: .init("v"), columns: [1, 2, 10], rows: [1, 2]) { column, row in
      column == 1 && row == 0 ? nil : Double(10 * column + row)
    }
    #expect(map.cells.count == 5)
    let widths = map.cells.filter { $0.y == 2 }.map(\.width)
    #expect(widths == [0.5...1.5, 1.5...6, 6...10.5])
    var figure = figure([1, 2])
    figure.panels.append(.init(x: .init("x"), y: .init("y"), map: map))
    let rows = fields(figure.points.map { $0 + "\n" }.joined())
    let cells = rows.filter { $0[0] == "2" }
    #expect(cells.allSatisfy { $0.count == 11 } && rows.filter { $0[0] == "1" }.allSatisfy { $0.count == 6 })
    #expect(cells.map { $0[6] } == ["0.0", "1.0", "11.0", "20.0", "21.0"])
    #expect(cells[2][1...2] == ["2.0", "2.0"] && cells[2][7...10] == ["1.5", "6.0", "1.5", "2.5"])
    #expect(figure.script.contains("(cell(2)):3:8:9:10:11:7 with boxxyerror"))
    #expect(figure.xRange(of: figure.panels[1]) == 0.5...10.5 && figure.yRange(of: figure.panels[1]) == 0.5...2.5)
  }

  @Test("gives maps of one quantity one range of colours, about a centre the same to both sides") func colours() {
    func panel(_ label: String, _ values: [Double], centre: Double? = nil, bounds: ClosedRange<Double>? = nil)
      -> Figure.Panel
    {
      .init(
        x: .init("x"), y: .init("y"),
        map: .init(
          colour: .init(label, bounds: bounds), centre: centre, columns: values.indices.map(Double.init), rows: [1]
        ) { column, _ in values[column] })
    }
    var maps = figure([])
    maps.panels = [
      panel("a", [1, .nan, 3]), panel("a", [-2, .infinity]), panel("b", [-1, 0.25], centre: 0),
      panel("c", [0.5, 90], centre: 1, bounds: -1...3), panel("d", [.nan]), panel("e", [7, 7]),
    ]
    let ranges = maps.panels.compactMap(\.map).map(maps.colourRange)
    #expect(ranges[0...4] == [-2...3, -2...3, -1...1, -1...3, 0...1])
    #expect(ranges[5].contains(7) && ranges[5].lowerBound < ranges[5].upperBound)
  }

  @Test("cuts an axis off at its bounds, and shows them where nothing lies within") func bounds() {
    var wild = figure([0.5, 1.2, 4000])
    wild.panels[0].y.bounds = -1...3
    let range = wild.yRange(of: wild.panels[0])
    #expect(range.lowerBound < 0.5 && range.upperBound > 3 && range.upperBound < 3.5)
    wild.panels[0].series[0].points.removeFirst(2)
    #expect(wild.yRange(of: wild.panels[0]) == -1...3)
  }

  @Test("goes from blue to red through colours that all differ, with three entries for any number of steps")
  func ramp() {
    let steps = Array(1...54)
    let colours = steps.map { Figure.ramp($0, in: steps) }
    #expect(Set(colours).count == 54 && colours.allSatisfy { $0.wholeMatch(of: /#[0-9a-f]{6}/) != nil })
    func channels(_ colour: String) -> (red: Int, blue: Int) {
      (Int(colour.dropFirst().prefix(2), radix: 16) ?? 0, Int(colour.suffix(2), radix: 16) ?? 0)
    }
    #expect(channels(colours[0]).blue > 2 * channels(colours[0]).red)
    #expect(channels(colours[53]).red > 2 * channels(colours[53]).blue)
    #expect(Figure.rampLegend([steps]).map(\.label) == ["step 1", "step 27", "step 54"])
    #expect(Figure.rampLegend([steps, [1, 2]]).map(\.label) == ["first step", "middle step", "last step"])
    #expect(Figure.rampLegend([[7]]).map(\.label) == ["step 7"])
    #expect(
      Figure.rampLegend([]).isEmpty && Figure.ramp(7, in: [7]) == Figure.ramp(0) && Figure.ramp(.nan) == Figure.ramp(0))
  }

  @Test("marks a logarithmic axis at 1, 2 and 5 where powers of ten would be few") func decades() {
    let one = figure([1])
    #expect(one.decadeTicks(over: 0.15...7) == "(0.2, 0.5, 1, 2, 5)")
    #expect(one.decadeTicks(over: 1e-3...1e9) == "autofreq")
    #expect(one.decadeTicks(over: 164...314) == "(180, 200, 220, 240, 260, 280, 300)")
  }

  @Test("puts four ticks or more on an axis, at even numbers") func ticks() {
    let one = figure([1])
    for range in [0.0...1, -0.013...0.002, 3...1234, -7e-9...5e-9, 0.96...1.01, -100 ... -99.9] {
      let step = one.evenStep(over: range)
      let count = (range.upperBound / step).rounded(.down) - (range.lowerBound / step).rounded(.up) + 1
      #expect(count >= 4 && count <= 12, "\(range): \(step)")
    }
    #expect(one.evenStep(over: 0...1) == 0.2 && one.evenStep(over: 1...1) == 1)
  }
}
