import ResLensNetworks
import ResLensResults
import ResLensTasks
import ResLensTorch

/// A way to read predictions off a hidden state, as if the network ended there.
public protocol Lens {
  /// The reason why the lens cannot read the states of a place; nil where it can.
  func obstacle(to place: StatePlace) -> String?

  /// Reads a batch of states.
  /// - Parameters:
  ///   - h: N×C×H×W
  ///   - place: one without an obstacle
  ///   - labels: N, int64
  func read(_ h: Tensor, at place: StatePlace, labels: Tensor) throws -> any LensReading
}

/// A place in a network where there is a hidden state.
public struct StatePlace: Hashable, Sendable {
  /// The number of steps that are made before the state, 0 for the stem's output; nil for what a pooling or a projection
  /// makes of a state.
  public var steps: Int?
  /// The stage, counted from 0.
  public var stage: Int
  /// The shape of one sample's state: channels, height, width.
  public var shape: [Int]

  public init(steps: Int?, stage: Int, shape: [Int]) { (self.steps, self.stage, self.shape) = (steps, stage, shape) }

  /// The state that a step makes.
  public init(after step: StepSpec) { self.init(steps: step.id.number, stage: step.stage, shape: step.output) }

  /// The state that a step's F is added to: the one before the step, or what a projection makes of it.
  public init(before step: StepSpec, of architecture: Architecture) {
    let isPooled = step.block == 0 && step.use == 0 && architecture.pools(into: step.stage)
    self.init(
      steps: step.hasIdentitySkip && !isPooled ? step.id.number - 1 : nil, stage: step.stage, shape: step.output)
  }
}

/// A lens's reading of a batch of states.
public protocol LensReading: AnyObject {
  /// The outputs that the predictions are made of, N×K: for a classifier the logits.
  var outputs: Tensor { get }
  /// The loss, entropy, margin and predicted class of each sample.
  var predictions: Predictions { get }
  /// 1 − p_y of each sample, y being its class.
  var errorProbabilities: [Double] { get }
  /// ∂u_n/∂h_n of each sample n, N×C×H×W, where u is the log-odds against the sample's class; computed when first asked
  /// for. ∂L_n/∂h_n is that times the sample's error probability.
  func gradient() throws -> Tensor
}

/// Outputs that a lens computed from a state, and the way back to it.
final class OutputReading: LensReading {
  let outputs: Tensor
  private let output: OutputGradient
  private var state: State

  private enum State {
    /// Goes back from a gradient at the outputs to the state; it keeps what that needs.
    case read(back: (Tensor) throws -> Tensor)
    case goneBack(gradient: Tensor)
  }

  /// - Parameter back: makes the gradient at the state of one at the outputs; it is called once at most
  init(
    _ outputs: Tensor, _ task: any LearningTask, _ labels: Tensor, back: @escaping (Tensor) throws -> Tensor
  ) throws {
    self.outputs = outputs
    output = try task.outputGradient(outputs, labels, samplesAreIndependent: true)
    state = .read(back: back)
  }

  var predictions: Predictions { output.predictions }
  var errorProbabilities: [Double] { output.factors }

  func gradient() throws -> Tensor {
    switch state {
    case .goneBack(let gradient): return gradient
    case .read(let back):
      let gradient = try back(output.gradient)
      state = .goneBack(gradient: gradient)
      return gradient
    }
  }
}
