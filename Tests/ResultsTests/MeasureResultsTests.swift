import Foundation
import ResLensSupport
import ResLensResults
import TestSupport
import Testing

@Suite struct MeasureResultsTests {
  /// Samples of both splits, as one call measures them.
  private func samplings(
    _ train: Int, _ validation: Int, date: String = "2026-01-01", images: String = "i"
  ) -> [MeasureResults.Sampling] {
    [(Split.train, train), (.validation, validation)].map {
      .init(split: $0, samples: $1, images: "\(images) \($0) \($1)", program: "1.0", date: date)
    }
  }

  private func results(_ samplings: [MeasureResults.Sampling], _ tables: [Table] = []) -> MeasureResults {
    MeasureResults(
      run: "run", architecture: "tiny", checkpoint: "epoch-00001", epoch: 1, data: "data", provenance: .madeUp,
      samplings: samplings,
      steps: (1...2).map {
        StepSpec(
          id: StepID(number: $0, path: "stages.0.\($0 - 1)"), stage: 0, block: $0 - 1, input: [2, 2, 2],
          output: [2, 2, 2], macs: 288, hasIdentitySkip: $0 > 1)
      }, tables: tables)
  }

  /// A table of two steps for each number of samples; its means tell calls apart.
  private func table(
    _ name: String, of measure: String? = nil, _ samplings: [MeasureResults.Sampling], mean: Double,
    parameters: [String: Cell] = [:]
  ) throws -> Table {
    try Table(
      name, of: measure, keys: [.init("split"), .init("samples"), .init("step")],
      values: [.init("mean"), .init("count", unit: Table.Column.samples)],
      rows: samplings.flatMap { sampling -> [[Cell]] in
        let (split, count) = (sampling.split.cell, Cell.number(Double(sampling.samples)))
        return [[split, count, 1, .number(mean), count], [split, count, 2, .number(mean + 0.5), count]]
      }, parameters: parameters)
  }

  /// The means of a table's first step, by split and number of samples.
  private func means(_ results: MeasureResults, _ name: String) -> [String: Double] {
    let rows = results.tables.first { $0.name == name }?.rows.filter { $0[2] == 1 } ?? []
    return rows.reduce(into: [:]) { $0["\($1[0].plainText) \($1[1].plainText)"] = $1[3].number }
  }

  @Test("Results of other numbers of samples stand side by side, and of the same number take the older ones' place")
  func adding() throws {
    let (few, many) = (samplings(100, 50), samplings(1000, 50, date: "2026-02-02"))
    var found = results(few, [try table("a", few, mean: 1), try table("b", few, mean: 2)])
    found.absent = [.init(measure: "a", reason: "older"), .init(measure: "b", reason: "older")]
    var newer = results(many, [try table("a", many, mean: 3), try table("c", of: "a", many, mean: 4)])
    newer.absent = [.init(measure: "a", steps: 1...1, reason: "newer")]
    found.add(newer, asked: ["a"])
    #expect(found.problem == nil)
    #expect(means(found, "a") == ["train 100": 1, "train 1000": 3, "validation 50": 3])
    #expect(means(found, "b") == ["train 100": 2, "validation 50": 2])
    #expect(means(found, "c") == ["train 1000": 4, "validation 50": 4])
    #expect(found.tables.map(\.name) == ["a", "b", "c"] && found.names == ["a", "b"])
    // Every number of samples has one entry, of the call that measured it last.
    let dates = found.samplings.map { "\($0.split) \($0.samples) \($0.date)" }
    #expect(dates.sorted() == ["train 100 2026-01-01", "train 1000 2026-02-02", "validation 50 2026-02-02"])
    #expect(found.absent == [.init(measure: "b", reason: "older"), .init(measure: "a", steps: 1...1, reason: "newer")])

    // A measure that was asked for and found nothing leaves nothing of the same samples.
    found.add(results(samplings(1000, 50)), asked: ["a", "b"])
    #expect(means(found, "a") == ["train 100": 1] && means(found, "b") == ["train 100": 2] && means(found, "c").isEmpty)
    #expect(found.tables.map(\.name) == ["a", "b"] && found.problem == nil)
  }

