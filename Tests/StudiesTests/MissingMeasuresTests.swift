import Foundation
import ResLensSupport
import ResLensRuns
import ResLensMeasures
import ResLensResults
import ResLensStudies
import TestSupport
import Testing
import ResLensTraining

/// The rows of one table, as `measures.json` has them: split, samples, step, and a value.
private typealias Row = (split: Split, samples: Int, scale: Double)

private let both: [Row] = [(.train, 16, 1), (.validation, 16, 1)]

/// A folder with a checkpoint, in which results are written.
private struct Measured {
  let scratch: Scratch
  let folder: RunFolder
  private static let checkpoint = "epoch-00001-step-0000000"

  init() throws {
    scratch = try Scratch()
    folder = RunFolder(scratch.file("run"))
    try Files.makeFolder(folder.url.appending(path: "checkpoints/\(Self.checkpoint)"))
  }

  func table(
    _ name: String, of measure: String? = nil, _ rows: [Row] = both, parameters: [String: Cell] = [:]
  ) throws -> Table {
    try Table(
      name, of: measure, keys: ["split", "samples", "step"].map { .init($0) }, values: [.init("scale")],
      rows: rows.map { [$0.split.cell, .number(Double($0.samples)), 1, .number($0.scale)] }, parameters: parameters)
  }

  /// The measures that a run lacks which is to be measured on 16 samples.
  func missing(
    _ names: [String], given tables: [Table], absent: [MeasureResults.Absence] = [], registry: Registry = .standard,
    asked edit: (inout PlannedRun.Measurement) -> Void = { _ in },
    results change: (inout MeasureResults) -> Void = { _ in }
  ) throws -> Set<String> {
    var results = try MeasureResults.madeUp(
      of: "resnet-14", checkpoint: Self.checkpoint, epoch: 1, MeasuredTables(steps: StepSpec.madeUp(6)), samples: 16,
      absent: absent)
    results.tables = tables
    change(&results)
    try folder.write(results)
    let study = Study(name: "mine", title: "Mine", models: ["resnet-14"], data: ["synthetic"], figures: [.errors])
    var run = try Reproduction([study], scale: .smoke, data: DataSources(["synthetic"])).runs[0]
    (run.measurement.names, run.measurement.samples, run.measurement.unroll) = (names, 16, 3)
    edit(&run.measurement)
    return try run.missingMeasures(in: folder, registry: registry)
  }
}

@Suite struct MissingMeasuresTests {
  @Test("A measure is there where it was taken on the number of samples that is asked for, on both splits")
  func samples() throws {
    let measured = try Measured()
    for (rows, isThere) in [
      (both, true), ([both[0]], false), ([both[1]], false), ([], false),
      ([(.train, 32, 1), (.validation, 32, 1)], false), ([(.train, 16, 1), (.validation, 32, 1)], false),
      // One file can hold the results of several numbers of samples.
      (both + [(.train, 32, 1), (.validation, 32, 1)], true),
    ] {
      let found = try measured.missing(["cosine-loss"], given: [measured.table("cosine-loss", rows)])
      #expect(found.isEmpty == isThere, "\(rows)")
    }
    // A table of another measure does not count, and one of a measure's tables is enough.
    #expect(try measured.missing(["cosine-loss"], given: [measured.table("l2-ratio")]) == ["cosine-loss"])
    #expect(
      try measured.missing(
        ["gradient-norm"],
        given: [measured.table("gradient-norm"), measured.table("gradient-norm-ratio", of: "gradient-norm", [])]
      ).isEmpty)
    #expect(try measured.missing([], given: []).isEmpty)
  }

  @Test("Lesions are taken on validation samples alone")
  func lesions() throws {
    let measured = try Measured()
    for (rows, isThere) in [([both[1]], true), ([both[0]], false)] {
      let found = try measured.missing(["lesions"], given: [measured.table("lesions-whole", of: "lesions", rows)])
      #expect(found.isEmpty == isThere)
    }
  }

  @Test("A registered measure that is taken on one split alone needs no numbers on the other")
  func oneSplit() throws {
    let measured = try Measured()
    let tables = try [measured.table("partial", [both[0]])]
    #expect(try measured.missing(["partial"], given: tables, registry: .withForeign).isEmpty)
    #expect(try measured.missing(["partial"], given: tables) == ["partial"])
  }

  @Test("An unrolling is there where a step was repeated as often, by the statistics and the scale that are asked for")
  func unrolling() throws {
    let measured = try Measured()
    func isThere(
      times: Int = 3, recalibrated: Int? = nil, scale: Double = 0.5, tried: Bool = true, scaleSamples: Int = 16,
      asked: (inout PlannedRun.Measurement) -> Void = { _ in }
    ) throws -> Bool {
      var parameters: [String: Cell] = ["step": 6, "margin": 0.1, "times": .number(Double(times))]
      parameters["recalibration_batches"] = recalibrated.map { .number(Double($0)) } ?? .missing
      let steps = try measured.table(
        "unrolling-steps", of: "unrolling", both + both.map { ($0.split, 32, scale) }, parameters: parameters)
      let scaled = try steps.setting("scale", to: scale, where: ["split": "validation", "samples": 16])
      var tables = [scaled]
      if tried {
        tables.append(
          try measured.table(
            "unrolling-scales", of: "unrolling", [(.train, scaleSamples, scale)], parameters: parameters))
      }
      return try measured.missing(["unrolling"], given: tables, asked: asked).isEmpty
    }
    #expect(try isThere())
    #expect(try !isThere(times: 4) && !isThere(recalibrated: 2) && !isThere(tried: false) && !isThere(scaleSamples: 32))
    #expect(try isThere(recalibrated: 2) { $0.recalibrate = 2 })
    #expect(try !isThere(recalibrated: 2) { $0.recalibrate = 3 } && !isThere { $0.recalibrate = 2 })
    // A given scale need not have been chosen, but it must have run.
    #expect(try isThere(tried: false) { $0.scale = 0.5 } && isThere { $0.scale = 0.5 })
    #expect(try !isThere { $0.scale = 0.25 } && !isThere(scale: 0.3, tried: false) { $0.scale = 0.5 })
    // Scores alone do not say how a step was repeated.
    #expect(
      try measured.missing(["unrolling"], given: [measured.table("unrolling")]) == ["unrolling"])
  }

  @Test("A measure that cannot exist in the network is not missing, and one of which a part cannot is")
  func absences() throws {
    let measured = try Measured()
    let missing = try measured.missing(
      ["borderline", "unrolling", "cosine-loss", "intermediate"], given: [],
      absent: [
        .init(measure: "borderline", reason: "no"), .init(measure: "unrolling", reason: "no"),
        .init(measure: "cosine-loss", view: "cosine-loss-readout", reason: "no"),
        .init(measure: "intermediate", steps: 1...4, reason: "no"),
      ])
    #expect(missing == ["cosine-loss", "intermediate"])
  }

  @Test("Measures of another checkpoint, and of other data than the run's own, do not count")
  func otherNetwork() throws {
    let measured = try Measured()
    let tables = try [measured.table("cosine-loss")]
    func missing(_ change: (inout MeasureResults) -> Void) throws -> Set<String> {
      try measured.missing(["cosine-loss"], given: tables, results: change)
    }
    #expect(try missing { _ in }.isEmpty)
    #expect(try missing { $0.provenance.isOwnData = false } == ["cosine-loss"])
    #expect(try missing { $0.checkpoint = "epoch-00000-step-0000010" } == ["cosine-loss"])
  }
}
