import ResLensSupport
import ResLensTasks
import ResLensNetworks
import ResLensResults
import ResLensTorch

extension Predictions {
  /// Loss, entropy and answer of each sample, as processes send them.
  fileprivate var flat: [Double] { losses + entropies + classes.map(Double.init) }
}

extension ResidualNetwork {
  /// How the network does on the first `samples` images of a set, in evaluation mode.
  /// - Parameters:
  ///   - batch: images at once; nil for what suits the device: small ones stay in a processor's cache, large ones fill a GPU
  ///   - task: scores the outputs
  ///   - known: what it says of the first `known.count` of them, where that has been found out already
  ///   - group: processes that have a share of the batches each; all of them get the score that one would have found
  ///   - shouldStop: asked between batches, of every process as often; nil is returned once it says so
  /// - Throws: `ArgumentError` for more samples than there are, or an empty batch.
  public func score(
    _ set: ImageSet, samples: Int? = nil, task: any LearningTask = ImageClassification(), known: ScoreSum = ScoreSum(),
    maker: BatchMaker, batch: Int? = nil,
    group: ProcessGroup? = nil, shouldStop: () throws -> Bool = { false }
  ) throws -> Score? {
    let batch = batch ?? (maker.device.isAsynchronous ? 500 : 64)
    let count = samples ?? set.count
    try ArgumentError.check("batch", batch, in: 1...1_000_000)
    try ArgumentError.check("samples", count, in: 0...set.count)
    let starts = Array(stride(from: known.count, to: count, by: batch))
    let (rank, size) = (group?.rank ?? 0, group?.size ?? 1)
    var own: [Double] = []
    for round in stride(from: 0, to: starts.count, by: size) {
      if try shouldStop() { return nil }
      guard starts.indices.contains(round + rank) else { continue }
      let start = starts[round + rank]
      let part = try maker.batch(set, start..<min(start + batch, count))
      own += try task.predictions(logits(part.images), part.labels).flat
    }
    var found = try (group?.gather(own) ?? [own]).map { $0[...] }
    // In the order of the images, whoever looked at them: rounding is as it is in one process.
    var sum = known
    for (index, start) in starts.enumerated() {
      let labels = Array(set.labels[start..<min(start + batch, count)])
      func next() -> [Double] {
        defer { found[index % size].removeFirst(labels.count) }
        return Array(found[index % size].prefix(labels.count))
      }
      let (losses, entropies, predictions) = (next(), next(), next())
      sum.add(losses: losses, entropies: entropies, predictions: predictions.map { Int($0) }, labels: labels)
    }
    return sum.score
  }
}
