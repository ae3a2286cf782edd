import Foundation
import ResLensSupport
import ResLensResults
import Testing

@testable import ResLensReports

@Suite("A report of activations and gradients") struct PropagationReportTests {
  private func run(_ name: String, group: String? = nil, growth: Double, ratio: Double = 4) throws -> ReportedRun {
    var run = try Samples.run(name)
    run.group = group
    run.history = [
      try Samples.norms(growth, epoch: 0, ratio: ratio),
      try Samples.norms(growth, epoch: 1, ratio: ratio / 2, batchNorm: .running),
    ]
    return run
  }

  @Test("puts all networks into the same axes, with step 0 and a row each") func initialisation() throws {
    let runs = [try run("plain", growth: 1.1), try run("naive", growth: 1.5), try Samples.run("bare")]
    let section = try #require(try Section.all(of: runs).first { $0.id == "initialisation" })
    let figure = try #require(section.figures.first)
    #expect(figure.panels.map { $0.series.map(\.label) } == [["plain", "naive"], ["plain", "naive"]])
    #expect(figure.panels[0].series[1].points.map(\.x) == (0...9).map(Double.init))
    #expect(figure.panels[1].series[1].points.map(\.x) == (1...9).map(Double.init))
    #expect(abs(figure.panels[0].series[1].points[9].y - 10 * pow(1.5, 9)) < 1e-9)
    #expect(section.overview.text.contains("<td>naive</td>") && !section.overview.text.contains("<td>bare</td>"))
    #expect(section.notes.map(\.text) == ["<b>bare</b> was not measured as it was initialised."])
    #expect(section.text.last == "The numbers were measured on 50 train samples.")
    let cells = [10, 10 * pow(1.5, 9), 10 * pow(1.5, 9), 4, pow(1.5, -1), pow(1.5, -7)].map {
      "<td>\(significant($0))</td>"
    }
    #expect(section.overview.text.replacing("\n", with: "").contains("<td>naive</td><td>1</td>" + cells.joined()))
    let rows = figure.data.csv.split(separator: "\n")
    #expect(rows[0] == "run,network,quantity,split,step,mean,std,count" && rows.count == 1 + 2 * (10 + 9))
    #expect(rows[1] == "plain,plain,activation-norm,train,0,10,1,50")
    let sentences = try Summary(run: runs[1], measures: []).sentences
    #expect(
      sentences[1]
        == "As it is initialised, ‖h‖ goes from 10 to \(significant(10 * pow(1.5, 9))) on train samples, and "
        + "the gradient at the first block is 4 times that at the last stage’s.")
  }

  @Test(
    "has a section with a picture for whatever a study can show", arguments: FigureKind.all(of: Descriptions.all))
  func kinds(kind: FigureKind) throws {
    var run = try Samples.full("all")
    try run.changeMeasures { try $0.addNorms(1.1) }
    for index in run.history.indices { try run.history[index].addNorms(1.1) }
    run.history.insert(try Samples.norms(1.1, epoch: 0), at: 0)
    let page = StudyReport.Page(name: "p", title: "t", findings: [], notes: [], figures: [kind], runs: [run])
    let sections = try page.sections(Descriptions.all)
    // A table of errors is no section.
    #expect(sections.map(\.id) == (kind == .errors ? [] : [kind.rawValue]))
    #expect(sections.flatMap(\.figures).isEmpty == (kind == .errors))
    #expect(sections.flatMap(\.figures).allSatisfy { $0.name.hasPrefix("p-") && !$0.data.isEmpty })
    if kind == .unrollingSteps { #expect(sections[0].figures.map(\.name) == ["p-unrolling-steps"]) }
    if kind == "unrolling" { #expect(sections[0].figures.count == 3) }
  }

  @Test("of networks that were never trained has nothing else", arguments: [nil, Gnuplot.find()])
  func probe(gnuplot: Gnuplot?) throws {
    let scratch = try Scratch()
    let runs = try ["a", "b"].map { name in
      var results = try Samples.norms(1.2, epoch: 0)
      results.run = name
      return ReportedRun(untrained: results, facts: [Fact("seed", "0")])
    }
    let sections = try Section.all(of: runs)
    #expect(sections.map(\.id) == ["initialisation"])
    let notes = try Report(title: "Probe", runs: runs).write(to: scratch.page, gnuplot: gnuplot)
    #expect(notes.count == (gnuplot == nil ? 1 : 0))
    let page = try ParsedPage(scratch.page)
    #expect(page.problem == nil)
    #expect(!page.text.contains("has not been measured"))
  }

  @Test("draws the ratio over the epochs, the initialisation being epoch 0") func ratio() throws {
    let section = try #require(
      try Section.all(of: [run("naive", growth: 1.5, ratio: 8)]).first { $0.id == "gradient-norm-ratio" })
    let series = try #require(section.figures.first?.panels[0].series)
    #expect(series.map(\.label) == ["naive train", "naive validation"])
    #expect(series[0].points.map(\.x) == [0, 1] && series[0].points.map(\.y) == [8, 4])
    #expect(series[0].points.allSatisfy { $0.spread == nil })
    #expect(section.text.last == "The numbers were measured on 50 train and 50 validation samples.")
    let rows = try #require(section.figures.first).data.csv.split(separator: "\n")
    #expect(rows[0] == "run,network,epoch,split,gradient_norm_ratio,last_activation_norm")
    #expect(rows.count == 5 && rows[1].hasPrefix("naive,naive,0,train,8,"))
    #expect(section.tables[0].text.replacing("\n", with: "").contains("<td>1</td><td>4</td><td>4</td>"))
    #expect(try !Section.all(of: [Samples.run()]).contains { $0.id == "gradient-norm-ratio" })
  }

  @Test("says where the initialisation was measured otherwise than what follows") func modes() throws {
    let sections = try Section.all(of: [run("naive", growth: 1.5)])
    for id in ["gradient-norm-ratio", "history-activation-norm"] {
      let text = try #require(sections.first { $0.id == id }).text.map(\.text).joined()
      #expect(text.contains("by each batch’s own statistics") && text.contains("by the running ones"))
    }
    var alike = try run("naive", growth: 1.5)
    alike.history[1].batchNorm = .batch
    let text = try #require(try Section.all(of: [alike]).first { $0.id == "gradient-norm-ratio" }).text.map(\.text)
      .joined()
    #expect(!text.contains("a jump behind epoch 0"))
  }

  @Test("draws seeds as thin lines behind their mean") func seeds() throws {
    let runs = [try run("a-0", group: "a", growth: 1.1), try run("a-1", group: "a", growth: 4)]
    let figure = try #require(try Section.all(of: runs).first { $0.id == "initialisation" }?.figures.first)
    let series = figure.panels[0].series
    #expect(series.map(\.style.isThin) == [true, true, false] && series.map(\.label) == ["", "", "a (2 seeds)"])
    for point in series[2].points {
      let (first, second) = (series[0].points[Int(point.x)].y, series[1].points[Int(point.x)].y)
      #expect(abs(point.y - (first + second) / 2) < 1e-9 * point.y)
    }
  }

  @Test("gives a band on a logarithmic axis an edge, however wide it is") func logarithmicBand() throws {
    var run = try Samples.run()
    try run.changeMeasures { results in
      try results.addNorms(2)
      try results.change("activation-norm", "std", where: [:]) { _ in .number(1e6) }
    }
    let figure = try #require(try Section.all(of: [run]).first { $0.id == "activation-norm" }?.figures.first)
    let wide = try #require(figure.panels[0].series[0].points.last)
    #expect(try #require(wide.spread) > wide.y)
    let low = figure.points.compactMap { Double($0.split(separator: ",")[3]) }
    #expect(low.count == 20 && low.allSatisfy { $0 > 0 })
  }

  @Test("stands norms that are not finite", arguments: [Double.nan, .infinity]) func nonFinite(value: Double) throws {
    let scratch = try Scratch()
    var exploded = try run("naive", growth: 1.5)
    try exploded.history[0].change("activation-norm", "mean", where: ["split": "train", "step": 5]) { _ in
      .number(value)
    }
    try exploded.history[0].change("gradient-norm-ratio", "mean", where: ["split": "train"]) { _ in .number(value) }
    _ = try Report(title: "Exploded", runs: [exploded]).write(to: scratch.page, gnuplot: .find())
    #expect(try ParsedPage(scratch.page).problem == nil)
  }
}

