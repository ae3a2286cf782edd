import Foundation
import ResLensSupport
import ResLensResults
import Testing

@testable import ResLensReports

private let added = ["expansion", "borderline", "unrolling", "lesions"]
private let main = ["size", "without", "slope", "slope-readout", "answer"]
private let histories = (main + ["expansion"]).map { "history-" + $0 }

@Suite("A report of further measures") struct SpecialPageTests {
  private func section(_ id: String, _ runs: [ReportedRun]) throws -> Section {
    try #require(try Section.all(of: runs).first { $0.id == id })
  }

  private func write(_ runs: [ReportedRun], to scratch: Scratch, gnuplot: Gnuplot?) throws -> ParsedPage {
    _ = try Report(title: "A report", runs: runs).write(to: scratch.page, gnuplot: gnuplot)
    return try ParsedPage(scratch.page)
  }

  private func full(_ change: (inout MeasureResults) throws -> Void) throws -> ReportedRun {
    var run = try Samples.full()
    try run.changeMeasures(change)
    return run
  }

  @Test(
    "is one well-formed page with every picture, on networks of any depth and under any name",
    .enabled(if: Gnuplot.find() != nil, "gnuplot is not installed"), arguments: [[3, 3, 3], [18, 18, 18], [2]])
  func files(blocks: [Int]) throws {
    let scratch = try Scratch()
    let runs = [try Samples.full("it's <\"odd\"> & ]]>\\", blocks: blocks), try Samples.run("plain")]
    let page = try write(runs, to: scratch, gnuplot: .find())
    #expect(page.problem == nil && page.elements["script"] == nil)
    let figures = try Section.all(of: runs).flatMap(\.figures)
    #expect(page.elements["svg"] == figures.count && figures.count == 7 + 11 + 12)
    #expect(Set(figures.map(\.name)).count == figures.count)
    #expect(Set(page.ids).count == page.ids.count && Set(page.ids).isSuperset(of: added + histories))
    #expect(try scratch.names(in: "report-figures").count == 3 * figures.count)
    // Every figure has its numbers.
    #expect(figures.allSatisfy { $0.data.columns.first == "run" && !$0.data.isEmpty })
  }

  @Test("leaves out what no run has, but for what is always shown and the training") func leftOut() throws {
    var bare = try Samples.run("bare")
    bare.measures = nil
    let shown = ["training"] + main
    #expect(try Section.all(of: [bare]).map(\.id) == shown)
    #expect(try Section.all(of: [Samples.run()]).map(\.id) == shown)
    #expect(try Set(Section.all(of: [bare, Samples.full()]).map(\.id)) == Set(shown + added + histories))
  }

