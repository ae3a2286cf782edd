import ArgumentParser
import ResLensMeasures
import ResLensResults
import ResLensTraining

extension MeasureSchedule {
  /// The measures that are recorded by default.
  static var standard: [String] { Reslens.registry.names(where: \.whileTraining) }

  /// The number of samples by default.
  static let standardSamples = 2000

  /// `every=1,samples=2000,batch-norm=batch,names…` on the command line.
  /// - Throws: `ValidationError` for a part that is none of these.
  init(parsing argument: String) throws {
    self.init(every: 1, samples: Self.standardSamples, names: [])
    let registry = Reslens.registry
    for part in argument.split(separator: ",", omittingEmptySubsequences: false) {
      let sides = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      switch (sides[0], sides.dropFirst().first.map { Int($0) ?? 0 }) {
      case ("every", .some(let number)) where number >= 1: every = number
      case ("samples", .some(let number)) where number >= 1: samples = number
      case ("every", _), ("samples", _):
        throw ValidationError("--measure \(part): a whole number of at least 1 is needed, as in \(sides[0])=1")
      case ("batch-norm", _):
        guard let statistics = sides.dropFirst().first.flatMap({ BatchNormStatistics(rawValue: String($0)) }) else {
          throw ValidationError("--measure \(part): write batch-norm=running or batch-norm=batch")
        }
        batchNorm = statistics
      default:
        let name = try registry.parse(String(part), option: "measure")[0]
        guard registry.names(where: \.canBeRecorded).contains(name) else {
          throw ValidationError(
            "--measure \(part): it does not give one number for each step; measure the trained run instead")
        }
        names.append(name)
      }
    }
    let possible = registry.names { batchNorm != .batch || $0.withBatchStatistics }
    if let name = names.first(where: { !possible.contains($0) }) {
      throw ValidationError(
        "--measure batch-norm=batch: there is no \(name), only \(possible.joined(separator: ", "))")
    }
    if names.isEmpty { names = Self.standard.filter(possible.contains) }
  }
}
