import ResLensTorch

/// The layers that make h_0 of the images: one or more convolutions. BatchNorm and ReLU follow every convolution but the
/// last, and the last too where the architecture says so; it can have a maximum pooling at the end.
struct ConvolutionStem {
  private let units: [Unit]
  private let pools: Bool
  /// The shape of one sample's h_0: channels, height, width.
  let output: [Int]

  /// A convolution, and BatchNorm with ReLU unless `norm` is nil.
  private struct Unit {
    let convolution: ConvolutionLayer
    let norm: BatchNormLayer?

    init(
      _ scope: ParameterScope, _ name: String, of shape: [Int], _ stem: Architecture.Stem, outputs: Int, stride: Int,
      isNormed: Bool
    ) throws {
      convolution = try scope.convolution(
        name, of: shape, outputs: outputs, kernel: stem.kernel ?? 3, stride: stride, hasBias: stem.bias ?? true)
      norm = isNormed ? try scope.batchNorm(name + ".norm", of: convolution.output) : nil
    }
  }

  /// The tensors that the backward pass needs.
  struct Tape {
    fileprivate var units: [UnitTape] = []
    /// The input of the pooling, and where its largest elements were; nil without one.
    fileprivate var pooled: (input: Tensor, indices: Tensor)?
  }

  fileprivate struct UnitTape {
    let input: Tensor
    /// The output of the convolution, and the parameters and statistics of its normalisation; nil without one.
    var normed: (input: Tensor, norm: NormReLU.Parameters, statistics: NormReLU.BatchStatistics?)?
  }

  /// - Parameter scope: the network's own, with the shape of one image
  init(_ scope: ParameterScope, _ stem: Architecture.Stem) throws {
    var (units, shape): ([Unit], [Int]) = ([], scope.input)
    let stride = stem.stride ?? 1
    for (index, width) in (stem.before ?? []).enumerated() {
      let unit = try Unit(
        scope, "stem.before.\(index)", of: shape, stem, outputs: width, stride: index == 0 ? stride : 1, isNormed: true)
      units.append(unit)
      shape = unit.convolution.output
    }
    units.append(
      try Unit(
        scope, "stem", of: shape, stem, outputs: stem.width, stride: units.isEmpty ? stride : 1,
        isNormed: stem.norm == true))
    self.units = units
    pools = stem.pool == true
    output = [stem.width] + scope.input.dropFirst().map(stem.edge)
  }

  /// h_0 of images N×C×H×W.
  func forward(_ images: Tensor, mode: NormMode) throws -> (h: Tensor, tape: Tape) {
    var (h, tape) = (images, Tape())
    for unit in units {
      var kept = UnitTape(input: h)
      h = try unit.convolution.forward(h)
      if let norm = try unit.norm?.parameters() {
        let found = try NormReLU.forward(h, norm, by: mode)
        kept.normed = (h, norm, found.statistics)
        h = found.output
      }
      tape.units.append(kept)
    }
    guard pools else { return (h, tape) }
    let (largest, indices) = try Pooling.maximum(h, size: 3, stride: 2, padding: 1)
    tape.pooled = (h, indices)
    return (largest, tape)
  }

  /// The gradients of the parameters; `gradient` is ∂L/∂h_0.
  func backward(_ gradient: Tensor, _ tape: Tape, _ gradients: Gradients) throws {
    var gradient = gradient
    // The normalisations write into the memory of their gradients, and this one is the caller's.
    var isOwn = false
    if let pooled = tape.pooled {
      gradient = try Pooling.maximumBackward(
        gradient, input: pooled.input, indices: pooled.indices, size: 3, stride: 2, padding: 1)
      isOwn = true
    }
    for (index, (unit, kept)) in zip(units, tape.units).enumerated().reversed() {
      if let norm = unit.norm, let normed = kept.normed {
        let found = try NormReLU.backward(
          isOwn ? gradient : gradient.scaled(by: 1), input: normed.input, normed.norm, statistics: normed.statistics)
        try gradients.add(found.weight, norm.weight.path)
        try gradients.add(found.bias, norm.bias.path)
        gradient = found.input
      }
      let through = try unit.convolution.backward(gradient, input: kept.input, wantsInput: index > 0, gradients)
      guard index > 0 else { return }
      (gradient, isOwn) = (try through.wanted(), true)
    }
  }
}
