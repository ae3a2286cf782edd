import Foundation
import ResLensSupport
import ResLensResults
import Testing

@testable import ResLensReports

private let hasGnuplot = Gnuplot.find() != nil
private let figureNames = ["answer", "learning-rate", "size", "slope", "slope-readout", "training", "without"]

extension Section {
  /// The sections of a report with all made-up measures.
  static func all(of runs: [ReportedRun]) throws -> [Section] { try all(of: runs, Descriptions.all) }
}

@Suite("A report") struct ReportTests {
  private func write(_ runs: [ReportedRun], to scratch: Scratch, gnuplot: Gnuplot?) throws -> [String] {
    try Report(title: "A report", runs: runs).write(to: scratch.page, gnuplot: gnuplot)
  }

  @Test(
    "is one well-formed page, each picture's three files beside it",
    .enabled(if: hasGnuplot, "gnuplot is not installed"), arguments: [[3, 3, 3], [18, 18, 18], [10], [1]])
  func files(blocks: [Int]) throws {
    let scratch = try Scratch()
    let notes = try write([Samples.run(blocks: blocks), Samples.run("other")], to: scratch, gnuplot: .find())
    #expect(notes.isEmpty)
    #expect(try scratch.names() == ["report-figures", "report.html"])
    #expect(
      try scratch.names(in: "report-figures")
        == figureNames.flatMap { [".csv", ".gp", ".svg"].map($0.appending) }.sorted())
    let page = try ParsedPage(scratch.page)
    #expect(page.problem == nil)
    #expect(page.elements["svg"] == 7 && page.elements["script"] == nil)
    #expect(Set(page.ids).count == page.ids.count)
    #expect(page.references.allSatisfy { $0.hasPrefix("#") || $0.hasPrefix("report-figures/") })
    let targets = page.references.filter { $0.hasPrefix("#") }.map { String($0.dropFirst()) }
    #expect(Set(targets).isSubset(of: page.ids))
  }

  @Test(
    "leaves scripts that draw the same picture again by themselves",
    .enabled(if: hasGnuplot, "gnuplot is not installed")) func redraw() throws
  {
    let scratch = try Scratch()
    _ = try write([Samples.run()], to: scratch, gnuplot: .find())
    let first = try scratch.text("report-figures/slope.svg")
    let figures = scratch.url.appendingPathComponent("report-figures")
    try FileManager.default.removeItem(at: figures.appendingPathComponent("slope.svg"))
    try #require(Gnuplot.find()).draw(figures.appendingPathComponent("slope.gp"))
    #expect(try scratch.text("report-figures/slope.svg") == first)
  }

  @Test("shows a hostile run name as text and nothing else", arguments: [nil, Gnuplot.find()])
  func escaping(gnuplot: Gnuplot?) throws {
    let scratch = try Scratch()
    let name = "<script>alert('1')</script>&\"]]>\u{1}\\"
    var run = try Samples.run(name)
    run.facts.append(.init("<b>", "a & b"))
    _ = try write([run, Samples.run()], to: scratch, gnuplot: gnuplot)
    let page = try ParsedPage(scratch.page)
    #expect(page.problem == nil)
    #expect(page.elements["script"] == nil)
    #expect(try scratch.text("report-figures/size.csv").split(separator: "\n").count == 1 + 2 * 2 * 9)
    #expect(page.text.contains("<script>alert('1')</script>&\"]]> \\"))
    #expect(page.text.contains("a & b"))
  }

  @Test("is written without gnuplot too, and says what to install; an older picture goes") func withoutGnuplot() throws
  {
    let scratch = try Scratch()
    let figures = scratch.url.appendingPathComponent("report-figures")
    try FileManager.default.createDirectory(at: figures, withIntermediateDirectories: true)
    try Data("old".utf8).write(to: figures.appendingPathComponent("training.svg"))
    let notes = try write([Samples.run()], to: scratch, gnuplot: nil)
    #expect(notes.count == 1 && notes[0].contains("apt-get install gnuplot"))
    #expect(
      try scratch.names(in: "report-figures") == figureNames.flatMap { [".csv", ".gp"].map($0.appending) }.sorted())
    let page = try ParsedPage(scratch.page)
    #expect(page.problem == nil)
    #expect(page.elements["svg"] == nil && page.elements["table"] == 7)
    #expect(page.text.contains("gnuplot was not found"))
  }

  @Test("names the command that makes what is missing, and shows the rest") func gaps() throws {
    let scratch = try Scratch()
    var bare = try Samples.run("bare")
    bare.measures = nil
    bare.epochs = []
    let notes = try write([bare, Samples.run()], to: scratch, gnuplot: nil)
    #expect(notes.contains("bare has not been measured: reslens measure bare"))
    #expect(notes.contains { $0.hasPrefix("bare has no finished epoch: reslens train --resume") })
    #expect(notes.count == 3)
    #expect(try scratch.text("report-figures/size.csv").contains("train"))
    #expect(try ParsedPage(scratch.page).text.contains("reslens measure bare"))

    let alone = try Scratch()
    _ = try write([bare], to: alone, gnuplot: nil)
    #expect(try ParsedPage(alone.page).problem == nil)
    #expect(try alone.names() == ["report.html"])
  }

  @Test("stands numbers that are not finite", arguments: [nil, Gnuplot.find()], [Double.nan, .infinity, -.infinity])
  func nonFinite(gnuplot: Gnuplot?, value: Double) throws {
    let scratch = try Scratch()
    var run = try Samples.run()
    run.epochs[4].trainLoss = value
    run.epochs[9].validationError = value
    try run.changeMeasures { results in
      try results.change("size", "mean") { _ in .number(value) }
      try results.change("slope", "std", where: ["split": "train", "step": 4]) { _ in .number(value.magnitude) }
      try results.change("without-baseline", "accuracy", where: ["split": "validation"]) { _ in .number(value) }
    }
    _ = try write([run], to: scratch, gnuplot: gnuplot)
    #expect(try ParsedPage(scratch.page).problem == nil)
    let script = try scratch.text("report-figures/size.gp")
    let commands = try #require(script.range(of: "\nEND\n")).upperBound
    #expect(!script[commands...].contains("nan") && !script[commands...].contains("inf"))
    #expect(try scratch.text("report-figures/size.csv").contains(value.isNaN ? ",nan," : "inf,"))
  }

  @Test("stays as it was where gnuplot fails") func atomic() throws {
    let scratch = try Scratch()
    let report = Report(title: "First", runs: [try Samples.run()])
    _ = try report.write(to: scratch.page, gnuplot: nil)
    let before = try (scratch.text("report.html"), scratch.text("report-figures/training.csv"))
    let broken = try scratch.gnuplot(
      "case $2 in without*) echo 'no room' >&2; exit 1;; *) echo '<svg></svg>' > \"${2%.gp}.svg\";; esac")
    let error = try #require(throws: FileError.self) {
      try Report(title: "Second", runs: [Samples.run(epochs: 3)]).write(to: scratch.page, gnuplot: broken)
    }
    #expect(error.path == "without.gp" && error.problem.contains("no room"))
    #expect(try (scratch.text("report.html"), scratch.text("report-figures/training.csv")) == before)
    #expect(try scratch.names() == ["fake-gnuplot", "report-figures", "report.html"])
  }

  @Test(
    "says so where gnuplot ends well without a whole picture",
    arguments: [("exit 0", "no picture"), ("echo '<svg>' > ${2%.gp}.svg", "half a picture")])
  func noPicture(script: String, problem: String) throws {
    let scratch = try Scratch()
    let silent = try scratch.gnuplot(script)
    let error = try #require(throws: FileError.self) { try write([Samples.run()], to: scratch, gnuplot: silent) }
    #expect(error.path == "training.svg" && error.problem.hasSuffix(problem))
    #expect(try scratch.names() == ["fake-gnuplot"])
  }

  @Test("does not take a folder's or another file's place") func places() throws {
    let scratch = try Scratch()
    let report = Report(title: "A report", runs: [try Samples.run()])
    let folder = try #require(throws: FileError.self) { try report.write(to: scratch.url, gnuplot: nil) }
    #expect(folder.problem == "is a folder")
    try Data("mine".utf8).write(to: scratch.url.appendingPathComponent("report-figures"))
    let file = try #require(throws: FileError.self) { try report.write(to: scratch.page, gnuplot: nil) }
    #expect(file.path.hasSuffix("report-figures"))
    #expect(try scratch.names() == ["report-figures"])
  }

  @Test("puts runs on the same axes: a colour a run, a panel a split, boundaries between stages that they share")
  func overlaid() throws {
    let runs = [try Samples.run(), try Samples.run("long", blocks: [18, 18, 18], epochs: 300)]
    let figure = try #require(try Section.all(of: runs).first { $0.id == "without" }?.figures.first)
    #expect(figure.panels.map(\.title) == ["validation", "train"] && figure.columns == 2)
    #expect(figure.legend?.map(\.label) == ["resnet-20", "long"])
    #expect(figure.panels.allSatisfy { $0.series.count == 4 && $0.spans.isEmpty })
    let colours = figure.panels[0].series.map(\.style.colour)
    #expect(colours[0] == colours[1] && colours[2] == colours[3] && colours[0] != colours[2])
    #expect(colours == figure.panels[1].series.map(\.style.colour))
    let alike = [try Samples.run(), try Samples.run("other", seed: 1)]
    let shared = try #require(try Section.all(of: alike).first { $0.id == "without" }?.figures.first)
    #expect(shared.panels.allSatisfy { $0.spans.map(\.label) == ["stages.0", "stages.1", "stages.2"] })
    // Each of more than six runs has a panel.
    let many = try (0..<7).map { try Samples.run("run \($0)", seed: Double($0)) }
    let panels = try #require(try Section.all(of: many).first { $0.id == "without" }?.figures.first).panels
    #expect(panels.map(\.title) == many.map(\.name))
  }

  @Test(
    "has pictures that are a part of gnuplot's size, with every mark and text of it",
    .enabled(if: Gnuplot.find() != nil, "gnuplot is not installed"))
  func compactPictures() throws {
    let scratch = try Scratch()
    _ = try Report(title: "A report", runs: [try Samples.full()]).write(to: scratch.page, gnuplot: .find())
    for name in ["size", "history-slope", "history-slope-map", "training"] {
      let file = scratch.url.appendingPathComponent("report-figures/\(name).svg")
      let drawn = try String(contentsOf: file, encoding: .utf8)
      let compact = Pictures.compact(drawn)
      #expect(compact.utf8.count < drawn.utf8.count * 7 / 10, "\(name)")
      let small = scratch.url.appendingPathComponent("small.svg")
      try Data(compact.utf8).write(to: small)
      let (before, after) = (try ParsedPage(file), try ParsedPage(small))
      #expect(after.problem == nil)
      for element in ["path", "use", "text"] { #expect(before.elements[element] == after.elements[element], "\(name)") }
      func words(_ page: ParsedPage) -> [String] {
        page.text.split(whereSeparator: \.isWhitespace).map(String.init).filter {
          !$0.hasPrefix("gnuplot_plot") && $0 != "Gnuplot"
        }
      }
      #expect(words(before) == words(after), "\(name)")
    }
  }

  @Test("of more than six networks shows their histories as maps of validation samples") func manyHistories() throws {
    let many = try (0..<7).map { index in
      var run = try Samples.full("run \(index)")
      run.measures = try Samples.run("run \(index)", seed: Double(index)).measures
      return run
    }
    let section = try #require(try Section.all(of: many).first { $0.id == "history-slope" })
    #expect(section.figures.map(\.name) == ["history-slope-map"] && section.figures[0].columns == 3)
    #expect(section.figures[0].panels.map(\.title) == many.map(\.name))
    let few = try #require(try Section.all(of: Array(many.prefix(6))).first { $0.id == "history-slope" })
    #expect(few.figures.map(\.name) == ["history-slope", "history-slope-map"] && few.figures[1].panels.count == 12)
    let csv = section.figures[0].data.csv
    #expect(csv.contains("train") && csv.contains("validation"))
  }

  @Test("draws bands of two standard errors, or of the samples' deviation where that is asked for") func bands() throws
  {
    let run = try Samples.run()
    for band in Presentation.Band.allCases {
      let sections = try Section.all(of: [run], Descriptions.all, Presentation(band: band))
      let section = try #require(sections.first { $0.id == "size" })
      let point = section.figures[0].panels[0].series[1].points[2]
      let (std, count) = try (
        #require(run.measures).numbers("size", "std", .validation)[2],
        #require(run.measures).numbers("size", "count", .validation)[2]
      )
      let spread = band == .error ? 2 * std / (count - 1).squareRoot() : std
      #expect(abs(try #require(point.spread) - spread) < 1e-12)
      #expect(
        section.illustrations[0].caption.text.contains(
          band == .error ? "two standard errors" : "one standard deviation"))
    }
  }

  @Test("shows what was measured in other ways beside the usual way, in sections of their own") func otherWays() throws
  {
    let plain = try Samples.run()
    let sections = try Section.all(of: [plain])
    let usual = try #require(sections.first { $0.id == "size" })
    for comparison in WayComparison.all {
      #expect(!sections.contains { $0.id.hasSuffix(comparison.suffix) })
      // One of the ways, then all of them.
      for ways in [Array(comparison.ways.suffix(1)), comparison.ways] {
        var run = plain
        for (index, way) in ways.enumerated() {
          run.otherMeasures[way] = try Samples.run(seed: Double(5 + index)).measures
        }
        let section = try #require(try Section.all(of: [run]).first { $0.id == "size" + comparison.suffix })
        #expect(section.figures.map(\.name) == ["size" + comparison.suffix])
        let results = [run.measures] + ways.map { run.otherMeasures[$0] }
        let values = try results.map { try #require($0).numbers("size", "mean", .train) }
        let panel = try #require(section.figures[0].panels.first { $0.title == "train" })
        #expect(panel.series.map { $0.points.map(\.y) } == values)
        #expect(section.figures[0].legend?.count == 1 + ways.count)
        // The way has a title and a text of its own; the definition stays in the usual section, the samples are named.
        #expect(section.title != usual.title && section.text.count == ways.count + 1)
        #expect(!section.text.contains { $0.text == usual.text[0].text } && section.text.last == usual.text.last)
      }
    }
    // Numbers of other weights are not drawn beside them, and a note says so.
    var newer = plain
    newer.otherMeasures[.recalibrated] = try Samples.run(seed: 5).measures
    newer.otherMeasures[.recalibrated]?.provenance.weights = "other"
    let alone = try #require(try Section.all(of: [newer]).first { $0.id == "size-recalibrated" })
    #expect(alone.figures[0].panels.map(\.title) == ["recalibrated"])
    #expect(alone.notes.contains { $0.text.contains("left out") })
    // A way that only says why it cannot have a view has no section of it.
    var absent = plain
    absent.otherMeasures[.batchStatistics] = plain.measures
    absent.otherMeasures[.batchStatistics]?.tables = []
    absent.otherMeasures[.batchStatistics]?.absent = [.init(measure: "size", reason: "it cannot be")]
    #expect(try !Section.all(of: [absent]).contains { $0.id.hasSuffix("-batch") })
    // Seeds that were not measured in a way are counted.
    var (first, second) = (plain, try Samples.run(seed: 1))
    (first.name, second.name, first.group, second.group) = ("a-0", "a-1", "a", "a")
    first.otherMeasures[.recalibrated] = try Samples.run(seed: 5).measures
    let seeds = try #require(try Section.all(of: [first, second]).first { $0.id == "size-recalibrated" })
    #expect(seeds.figures[0].legend?.map(\.label) == ["trained statistics, 2 seeds", "recalibrated, 1 of 2 seeds"])
    // Several networks are each shown in each way.
    var (one, two) = (plain, plain)
    (one.name, two.name) = ("one", "two")
    one.otherMeasures[.recalibrated] = try Samples.run(seed: 5).measures
    two.otherMeasures[.recalibrated] = try Samples.run(seed: 6).measures
    let section = try #require(try Section.all(of: [one, two]).first { $0.id == "size-recalibrated" })
    #expect(
      section.figures[0].legend?.map(\.label)
        == ["one", "two"].flatMap { ["\($0), trained statistics", "\($0), recalibrated"] })
  }

  @Test("draws PNG and PDF besides", .enabled(if: Gnuplot.find() != nil, "gnuplot is not installed")) func formats()
    throws
  {
    let scratch = try Scratch()
    var report = Report(title: "A report", runs: [try Samples.run()])
    report.presentation.formats = [.svg, .png, .pdf]
    _ = try report.write(to: scratch.page, gnuplot: .find())
    let folder = scratch.url.appendingPathComponent("report-figures")
    #expect(
      try Data(contentsOf: folder.appendingPathComponent("size.png")).prefix(4) == Data([0x89, 0x50, 0x4E, 0x47]))
    #expect(try Data(contentsOf: folder.appendingPathComponent("size.pdf")).prefix(5) == Data("%PDF-".utf8))
    // A picture of another format that is not drawn anew would show other numbers than the table beside it.
    report.presentation = Presentation()
    _ = try report.write(to: scratch.page, gnuplot: .find())
    #expect(try !scratch.names(in: "report-figures").contains { $0.hasSuffix(".png") || $0.hasSuffix(".pdf") })
  }

  @Test("puts runs side by side where that is asked for: a panel a run, one y range, boundaries between stages")
  func sideBySide() throws {
    let runs = [try Samples.run(), try Samples.run("long", blocks: [18, 18, 18], epochs: 300)]
    let sections = try Section.all(of: runs, Descriptions.all, Presentation(layout: .panels))
    let figure = try #require(sections.first { $0.id == "without" }?.figures.first)
    #expect(figure.panels.map(\.title) == ["resnet-20", "long"])
    #expect(figure.yRange(of: figure.panels[0]) == figure.yRange(of: figure.panels[1]))
    #expect(figure.panels[1].spans.map(\.range.lowerBound) == [0.5, 18.5, 36.5])
    #expect(figure.panels[1].series[0].points.filter(\.marked).map(\.x) == [19, 37])
    let baseline = try #require(figure.panels[0].series.first { $0.label == "validation, whole network" })
    #expect(baseline.points.map(\.y) == [91, 91])
  }

  @Test("names the run of a lone panel where the page has more runs") func lonePanel() throws {
    var bare = try Samples.run("bare")
    bare.measures = nil
    let several = try Section.all(of: [bare, Samples.run("measured")]).dropFirst().flatMap(\.figures)
    #expect(several.allSatisfy { $0.panels[0].title == "measured" })
    let one = try Section.all(of: [Samples.run("measured")]).dropFirst().flatMap(\.figures)
    #expect(one.count == 5 && one.allSatisfy { $0.panels[0].title.isEmpty })
  }

  @Test("draws a staircase of learning rates on a logarithmic axis, a smooth schedule on a linear one") func rates()
    throws
  {
    var run = try Samples.run(epochs: 60)
    #expect(learningRates(of: RunGroup.all(of: [run])).panels[0].y.scale == .logarithmic)
    for epoch in run.epochs.indices { run.epochs[epoch].learningRate = 0.4 * Double(60 - epoch) / 60 }
    #expect(learningRates(of: RunGroup.all(of: [run])).panels[0].y.scale == .linear)
  }
}
