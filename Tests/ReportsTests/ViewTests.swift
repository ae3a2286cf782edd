import Foundation
import ResLensSupport
import ResLensResults
import Testing

@testable import ResLensReports

@Suite("A view of a measure") struct ViewTests {
  private func section(_ id: String, _ runs: [ReportedRun], _ measures: [MeasureDescription] = Descriptions.all) throws
    -> Section
  {
    try #require(try Section.all(of: runs, measures).first { $0.id == id })
  }

  /// A measure that no code names, with a history.
  private static func novel(column: String = "mean", selection: [String: Cell] = [:]) -> MeasureDescription {
    MeasureDescription(
      name: "novel",
      views: [
        MeasureView(
          id: "novel-view", table: "novel-table", selection: selection, title: "Novel: is it new?",
          definition: "<b>New</b> &amp; well.", source: "Somebody & co", place: "p. 1", finding: "it is <i>new</i>.",
          figures: [
            StepFigure(
              name: "novel-figure", title: "Novelty of every step",
              quantities: [Quantity("novelty (%)", column: column, factor: 100, rules: [0])])
          ], columns: [ViewColumn("novelty", column: "mean", format: .decimal(1))],
          history: MeasureHistory(
            title: "Novelty over training: when is it new?", explanation: "As it <b>was</b>.",
            quantity: Quantity("novelty (%)", factor: 100)),
          remark: { _ in "A <b>remark</b>." })
      ], sentence: { _ in "It is new." })
  }

  private func run(_ name: String = "run") throws -> ReportedRun {
    var run = try Samples.run(name)
    func add(_ results: inout MeasureResults, _ shift: Double) throws {
      try results.add("novel-table", of: "novel") { split in
        (1...9).map {
          StatisticRow(
            step: $0, mean: Double($0) / 8 + shift, std: 0.5, count: $0 == 1 ? 99 : split == .train ? 200 : 100)
        }
      }
    }
    try run.changeMeasures { try add(&$0, 0) }
    run.history = try [0, 4].map { epoch in
      var results = try Samples.measures(blocks: [3, 3, 3])
      results.epoch = epoch
      try add(&results, Double(epoch))
      return results
    }
    return run
  }

