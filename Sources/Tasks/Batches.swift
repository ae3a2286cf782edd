import ResLensSupport
import ResLensResults
import ResLensTorch

/// Random changes to an image in training (§4).
public struct Augmentation: Codable, Hashable, Sendable {
  /// Mirrors half of the images left to right.
  public var flip: Bool
  /// Moves each image by up to so many pixels along each axis; what moves in is 0, the train set's mean colour.
  public var translate: Int

  /// Images as they are.
  public static let none = Augmentation(flip: false, translate: 0)

  public init(flip: Bool, translate: Int) {
    self.flip = flip
    self.translate = translate
  }
}

/// Images ready for a network, with their labels.
public struct Batch {
  /// N×C×H×W, normalised
  public let images: Tensor
  /// N, int64
  public let labels: Tensor
  /// Each sample's place in its set.
  public let indices: [Int]

  /// Samples in the batch.
  public var count: Int { indices.count }
}

/// Turns sets of byte images into batches. Which images come when, and how they are changed, depends on
/// (seed, epoch, index) only: not on the batch size, nor on what was drawn before.
public struct BatchMaker {
  /// The element type of the images.
  public let type: ElementType
  /// Where batches are made and lie.
  public let device: Device
  /// A byte becomes byte·scale + offset; C each.
  private let scale: Tensor
  private let offset: Tensor
  private let orderStream: RandomStream
  private let augmentationStream: RandomStream

  /// - Throws: `ArgumentError` for statistics that cannot be (`ChannelStatistics.problem`), and a `type` that is no
  ///   floating one.
  public init(
    statistics: ChannelStatistics, type: ElementType = .float32, seed: UInt64 = 0, device: Device = .cpu
  ) throws {
    if let problem = statistics.problem { throw ArgumentError("statistics", problem) }
    guard [.float32, .float64, .bfloat16].contains(type) else {
      throw ArgumentError("type", "\(type.rawValue) is not a floating type")
    }
    self.type = type
    self.device = device
    scale = try Tensor(statistics.scales, shape: [statistics.scales.count]).moved(to: device)
    offset = try Tensor(statistics.offsets, shape: [statistics.offsets.count]).moved(to: device)
    orderStream = RandomStream(seed: seed, name: "order")
    augmentationStream = RandomStream(seed: seed, name: "augmentation")
  }

  /// Every index below `count` once, shuffled for `epoch`.
  /// - Throws: `ArgumentError` for a `count` below 0.
  public func order(count: Int, epoch: Int) throws(ArgumentError) -> [Int] {
    try ArgumentError.check("count", count, atLeast: 0)
    let stream = orderStream.stream(epoch)
    return (0..<count).map { (key: stream.bits($0), index: $0) }
      .sorted { ($0.key, $0.index) < ($1.key, $1.index) }.map(\.index)
  }

  /// The given images as they are.
  public func batch(_ set: ImageSet, _ indices: some Collection<Int>) throws -> Batch {
    try batch(set, indices, augmentation: .none, epoch: 0)
  }

  /// The given images, changed as `epoch` has it for each of them.
  public func batch(
    _ set: ImageSet, _ indices: some Collection<Int>, augmentation: Augmentation, epoch: Int
  ) throws -> Batch {
    let indices = Array(indices)
    let selection = try selection(of: indices, augmentation: augmentation, epoch: epoch).moved(to: device)
    let (images, labels) = try batch(set, selection)
    return Batch(images: images, labels: labels, indices: indices)
  }

  /// The images of a batch, and how `epoch` changes each of them, as `gatherImages` takes it, on the processor.
  /// - Throws: `ArgumentError` for a translation outside 0 … 127.
  public func selection(of indices: some Collection<Int>, augmentation: Augmentation, epoch: Int) throws -> Tensor {
    try ArgumentError.check("translate", augmentation.translate, in: 0...127)
    let stream = augmentationStream.stream(epoch)
    let choices = 2 * augmentation.translate + 1
    var rows: [Int64] = []
    rows.reserveCapacity(4 * indices.count)
    for index in indices {
      let own = stream.stream(index)
      rows.append(Int64(index))
      rows.append(augmentation.flip ? Int64(try own.integer(0, below: 2)) : 0)
      for axis in 0..<2 {
        rows.append(
          augmentation.translate == 0
            ? 0 : Int64(try own.integer(1 + axis, below: choices) - augmentation.translate))
      }
    }
    return try Tensor(rows, shape: [indices.count, 4])
  }

  /// The images of a selection and their classes; all on the device, which is not waited for.
  public func batch(_ set: ImageSet, _ selection: Tensor) throws -> (images: Tensor, labels: Tensor) {
    let (images, labels) = try set.tensors(on: device)
    return (
      try images.gatherImages(selection, scale: scale, offset: offset, type: type),
      try labels.rows(at: selection.column(0))
    )
  }
}