  @Test("Results with other settings take the place of all older ones, and the command can say so before")
  func parameters() throws {
    let (few, many) = (samplings(100, 50), samplings(1000, 500))
    let old: [String: Cell] = ["margin": 0.1, "times": .missing]
    for (new, isLost) in [(old, false), (["margin": 0.2, "times": .missing], true), (["margin": 0.1], true)] {
      for (counts, isElsewhere) in [(few, false), (many, true)] {
        var found = results(
          few,
          [
            try table("a", few, mean: 1, parameters: old), try table("a-more", of: "a", few, mean: 2, parameters: old),
            try table("b", few, mean: 3),
          ])
        let newer = results(counts, [try table("a", counts, mean: 4, parameters: new)])
        // The same samples lose only results that the newer call replaces anyway.
        #expect(found.lost(to: newer, with: ["a": new, "b": [:]]) == (isLost && isElsewhere ? ["a"] : []))
        #expect(found.lost(to: newer, with: ["b": ["margin": 1]]) == (isElsewhere ? ["b"] : []))
        #expect(found.lost(to: newer, with: [:]).isEmpty)
        found.add(newer, asked: ["a"])
        let older = isLost || !isElsewhere ? [:] : ["train 100": 1.0, "validation 50": 1]
        let wanted = isElsewhere ? ["train 1000": 4.0, "validation 500": 4] : ["train 100": 4, "validation 50": 4]
        #expect(means(found, "a") == wanted.merging(older) { $1 })
        // A table of the measure that the newer call does not have goes with the settings too.
        #expect(means(found, "a-more").isEmpty == older.isEmpty)
        #expect(means(found, "b") == ["train 100": 3, "validation 50": 3])
        #expect(found.tables.filter { $0.measure == "a" }.allSatisfy { $0.parameters == new } && found.problem == nil)
      }
    }
    // A table with other columns cannot stay beside the newer one, whatever its settings.
    let unlike = try Table("a", keys: [.init("split"), .init("samples")], values: [], rows: [["train", 100]])
    var found = results(few, [unlike])
    found.add(results(many, [try table("a", many, mean: 1)]), asked: ["a"])
    #expect(means(found, "a") == ["train 1000": 1, "validation 500": 1] && found.tables.count == 1)
  }

  @Test("Only measures that are missing are taken over, and only from results of the same network")
  func completing() throws {
    let (few, many) = (samplings(100, 50, date: "2026-02-02"), samplings(1000, 50, date: "2026-01-01"))
    let tables = [try table("a", many, mean: 1), try table("b", many, mean: 2, parameters: ["margin": 0.1])]
    var other = results(many, tables)
    other.absent = [.init(measure: "a", reason: "there"), .init(measure: "b", reason: "there")]
    var found = results(few, [try table("a", few, mean: 3)])
    found.absent = [.init(measure: "a", reason: "here")]
    #expect(found.complete(by: other) == ["b"])
    #expect(means(found, "a") == ["train 100": 3, "validation 50": 3])
    #expect(means(found, "b") == ["train 1000": 2, "validation 50": 2])
    #expect(found.absent == [.init(measure: "a", reason: "here"), .init(measure: "b", reason: "there")])
    #expect(found.problem == nil)
    // The samples that are here too were measured here last.
    let dates = found.samplings.map { "\($0.split) \($0.samples) \($0.date)" }
    #expect(dates.sorted() == ["train 100 2026-02-02", "train 1000 2026-01-01", "validation 50 2026-02-02"])

    let complete = found
    #expect(found.complete(by: other).isEmpty && found == complete)
    var unlike = other
    unlike.provenance.weights = "other"
    unlike.tables.append(try table("c", many, mean: 5))
    #expect(found.complete(by: unlike).isEmpty && found == complete)
  }

