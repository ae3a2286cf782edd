import ResLensSupport
import ResLensTasks

/// The first images of a set in file order, not augmented, in batches.
public struct Samples: BatchSource {
  /// The set that the samples are taken from.
  public let set: ImageSet
  /// How many of the set's images, from the first on.
  public let count: Int
  /// Samples a pass; the last one may have fewer.
  public let batch: Int
  /// Makes the network's inputs from the samples.
  public let maker: BatchMaker

  /// - Parameters:
  ///   - count: the first so many, from 1 to as many as there are; all where it is nil
  ///   - batch: samples a pass, at least 1
  /// - Throws: `ArgumentError` for another `count` or `batch`.
  public init(_ set: ImageSet, count: Int? = nil, batch: Int = 128, maker: BatchMaker) throws(ArgumentError) {
    try ArgumentError.check("count", count ?? set.count, in: 1...max(1, set.count))
    try ArgumentError.check("batch", batch, atLeast: 1)
    self.set = set
    self.count = count ?? set.count
    self.batch = batch
    self.maker = maker
  }

  public func forEachBatch(_ body: (LabelledBatch) throws -> Void) throws {
    for start in stride(from: 0, to: count, by: min(batch, count)) {
      let batch = try maker.batch(set, start..<min(start + min(batch, count), count))
      let classes = batch.indices.map { set.labels[$0] }
      try body(LabelledBatch(images: batch.images, labels: batch.labels, classes: classes, indices: batch.indices))
    }
  }
}
