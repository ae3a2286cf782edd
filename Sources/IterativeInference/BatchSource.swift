import Results
import Torch

/// Where measures get their samples from: anything that can go through batches of images of known classes.
public protocol BatchSource {
  /// Calls `body` with one batch after the other, the same ones every time.
  func forEachBatch(_ body: (LabelledBatch) throws -> Void) throws
}

extension BatchSource {
  /// Looks at every batch, each in one of the processes, and tells all of them of all batches, in their order. Each process
  /// goes through all of the source.
  /// - Parameters:
  ///   - group: nil where this process is alone
  ///   - look: what is found of a batch before which so many samples came
  ///   - tell: called with what one of the processes found
  func forEachShared(
    by group: ProcessGroup?, look: (LabelledBatch, Int) throws -> [Double],
    tell: (LabelledBatch, Int, [Double]) throws -> Void
  ) throws {
    let (rank, size) = (group?.rank ?? 0, group?.size ?? 1)
    var round: [(batch: LabelledBatch, earlier: Int)] = []
    var count = 0
    func finish() throws {
      // In the last round there may be fewer batches than processes.
      let own = try round.indices.contains(rank) ? look(round[rank].batch, round[rank].earlier) : []
      for (part, found) in zip(round, try group?.gather(own) ?? [own]) { try tell(part.batch, part.earlier, found) }
      round = []
    }
    try forEachBatch { batch in
      round.append((batch, count))
      count += batch.classes.count
      if round.count == size { try finish() }
    }
    if !round.isEmpty { try finish() }
  }
}

extension [LabelledBatch]: BatchSource {
  public func forEachBatch(_ body: (LabelledBatch) throws -> Void) throws { try forEach(body) }
}

/// Images whose classes are known.
public struct LabelledBatch {
  /// N×C×H×W, normalised as the network is used to.
  public let images: Tensor
  /// The class of each sample.
  public let classes: [Int]
  /// Each sample's place in what the batches come from.
  public let indices: [Int]
  /// N, int64
  let labels: Tensor

  /// - Parameters:
  ///   - images: N×C×H×W
  ///   - classes: N
  ///   - indices: N
  /// - Throws: `BatchError` where the numbers of samples differ.
  public init(images: Tensor, classes: [Int], indices: [Int]) throws {
    guard images.shape.first == classes.count, indices.count == classes.count else {
      throw BatchError(
        problem: "images of shape \(images.shape) with \(classes.count) classes and \(indices.count) indices")
    }
    self.init(
      images: images, labels: try Tensor(classes.map(Int64.init), shape: [classes.count]), classes: classes,
      indices: indices)
  }

  init(images: Tensor, labels: Tensor, classes: [Int], indices: [Int]) {
    (self.images, self.labels, self.classes, self.indices) = (images, labels, classes, indices)
  }

  /// The first `count` samples, on the same memory.
  func prefix(_ count: Int) throws -> LabelledBatch {
    count == indices.count
      ? self
      : LabelledBatch(
        images: try images.rows(0..<count), labels: try labels.rows(0..<count), classes: Array(classes.prefix(count)),
        indices: Array(indices.prefix(count)))
  }

  func labelled(_ reading: CrossEntropy) -> LabelledReading {
    LabelledReading(reading: reading, classes: classes, indices: indices)
  }
}

/// A batch that contradicts itself.
public struct BatchError: Error, CustomStringConvertible, Equatable {
  /// The contradiction between the arguments.
  public var problem: String
  public var description: String { "a batch cannot be: \(problem)" }
}

/// A classifier's predictions for a batch, together with the labels.
public struct LabelledReading {
  /// Loss, entropy, margin and answer of each sample.
  public let reading: CrossEntropy
  /// The class of each sample.
  public let classes: [Int]
  /// Each sample's place in what the batches come from.
  public let indices: [Int]

  /// Whether each sample is classified rightly.
  public var right: [Bool] { zip(reading.predictions, classes).map { $0 == $1 } }
}

extension ScoreSum {
  /// - Parameter counted: whether a sample counts; all do where it is nil
  public mutating func add(_ batch: LabelledReading, counted: [Bool]? = nil) {
    add(
      losses: batch.reading.losses, entropies: batch.reading.entropies, predictions: batch.reading.predictions,
      labels: batch.classes, counted: counted)
  }
}
