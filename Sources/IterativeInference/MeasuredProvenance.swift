import Foundation
import ImageDatasets
import ResidualNetworks
import Results

extension Provenance {
  /// Where the numbers come from that are measured now.
  /// - Parameters:
  ///   - network: what is measured
  ///   - images: `fingerprints(of:_:)` of the samples
  ///   - statistics: by which the samples are normalised
  ///   - isOwnData: whether the samples are of the data set that the run is trained on
  ///   - program: the version of reslens
  public init(
    of network: ResidualNetwork, images: BySplit<String>, statistics: ChannelStatistics, isOwnData: Bool,
    program: String
  ) throws {
    self.init(
      weights: try network.fingerprint(), images: images, statistics: statistics, isOwnData: isOwnData,
      program: program, date: Date.now.formatted(.iso8601))
  }

  /// SHA-256 of the images and labels of the samples.
  public static func fingerprints(of train: Samples, _ validation: Samples) throws -> BySplit<String> {
    BySplit(
      train: try train.set.fingerprint(ofFirst: train.count),
      validation: try validation.set.fingerprint(ofFirst: validation.count))
  }
}
