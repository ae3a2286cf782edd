import Foundation
import ResLensResults
import Testing

@testable import ResLensReports

@Suite("A history") struct HistoryTests {
  private func section(_ id: String, _ runs: [ReportedRun]) throws -> Section {
    try #require(try Section.all(of: runs).first { $0.id == id })
  }

  @Test(
    "leaves a map's script that draws the same picture again, and a row of numbers for each step, split and epoch",
    .enabled(if: Gnuplot.find() != nil, "gnuplot is not installed")) func redraw() throws
  {
    let scratch = try Scratch()
    _ = try Report(title: "A report", runs: [try Samples.full()]).write(to: scratch.page, gnuplot: .find())
    let name = "history-expansion-map"
    let first = try scratch.text("report-figures/\(name).svg")
    let figures = scratch.url.appendingPathComponent("report-figures")
    try FileManager.default.removeItem(at: figures.appendingPathComponent(name + ".svg"))
    try #require(Gnuplot.find()).draw(figures.appendingPathComponent(name + ".gp"))
    #expect(try scratch.text("report-figures/\(name).svg") == first)
    let rows = try scratch.text("report-figures/\(name).csv").split(separator: "\n")
    #expect(rows[0].hasPrefix("run,epoch,split,step,change,") && rows.count == 1 + 3 * 2 * 4)
    // Three steps; the first of four epochs has no ratio on validation samples.
    #expect(rows.count { $0.contains(",,") } == 3)
    let script = try scratch.text("report-figures/\(name).gp").split(separator: "\n")
    #expect(script.count { $0.wholeMatch(of: /[12],[^ ]*/) != nil } == 3 * 3 + 3 * 4)
  }

  @Test("draws the epochs in their order whatever order they come in, a curve for each step from blue to red")
  func order() throws {
    var run = try Samples.full()
    run.history.reverse()
    let section = try section("history-answer", [run])
    #expect(section.figures.map(\.name) == ["history-answer", "history-answer-map"])
    let curves = section.figures[0].panels[0]
    #expect(curves.title == "validation" && curves.series.map(\.label) == ["step 7", "step 8", "step 9"])
    #expect(curves.series[0].points.map(\.x) == [1, 2, 5, 10])
    let last = try #require(try run.history[0].numbers("answer", "accuracy", .validation).last)
    #expect(curves.series[2].points.last?.y == 100 * last)
    #expect(curves.series.map(\.style.colour) == [Figure.ramp(0), Figure.ramp(0.5), Figure.ramp(1)])
    let map = try #require(section.figures[1].panels[0].map)
    #expect(map.cells.count == 12 && map.cells.last?.value == 100 * last && map.cells.last?.x == 10)
    #expect(section.tables[0].text.contains("epoch 10"))
    #expect(section.text.map(\.text).contains("The numbers were measured on 2000 train and 1000 validation samples."))
  }

  @Test("has the axis, the bounds, the rule and the centre of its description") func description() throws {
    let run = try Samples.full()
    let expansion = try section("history-expansion", [run]).figures
    #expect(expansion[0].panels.allSatisfy { $0.y.bounds == -1...3 && $0.rules == [1] })
    #expect(expansion[1].panels.allSatisfy { $0.map?.centre == 1 })
    let size = try section("history-size", [run])
    #expect(size.figures[0].panels.allSatisfy { $0.y.scale == .logarithmic && $0.y.label == "|F|" })
    #expect(size.title == "Size over training: which steps grow?")
    #expect(size.text[0].text.contains("The size, on logarithmic scales."))
    // Only the views' own rows count.
    #expect(try section("history-slope-readout", [run]).figures[0].panels[0].series.count == 3)
  }

  @Test("has small maps and tables where it is long, with its first and its last epoch") func long() throws {
    let run = try Samples.full(measuredEpochs: Array(1...200))
    let section = try section("history-slope", [run])
    #expect(section.figures[0].panels[0].series[0].points.count == 200)
    let columns = Set(try #require(section.figures[1].panels[0].map).cells.map(\.x))
    #expect(columns.count == 50 && columns.min() == 1 && columns.max() == 200)
    #expect(section.tables[0].text.contains("validation, 12 of 200 epochs"))
  }

  @Test("is there for those measures only that some epoch has, and names the runs without one") func partial() throws {
    var run = try Samples.full("one", measuredEpochs: [3])
    run.history[0].tables.removeAll { $0.measure == "slope" }
    try run.history[0].change("size", "mean", where: ["split": "validation", "step": 1]) { _ in .number(.nan) }
    let two = try Samples.run("two")
    let sections = try Section.all(of: [run, two])
    #expect(!sections.contains { $0.id.hasPrefix("history-slope") } && sections.contains { $0.id == "history-size" })
    #expect(
      try section("history-size", [run, two]).notes.map(\.text) == ["<b>two</b> has no such numbers from its training."]
    )
    let scratch = try Scratch()
    _ = try Report(title: "A report", runs: [run]).write(to: scratch.page, gnuplot: .find())
    #expect(try ParsedPage(scratch.page).problem == nil)
  }
}
