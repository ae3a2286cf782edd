/// A family of ResNets, whose files differ in the names of their tensors.
protocol ResNetFamily: WeightFamily {
  /// The names of the layers.
  static var names: any ResNetNames { get }
  /// The structure that neither names nor shapes tell.
  static var form: HeNetwork.Form { get }
}

extension ResNetFamily {
  static var form: HeNetwork.Form { HeNetwork.Form() }

  static func architecture(_ shapes: [String: [Int]], input: Architecture.Input) throws -> Architecture? {
    try HeNetwork(shapes, names)?.architecture(input: input, form)
  }

  static func foreignName(of path: String, in architecture: Architecture) -> String {
    names.name(of: path, in: architecture)
  }
}