  @Test("that no code names gets a section, a figure, a table, a history, a sentence and a figure in a study")
  func novel() throws {
    let (run, measure) = (try run(), Self.novel())
    let shown = try section("novel-view", [run], [measure])
    #expect(shown.title == "Novel: is it new?")
    #expect(
      shown.text.map(\.text) == [
        "<b>New</b> &amp; well.", "<i>Somebody &amp; co (p. 1):</i> it is <i>new</i>.", "A <b>remark</b>.",
        "The numbers were measured on up to 200 train and up to 100 validation samples.",
      ])
    let figure = try #require(shown.figures.first)
    #expect(figure.name == "novel-figure" && figure.title == "Novelty of every step" && figure.panels.count == 1)
    let panel = figure.panels[0]
    #expect(
      panel.series.map(\.label) == ["train", "validation"] && panel.y.label == "novelty (%)" && panel.rules == [0])
    #expect(panel.series[0].points.map(\.x) == (1...9).map(Double.init))
    #expect(panel.series[0].points.map(\.y) == (1...9).map { 100 * (Double($0) / 8) })
    // Two standard errors of a deviation of 50 over 99 samples at the first step, and 100 at the others.
    let spreads = panel.series[1].points.map { $0.spread ?? .nan }
    let wanted = [99.0, 100, 100, 100, 100, 100, 100, 100, 100].map { 2 * 50 / ($0 - 1).squareRoot() }
    #expect(zip(spreads, wanted).allSatisfy { abs($0 - $1) < 1e-12 })
    #expect(panel.series[0].points.filter(\.marked).map(\.x) == [4, 7])
    #expect(panel.spans.map(\.label) == ["stages.0", "stages.1", "stages.2"])
    let rows = figure.data.csv.split(separator: "\n")
    #expect(rows[0] == "run,split,step,mean,std,count" && rows[1] == "run,train,1,0.125,0.5,99" && rows.count == 19)
    let table = shown.tables.map { $0.text.replacing("\n", with: "") }.joined()
    #expect(
      table.contains("<td>4</td><td>stages.1.0</td><td>projection</td><td>0.5 ± 0.07089</td><td>0.5 ± 0.1005</td>"))
    #expect(table.contains("<td>1</td><td>stages.0.0</td><td>identity</td>"))
    #expect(table.contains("<th scope=\"col\">novelty</th>"))

    let history = try section("history-novel-view", [run], [measure])
    #expect(history.figures.map(\.name) == ["history-novel-view", "history-novel-view-map"])
    #expect(history.figures[0].panels[0].series[8].points.map(\.y) == [112.5, 512.5])
    #expect(history.figures[1].panels[0].map?.cells.count == 18 && history.tables.count == 1)
    #expect(try Summary(run: run, measures: [measure]).sentences.last == "It is new.")

    for kind: FigureKind in ["novel-view", "history-novel-view"] {
      let page = StudyReport.Page(name: "p", title: "t", findings: [], notes: [], figures: [kind], runs: [run])
      let sections = try page.sections([measure])
      #expect(sections.map(\.id) == [kind.rawValue] && sections[0].figures.count == 1)
    }
    let scratch = try Scratch()
    _ = try Report(title: "New", runs: [run], measures: [measure]).write(to: scratch.page, gnuplot: .find())
    let page = try ParsedPage(scratch.page)
    #expect(page.problem == nil && page.text.contains("It is new.") && page.text.contains("A remark."))
  }

  @Test("whose table lacks a column is an error that names both, and leaves an earlier report as it was")
  func unknownColumn() throws {
    let run = try run()
    let scratch = try Scratch()
    let good = Report(title: "Good", runs: [run], measures: [Self.novel()])
    _ = try good.write(to: scratch.page, gnuplot: nil)
    let before = try scratch.text("report.html")
    let bad = Report(title: "Bad", runs: [run], measures: [Self.novel(column: "meen")])
    let error = try #require(throws: TableError.self) { try bad.write(to: scratch.page, gnuplot: nil) }
    #expect(error.table == "novel-table" && error.problem.contains("\"meen\""))
    #expect(error.problem.contains("mean, std, count"))
    #expect(try scratch.text("report.html") == before && scratch.names() == ["report-figures", "report.html"])
    var measure = Self.novel()
    measure.views[0].columns = [ViewColumn("n", column: "samples")]
    #expect(throws: TableError.self) { try section("novel-view", [run], [measure]) }
    measure = Self.novel()
    measure.views[0].history?.quantity.column = "median"
    #expect(throws: TableError.self) { try section("history-novel-view", [run], [measure]) }
    measure = Self.novel()
    measure.views[0].figures[0].quantities[0].reference = .init(table: "without-baseline", label: "whole")
    let reference = try #require(throws: TableError.self) { try section("novel-view", [run], [measure]) }
    #expect(reference.table == "without-baseline" && reference.problem.contains("\"mean\""))
  }

  @Test("that selects by a key which the table lacks, or leaves one open, is an error") func keys() throws {
    let run = try run()
    let unknown = try #require(throws: TableError.self) {
      try section("novel-view", [run], [Self.novel(selection: ["gradient": "readout"])])
    }
    #expect(unknown.table == "novel-table" && unknown.problem.contains("\"gradient\""))
    var measure = Descriptions.slope
    measure.views[0].selection = [:]
    let open = try #require(throws: TableError.self) { try section("slope", [run], [measure]) }
    #expect(open.table == "slope" && open.problem.contains("\"gradient\"") && open.problem.contains("\"slope\""))
  }

  @Test("shows the rows of its selection only, in the CSV too, and its stage alone") func selection() throws {
    let run = try Samples.run()
    let readout = try section("slope-readout", [run])
    let figure = readout.figures[0]
    #expect(figure.panels[0].series.map { $0.points.map(\.x) } == [[7, 8, 9], [7, 8, 9]])
    #expect(figure.panels[0].spans.map(\.label) == ["stages.2"])
    let rows = figure.data.csv.split(separator: "\n")
    #expect(rows[0] == "run,split,gradient,step,mean,std,count" && rows.count == 7)
    #expect(rows.dropFirst().allSatisfy { $0.contains(",readout,") })
    #expect(try section("slope", [run]).figures[0].panels[0].series.map(\.points.count) == [9, 9])
  }

  @Test("has a dotted line at its reference, and the reference's value in the CSV") func reference() throws {
    let run = try Samples.run()
    let figure = try section("without", [run]).figures[0]
    let series = figure.panels[0].series
    #expect(series.map(\.label) == ["train", "validation", "train, whole network", "validation, whole network"])
    #expect(series[3].points.map(\.y) == [91, 91] && series[3].points.map(\.x) == [0.5, 9.5])
    #expect(series[2...].allSatisfy { $0.style.dash == .dotted && $0.style.marker == .none })
    let rows = figure.data.csv.split(separator: "\n")
    #expect(rows[0].hasPrefix("run,split,step,accuracy,loss,") && rows[0].hasSuffix(",accuracy_reference"))
    #expect(rows[1].hasSuffix(",0.97") && rows[18].hasSuffix(",0.91"))
    var without = run
    without.changeMeasures { $0.remove("without-baseline") }
    #expect(try section("without", [without]).figures[0].panels[0].series.count == 2)
  }

  @Test("shows several quantities side by side, a row for each run") func sideBySide() throws {
    let runs = [try Samples.run("one"), try Samples.run("two", blocks: [2, 2])]
    let sections = try Section.all(of: runs, Descriptions.all, Presentation(layout: .panels))
    let figure = try #require(sections.first { $0.id == "answer" }).figures[0]
    #expect(figure.columns == 3 && figure.panels.map(\.title) == ["one", "", "", "two", "", ""])
    #expect(
      figure.panels.prefix(3).map(\.y.label) == ["accuracy (%)", "loss (nats)", "entropy (nats)"]
        && figure.panels.allSatisfy { $0.x.label == "after step" })
    #expect(figure.panels[0].series[1].points.last?.y == 91 && figure.panels[5].series[0].points.map(\.x) == [3, 4])
  }

  @Test("draws no point where a value is missing, and cuts an axis off at its bounds") func missing() throws {
    var run = try Samples.full()
    try run.changeMeasures { results in
      try results.change("expansion", "ratio", where: ["split": "validation", "step": 8]) { _ in 1e6 }
      try results.change("expansion", "ratio", where: ["split": "validation", "step": 9]) { _ in .missing }
    }
    let section = try section("expansion", [run])
    let figures = section.figures
    #expect(figures.map(\.name) == ["expansion", "expansion-share"] && figures.allSatisfy { $0.columns == 2 })
    let results = try #require(run.measures)
    for (index, column) in ["change", "term"].enumerated() {
      let values = try results.numbers("expansion", column, .validation)
      #expect(figures[0].panels[index].series[1].points.map(\.y) == values && figures[0].panels[index].rules == [0])
      let count = try results.numbers("expansion", "count", .validation)[0]
      let spread = try #require(figures[0].panels[index].series[1].points[0].spread)
      #expect(abs(spread - 2 * [0.3, 0.25][index] / (count - 1).squareRoot()) < 1e-12)
    }
    #expect(figures[1].panels[0].series[1].points.map(\.x) == [7, 8])
    #expect(figures[1].yRange(of: figures[1].panels[0]).upperBound < 3.5)
    #expect(section.tables[0].text.contains("<td>–</td>") && section.tables[0].text.contains("1·10⁶"))
    #expect(section.text.contains { $0.text.hasPrefix("<i>Taylor 1715 (§3):</i>") })
  }

  @Test("shows the state before the first step as step 0, and no deviation on a logarithmic axis") func stepZero()
    throws
  {
    var run = try Samples.run()
    try run.changeMeasures { try $0.addNorms(2) }
    let sections = try Section.all(of: [run], Descriptions.all, Presentation(band: .deviation))
    let section = try #require(sections.first { $0.id == "activation-norm" })
    let panel = section.figures[0].panels[0]
    #expect(panel.series[0].points.map(\.x) == (0...9).map(Double.init) && panel.series[0].points[1].y == 20)
    #expect(panel.series.allSatisfy { $0.points.allSatisfy { $0.spread == nil } } && panel.y.scale == .logarithmic)
    #expect(section.figures[0].xRange(of: panel) == -0.5...9.5 && panel.spans[0].range == -0.5...3.5)
    #expect(section.tables[0].text.replacing("\n", with: "").contains("<td>0</td><td>stem</td><td>–</td>"))
    // A finding without an author's text is left out.
    #expect(section.text.map(\.text) == ["‖h‖", "The numbers were measured on 50 train and 50 validation samples."])
  }

  @Test("says the number of samples of each run where they differ, and of each split that there is") func sizes() throws
  {
    var fewer = try Samples.run("fewer")
    try fewer.changeMeasures { results in
      try results.change("size", "count") { .number($0 / 10) }
      results.remove("slope", where: ["split": "train"])
    }
    let runs = [fewer, try Samples.run("more")]
    let text = try section("size", runs).text.map(\.text)
    #expect(text.contains("<b>fewer</b>. The numbers were measured on 200 train and 100 validation samples."))
    #expect(text.contains("<b>more</b>. The numbers were measured on 2000 train and 1000 validation samples."))
    #expect(
      try section("without", runs).text.last == "The numbers were measured on 2000 train and 1000 validation samples.")
    #expect(try section("slope", [fewer]).text.last == "The numbers were measured on 1000 validation samples.")
    #expect(try section("slope", [fewer]).figures[0].panels[0].series.map(\.label) == ["validation"])
  }

  @Test("of a table that does not count samples says how many were measured") func uncounted() throws {
    var run = try Samples.run()
    try run.changeMeasures { results in
      try results.add("plain", of: "plain", keys: ["step"], values: ["mean"]) { _ in [[1, 0.5], [2, 0.25]] }
    }
    let measure = MeasureDescription(
      name: "plain",
      views: [
        MeasureView(
          id: "plain", table: "plain", title: "Plain: what is it?", definition: "It.",
          figures: [StepFigure(name: "plain", title: "Plain", quantities: [Quantity("it")])],
          columns: [ViewColumn("it", column: "mean")])
      ])
    #expect(
      try section("plain", [run], [measure]).text.map(\.text)
        == ["It.", "The numbers were measured on 2000 train and 1000 validation samples."])
  }
}
