import Foundation
import Testing

@testable import Reports

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
  @Test("has a CSV that reads back to the same numbers and names") func csv() throws {
    var original = figure([0.1, -1e-17, 1.0 / 3], spread: 0.25)
    original.panels[0].title = "run, \"quoted\""
    original.panels[0].series[0].points[1].marked = true
    let rows = fields(original.csv)
    #expect(rows[0].joined(separator: ",") == Figure.csvHeader)
    for (row, point) in zip(rows.dropFirst(), original.panels[0].series[0].points) {
      #expect(row.prefix(5).map { Double($0) } == [1, point.x, point.y, point.y - 0.25, point.y + 0.25])
      #expect(row.suffix(4) == [point.marked ? "1" : "0", "y", "run, \"quoted\"", "a"])
    }
    #expect(rows.count == 4)
  }

  @Test("keeps a line a point whatever a name holds") func lineBreaks() {
    var broken = figure([1, 2])
    broken.panels[0].title = "two\nlines\r\nand \u{7} a bell"
    #expect(broken.csv.split(separator: "\n", omittingEmptySubsequences: false).count == 4)
    #expect(broken.script.contains("'two lines"))
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

  @Test("numbers its curves alike in script and CSV") func curves() {
    var two = figure([1, 2])
    two.panels += figure([3, 4]).panels
    #expect(fields(two.csv).dropFirst().map { $0[0] } == ["1", "1", "2", "2"])
    #expect(two.script.contains("(x(1)):3") && two.script.contains("(x(2)):3"))
  }
}
