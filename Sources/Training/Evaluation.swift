import ImageDatasets
import ResidualNetworks
import Results
import Torch

extension ResidualNetwork {
  /// How the network does on the first `samples` images of a set, in evaluation mode.
  /// - Parameters:
  ///   - known: what it says of the first `known.count` of them, where that has been found out already
  ///   - shouldStop: asked between batches; nil is returned once it says so
  public func score(
    _ set: ImageSet, samples: Int? = nil, known: ScoreSum = ScoreSum(), maker: BatchMaker, batch: Int = 64,
    shouldStop: () -> Bool = { false }
  ) throws -> Score? {
    let count = samples ?? set.count
    var sum = known
    for start in stride(from: known.count, to: count, by: batch) {
      if shouldStop() { return nil }
      let part = try maker.batch(set, start..<min(start + batch, count))
      let reading = try CrossEntropy(logits: logits(part.images), labels: part.labels)
      sum.add(
        losses: reading.losses, entropies: reading.entropies, predictions: reading.predictions,
        labels: part.indices.map { set.labels[$0] })
    }
    return sum.score
  }
}
