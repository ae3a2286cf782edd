import ResLensNetworks
import ResLensTasks
import ResLensTorch

/// The network's own readout, applied to any state of the last stage's shape (appendix C: "plugging the classifier right
/// after each hidden representation"; others call it the logit lens).
public struct ReadoutLens: Lens {
  let network: ResidualNetwork
  private let task: any LearningTask

  /// - Parameter task: scores what the readout makes of a state
  public init(_ network: ResidualNetwork, task: any LearningTask = ImageClassification()) {
    (self.network, self.task) = (network, task)
  }

  public func obstacle(to place: StatePlace) -> String? { Self.obstacle(to: place, in: network.architecture) }

  /// The reason why the readout of a network of this architecture cannot read the states of a place; nil where it can.
  static func obstacle(to place: StatePlace, in architecture: Architecture) -> String? {
    place.stage == architecture.stages.count - 1 ? nil : limit(in: architecture)
  }

  /// The reason why the readout cannot read a state before the last stage.
  static func limit(in architecture: Architecture) -> String {
    let shape = architecture.features.map(String.init).joined(separator: "×")
    return "the readout takes an h of \(shape), the shape of the last stage, only"
  }

  public func read(_ h: Tensor, at place: StatePlace, labels: Tensor) throws -> any LensReading {
    let head = try PluggedHead(network, on: h)
    return try OutputReading(head.logits, task, labels, back: head.backward)
  }
}
