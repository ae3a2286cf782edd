import Foundation
import ResLensSupport
import ResLensMeasures
import ResLensResults
import ResLensTraining

extension PlannedRun {
  /// The state of a run, as its folder tells.
  public enum State: Equatable, Sendable {
    /// The run has not reached its last epoch.
    case training
    /// The run is trained, and measures are missing.
    case measuring
    /// The run is trained, and everything is measured.
    case whole
    /// The run cannot be trained to its end this way, for the reason that is given. This is a finding: it is not tried
    /// again.
    case diverged(String)

    /// True if there is something left to do for the run.
    public var isUnfinished: Bool { self == .training || self == .measuring }
  }

  /// The state of the run.
  /// - Parameter registry: the measures that the run's names are of
  /// - Throws: `FileError` where the folder holds another run, or files that cannot be read.
  public func state(in folder: RunFolder, registry: Registry = .standard) throws -> State {
    let stored = folder.holdsRun ? try folder.configuration() : nil
    if let stored, let field = difference(from: stored) {
      throw FileError(
        path: folder.configurationFile.path, problem: "it belongs to a run in which \(field) differs",
        remedy: "ask for the same as before, or move the folder away")
    }
    if let reason = folder.divergence { return .diverged(reason) }
    guard stored != nil, try folder.epochs().count == configuration.recipe.epochs else { return .training }
    return try missingMeasures(in: folder, registry: registry).isEmpty ? .whole : .measuring
  }

  /// True if the run has reached its last epoch.
  public func isTrained(in folder: RunFolder) throws -> Bool {
    switch try state(in: folder) {
    case .whole, .measuring: true
    case .training, .diverged: false
    }
  }

  /// The measures that the trained network still lacks.
  ///
  /// A measure that cannot exist in this network is not missing. One that was taken on another number of samples is, and
  /// so is an unrolling in another way.
  /// - Parameter registry: the measures that the run's names are of
  public func missingMeasures(in folder: RunFolder, registry: Registry = .standard) throws -> Set<String> {
    let asked = Set(measurement.names)
    guard !asked.isEmpty, let found = try folder.measures(), found.provenance.isOwnData,
      found.checkpoint == folder.latestCheckpoint()?.url.lastPathComponent
    else { return asked }
    let absent = found.absent.filter { $0.view == nil && $0.steps == nil }.map(\.measure)
    return try asked.subtracting(absent).filter { name in
      let tables = try found.tables.filter { $0.measure == name }.map {
        try $0.selecting(["samples": .number(Double(measurement.samples))])
      }
      let splits = Set(try tables.flatMap { try $0.cells("split") })
      return !splits.isSuperset(of: self.splits(of: name, registry).map(\.cell))
        || name == UnrolledSteps.description.name && !fits(tables)
    }
  }

  /// The splits on which a measure is taken; both where the measure is not known, or is prepared before it is made.
  private func splits(of name: String, _ registry: Registry) -> [Split] {
    guard let measure = registry.measures.first(where: { $0.description.name == name }) else { return Split.allCases }
    let splits = Split.allCases.filter { split in
      let context = MeasureContext(
        configuration.architecture, measurement.options, split: split, samples: measurement.samples)
      return (try? measure.init(context)) != nil
    }
    return splits.isEmpty ? Split.allCases : splits
  }

  /// True if a step was unrolled as it is asked for.
  /// - Parameter tables: the tables of the unrolling on the number of samples that is asked for
  private func fits(_ tables: [Table]) -> Bool {
    let options = measurement.options
    let parameters: [String: Cell] = [
      "times": .number(Double(options.unrolling.times)),
      "recalibration_batches": options.recalibrationBatches.map { .number(Double($0)) } ?? .missing,
    ]
    func table(_ name: String) -> Table? { tables.first { $0.name == name && !$0.rows.isEmpty } }
    guard let steps = table("unrolling-steps"),
      parameters.allSatisfy({ steps.parameters[$0.key] ?? .missing == $0.value })
    else { return false }
    // Where no scale is asked for, it must have been chosen among those that were tried.
    guard let scale = measurement.scale else { return table("unrolling-scales") != nil }
    return (try? steps.numbers("scale").contains(scale)) ?? false
  }
}
