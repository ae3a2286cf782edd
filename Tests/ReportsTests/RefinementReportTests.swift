import Foundation
import Host
import Results
import Testing

@testable import Reports

private let added = ["first-order", "borderline", "unrolling", "lesions"]
private let histories = [
  "history-cosine-loss", "history-cosine-loss-plugged", "history-l2-ratio", "history-first-order",
  "history-intermediate",
  "history-dropped-step",
]

@Suite("A report of the further measures") struct RefinementReportTests {
  private func section(_ id: String, _ runs: [ReportedRun]) throws -> Section {
    try #require(Section.all(of: runs).first { $0.id == id })
  }

  private func write(_ runs: [ReportedRun], to scratch: Scratch, gnuplot: Gnuplot?) throws -> ParsedPage {
    _ = try Report(title: "A report", runs: runs).write(to: scratch.page, gnuplot: gnuplot)
    return try ParsedPage(scratch.page)
  }

  @Test(
    "is one well-formed page with every picture, on networks of any depth and under any name",
    .enabled(if: Gnuplot.find() != nil, "gnuplot is not installed"), arguments: [[3, 3, 3], [18, 18, 18], [2]])
  func files(blocks: [Int]) throws {
    let scratch = try Scratch()
    let runs = [Samples.full("it's <\"odd\"> & ]]>\\", blocks: blocks), Samples.run("plain")]
    let page = try write(runs, to: scratch, gnuplot: .find())
    #expect(page.problem == nil && page.elements["script"] == nil)
    let figures = Section.all(of: runs).flatMap(\.figures)
    #expect(page.elements["svg"] == figures.count && figures.count == 7 + 11 + 12)
    #expect(Set(figures.map(\.name)).count == figures.count)
    #expect(Set(page.ids).count == page.ids.count && Set(page.ids).isSuperset(of: added + histories))
    #expect(try scratch.names(in: "report-figures").count == 3 * figures.count)
  }

  @Test(
    "leaves a map's script that draws the same picture again, a polygon for each of its values",
    .enabled(if: Gnuplot.find() != nil, "gnuplot is not installed")) func redraw() throws
  {
    let scratch = try Scratch()
    _ = try write([Samples.full()], to: scratch, gnuplot: .find())
    let name = "history-first-order-map"
    let first = try scratch.text("report-figures/\(name).svg")
    let figures = scratch.url.appendingPathComponent("report-figures")
    try FileManager.default.removeItem(at: figures.appendingPathComponent(name + ".svg"))
    try #require(Gnuplot.find()).draw(figures.appendingPathComponent(name + ".gp"))
    #expect(try scratch.text("report-figures/\(name).svg") == first)
    // Three steps; the first of four epochs has no ratio on validation data.
    #expect(try scratch.text("report-figures/\(name).csv").split(separator: "\n").count == 1 + 3 * 3 + 3 * 4)
  }

  @Test("leaves out what no run has, but for the five main measures and the training") func leftOut() {
    var bare = Samples.run("bare")
    bare.measures = nil
    let main = ["training", "l2-ratio", "dropped-step", "cosine-loss", "cosine-loss-plugged", "intermediate"]
    #expect(Section.all(of: [bare]).map(\.id) == main)
    #expect(Section.all(of: [Samples.run()]).map(\.id) == main)
    #expect(Set(Section.all(of: [bare, Samples.full()]).map(\.id)) == Set(main + added + histories))
  }

