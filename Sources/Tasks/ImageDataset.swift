import Foundation
import ResLensSupport
import ResLensResults
import ResLensTorch

/// Labelled byte images, in memory or in a mapped file.
public final class ImageSet {
  /// N×C×H×W, uint8
  public let images: Tensor
  /// The class of each image.
  public let labels: [Int]
  /// The bytes of memory that the images take: none where they stay in a file.
  public let memoryBytes: Int
  private var copies: [Device: (images: Tensor, labels: Tensor)]

  /// - Throws: `TorchError` where the bytes do not fit the shape.
  public init(pixels: [UInt8], labels: [Int], channels: Int, height: Int, width: Int) throws {
    images = try Tensor(pixels, shape: [labels.count, channels, height, width])
    self.labels = labels
    memoryBytes = pixels.count
    copies = [.cpu: (images, try Tensor(labels.map(Int64.init), shape: [labels.count]))]
  }

  /// - Parameters:
  ///   - images: N×C×H×W, uint8, which are in a file or belong to another set
  ///   - labels: N
  init(images: Tensor, labels: [Int]) throws {
    (self.images, self.labels, memoryBytes) = (images, labels, 0)
    copies = [.cpu: (images, try Tensor(labels.map(Int64.init), shape: [labels.count]))]
  }

  /// The first so many as a set of their own, on the same memory but for a GPU's; all where there are no more.
  /// - Throws: `ArgumentError` for fewer than one.
  public func prefix(_ count: Int) throws -> ImageSet {
    try ArgumentError.check("count", count, atLeast: 1)
    guard count < self.count else { return self }
    return try ImageSet(images: images.rows(0..<count), labels: Array(labels.prefix(count)))
  }

  /// The images behind the first so many as a set of their own, on the same memory but for a GPU's.
  /// - Throws: `ArgumentError` where none are left.
  public func dropFirst(_ count: Int) throws -> ImageSet {
    try ArgumentError.check("count", count, in: 0...self.count - 1)
    guard count > 0 else { return self }
    return try ImageSet(images: images.rows(count..<self.count), labels: Array(labels.dropFirst(count)))
  }

  /// The number of images.
  public var count: Int { labels.count }

  /// SHA-256 of the first `count` images and their labels.
  /// - Throws: `ArgumentError` for fewer than one.
  public func fingerprint(ofFirst count: Int) throws -> String {
    let set = try prefix(count)
    var fingerprint = Fingerprint()
    fingerprint.add(set.images.shape)
    try fingerprint.add(byteCount: set.images.count) { add in try set.images.forEachPart(add) }
    fingerprint.add(set.labels)
    return fingerprint.digits
  }

  /// The images, and the class of each (N, int64), where `device` has them at hand. They are moved there once, and stay.
  func tensors(on device: Device) throws -> (images: Tensor, labels: Tensor) {
    if let copy = copies[device] { return copy }
    let own = try tensors(on: .cpu)
    let copy = (images: try own.images.moved(to: device), labels: try own.labels.moved(to: device))
    // Other streams than this thread's may read it next.
    try device.synchronize()
    copies[device] = copy
    return copy
  }
}

/// Images to train on and images to judge by.
public final class ImageDataset {
  /// For instance "cifar-10".
  public let name: String
  /// The names of the classes; a label is an index into this list.
  public let classNames: [String]
  /// The training images.
  public let train: ImageSet
  /// The validation images, which are never trained on. For CIFAR this is the test set.
  public let validation: ImageSet
  private var knownStatistics: ChannelStatistics?

  /// The channel statistics of the whole training set, which is read for them once.
  public var statistics: ChannelStatistics {
    get throws {
      if let known = knownStatistics { return known }
      let found = try ChannelStatistics(of: train.images)
      knownStatistics = found
      return found
    }
  }

  /// - Throws: `ArgumentError` for a label that is none of the classes, and where there are no train images.
  public init(name: String, classNames: [String], train: ImageSet, validation: ImageSet) throws {
    for (name, set) in [("train", train), ("validation", validation)] {
      if let label = set.labels.first(where: { !classNames.indices.contains($0) }) {
        throw ArgumentError(name, "there is the label \(label), and there are \(classNames.count) classes")
      }
    }
    self.name = name
    self.classNames = classNames
    self.train = train
    self.validation = validation
    try ArgumentError.check("train images", train.count, atLeast: 1)
  }

  /// Channels, height and width.
  public var imageShape: [Int] { Array(train.images.shape.dropFirst()) }
}

extension Tensor {
  /// Calls `body` with the bytes of a few images after the other, because all may be more than memory holds.
  fileprivate func forEachPart(_ body: ([UInt8]) throws -> Void) throws {
    let count = max(1, (16 << 20) / max(1, shape.dropFirst().reduce(1, *)))
    for start in stride(from: 0, to: shape[0], by: count) {
      try body(rows(start..<min(start + count, shape[0])).bytes())
    }
  }
}

extension ChannelStatistics {
  /// - Parameter images: N×C×H×W uint8
  /// - Throws: `ArgumentError` for a tensor of another rank or type, or of no images.
  public init(of images: Tensor) throws {
    let shape = images.shape
    guard shape.count == 4, images.elementType == .uint8, !shape.contains(0) else {
      throw ArgumentError("images", "\(images.elementType.rawValue) of shape \(shape) is not N×C×H×W uint8")
    }
    let (channels, area) = (shape[1], shape[2] * shape[3])
    var sums = [UInt64](repeating: 0, count: channels)
    var squares = sums
    try images.forEachPart { part in
      part.withUnsafeBufferPointer { bytes in
        for plane in 0..<(bytes.count / area) {
          var (sum, square): (UInt64, UInt64) = (0, 0)
          for pixel in bytes[(plane * area)..<((plane + 1) * area)] {
            sum &+= UInt64(pixel)
            square &+= UInt64(pixel) &* UInt64(pixel)
          }
          sums[plane % channels] += sum
          squares[plane % channels] += square
        }
      }
    }
    let count = Double(shape[0] * area)
    let means = sums.map { Double($0) / count / 255 }
    let deviations = zip(means, squares).map { mean, square in
      max(0, Double(square) / count / (255 * 255) - mean * mean).squareRoot()
    }
    self.init(means: means, deviations: deviations)
  }

  /// A byte becomes byte·scale + offset, which has mean 0 and deviation 1 over the set. A channel that never
  /// changes becomes 0.
  var scales: [Float] { deviations.map { $0 > 0 ? Float(1 / (255 * $0)) : 0 } }
  var offsets: [Float] { zip(means, deviations).map { $1 > 0 ? Float(-$0 / $1) : 0 } }
}