  @Test("names the command that measures what one of several runs lacks", arguments: added) func gaps(id: String) throws
  {
    var bare = try Samples.run("bare")
    bare.measures = nil
    let gaps = try section(id, [bare, Samples.run("main"), Samples.full()]).gaps.map(\.description)
    // One call without a list takes what is taken by default.
    let isDefault = ["expansion", "borderline"].contains(id)
    #expect(
      gaps == [
        "bare has not been measured: reslens measure bare" + (isDefault ? "" : " --measures \(id)"),
        "main has no values of this measure: reslens measure main --measures \(id)",
      ])
  }

  @Test("names a run's own folder in the command for what all seeds lack, and says so once on a study's page")
  func gapsOfSeeds() throws {
    let seeds = try (0..<2).map { seed -> ReportedRun in
      var run = try Samples.run("a, seed \(seed)")
      (run.group, run.folders) = ("a", ["runs/\(seed)"])
      run.remove("without")
      return run
    }
    let gaps = try Section.all(of: seeds).flatMap(\.gaps).map(\.description)
    #expect(
      gaps == [
        "a (2 seeds) has no values of this measure, and each run needs a call such as: "
          + "reslens measure runs/0 --measures without"
      ])
    var one = seeds
    one[1].measures = nil
    #expect(try RunGroup.all(of: one).map { try $0.mean.name } == ["a (1 of 2 seeds)"])
    let page = StudyReport.Page(
      name: "p", title: "t", findings: [], notes: [], figures: ["without"], runs: seeds, errors: nil)
    let notes = try page.sections(Descriptions.all)[0].notes.map(\.text)
    #expect(notes.contains("a (2 seeds) has no values of this measure."))
  }

  @Test("names the measure that a measured run lacks, in the section of each of its views") func mainGaps() throws {
    var run = try Samples.run("some")
    run.remove("slope")
    let gaps = try Section.all(of: [run]).flatMap(\.gaps).map(\.description)
    let line = "some has no values of this measure: reslens measure some --measures slope"
    #expect(gaps == [line, line])
  }

  @Test("shows what cannot exist with its reason, as a note and neither as a gap nor as a number") func absences()
    throws
  {
    var run = try Samples.full("one")
    run.remove("borderline")
    run.changeMeasures { results in
      results.absent = [
        .init(measure: "borderline", reason: "there is one step <only>"),
        .init(measure: "slope", view: "slope-readout", steps: 1...6, reason: "no readout fits"),
        .init(measure: "size", steps: 4...4, reason: "it stands still"),
        .init(measure: "slope", view: "slope-ratio", reason: "there is one stage"),
      ]
    }
    let lone = try section("borderline", [run])
    #expect(lone.gaps.isEmpty && lone.figures.isEmpty && lone.tables.isEmpty)
    #expect(lone.notes.map(\.text) == ["Values are missing: there is one step &lt;only&gt;."])
    // An absence of no view in particular is noted in the first.
    #expect(try section("slope", [run]).notes.map(\.text) == ["Values are missing: there is one stage."])
    let readout = try section("slope-readout", [run, Samples.run("two")])
    #expect(readout.notes.map(\.text) == ["<b>one</b>. Values are missing at steps 1 to 6: no readout fits."])
    #expect(readout.figures.count == 1)
    #expect(try section("size", [run]).notes.map(\.text) == ["Values are missing at step 4: it stands still."])
    let scratch = try Scratch()
    #expect(
      try write([run], to: scratch, gnuplot: nil).text.contains("Values are missing at steps 1 to 6: no readout fits."))
  }

  @Test("draws no curve for an empty group, and says that it is empty") func emptyGroup() throws {
    let run = try full { results in
      results.remove("borderline", where: ["split": "validation", "group": "borderline"])
      try results.change("borderline-flips", "count", where: ["split": "validation"]) { _ in 0 }
    }
    let section = try section("borderline", [run])
    let panels = section.figures[0].panels
    #expect(panels.map(\.title) == ["train", "", "", "validation", "", ""])
    #expect(panels.map { $0.series[0].points.count } == [4, 4, 4, 0, 0, 0])
    #expect(panels[3].series[2].points.map(\.x) == [6, 7, 8, 9])
    #expect(section.text.contains { $0.text.contains("0 of 1000 validation examples are borderline") })
    #expect(
      section.text.contains { $0.text.contains("The margin is 0.1, and the reference is the state after step 6.") })
    #expect(section.text.last == "The numbers were measured on 2000 train and 1000 validation samples.")
    let flips = section.figures[1].panels[0].series
    #expect(section.figures[1].name == "borderline-flips")
    #expect(flips.map(\.label).contains("validation, broken") && flips.map(\.points.count) == [3, 3, 0, 0])
    #expect(flips[0].points[0].y == 100 * 20.0 / 51 && flips[0].points[0].marked)
    let scratch = try Scratch()
    #expect(try write([run], to: scratch, gnuplot: .find()).problem == nil)
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
    #expect(section.tables[0].text.contains("<td>1.069·10¹¹ ± 1.1000</td>") && section.tables[0].text.contains("∞"))
    let path = section.figures[3].panels
    #expect(
      path[0].y.scale == .logarithmic && path[0].series[1].points.count == 13 && path[1].series[1].points.count == 12)
    #expect(section.figures[2].panels[1].series[0].points.map(\.x).contains(12) == false)
    #expect(section.figures[2].panels.map(\.title) == ["α = 1", "", "", "α = 0.3", "", ""])
    #expect(
      section.figures[2].panels[0].series[0].points.map(\.marked) == [true, false, false]
        + Array(repeating: false, count: 10))
    #expect(section.text.last == "The numbers were measured on 2000 train and 1000 validation samples.")
  }

  @Test("shows the unrolled network once where the scale is 1, and without groups where no state fits the readout")
  func oneWay() throws {
    let once = try full { results in
      for name in ["unrolling", "unrolling-steps"] { results.remove(name, where: ["way": "scaled"]) }
    }
    #expect(
      try section("unrolling", [once]).figures.map(\.name) == [
        "unrolling-unscaled", "unrolling-steps", "unrolling-path",
      ])
    let blind = try section("unrolling", [full { $0.remove("unrolling") }])
    #expect(blind.figures.map(\.name) == ["unrolling-steps", "unrolling-path"] && blind.gaps.isEmpty)
    #expect(blind.text.last == "The numbers were measured on 2000 train and 1000 validation samples.")
  }

  @Test("says in words how the scale was come by, and whether statistics were recalibrated") func explanation() throws {
    func words(_ change: (inout MeasureResults) throws -> Void) throws -> String {
      let text = try section("unrolling", [full(change)]).text.map(\.text)
      return try #require(text.first { $0.hasPrefix("Step ") })
    }
    let chosen = try words { _ in }
    #expect(chosen.contains("Step 9 (stages.2.2) runs 10 more times. The scale is α = 0.3, chosen of 3 tried"))
    #expect(chosen.contains("1 to 10 added steps is lowest") && chosen.contains("taken anew on 16 train batches"))
    let given = try words {
      $0.remove("unrolling-scales")
      $0.set("recalibration_batches", of: "unrolling", to: nil)
      $0.set("times", of: "unrolling", to: 1)
    }
    #expect(given.contains("runs 1 more time. The scale is α = 0.3, as was asked."))
    #expect(given.contains("nothing was recalibrated"))
    let other = try words { try $0.change("unrolling-scales", "loss", where: ["scale": 0.3]) { _ in .number(.nan) } }
    #expect(other.contains("chosen of 3 tried") && !other.contains("lowest"))
    let smallest = try words {
      try $0.change("unrolling-scales", "loss", where: ["scale": 0.1]) { _ in .number(.infinity) }
    }
    #expect(smallest.contains("it is the smallest that was tried"))
    let unscaled = try words { results in
      for name in ["unrolling", "unrolling-steps"] { results.remove(name, where: ["way": "scaled"]) }
      results.remove("unrolling-scales")
    }
    #expect(unscaled.contains("The scale is α = 1, as was asked."))
  }

  @Test("stands an inner step repeated, and nothing finite at all", arguments: [nil, Gnuplot.find()])
  func unrollingAtTheEdges(gnuplot: Gnuplot?) throws {
    let run = try full { results in
      results.set("step", of: "unrolling", to: 7)
      for place in 7...10 { results.remove("unrolling", where: ["place": .number(Double(place))]) }
      var isOdd = false
      try results.change("unrolling", "loss", where: ["group": "all"]) { _ in
        isOdd.toggle()
        return .number(isOdd ? .nan : 1e308)
      }
      try results.change("unrolling-steps", "mean", where: ["quantity": "distance"]) { _ in .number(.infinity) }
      try results.change("unrolling-steps", "std", where: ["quantity": "distance"]) { _ in .number(.nan) }
      try results.change("unrolling-steps", "mean", where: ["quantity": "cosine"]) { _ in .number(-.infinity) }
      for name in ["ratio", "update_cosine", "cosine_readout"] {
        results.remove("unrolling-steps", where: ["quantity": .text(name)])
      }
    }
    let scratch = try Scratch()
    #expect(try write([run], to: scratch, gnuplot: gnuplot).problem == nil)
    #expect(try section("unrolling", [run]).figures[2].panels[0].uprights == [7.5, 17.5])
    #expect(try scratch.text("report-figures/unrolling-path.gp").contains("no finite values"))
  }

  @Test("draws lesions from their numbers: a map of many factors, curves of few") func lesions() throws {
    var run = try Samples.full()
    let results = try #require(run.measures)
    let shown = try section("lesions", [run])
    let figures = shown.figures
    #expect(figures.map(\.name) == ["lesions", "lesions-swapped", "lesions-scaled"])
    #expect(shown.text.last == "The numbers were measured on 1000 validation samples.")
    #expect(shown.text.contains("The whole network: 9.00\u{00A0}% wrong."))
    let dropped = figures[0].panels[0].series
    let errors = try results.numbers("lesions-random", "error", .validation, where: ["kind": "dropped"])
    #expect(dropped[0].points.map(\.y) == errors.map { 100 * $0 } && errors.count == 3)
    #expect(
      dropped[0].points.allSatisfy { $0.spread == 4 } && dropped[1].points.allSatisfy { abs($0.y - 9) < 1e-9 })
    #expect(figures[1].panels[0].series[0].points.map(\.x) == [1, 2, 5, 8])
    let map = try #require(figures[2].panels[0].map)
    #expect(figures[2].panels[0].y.names == ["0", "0.5", "0.8", "1.25", "1.5", "2"])
    let cell = try #require(map.cells.first { $0.x == 2 && $0.y == 6 })
    let scaled = try results.numbers("lesions-scaled", "accuracy", .validation, where: ["step": 2, "factor": 2])
    #expect(scaled.count == 1 && abs(cell.value - 100 * (1 - scaled[0])) < 1e-9)

    try run.changeMeasures { try Samples.addLesions(to: &$0, [3, 3, 3], factors: [2, 0.5]) }
    let curves = try section("lesions", [run]).figures[2].panels[0]
    #expect(curves.map == nil && curves.series.map(\.label) == ["× 0.5", "× 2"])
    run.changeMeasures { results in
      results.remove("lesions-swapped")
      results.remove("lesions-scaled")
      results.remove("lesions-random", where: ["kind": "shuffled"])
    }
    #expect(try section("lesions", [run]).figures.map(\.name) == ["lesions"])
    let scratch = try Scratch()
    #expect(try write([run], to: scratch, gnuplot: .find()).problem == nil)
  }

  @Test("shows the lesions of several seeds as their mean, as it shows every measure") func meanLesions() throws {
    let seeds = try (0..<2).map { seed in
      var run = try Samples.full("a-\(seed)")
      run.group = "a"
      try run.changeMeasures { results in
        try results.change("lesions-random", "error") { .number($0 + 0.1 * Double(seed)) }
        try results.change("lesions-random", "draws") { .number($0 + Double(seed)) }
      }
      return run
    }
    let section = try section("lesions", seeds)
    let errors = try seeds.map { run in
      try #require(run.measures).numbers("lesions-random", "error", .validation, where: ["kind": "dropped"])
    }
    let points = section.figures[0].panels[0].series[0].points
    #expect(zip(points, zip(errors[0], errors[1])).allSatisfy { abs($0.y - 50 * ($1.0 + $1.1)) < 1e-9 })
    #expect(try Section.all(of: seeds).first { $0.id == "unrolling" }?.figures.count == 4)
    // Steps that were repeated differently have no mean.
    var other = seeds
    other[1].changeMeasures { $0.set("times", of: "unrolling", to: 3) }
    #expect(try !Section.all(of: other).contains { $0.id == "unrolling" })
  }
}
