import Foundation
import Host
import Results
import Training

extension PlannedRun {
  /// How far a run is, as its folder tells.
  public enum State: Equatable, Sendable {
    /// Not to its last epoch.
    case training
    /// Trained, and not measured in everything.
    case measuring
    case whole
    /// It cannot be trained to its end this way, and says why: a finding, and not tried again.
    case diverged(String)

    /// Whether there is something to do for it.
    public var isUnfinished: Bool { self == .training || self == .measuring }
  }

  /// - Throws: `FileError` where the folder holds another run, or files that cannot be read.
  public func state(in folder: RunFolder) throws -> State {
    let stored = folder.holdsRun ? try folder.configuration() : nil
    // The data may lie elsewhere now; what they are like is compared.
    var same = configuration
    same.data = stored?.data ?? configuration.data
    if let stored, let field = same.firstDifference(from: stored) {
      throw FileError(
        path: folder.configurationFile.path, problem: "it belongs to a run in which \(field) differs",
        remedy: "ask for the same as before, or move the folder away")
    }
    if let reason = folder.divergence { return .diverged(reason) }
    guard stored != nil, try folder.epochs().count == configuration.recipe.epochs else { return .training }
    return try missingMeasures(in: folder).isEmpty ? .whole : .measuring
  }

  /// Whether it came to its last epoch.
  func isTrained(in folder: RunFolder) throws -> Bool {
    switch try state(in: folder) {
    case .whole, .measuring: true
    case .training, .diverged: false
    }
  }

  /// The measures that the trained network still lacks.
  public func missingMeasures(in folder: RunFolder) throws -> Set<String> {
    let asked = Set(measurement.names)
    guard !asked.isEmpty, let found = try folder.measures(), found.provenance.isOwnData,
      found.checkpoint == folder.latestCheckpoint()?.url.lastPathComponent,
      found.samples == BySplit(train: measurement.samples, validation: measurement.samples)
    else { return asked }
    var missing = asked.subtracting(found.measures.names).subtracting(found.absent.map(\.measure))
    if let unrolling = found.measures.unrolling, asked.contains("unrolling"), !fits(unrolling) {
      missing.insert("unrolling")
    }
    return missing
  }

  /// Whether a step was unrolled as is asked for.
  private func fits(_ unrolling: Unrolling) -> Bool {
    let options = measurement.options.unrolling
    let isScaled = measurement.scale.map { scale in unrolling.trajectories.contains { $0.scale == scale } }
    return unrolling.times == options.times && unrolling.recalibrationBatches == options.recalibrationBatches
      && (isScaled ?? (unrolling.tried != nil))
  }
}
