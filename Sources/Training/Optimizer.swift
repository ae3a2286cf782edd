import ResLensSupport
import ResLensNetworks
import ResLensTorch

/// Momentum SGD over a network's trainable parameters.
struct Optimizer {
  /// By parameter path.
  let velocities: [String: Tensor]
  private let recipe: Recipe
  private let groups: [Group]

  private struct Group {
    let decay: Double
    var paths: [String] = []
    var parameters: [Tensor] = []
    var velocities: [Tensor] = []

    mutating func append(_ path: String, _ parameter: Tensor, _ velocity: Tensor) {
      paths.append(path)
      parameters.append(parameter)
      velocities.append(velocity)
    }
  }

  /// - Parameter stored: velocities to go on from; they start at 0 where it is nil
  init(_ network: ResidualNetwork, _ recipe: Recipe, stored: [String: Tensor]? = nil) throws {
    self.recipe = recipe
    var velocities: [String: Tensor] = [:]
    var weights = Group(decay: recipe.weightDecay)
    var others = Group(decay: recipe.decayWeightsOnly ? 0 : recipe.weightDecay)
    for specification in network.architecture.parameters where specification.isTrainable {
      let parameter = try network.parameters.required(specification.path)
      let velocity = try (stored?.required(specification.path) ?? .zeros(specification.shape, parameter.elementType))
        .moved(to: parameter.device)
      guard velocity.shape == specification.shape, velocity.elementType == parameter.elementType else {
        throw ParameterError(
          path: specification.path,
          problem: "its stored velocity is \(velocity.elementType.rawValue) of shape \(velocity.shape)")
      }
      velocities[specification.path] = velocity
      if case .weight = specification.role {
        weights.append(specification.path, parameter, velocity)
      } else {
        others.append(specification.path, parameter, velocity)
      }
    }
    self.velocities = velocities
    groups = [weights, others]
  }

  /// - Parameters:
  ///   - rate: 1
  ///   - skip: 1, float32: 1 where nothing is to be learnt
  func step(_ gradients: Gradients, rate: Tensor, unless skip: Tensor) throws {
    for group in groups {
      try MomentumSGD.step(
        parameters: group.parameters, gradients: group.paths.map { try gradients.byPath.required($0) },
        velocities: group.velocities, rate: rate, momentum: recipe.momentum, decay: group.decay,
        nesterov: recipe.nesterov, unless: skip)
    }
  }
}