  @Test("Results differ in what their numbers depend on, and in nothing else")
  func differences() throws {
    let one = results(samplings(100, 50), [try table("a", samplings(100, 50), mean: 1)])
    func difference(_ change: (inout MeasureResults) -> Void) -> String? {
      var other = one
      change(&other)
      let found = one.difference(from: other)
      #expect(other.difference(from: one) == found)
      return found
    }
    #expect(difference { _ in } == nil)
    #expect(difference { $0.architecture = "wide" } == "the architecture")
    #expect(difference { $0.provenance.weights = "other" } == "the weights")
    #expect(
      difference { $0.provenance.statistics.means[0] = 0.4 } == "the statistics that inputs are normalised by")
    #expect(difference { $0.provenance.isOwnData = false } == "the data")
    #expect(difference { $0.batchNorm = .batch } == "the statistics that batch normalisations run by")
    #expect(difference { $0.batch = 128 } == "the batch")
    #expect(difference { $0.samplings[1].images = "other" } == "the images")
    // Other numbers of samples have other images.
    #expect(difference { $0.samplings = samplings(1000, 500, images: "other") } == nil)
    // The run's own data stay the same wherever they lie, and other data do not.
    #expect(difference { $0.data = "elsewhere" } == nil)
    var elsewhere = one
    elsewhere.provenance.isOwnData = false
    var other = elsewhere
    other.data = "elsewhere"
    #expect(elsewhere.difference(from: other) == "the data")
    #expect(difference { ($0.run, $0.checkpoint, $0.epoch, $0.tables) = ("moved", "another", 2, []) } == nil)
  }

  @Test("The widest tables have the largest number of samples that each measure has, for each split by itself")
  func widest() throws {
    let counts = [samplings(100, 500), samplings(1000, 50), samplings(10, 5)]
    var all = results(counts[0], [try table("a", counts[0], mean: 1), try table("b", counts[0], mean: 2)])
    all.add(results(counts[1], [try table("a", counts[1], mean: 3)]), asked: ["a"])
    let last = [try table("a", counts[2], mean: 5), try table("c", counts[2], mean: 6)]
    all.add(results(counts[2], last), asked: ["a", "c"])
    #expect(all.problem == nil)
    let widest = all.widest
    #expect(widest.steps == all.steps && widest.tables.map(\.name) == ["a", "b", "c"])
    #expect(widest["a"]?.keys == [.init("split"), .init("step")])
    #expect(
      widest["a"]?.rows == [
        ["validation", 1, 1, 500], ["validation", 2, 1.5, 500], ["train", 1, 3, 1000], ["train", 2, 3.5, 1000],
      ])
    #expect(try widest.table("b", .train)?.numbers("count") == [100, 100])
    #expect(try widest.table("c", .validation)?.numbers("count") == [5, 5])
    #expect(all.samples(of: .train) == 1000 && all.samples(of: .validation) == 500)
    #expect(results([]).samples(of: .train) == nil && results([]).widest == MeasuredTables(steps: results([]).steps))
  }

  @Test("The mean over runs is taken of the widest tables and reads as results again")
  func mean() throws {
    let counts = samplings(100, 50)
    let runs = try [1.0, 2, 6].map { results(counts, [try table("a", counts, mean: $0)]) }
    let mean = try #require(try MeasureResults.mean(of: runs, called: "three"))
    #expect(mean.run == "three" && mean.problem == nil)
    #expect(mean.tables[0].keys == [.init("split"), .init("samples"), .init("step")])
    // Σ(x − 3)² / 2 = 7
    #expect(mean.tables[0].rows[0] == ["train", 100, 1, 3, 100, 3, .number(7.0.squareRoot())])
    #expect(mean.tables[0].rows[3] == ["validation", 50, 2, 3.5, 50, 3, .number(7.0.squareRoot())])
    #expect(try MeasureResults.mean(of: [runs[1]], called: "one") == runs[1])
    #expect(try MeasureResults.mean(of: [], called: "none") == nil)
  }

  @Test("Results read back from JSON to the bit", arguments: 0..<20)
  func readBack(seed: Int) throws {
    var draws = Draws(seed: seed)
    var drawn = try draws.table()
    drawn = try #require(try Table.joined([(100, drawn)], by: .init("samples")))
    // `split` comes first.
    let rows = drawn.rows.map { [$0[1], $0[0]] + $0.dropFirst(2).map { $0 } }
    let keys = [drawn.keys[1], drawn.keys[0]] + drawn.keys.dropFirst(2)
    let steps = rows.map { row in row.enumerated().map { $0 == 2 ? .number(($1.number ?? 0) - 1) : $1 } }
    var all = results(
      samplings(100, 100),
      [
        try Table(
          "drawn", keys: keys, values: drawn.values, rows: steps.filter { ($0[2].number ?? 0) >= 0 },
          parameters: drawn.parameters)
      ])
    all.absent = [
      .init(
        measure: draws.text(), view: draws.flag() ? draws.text() : nil, steps: draws.flag() ? 1...2 : nil, reason: "r")
    ]
    (all.batchNorm, all.batch) = draws.flag() ? (.batch, 8) : (.running, nil)
    let read = try JSON.decode(MeasureResults.self, from: JSON.encode(all), path: "measures.json", remedy: "none")
    #expect(read == all && read.tables.map(\.bits) == all.tables.map(\.bits))
  }

  @Test("A file that contradicts itself is refused, and the error says where")
  func damaged() throws {
    let counts = samplings(100, 50)
    let whole = results(counts, [try table("a", counts, mean: 1)])
    func refused(_ words: String, _ change: (inout MeasureResults) throws -> Void) throws {
      var other = whole
      try change(&other)
      #expect {
        try JSON.decode(MeasureResults.self, from: JSON.encode(other), path: "measures.json", remedy: "measure again")
      } throws: { "\($0)".contains(words) && "\($0)".contains("measures.json") }
    }
    #expect(whole.problem == nil)
    try refused("epoch: -1") { $0.epoch = -1 }
    try refused("samplings: 0") { $0.samplings[0].samples = 0 }
    try refused("steps: they are not numbered") { $0.steps[1] = $0.steps[0] }
    try refused("absent: steps") { $0.absent = [.init(measure: "a", steps: 0...1, reason: "r")] }
    try refused("tables: one of them occurs twice") { $0.tables.append($0.tables[0]) }
    try refused("tables.a: its keys do not begin with split, samples") {
      $0.tables = [try Table("a", keys: [.init("step")], values: [], rows: [[1]])]
    }
    func one(_ split: Cell, _ samples: Cell, _ step: Cell) throws -> [Table] {
      let keys: [Table.Column] = [.init("split"), .init("samples"), .init("step")]
      return [try Table("a", keys: keys, values: [], rows: [[split, samples, step]])]
    }
    try refused("tables.a: test is neither train nor validation") { $0.tables = try one("test", 100, 1) }
    try refused("tables.a: 0 is not a number of samples") { $0.tables = try one("train", 0, 1) }
    try refused("tables.a: step 3 is not one of the network's 2 steps") { $0.tables = try one("train", 100, 3) }
    try refused("tables.a: step 0.5") { $0.tables = try one("train", 100, 0.5) }
    try refused("tables.a: the column \"mean\" occurs twice") { $0.tables[0].keys[2].name = "mean" }
  }

  @Test("Every table is a CSV file of its name, and the steps are one too")
  func csvFiles() throws {
    let scratch = try Scratch()
    let counts = samplings(100, 50)
    let all = results(counts, [try table("a", counts, mean: 1), try table("b", of: "a", counts, mean: 2)])
    try all.writeCSV(to: scratch.file("csv"))
    func text(_ name: String) throws -> String {
      try String(contentsOf: scratch.file("csv").appending(path: name), encoding: .utf8)
    }
    let names = try FileManager.default.contentsOfDirectory(atPath: scratch.file("csv").path).sorted()
    #expect(names == ["a.csv", "b.csv", "steps.csv"])
    #expect(try text("a.csv") == all.tables[0].csv && text("b.csv") == all.tables[1].csv)
    #expect(
      try text("steps.csv") == """
        step,path,stage,block,use,macs,identity_skip
        1,stages.0.0,0,0,0,288,0
        2,stages.0.1,0,1,0,288,1

        """)
  }
}
