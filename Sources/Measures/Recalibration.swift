import ResLensNetworks
import ResLensTorch

/// The train images on which running statistics are recalibrated.
public struct Recalibration {
  /// The number of batches, from the first image on.
  public let batches: Int
  private let samples: Samples

  /// The number of images in a batch.
  public static let batch = 128

  /// - Throws: `MeasureError` where there are fewer images than the batches have.
  public init(batches: Int, on samples: Samples) throws(MeasureError) {
    try Self.check(batches: batches, images: samples.set.count)
    (self.batches, self.samples) = (batches, samples)
  }

  /// - Throws: `MeasureError` where there are fewer images than the batches have.
  static func check(batches: Int, images: Int) throws(MeasureError) {
    let most = images / batch
    guard batches < 1 || batches > most else { return }
    throw MeasureError(
      option: "recalibrate",
      problem: "\(batches) is not between 1 and \(most), the batches of \(batch) train images")
  }

  /// The network with all statistics that some plans name and that it lacks.
  /// - Parameter beforeBatch: called before every batch
  func applied(
    to network: ResidualNetwork, for plans: [Plan], beforeBatch: () throws -> Void = {}
  ) throws -> ResidualNetwork {
    try network.recalibrated(for: plans, batches: batches) { index in
      try beforeBatch()
      return try samples.maker.batch(samples.set, index * Self.batch..<(index + 1) * Self.batch).images
    }
  }
}
