import ResLensNetworks
import ResLensTorch

/// A lens by which samples can leave a network early: it reads outputs alone, at a known cost.
public protocol ExitLens: Lens {
  /// The outputs that the lens reads off a batch of states, N×K.
  /// - Parameters:
  ///   - h: N×C×H×W
  ///   - place: one without an obstacle
  func outputs(of h: Tensor, at place: StatePlace) throws -> Tensor

  /// The multiply-accumulates of reading one state of a place.
  func multiplyAccumulates(at place: StatePlace) -> Int
}

extension ReadoutLens: ExitLens {
  public func outputs(of h: Tensor, at place: StatePlace) throws -> Tensor { try network.classify(h) }

  public func multiplyAccumulates(at place: StatePlace) -> Int { network.architecture.readoutMultiplyAccumulates }
}

extension TrainedLens: ExitLens {
  public func outputs(of h: Tensor, at place: StatePlace) throws -> Tensor {
    let tape = Tape(mode: .running, records: false)
    let result = try tape.result(of: mapped(tape.input(h), at: place))
    return switch kind {
    case .linear: try result.flattened()
    case .affine: try network.classify(result)
    }
  }

  public func multiplyAccumulates(at place: StatePlace) -> Int {
    let architecture = network.architecture
    switch kind {
    case .linear: return place.shape[0] * architecture.classes
    case .affine:
      return place.shape[0] * architecture.features.reduce(1, *) + architecture.readoutMultiplyAccumulates
    }
  }
}
