import ResidualNetworks
import Results

/// A measure by the name that it has in `measures.json` and on the command line.
public enum MeasureName: String, CaseIterable, Sendable {
  case cosineLoss = "cosine-loss"
  case l2Ratio = "l2-ratio"
  case firstOrder = "first-order"
  case intermediate, borderline
  case droppedStep = "dropped-step"
  case unrolling, lesions
  case activationNorm = "activation-norm"
  case gradientNorm = "gradient-norm"

  /// The measures that are recorded during training by default: numbers for each step that need no pass of their own.
  public static let ridingOnTraining = [
    cosineLoss, l2Ratio, firstOrder, intermediate, activationNorm, gradientNorm,
  ]

  /// The measures that exist in training mode: they need only the network's own pass.
  public static let inTrainingMode: Set = [cosineLoss, l2Ratio, activationNorm, gradientNorm]
}

/// Which measures a `MeasureSuite` takes, and how.
public struct MeasureOptions: Sendable {
  /// The measures to take.
  public var names: Set<MeasureName>
  /// By which statistics the network runs; in training mode only `MeasureName.inTrainingMode` can be measured.
  public var mode = MeasureMode.evaluation
  /// An example is borderline where |p_y − max_{k≠y} p_k| is below this.
  public var margin = 0.1
  /// Along how many of the last steps borderline examples are followed; five, or as many as the head can read, where it
  /// is nil.
  public var lastSteps: Int?
  /// How a step is repeated past its training.
  public var unrolling = Unrolling()
  /// Which lesions, on how many samples.
  public var lesions = LesionScores.Options(samples: 2000)

  public init(names: Set<MeasureName>) { self.names = names }

  /// The step that an unrolling repeats; nil where none was named and the last one changes h's shape.
  func repeatedStep(in architecture: Architecture) -> Int? {
    let steps = architecture.steps
    return unrolling.step ?? (steps.last?.name.projection == false ? steps.count : nil)
  }

  /// Which step is repeated, how often and how.
  public struct Unrolling: Sendable {
    /// The number of the repeated step, from 1; the last one where it is nil.
    public var step: Int?
    /// How many steps are added.
    public var times = 20
    /// The factor of the added steps' F, which is tried beside 1.
    public var scale = Scale.chosen(from: Scale.grid)
    /// On how many train batches each added step's own running statistics are taken; nil to use the block's.
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

    /// The scales to choose from by default.
    public static let grid = [1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01]

    var candidates: [Double] {
      switch self {
      case .given(let scale): [scale]
      case .chosen(let grid): grid
      }
    }
  }

  /// Samples of a batch on which statistics are taken anew.
  public static let recalibrationBatch = 128
}