@Suite("Runs that differ in their seed only") struct RunGroupTests {
  private let runs: [ReportedRun]

  init() throws {
    let named: [(String, String?, Double)] = [("a-0", "a", 0), ("a-1", "a", 2), ("b-0", "b", 1), ("alone", nil, 3)]
    runs = try named.map { name, group, seed in
      var run = try Samples.run(name, seed: seed)
      run.group = group
      return run
    }
  }

  @Test("are one curve, the mean over seeds, before a thin line for each") func mean() throws {
    let groups = RunGroup.all(of: runs)
    #expect(groups.map(\.label) == ["a (2 seeds)", "b", "alone"])
    let curves = trainingCurves(of: groups).panels[1].series
    let labels = ["", "", "a (2 seeds) train", "", "", "a (2 seeds) validation", "b train", "b validation"]
    #expect(curves.map(\.label).prefix(8) == labels[...])
    let (first, second) = (100 * runs[0].epochs[4].validationError, 100 * runs[1].epochs[4].validationError)
    #expect(abs(curves[5].points[4].y - (first + second) / 2) < 1e-12 && first != second)
    #expect(curves[3].points[4].y == first && curves[4].points[4].y == second)
  }

  @Test("are no more than that: one run shown twice is not two seeds") func twice() throws {
    let groups = RunGroup.all(of: [try Samples.run("same"), try Samples.run("same"), runs[0]])
    #expect(groups.map(\.label) == ["same", "same", "a"] && groups.map(\.place) == [0, 1, 2])
  }

