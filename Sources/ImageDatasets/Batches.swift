import Torch

/// Random changes to an image in training (§4).
public struct Augmentation: Codable, Hashable, Sendable {
  /// Mirrors half of the images left to right.
  public var flip: Bool
  /// Moves each image by up to so many pixels along each axis; what moves in is 0, the train set's mean colour.
  public var translate: Int

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

  public var count: Int { indices.count }
}

/// Turns sets of byte images into batches. Which images come when, and how they are changed, depends on
/// (seed, epoch, index) only: not on the batch size, nor on what was drawn before.
public struct BatchMaker {
  public let statistics: ChannelStatistics
  /// The element type of the images.
  public let type: ElementType
  private let orderStream: RandomStream
  private let augmentationStream: RandomStream

  public init(statistics: ChannelStatistics, type: ElementType = .float32, seed: UInt64 = 0) {
    self.statistics = statistics
    self.type = type
    orderStream = RandomStream(seed: seed, name: "order")
    augmentationStream = RandomStream(seed: seed, name: "augmentation")
  }

  /// Every index below `count` once, shuffled for `epoch`.
  public func order(count: Int, epoch: Int) -> [Int] {
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
    var flips = [UInt8](repeating: 0, count: indices.count)
    var shifts = [Int8](repeating: 0, count: 2 * indices.count)
    if augmentation != .none {
      let stream = augmentationStream.stream(epoch)
      let choices = 2 * augmentation.translate + 1
      for (place, index) in indices.enumerated() {
        let own = stream.stream(index)
        if augmentation.flip { flips[place] = UInt8(own.integer(0, below: 2)) }
        for axis in 0..<2 {
          shifts[2 * place + axis] = Int8(own.integer(1 + axis, below: choices) - augmentation.translate)
        }
      }
    }
    let images = try set.images.gatherImages(
      indices.map(Int64.init), flips: flips, shifts: shifts, scale: statistics.scales, offset: statistics.offsets,
      type: type)
    let labels = try Tensor(indices.map { Int64(set.labels[$0]) }, shape: [indices.count])
    return Batch(images: images, labels: labels, indices: indices)
  }
}
