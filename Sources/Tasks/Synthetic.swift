import Foundation
import ResLensSupport
import ResLensTorch

/// The embedded data set: ten shapes of random place, size, tilt and colour over a noisy background with
/// distractors. Drawn from a seed, so that it needs no download; hard enough that a small network errs.
public enum Synthetic {
  /// Its ten shapes, in the order of their labels.
  public static let classNames = [
    "disc", "ring", "square", "frame", "triangle", "cross", "bars", "crescent", "half-disc", "corner",
  ]
  static let side = 32

  /// - Parameters:
  ///   - train: how many images to train on
  ///   - validation: how many to judge by
  /// - Throws: `ArgumentError` for fewer than one of either.
  public static func dataset(seed: UInt64 = 0, train: Int = 6000, validation: Int = 2000) throws -> ImageDataset {
    try ImageDataset(
      name: "synthetic", classNames: classNames,
      train: draw(train, RandomStream(seed: seed, name: "synthetic train")),
      validation: draw(validation, RandomStream(seed: seed, name: "synthetic validation")))
  }

  private static func draw(_ count: Int, _ stream: RandomStream) throws -> ImageSet {
    try ArgumentError.check("count", count, in: 1...10_000_000)
    var pixels = [UInt8](repeating: 0, count: count * 3 * side * side)
    let labels = try (0..<count).map { try stream.integer($0, below: classNames.count) }
    pixels.withUnsafeMutableBufferPointer { pixels in
      for (index, label) in labels.enumerated() {
        var painter = Painter(stream.stream(count + index))
        let image = UnsafeMutableBufferPointer(
          rebasing: pixels[(index * 3 * side * side)..<((index + 1) * 3 * side * side)])
        painter.paint(label, into: image)
      }
    }
    return try ImageSet(pixels: pixels, labels: labels, channels: 3, height: side, width: side)
  }
}

/// Draws one image.
private struct Painter {
  private let stream: RandomStream
  private var drawn = 0

  init(_ stream: RandomStream) { self.stream = stream }

  private mutating func uniform(_ low: Double, _ high: Double) -> Double {
    drawn += 1
    return low + (high - low) * stream.uniform(drawn)
  }

  private mutating func colour() -> SIMD3<Double> { SIMD3(uniform(0, 1), uniform(0, 1), uniform(0, 1)) }

  mutating func paint(_ label: Int, into image: UnsafeMutableBufferPointer<UInt8>) {
    let side = Synthetic.side
    let area = side * side
    let corners = (colour(), colour(), colour())
    let background = { (x: Double, y: Double) in
      corners.0 + (corners.1 - corners.0) * x + (corners.2 - corners.0) * y
    }
    var figures: [Figure] = []
    for _ in 0..<3 {
      // Distractors: parts of the shapes, too small to be the subject.
      figures.append(
        Figure(
          label: Int(uniform(0, 10)), x: uniform(0, 32), y: uniform(0, 32), size: uniform(2, 4),
          turn: uniform(0, 2 * .pi), colour: colour(), opacity: uniform(0.4, 0.9)))
    }
    var paint = colour()
    let behind = background(0.5, 0.5)
    let contrast = (((paint - behind) * (paint - behind)).sum()).squareRoot()
    // A shape of its background's colour could not be seen at all.
    if contrast < 0.5 { paint = behind + (behind.sum() > 1.5 ? -0.4 : 0.4) }
    figures.append(
      Figure(
        label: label, x: uniform(10, 22), y: uniform(10, 22), size: uniform(6.5, 11), turn: uniform(-0.8, 0.8),
        colour: paint, opacity: uniform(0.7, 1)))
    let noise = uniform(0.03, 0.12)
    for y in 0..<side {
      for x in 0..<side {
        let (px, py) = (Double(x) + 0.5, Double(y) + 0.5)
        var value = background(px / Double(side), py / Double(side))
        for figure in figures {
          let cover = figure.coverage(px, py)
          if cover > 0 { value += (figure.colour - value) * cover }
        }
        for channel in 0..<3 {
          // The sum of three uniform numbers: near enough to a normal one.
          let grain = uniform(-1, 1) + uniform(-1, 1) + uniform(-1, 1)
          let level = min(1, max(0, value[channel] + noise * grain))
          image[channel * area + y * side + x] = UInt8((level * 255).rounded())
        }
      }
    }
  }
}

/// A shape in the image's coordinates.
private struct Figure {
  var label: Int
  var x: Double
  var y: Double
  /// Pixels from the centre to about the edge.
  var size: Double
  var turn: Double
  var colour: SIMD3<Double>
  var opacity: Double

  /// How much of the pixel at (px, py) it covers, 0 … opacity.
  func coverage(_ px: Double, _ py: Double) -> Double {
    let (dx, dy) = (px - x, py - y)
    guard dx * dx + dy * dy < 2.2 * size * size else { return 0 }
    let (sine, cosine) = (sin(turn), cos(turn))
    let distance = Self.distance(label, (cosine * dx + sine * dy) / size, (cosine * dy - sine * dx) / size) * size
    return min(1, max(0, 0.5 - distance)) * opacity
  }

  /// About how far (x, y) is outside shape `label` of size 1; negative inside.
  private static func distance(_ label: Int, _ x: Double, _ y: Double) -> Double {
    let radius = (x * x + y * y).squareRoot()
    let box = max(abs(x), abs(y))
    switch label {
    case 0: return radius - 0.85
    case 1: return abs(radius - 0.7) - 0.2
    case 2: return box - 0.75
    case 3: return abs(box - 0.64) - 0.18
    case 4: return max(y - 0.55, abs(x) * 0.866 - y * 0.5 - 0.5)
    case 5: return min(max(abs(x) - 0.24, abs(y) - 0.9), max(abs(x) - 0.9, abs(y) - 0.24))
    case 6: return max(abs(abs(y) - 0.45) - 0.2, abs(x) - 0.85)
    case 7: return max(radius - 0.85, 0.7 - ((x - 0.45) * (x - 0.45) + y * y).squareRoot())
    case 8: return max(radius - 0.95, y - 0.1)
    default: return max(box - 0.8, min(-x, y) - -0.3)
    }
  }
}
