import Foundation
import ResLensNetworks
import ResLensResults
import ResLensSupport
import ResLensTasks
import ResLensTorch

/// A lens with a map of its own for the state after every step, and for the stem's output.
///
/// By a linear lens the logits are an affine map of the state's mean over pixels. By an affine lens the state is pooled to
/// the grid of the network's readout, each pixel is mapped affinely to its channels, and the network's own readout reads
/// the result. `LensFitting` fits both.
public final class TrainedLens: Lens {
  /// The kind of the maps.
  public let kind: LensKind
  let network: ResidualNetwork
  private let task: any LearningTask
  /// The maps by the number of steps before the state.
  let maps: [Int: Map]

  /// An affine map of C numbers to D.
  struct Map {
    /// D×C×1×1
    let weight: Tensor
    /// D
    let bias: Tensor
  }

  /// The lens with its maps on another device, where its network is.
  public func moved(to device: Device) throws -> TrainedLens {
    TrainedLens(
      kind, try maps.mapValues { Map(weight: try $0.weight.moved(to: device), bias: try $0.bias.moved(to: device)) },
      of: network, task: task)
  }

  init(
    _ kind: LensKind, _ maps: [Int: Map], of network: ResidualNetwork, task: any LearningTask = ImageClassification()
  ) {
    (self.kind, self.maps, self.network, self.task) = (kind, maps, network, task)
  }

  /// The places of all states that the lens of a network of this architecture reads.
  static func places(_ kind: LensKind, in architecture: Architecture) -> [StatePlace] {
    let stem = StatePlace(steps: 0, stage: 0, shape: architecture.h0)
    return ([stem] + architecture.steps.map(StatePlace.init(after:))).filter {
      obstacle(to: $0, of: kind, in: architecture) == nil
    }
  }

  public func obstacle(to place: StatePlace) -> String? { Self.obstacle(to: place, of: kind, in: network.architecture) }

  /// The reason why a lens of a network of this architecture cannot read the states of a place; nil where it can.
  static func obstacle(to place: StatePlace, of kind: LensKind, in architecture: Architecture) -> String? {
    guard let steps = place.steps, (0...architecture.steps.count).contains(steps) else {
      return "a trained lens reads the states between steps, not what a pooling or a projection makes of one"
    }
    guard kind == .affine, window(over: place.shape, in: architecture) == nil else { return nil }
    let (own, grid) = (place.shape.dropFirst(), architecture.features.dropFirst())
    func text(_ sizes: some Sequence<Int>) -> String { sizes.map(String.init).joined(separator: "×") }
    return "an h of \(text(own)) pixels cannot be pooled to the readout's \(text(grid))"
  }

  /// The size of the windows by which a state is pooled to the grid of the readout; nil where none fits.
  /// - Parameter shape: C, H, W
  static func window(over shape: [Int], in architecture: Architecture) -> Int? {
    let grid = architecture.features
    let size = shape[1] / grid[1]
    return size >= 1 && shape[1] == size * grid[1] && shape[2] == size * grid[2] ? size : nil
  }

  /// The part of a state that the map is applied to: its mean over pixels, or each pixel of the readout's grid.
  static func features(of h: Tape.Value, _ kind: LensKind, in architecture: Architecture) throws -> Tape.Value {
    switch kind {
    case .linear: return try h.pixelMean()
    case .affine:
      guard let size = window(over: Array(h.shape.dropFirst()), in: architecture) else {
        throw MeasureError(option: "lens", problem: "a state of shape \(h.shape) does not fit the readout")
      }
      return size == 1 ? h : try h.pooled(by: size)
    }
  }

  public func read(_ h: Tensor, at place: StatePlace, labels: Tensor) throws -> any LensReading {
    let tape = Tape(mode: .running, records: true)
    let state = try tape.input(h)
    let mapped = try mapped(state, at: place)
    let result = try tape.result(of: mapped)
    func toState(_ gradient: Tensor) throws -> Tensor {
      try tape.gradients(of: mapped, gradient, for: [state], wantsParameters: false).values[0]
    }
    switch kind {
    case .linear:
      return try OutputReading(result.flattened(), task, labels) { try toState($0.unflattened(like: result)) }
    case .affine:
      let head = try PluggedHead(network, on: result)
      return try OutputReading(head.logits, task, labels) { try toState(head.backward($0)) }
    }
  }

  /// A state through the map of its place: logits of each sample (N×K×1×1), or what the readout reads.
  func mapped(_ state: Tape.Value, at place: StatePlace) throws -> Tape.Value {
    guard let map = place.steps.flatMap({ maps[$0] }) else {
      throw MeasureError(option: "lens", problem: obstacle(to: place) ?? "the lens lacks the state after that step")
    }
    return try Self.features(of: state, kind, in: network.architecture).convolved(
      state.tape.input(map.weight), bias: state.tape.input(map.bias), padding: 0)
  }
}
