import ResLensResults
import ResLensNetworks
import ResLensTasks
import ResLensTorch

/// A way to read predictions off a hidden state, as if the network ended there.
public protocol Lens {
  /// The reason why the lens cannot read the state that enters or leaves a step; nil where it can.
  /// - Parameter shape: the shape of one sample's state
  func obstacle(inStage stage: Int, shape: [Int]) -> String?

  /// Reads a batch of states.
  /// - Parameters:
  ///   - h: N×C×H×W
  ///   - labels: N, int64
  func read(_ h: Tensor, labels: Tensor) throws -> any LensReading
}

/// What a lens reads off a batch of states.
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

/// The network's own readout, applied to any state of the last stage's shape (appendix C: "plugging the classifier right
/// after each hidden representation"; others call it the logit lens).
public struct ReadoutLens: Lens {
  private let network: ResidualNetwork
  private let task: any LearningTask
  private let last: Int

  /// - Parameter task: scores what the readout makes of a state
  public init(_ network: ResidualNetwork, task: any LearningTask = ImageClassification()) {
    (self.network, self.task) = (network, task)
    last = network.architecture.stages.count - 1
  }

  public func obstacle(inStage stage: Int, shape: [Int]) -> String? {
    stage == last ? nil : Self.obstacle(in: network.architecture)
  }

  /// Why the readout cannot read a state before the last stage.
  static func obstacle(in architecture: Architecture) -> String {
    "the readout takes an h of \(architecture.features.map(String.init).joined(separator: "×")), the shape of the last stage, only"
  }

  public func read(_ h: Tensor, labels: Tensor) throws -> any LensReading {
    try ReadoutReading(PluggedHead(network, on: h), task, labels)
  }
}

/// A state as the network's own readout reads it.
private final class ReadoutReading: LensReading {
  let outputs: Tensor
  private let output: OutputGradient
  private var state: State

  private enum State {
    /// What the way back needs.
    case read(PluggedHead)
    case goneBack(gradient: Tensor)
  }

  init(_ head: PluggedHead, _ task: any LearningTask, _ labels: Tensor) throws {
    outputs = head.logits
    output = try task.outputGradient(head.logits, labels, samplesAreIndependent: true)
    state = .read(head)
  }

  var predictions: Predictions { output.predictions }
  var errorProbabilities: [Double] { output.factors }

  func gradient() throws -> Tensor {
    switch state {
    case .goneBack(let gradient): return gradient
    case .read(let head):
      let gradient = try head.backward(output.gradient)
      state = .goneBack(gradient: gradient)
      return gradient
    }
  }
}
