import Foundation
import ResLensTasks
import ResLensNetworks
import ResLensResults

extension MeasureResults.Sampling {
  /// The samples of both splits, as they are measured now.
  /// - Parameter program: the version of reslens
  public static func now(train: Samples, validation: Samples, program: String) throws -> [Self] {
    let date = Date.now.formatted(.iso8601)
    return try [(Split.train, train), (.validation, validation)].map { split, samples in
      Self(
        split: split, samples: samples.count, images: try samples.set.fingerprint(ofFirst: samples.count),
        program: program, date: date)
    }
  }
}
