import Foundation
import ResLensNetworks
import ResLensResults
import ResLensTraining

extension RunConfiguration {
  /// The configuration of a run of a network that another program trained: it has no epochs.
  /// - Parameters:
  ///   - file: the file that the weights come from
  ///   - data: the data to measure on
  ///   - statistics: the statistics by which the network's inputs are normalised
  public init(
    imported network: ResidualNetwork, from file: URL, data: String, statistics: ChannelStatistics
  ) throws {
    self.init(architecture: network.architecture, data: data, recipe: .elsewhere)
    self.statistics = statistics
    initialWeights = InitialWeights(path: file.path, weights: try network.fingerprint())
  }
}
