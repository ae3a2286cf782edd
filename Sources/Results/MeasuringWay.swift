/// A kind of lens that is trained for every state of a network.
public enum LensKind: String, Codable, CaseIterable, Sendable {
  /// Logits of the state's mean over pixels by multinomial logistic regression: a linear probe (Alain & Bengio 2016,
  /// "Understanding intermediate layers using linear classifier probes").
  case linear
  /// The state, pooled to the grid of the network's readout and mapped affinely to its channels, as that readout reads it:
  /// the tuned lens (Belrose et al. 2023, "Eliciting Latent Predictions from Transformers with the Tuned Lens").
  case affine
}

/// The way in which a network is measured. The results of each way have a file of their own.
public enum MeasuringWay: Hashable, Sendable, CaseIterable {
  /// By running statistics, with states read by the network's own readout.
  case usual
  /// With batch normalisation by each batch's own statistics.
  case batchStatistics
  /// By running statistics, which are recalibrated behind everything that a measure alters in the network.
  case recalibrated
  /// By running statistics, with states read by a trained lens.
  case lens(LensKind)

  /// The usual way, then the others.
  public static let allCases: [MeasuringWay] =
    [.usual, .batchStatistics, .recalibrated] + LensKind.allCases.map(Self.lens)

  /// The way by these statistics, with states read by the network's own readout.
  public init(by batchNorm: BatchNormStatistics) { self = batchNorm == .batch ? .batchStatistics : .usual }

  /// The option of `reslens measure` that measures in this way; nil for the usual one.
  public var option: String? {
    switch self {
    case .usual: nil
    case .batchStatistics: "--batch-norm batch"
    case .recalibrated: "--recalibrate B"
    case .lens(let kind): "--lens \(kind.rawValue)"
    }
  }

  /// The end of the name of what belongs to this way: empty for the usual one.
  public var suffix: String {
    switch self {
    case .usual: ""
    case .batchStatistics: "-batch"
    case .recalibrated: "-recalibrated"
    case .lens(let kind): "-\(kind.rawValue)"
    }
  }
}

/// The running statistics that were recalibrated on so many batches, in words.
public func recalibratedStatistics(on batches: Int) -> String {
  "running statistics recalibrated on \(batches == 1 ? "one batch" : "\(batches) batches")"
}

extension MeasureResults {
  /// The trained lens that read the states.
  public struct Lens: Codable, Equatable, Sendable {
    /// Its kind.
    public var kind: LensKind
    /// SHA-256 of its maps.
    public var maps: String

    public init(kind: LensKind, maps: String) { (self.kind, self.maps) = (kind, maps) }
  }

  /// The way in which the network was measured.
  public var way: MeasuringWay {
    if let lens { return .lens(lens.kind) }
    if batchNorm == .batch { return .batchStatistics }
    return recalibrationBatches == nil ? .usual : .recalibrated
  }
}
