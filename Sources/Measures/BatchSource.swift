import ResLensResults
import ResLensTorch

/// A source of samples for measures: anything that can go through batches of images of known classes.
public protocol BatchSource {
  /// Calls `body` with one batch after the other, the same ones every time.
  func forEachBatch(_ body: (LabelledBatch) throws -> Void) throws
}

extension BatchSource {
  /// Works on every batch in one of the processes, and hands the results of all batches to all processes, in the order of
  /// the batches. Each process goes through all of the source.
  /// - Parameters:
  ///   - group: the processes that share the work; nil where this process is alone
  ///   - work: works on one batch; its arguments are the batch and the number of samples before it
  ///   - take: receives the same arguments and the result of the work, in every process
  func forEachShared(
    by group: ProcessGroup?, work: (LabelledBatch, Int) throws -> [Double],
    take: (LabelledBatch, Int, [Double]) throws -> Void
  ) throws {
    let (rank, size) = (group?.rank ?? 0, group?.size ?? 1)
    var waiting: [(batch: LabelledBatch, earlier: Int)] = []
    var count = 0
    func finish() throws {
      // The last time there may be fewer batches than processes.
      let own = try waiting.indices.contains(rank) ? work(waiting[rank].batch, waiting[rank].earlier) : []
      for (part, result) in zip(waiting, try group?.gather(own) ?? [own]) { try take(part.batch, part.earlier, result) }
      waiting = []
    }
    try forEachBatch { batch in
      waiting.append((batch, count))
      count += batch.classes.count
      if waiting.count == size { try finish() }
    }
    if !waiting.isEmpty { try finish() }
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
  /// Each sample's index in the source of the batches.
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

  /// One sample, on the same memory.
  func sample(_ place: Int) throws -> LabelledBatch {
    let range = place..<(place + 1)
    return LabelledBatch(
      images: try images.rows(range), labels: try labels.rows(range), classes: [classes[place]],
      indices: [indices[place]])
  }

  /// The first `count` samples, on the same memory.
  func prefix(_ count: Int) throws -> LabelledBatch {
    count == indices.count
      ? self
      : LabelledBatch(
        images: try images.rows(0..<count), labels: try labels.rows(0..<count), classes: Array(classes.prefix(count)),
        indices: Array(indices.prefix(count)))
  }
}

/// A batch that contradicts itself.
public struct BatchError: Error, CustomStringConvertible, Equatable {
  /// The contradiction between the arguments.
  public var problem: String
  public var description: String { "a batch cannot be: \(problem)" }
}

/// A classifier's predictions for a batch, together with the labels.
public struct LabelledPredictions {
  /// The loss, entropy, margin and predicted class of each sample.
  public let predictions: Predictions
  /// The class of each sample.
  public let classes: [Int]
  /// Each sample's index in the source of the batches.
  public let indices: [Int]

  /// The predictions that `rows` describes.
  /// - Parameter rows: as `Predictions.rows` gives them
  public init(_ rows: [[Double]], of batch: LabelledBatch) {
    predictions = Predictions(
      losses: rows[0], entropies: rows[1], margins: rows[2], classes: rows[3].map { Int($0) })
    (classes, indices) = (batch.classes, batch.indices)
  }

  /// True for each sample that is classified correctly.
  public var right: [Bool] { zip(predictions.classes, classes).map { $0 == $1 } }
}

extension Predictions {
  /// The predictions as rows of a measure: losses, entropies, margins and predicted classes, a number a sample each.
  public var rows: [[Double]] { [losses, entropies, margins, classes.map(Double.init)] }

  /// The number of `rows`.
  static let rowCount = 4
}

extension ScoreChangeSum {
  /// Adds the change of the predictions of a batch between two states.
  /// - Parameter counted: whether a sample counts; all do where it is nil
  public mutating func add(from first: LabelledPredictions, to second: LabelledPredictions, counted: [Bool]? = nil) {
    func differences(_ numbers: (Predictions) -> [Double]) -> [Double] {
      zip(numbers(second.predictions), numbers(first.predictions)).map { $0 - $1 }
    }
    add(
      losses: differences(\.losses), entropies: differences(\.entropies), wasRight: first.right,
      isRight: second.right, counted: counted)
  }
}

extension ScoreSum {
  /// Adds the predictions of a batch.
  /// - Parameter counted: whether a sample counts; all do where it is nil
  public mutating func add(_ batch: LabelledPredictions, counted: [Bool]? = nil) {
    add(
      losses: batch.predictions.losses, entropies: batch.predictions.entropies,
      predictions: batch.predictions.classes, labels: batch.classes, counted: counted)
  }
}
