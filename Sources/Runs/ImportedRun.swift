import Foundation
import ResLensSupport
import ResLensNetworks
import ResLensResults
import ResLensTorch
import ResLensTraining

extension RunFolder {
  /// Makes a run of a network that was trained elsewhere. It has had no epochs, and can be measured like any run.
  /// - Parameters:
  ///   - file: the file that the weights come from
  ///   - data: the data to measure on
  ///   - statistics: the statistics by which the network's inputs are normalised
  /// - Throws: `FileError` where there is a run already, or a file cannot be written.
  public func makeRun(
    of network: ResidualNetwork, from file: URL, data: String, statistics: ChannelStatistics
  ) throws {
    guard !holdsRun else {
      throw FileError(
        path: url.path, problem: "there is a run in this folder already", remedy: "name another with --out")
    }
    var configuration = RunConfiguration(architecture: network.architecture, data: data, recipe: .elsewhere)
    configuration.statistics = statistics
    configuration.initialWeights = InitialWeights(path: file.path, weights: try network.fingerprint())
    try begin(configuration, with: network)
  }
}
