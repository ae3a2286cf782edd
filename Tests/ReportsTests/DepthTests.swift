import ResLensResults
import Testing

@testable import ResLensReports

@Suite("A depth card, and a map over steps") struct DepthTests {
  private struct Range: TableRow {
    var step: Int
    var length: Int
    var mean: Double
    static let keys = ["step", "length"]
  }

  private static let map = MeasureDescription(
    name: "range",
    views: [
      MeasureView(
        id: "range", table: "range", title: "Range: how far?", definition: "d", source: "", finding: "",
        map: StepMap(
          name: "range-map", title: "All ranges", axis: "first", key: "length", label: "steps",
          quantity: Quantity("far (%)", factor: 100)))
    ], columns: [StepColumn("one", table: "range", selection: ["length": 1], format: .percent)])

  private func run(_ name: String = "run", rows: (Split) -> [Range]) throws -> ReportedRun {
    var run = try Samples.run(name)
    try run.changeMeasures { try $0.add("range", of: "range", rows) }
    return run
  }

  private func run(_ name: String = "run", factor: Double = 1) throws -> ReportedRun {
    try run(name) { split in
      (1...3).flatMap { step in
        (1...(4 - step)).map { length in
          Range(step: step, length: length, mean: factor * Double(step * length) / (split == .train ? -10 : 10))
        }
      }
    }
  }

  private func section(_ id: String, _ runs: [ReportedRun]) throws -> Section? {
    try Section.all(of: runs, [Self.map]).first { $0.id == id }
  }

  @Test("A table with another key is drawn as a map of validation samples; its CSV has both splits")
  func map() throws {
    let shown = try #require(try section("range", [run(), run("other", factor: 2)]))
    let figure = try #require(shown.figures.first)
    #expect(figure.name == "range-map" && figure.panels.map(\.title) == ["run", "other"])
    let panel = figure.panels[1]
    let map = try #require(panel.map)
    #expect(panel.x.label == "first" && panel.y.label == "steps" && map.colour.label == "far (%)")
    let cells = Dictionary(uniqueKeysWithValues: map.cells.map { ([$0.x, $0.y], $0.value) })
    #expect(map.cells.allSatisfy { $0.width == $0.x - 0.5...$0.x + 0.5 && $0.height == $0.y - 0.5...$0.y + 0.5 })
    #expect(cells == [[1, 1]: 20, [1, 2]: 40, [1, 3]: 60, [2, 1]: 40, [2, 2]: 80, [3, 1]: 60])
    let lines = figure.data.csv.split(separator: "\n")
    #expect(lines[0] == "run,split,step,length,mean" && lines.count == 1 + 2 * 12)
    #expect(lines.contains("run,train,2,2,-0.4") && lines.contains("other,validation,1,3,0.6"))
    #expect(try section("range", [Samples.run("bare")]) == nil)
    // Beside a step without a value, cells are as wide as elsewhere.
    let gap = try run { _ in [1, 2, 4].map { Range(step: $0, length: 1, mean: Double($0)) } }
    let widths = try #require(try section("range", [gap])?.figures.first?.panels[0].map).cells.map(\.width)
    #expect(widths == [0.5...1.5, 1.5...2.5, 3.5...4.5])
  }

  @Test("A card has a row for each step, and bars from 0 whose longest is the largest size")
  func card() throws {
    let shown = try #require(try section("depth-card", [run()]))
    let text = shown.overview.text
    #expect(text.contains("<th scope=\"colgroup\" colspan=\"1\">range</th>") && text.contains(">one %</th>"))
    for (step, end, value) in [(1, 33, "10.00"), (2, 67, "20.00"), (3, 100, "30.00")] {
      #expect(
        text.contains("<th scope=\"row\">\(step)</th><td style=\"--from:0%;--to:\(end)%\">\(value)</td></tr>"),
        "\(step): \(text)")
    }
    #expect(!text.contains("<details"))
    // Where numbers are below 0 too, 0 is where it falls between the lowest and the highest.
    let mixed = try run { _ in
      [Range(step: 1, length: 1, mean: -1), Range(step: 2, length: 1, mean: 3), Range(step: 4, length: 1, mean: 0)]
    }
    let bars = try #require(try section("depth-card", [mixed])).overview.text
    #expect(bars.contains("--from:0%;--to:25%") && bars.contains("--from:25%;--to:100%"))
    #expect(bars.contains("<tr class=\"stage\"><th scope=\"row\">4*</th><td style=\"--from:25%;--to:25%\">"))
  }

  @Test("Where steps' costs are known, each quantity stands beside them, with its rank correlation over the steps")
  func proxies() throws {
    var measure = Self.map
    measure.stepCost = { _ in [1: 0.5, 2: 0.25, 3: 0.75, 9: 1] }
    let other = MeasureDescription(
      name: "other", views: [], columns: [StepColumn(table: "range", selection: ["length": 1])])
    let shown = try Section.all(of: [run()], [measure, other]).first { $0.id == "proxies" }
    let section = try #require(shown)
    // Steps 1, 2, 3 and 9 have a cost. The other quantity exists at the first three, and falls on train samples.
    let table = section.overview.text.replacing("\n", with: "")
    #expect(table.contains("<td>step number</td><td>0.80 (n = 4, within the noise)</td>"))
    #expect(table.contains("<td>other</td><td>−0.50 (n = 3, within the noise)</td>"))
    let figure = try #require(section.figures.first)
    #expect(figure.panels.map(\.title) == ["step number", "other"])
    let points = figure.panels[1].series[0].points
    #expect(points.map(\.x) == [-0.1, -0.2, -0.3] && points.map(\.y) == [0.5, 0.25, 0.75])
    #expect(figure.data.csv.hasPrefix("run,quantity,step,value,cost\nrun,step number,1,1,0.5\n"))
    // Without costs there is no such section.
    #expect(try self.section("proxies", [run()]) == nil)
  }

  @Test("Several runs have a card each, folded where they are more than three; none where nothing was measured")
  func several() throws {
    let two = try #require(try section("depth-card", [run("a"), run("b")])).overview.text
    #expect(two.contains("<p><b>a</b></p>") && two.contains("<p><b>b</b></p>") && !two.contains("<details"))
    let four = try #require(try section("depth-card", ["a", "b", "c", "d"].map { try run($0) })).overview.text
    #expect(four.components(separatedBy: "<details><summary>").count == 5)
    #expect(try section("depth-card", [Samples.run("bare")]) == nil)
  }
}
