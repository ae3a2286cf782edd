import ResLensNetworks
import ResLensResults

/// Which measures are taken, and how.
public struct MeasureOptions: Sendable {
  /// The names of the measures.
  public var names: Set<String>
  /// The statistics by which batch normalisations run.
  public var batchNorm = BatchNormStatistics.running
  /// The kind of trained lens that reads the states; nil for the network's own readout.
  public var lens: LensKind?
  /// An example is borderline where |p_y − max_{k≠y} p_k| is below this.
  public var margin = 0.1
  /// The number of last steps along which borderline examples are followed; five, or as many as the readout can read, where
  /// it is nil.
  public var lastSteps: Int?
  /// How a step is repeated past its training.
  public var unrolling = Unrolling()
  /// The number of samples, the first ones, of which spectral radii are taken.
  public var spectralSamples = 256
  /// Which lesions, on how many samples.
  public var lesions = LesionScores.Options(samples: 2000)

  public init(names: Set<String>) { self.names = names }

  /// The way in which the network is measured.
  public var way: MeasuringWay {
    if let lens { .lens(lens) } else { batchNorm == .batch ? .batchStatistics : .usual }
  }

  /// The step that an unrolling repeats; nil where none was named and the last one changes h's shape.
  func repeatedStep(in architecture: Architecture) -> Int? {
    let steps = architecture.steps
    return unrolling.step ?? (steps.last?.hasIdentitySkip == true ? steps.count : nil)
  }

  /// Which step is repeated, how often and how.
  public struct Unrolling: Sendable {
    /// The number of the repeated step, from 1; the last one where it is nil.
    public var step: Int?
    /// How many steps are added.
    public var times = 20
    /// The factor of the added steps' F, which is tried beside 1.
    public var scale = Scale.chosen(from: Scale.grid)
    /// The number of train batches on which each added step's own running statistics are taken; nil to use the block's.
    public var recalibrationBatches: Int?

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