  @Test("names the command that measures what one of several runs lacks", arguments: added) func gaps(id: String) throws
  {
    var bare = Samples.run("bare")
    bare.measures = nil
    let gaps = try section(id, [bare, Samples.run("main"), Samples.full()]).gaps.map(\.description)
    #expect(
      gaps == [
        "bare has not been measured: reslens measure bare --measures \(id)",
        "main has no values of this measure: reslens measure main --measures \(id)",
      ])
  }

  @Test("names a run's own folder in the command for what all seeds lack, and says so once on a study's page")
  func gapsOfSeeds() throws {
    let seeds = (0..<2).map { seed -> ReportedRun in
      var run = Samples.run("a, seed \(seed)")
      (run.group, run.folders) = ("a", ["runs/\(seed)"])
      run.measures?.measures.droppedStep = nil
      return run
    }
    let gaps = Section.all(of: seeds).flatMap(\.gaps).map(\.description)
    #expect(
      gaps == [
        "a (2 seeds) has no values of this measure, and each run needs a call such as: "
          + "reslens measure runs/0 --measures dropped-step"
      ])
    var one = seeds
    one[1].measures = nil
    #expect(RunGroup.all(of: one).map(\.mean.name) == ["a (1 of 2 seeds)"])
    let page = StudyReport.Page(
      name: "p", title: "t", findings: [], notes: [], exhibits: [.droppedStep], runs: seeds, errors: nil)
    #expect(page.sections[0].notes.map(\.text).contains("a (2 seeds) has no values of this measure."))
  }

  @Test("names the main measure that a measured run lacks") func mainGaps() throws {
    var run = Samples.run("some")
    run.measures?.measures.cosineLoss = nil
    let gaps = Section.all(of: [run]).flatMap(\.gaps).map(\.description)
    let line = "some has no values of this measure: reslens measure some --measures cosine-loss"
    #expect(gaps == [line, line])
  }

  @Test("shows what cannot exist with its reason, as a note and neither as a gap nor as a number") func absences()
    throws
  {
    var run = Samples.full("one")
    run.measures?.measures.borderline = nil
    run.measures?.absent = [
      .init(measure: "borderline", reason: "there is one step <only>"),
      .init(measure: "cosine-loss.plugged", steps: 1...6, reason: "no head fits"),
      .init(measure: "l2-ratio", steps: 4...4, reason: "it stands still"),
    ]
    let lone = try section("borderline", [run])
    #expect(lone.gaps.isEmpty && lone.figures.isEmpty && lone.tables.isEmpty)
    #expect(lone.notes.map(\.text) == ["Absent: there is one step &lt;only&gt;."])
    #expect(try section("cosine-loss", [run]).notes.isEmpty)
    let plugged = try section("cosine-loss-plugged", [run, Samples.run("two")])
    #expect(plugged.notes.map(\.text) == ["<b>one</b>. Absent at steps 1 to 6: no head fits."])
    #expect(plugged.figures.count == 1)
    #expect(try section("l2-ratio", [run]).notes.map(\.text) == ["Absent at step 4: it stands still."])
    let scratch = try Scratch()
    #expect(try write([run], to: scratch, gnuplot: nil).text.contains("Absent at steps 1 to 6: no head fits."))
  }

  @Test("draws no curve for an empty group, and says that it is empty") func emptyGroup() throws {
    var run = Samples.full()
    for state in 0...3 { run.measures?.measures.borderline?.states.validation[state].groups.borderline = nil }
    for step in 0...2 { run.measures?.measures.borderline?.turns.validation[step].count = 0 }
    let section = try section("borderline", [run])
    let panels = section.figures[0].panels
    #expect(panels.map(\.title) == ["train", "", "", "validation", "", ""])
    #expect(panels.map { $0.series[0].points.count } == [4, 4, 4, 0, 0, 0])
    #expect(panels[3].series[2].points.map(\.x) == [6, 7, 8, 9])
    #expect(section.text.contains { $0.text.contains("0 of 1000 validation examples are borderline") })
    let turns = section.figures[1].panels[0].series
    #expect(turns.map(\.label).contains("validation, broken") && turns.map(\.points.count) == [3, 3, 0, 0])
    #expect(turns[0].points[0].y == 100 * 20.0 / 51)
    let scratch = try Scratch()
    #expect(try write([run], to: scratch, gnuplot: .find()).problem == nil)
  }

  @Test("draws the change of loss and its term from the numbers, and cuts off wild ratios") func firstOrder() throws {
    var run = Samples.full()
    run.measures?.measures.firstOrder?.validation[1].ratio = 1e6
    run.measures?.measures.firstOrder?.validation[2].ratio = nil
    let figures = try section("first-order", [run]).figures
    #expect(figures[0].panels.map(\.title) == ["train", "validation"] && figures[0].panels[1].rules == [0])
    let terms = try #require(run.measures?.measures.firstOrder?.validation)
    #expect(
      figures[0].panels[1].series.map { $0.points.map(\.y) } == [terms.map(\.change.mean), terms.map(\.term.mean)])
    #expect(figures[1].panels[0].series[1].points.map(\.x) == [7, 8])
    #expect(figures[1].yRange(of: figures[1].panels[0]).upperBound < 3.5)
  }

  @Test("shows the unrolled network scaled and not, behind a line at the trained steps' end") func unrolling() throws {
    let section = try section("unrolling", [Samples.full()])
    let names = ["unrolling", "unrolling-unscaled", "unrolling-steps", "unrolling-path"]
    #expect(section.figures.map(\.name) == names)
    #expect(section.figures.allSatisfy { $0.panels.allSatisfy { $0.uprights == [9.5] } })
    let scaled = section.figures[0].panels
    #expect(scaled.count == 6 && scaled[0].title == "train, α = 0.3" && scaled[3].title == "validation, α = 0.3")
    #expect(scaled[0].series[0].points.map(\.x) == (9...19).map(Double.init))
    #expect(scaled[0].series[0].points.last?.y == 53)
    // Losses that explode stand on a logarithmic axis, and its range is of what is finite.
    let losses = section.figures[1].panels[1]
    #expect(losses.y.scale == .logarithmic && section.figures[1].yRange(of: losses).upperBound < 1e15)
    #expect(section.tables[0].text.contains("<td>1.069e+11 ± 1.1000</td>") && section.tables[0].text.contains("∞"))
    let path = section.figures[3].panels
    #expect(
      path[0].y.scale == .logarithmic && path[0].series[1].points.count == 13 && path[1].series[1].points.count == 12)
    #expect(section.figures[2].panels[1].series[0].points.map(\.x).contains(12) == false)
  }

  @Test("says in words how the scale was come by, and whether statistics were recalibrated") func explanation() throws {
    func words(_ change: (inout Unrolling?) -> Void) throws -> String {
      var run = Samples.full()
      var unrolling = run.measures?.measures.unrolling
      change(&unrolling)
      run.measures?.measures.unrolling = unrolling
      return try #require(try section("unrolling", [run]).text.last?.text)
    }
    let chosen = try words { _ in }
    #expect(chosen.contains("Step 9 (stages.2.2) runs 10 more times. The scale is α = 0.3, chosen of 3 tried"))
    #expect(chosen.contains("1 to 10 added steps is lowest") && chosen.contains("taken anew on 16 train batches"))
    let given = try words {
      $0?.tried = nil; $0?.recalibrationBatches = nil; $0?.times = 1
    }
    #expect(given.contains("runs 1 more time. The scale is α = 0.3, as was asked."))
    #expect(given.contains("nothing was recalibrated"))
    let other = try words { $0?.tried?[1].loss = .nan }
    #expect(other.contains("chosen of 3 tried") && !other.contains("lowest"))
    let unscaled = try words {
      $0?.trajectories.removeLast(); $0?.tried = nil
    }
    #expect(unscaled.contains("The scale is α = 1, as was asked."))
  }

  @Test("stands an inner step repeated, and nothing finite at all", arguments: [nil, Gnuplot.find()])
  func unrollingAtTheEdges(gnuplot: Gnuplot?) throws {
    var run = Samples.full()
    var unrolling = try #require(run.measures?.measures.unrolling)
    unrolling.repeated.step = 7
    for trajectory in 0...1 {
      for step in 0..<13 {
        func spoil(_ one: inout UnrolledStep) {
          one.groups = step < 4 ? nil : one.groups
          one.groups?.all.loss = step % 2 == 0 ? .nan : 1e308
          (one.distance.mean, one.distance.std) = (.infinity, .nan)
          (one.l2Ratio, one.turn, one.pluggedCosineLoss) = (nil, nil, nil)
          one.cosineLoss?.mean = -.infinity
        }
        spoil(&unrolling.trajectories[trajectory].steps.train[step])
        spoil(&unrolling.trajectories[trajectory].steps.validation[step])
      }
    }
    run.measures?.measures.unrolling = unrolling
    let scratch = try Scratch()
    #expect(try write([run], to: scratch, gnuplot: gnuplot).problem == nil)
    #expect(try section("unrolling", [run]).figures[2].panels[0].uprights == [7.5, 17.5])
    #expect(try scratch.text("report-figures/unrolling-path.gp").contains("no finite values"))
  }

  @Test("draws lesions from their numbers: a map of many factors, curves of few") func lesions() throws {
    var run = Samples.full()
    let lesions = try #require(run.measures?.measures.lesions)
    let figures = try section("lesions", [run]).figures
    #expect(figures.map(\.name) == ["lesions", "lesions-swapped", "lesions-scaled"])
    let dropped = figures[0].panels[0].series
    #expect(dropped[0].points.map(\.y) == lesions.dropped.map { 100 * $0.error.mean })
    #expect(
      dropped[0].points.allSatisfy { $0.spread == 4 } && dropped[1].points.allSatisfy { abs($0.y - 9) < 1e-9 })
    #expect(figures[1].panels[0].series[0].points.map(\.x) == [1, 2, 5, 8])
    let map = try #require(figures[2].panels[0].map)
    #expect(figures[2].panels[0].y.names == ["0", "0.5", "0.8", "1.25", "1.5", "2"])
    let cell = try #require(map.cells.first { $0.x == 2 && $0.y == 6 })
    let scaled = try #require(lesions.scaled.first { $0.name.step == 2 && $0.factor == 2 })
    #expect(abs(cell.value - 100 * (1 - scaled.score.accuracy)) < 1e-9)

    run.measures?.measures.lesions = Samples.lesions(blocks: [3, 3, 3], factors: [2, 0.5])
    let curves = try section("lesions", [run]).figures[2].panels[0]
    #expect(curves.map == nil && curves.series.map(\.label) == ["× 0.5", "× 2"])
    run.measures?.measures.lesions?.swapped = []
    run.measures?.measures.lesions?.scaled = []
    run.measures?.measures.lesions?.shuffled = []
    #expect(try section("lesions", [run]).figures.map(\.name) == ["lesions"])
    let scratch = try Scratch()
    #expect(try write([run], to: scratch, gnuplot: .find()).problem == nil)
  }

  @Test("draws the epochs in their order whatever order they come in, a curve a step from blue to red") func history()
    throws
  {
    var run = Samples.full()
    run.history.reverse()
    let section = try section("history-intermediate", [run])
    #expect(section.figures.map(\.name) == ["history-intermediate", "history-intermediate-map"])
    let curves = section.figures[0].panels[0]
    #expect(curves.title == "validation" && curves.series.map(\.label) == ["step 7", "step 8", "step 9"])
    #expect(curves.series[0].points.map(\.x) == [1, 2, 5, 10])
    let last = try #require(run.history[0].measures.intermediate?.validation.last?.score.accuracy)
    #expect(curves.series[2].points.last?.y == 100 * last)
    #expect(curves.series.map(\.style.colour) == [Figure.ramp(0), Figure.ramp(0.5), Figure.ramp(1)])
    let map = try #require(section.figures[1].panels[0].map)
    #expect(map.cells.count == 12 && map.cells.last?.value == 100 * last && map.cells.last?.x == 10)
    #expect(section.tables[0].text.contains("epoch 10"))
  }

  @Test("keeps a long history's maps and tables small, first and last epochs in them") func longHistory() throws {
    let run = Samples.full(measuredEpochs: Array(1...200))
    let section = try section("history-cosine-loss", [run])
    #expect(section.figures[0].panels[0].series[0].points.count == 200)
    let columns = Set(try #require(section.figures[1].panels[0].map).cells.map(\.x))
    #expect(columns.count == 50 && columns.min() == 1 && columns.max() == 200)
    #expect(section.tables[0].text.contains("validation, 12 of 200 epochs"))
  }

  @Test("has histories of those measures only that some epoch has, and names runs without") func partialHistory() throws
  {
    var run = Samples.full("one", measuredEpochs: [3])
    run.history[0].measures.cosineLoss = nil
    run.history[0].measures.l2Ratio?.validation[0].mean = .nan
    let sections = Section.all(of: [run, Samples.run("two")])
    #expect(
      !sections.contains { $0.id.hasPrefix("history-cosine") } && sections.contains { $0.id == "history-l2-ratio" })
    #expect(try section("history-l2-ratio", [run, Samples.run("two")]).notes.count == 1)
    let scratch = try Scratch()
    #expect(try write([run], to: scratch, gnuplot: .find()).problem == nil)
  }
}