  @Test("of which one has fewer epochs are a mean of what there is") func uneven() throws {
    var uneven = Array(runs.prefix(2))
    uneven[1].epochs.removeLast(6)
    let series = trainingCurves(of: RunGroup.all(of: uneven)).panels[1].series
    let points = series[2].points
    #expect(points.map(\.x) == (1...10).map(Double.init) && series[1].points.count == 4)
    #expect(abs(points[4].y - 100 * uneven[0].epochs[4].trainError) < 1e-12)
  }

  @Test("of which one did not come to its end are compared by those that did, and the row says so") func unfinished()
    throws
  {
    var uneven = runs
    uneven[1].epochs.removeLast(6)
    uneven[0].epochs[3].validationLoss = .nan
    let groups = RunGroup.all(of: uneven)
    let text = outcomeTable(groups).text
    #expect(text.contains("1 of 2 at that epoch"))
    #expect(text.contains(SeedStatistic([uneven[0].epochs[9].validationError]).percentage))
    // A number that is none leaves the other seed's.
    let loss = trainingCurves(of: groups).panels[0].series[5].points[3]
    #expect(loss.y == uneven[1].epochs[3].validationLoss)
  }

  @Test("are one network in the pictures of what steps do, their mean, and the page says so") func pictures() throws {
    let sections = try Section.all(of: runs, Descriptions.all, Presentation(layout: .panels))
    let size = try #require(sections.first { $0.id == "size" })
    #expect(size.figures[0].panels.map(\.title) == ["a (2 seeds)", "b", "alone"])
    #expect(size.illustrations[0].caption.text.contains("Thin lines: the seeds."))
    let scratch = try Scratch()
    for (shown, isMean) in [(runs, true), (Array(runs.dropFirst()), false)] {
      _ = try Report(title: "t", runs: shown).write(to: scratch.page, gnuplot: nil)
      #expect(try ParsedPage(scratch.page).text.contains(Section.meanOverSeeds.text) == isMean)
    }
    let means = try runs.prefix(2).map { try #require($0.measures).numbers("size", "mean", .train) }
    // Behind the thin lines of both seeds.
    let series = size.figures[0].panels[0].series
    let points = series[2].points
    #expect(series.map(\.style.isThin) == [true, true, false, true, true, false])
    #expect(points.count == 9 && means[0] != means[1] && series[0].points.map(\.y) == means[0])
    #expect(zip(points, zip(means[0], means[1])).allSatisfy { abs($0.y - ($1.0 + $1.1) / 2) < 1e-12 })
    // A mean has two columns more than a run by itself, which has no value there.
    let rows = size.figures[0].data.csv.split(separator: "\n", omittingEmptySubsequences: false)
    #expect(rows[0] == "run,split,step,mean,std,count,runs,spread")
    #expect(rows[1].hasPrefix("\"a (2 seeds)\",train,1,") && rows[1].contains(",2000,2,"))
    #expect(rows[19].hasPrefix("b,train,1,") && rows[19].hasSuffix(",2000,,"))
  }

  @Test("and the eight networks of an ablation are one figure: train and validation apart, a colour a network")
  func ablation() throws {
    let scratch = try Scratch()
    let eight = try (1...8).map { try Samples.run("network-\($0)", seed: Double($0)) }
    let figure = trainingCurves(of: RunGroup.all(of: eight))
    #expect(figure.panels.map(\.title) == ["train", "validation", "train", "validation"])
    #expect(figure.panels.allSatisfy { $0.series.count == 8 && Set($0.series.map(\.style.colour)).count == 8 })
    #expect(figure.legendEntries.map(\.label) == eight.map(\.name))
    // A network keeps its colour where another has nothing to show.
    var some = eight
    some[0].epochs = []
    let left = RunGroup.all(of: some) { !$0.epochs.isEmpty }
    #expect(left[0].style(.solid, points: 1).colour == figure.panels[0].series[1].style.colour)
    some = eight
    for index in some.indices { some[index].remove("without") }
    let notes = try Report(title: "Ablation", runs: some).write(to: scratch.page, gnuplot: .find())
    #expect(notes.count { $0.contains("without") } == 1 && notes.joined().contains("8 runs have no values"))
    let page = try ParsedPage(scratch.page)
    #expect(page.problem == nil && page.text.contains("8 runs"))
  }

  @Test("end in one row, where there is something to compare") func outcome() throws {
    let section = try #require(try Section.all(of: runs).first { $0.id == "training" })
    let text = section.overview.text.replacing("\u{00A0}", with: " ")
    let errors = runs.prefix(2).compactMap { $0.epochs.last?.validationError }
    #expect(text.contains("<td>a</td><td>2</td><td>10</td>") || text.contains("<td>a</td>\n<td>2</td>\n<td>10</td>"))
    #expect(text.contains(SeedStatistic(Array(errors)).percentage.replacing("\u{00A0}", with: " ")))
    #expect(try #require(try Section.all(of: [runs[0]]).first).overview.text.isEmpty)
    #expect(SeedStatistic([0.1]).deviation == nil)
    #expect(abs(try #require(SeedStatistic([0.1, 0.3, 0.2]).deviation) - 0.1) < 1e-12)
  }
}
