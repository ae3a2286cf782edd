import ResLensNetworks
import ResLensResults

/// The measures that are taken, and how.
public struct MeasureOptions: Sendable {
  /// The names of the measures.
  public var names: Set<String>
  /// The way in which the network is measured.
  public var way = MeasuringWay.usual
  /// An example is borderline where |p_y − max_{k≠y} p_k| is below this.
  public var margin = 0.1
  /// The number of last steps along which borderline examples are followed; five, or as many as the readout can read, where
  /// it is nil.
  public var lastSteps: Int?
  /// The number of train batches on which running statistics are recalibrated: each added step's of an unrolling, and by the
  /// way `recalibrated` those behind what measures alter; nil to keep the trained ones.
  public var recalibrationBatches: Int?
  /// How a step is repeated past its training.
  public var unrolling = Unrolling()
  /// The number of samples, the first ones, of which spectral radii are taken.
  public var spectralSamples = 256
  /// The lesions, and the number of samples.
  public var lesions = LesionScores.Options(samples: 2000)

  public init(names: Set<String>) { self.names = names }

  /// The statistics by which batch normalisations run.
  public var batchNorm: BatchNormStatistics { way == .batchStatistics ? .batch : .running }

  /// The kind of trained lens that reads the states; nil for the network's own readout.
  public var lens: LensKind? { if case .lens(let kind) = way { kind } else { nil } }

  /// The step that an unrolling repeats; nil where none was named and the last one changes h's shape.
  func repeatedStep(in architecture: Architecture) -> Int? {
    let steps = architecture.steps
    return unrolling.step ?? (steps.last?.hasIdentitySkip == true ? steps.count : nil)
  }

  /// The step that is repeated, how often and how.
  public struct Unrolling: Sendable {
    /// The number of the repeated step, from 1; the last one where it is nil.
    public var step: Int?
    /// How many steps are added.
    public var times = 20
    /// The factor of the added steps' F, which is tried beside 1.
    public var scale = Scale.chosen(from: Scale.grid)

    public init() {}
  }

  /// α of the added steps.
  public enum Scale: Equatable, Sendable {
    /// This one; finite and not 0.
    case given(Double)
    /// The scale among these with the lowest mean training loss over the added steps; the first one of several equal
    /// scales.
    case chosen(from: [Double])

    /// Why a number cannot be a scale, in a clause; nil where it can.
    public static func problem(of scale: Double) -> String? {
      scale.isFinite && scale != 0 ? nil : "\(scale) is not a finite number other than 0"
    }

    /// The scales to choose from by default.
    public static let grid = [1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01]

    var candidates: [Double] {
      switch self {
      case .given(let scale): [scale]
      case .chosen(let grid): grid
      }
    }
  }
}
