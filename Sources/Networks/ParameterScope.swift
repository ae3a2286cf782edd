import ResLensResults
import ResLensTorch

/// A stored tensor of a network, by its path; without its elements in a network that was built only to be counted.
public struct Parameter {
  /// For instance "stages.2.0.conv1.weight".
  public let path: String
  private let stored: Tensor?

  init(path: String, _ stored: Tensor?) { (self.path, self.stored) = (path, stored) }

  /// The tensor itself: writing into it changes the network.
  /// - Throws: `ParameterError` in a network that was built without tensors.
  public func tensor() throws -> Tensor {
    guard let stored else { throw ParameterError(path: path, problem: "this network was built without tensors") }
    return stored
  }

  /// The parameter as a value on a tape.
  public func callAsFunction(_ tape: Tape) throws -> Tape.Value { try tape.parameter(path, tensor()) }
}

/// The parameters of a network in the order in which its parts first asked for them, each once.
final class ParameterStore {
  private(set) var specifications: [ParameterSpecification] = []
  private var indices: [String: Int] = [:]
  private let tensors: [String: Tensor]?
  private var count = 0.0

  /// - Parameter tensors: by path; nil if the network is built only to be counted
  init(_ tensors: [String: Tensor]?) { self.tensors = tensors }

  func declare(_ specification: ParameterSpecification, field: String) throws -> Parameter {
    let path = specification.path
    if let index = indices[path] {
      guard specifications[index] == specification else {
        throw ArchitectureError(
          field: field,
          problem: "\(path) is declared twice, with shapes \(specifications[index].shape) and "
            + "\(specification.shape), or with unlike initial values")
      }
    } else {
      indices[path] = specifications.count
      specifications.append(specification)
      count += specification.shape.reduce(1.0) { $0 * Double($1) }
      // Counts stay far from what an Int holds.
      guard count < 1e18, specification.shape.allSatisfy({ $0 >= 1 }) else {
        throw ArchitectureError(field: field, problem: "\(path) cannot have the shape \(specification.shape)")
      }
    }
    return Parameter(path: path, try tensors.map { try $0.required(path) })
  }
}

/// The declarations of one part of a network: the stem, a step or the readout.
final class Declarations {
  /// Multiply-accumulates for one sample; at most what an Int holds.
  private(set) var macs = 0
  /// The paths of the trainable parameters that the part uses, each once.
  private(set) var trainable: [String] = []
  private var known: Set<String> = []
  fileprivate(set) var statistics: [RunningStatistics] = []
  /// True if the part's backward pass is libtorch's autograd.
  var isRecorded = false
  /// The numbers of one sample that convolutions and batch normalisations read.
  private var read = (byConvolutions: 0.0, byNorms: 0.0)
  /// About how many numbers of one sample the forward pass keeps for the backward pass: what convolutions read, or what
  /// the unit before them reads, which is as large. Autograd keeps what normalisations read too.
  var keptElements: Double { read.byConvolutions + (isRecorded ? read.byNorms : 0) }

  fileprivate func convolutionReads(_ shape: [Int]) { read.byConvolutions += shape.reduce(1) { $0 * Double($1) } }
  fileprivate func normReads(_ shape: [Int]) { read.byNorms += shape.reduce(1) { $0 * Double($1) } }

  fileprivate func use(_ path: String) { if known.insert(path).inserted { trainable.append(path) } }

  /// Counts the product of some numbers.
  fileprivate func count(_ factors: Int...) {
    let product = factors.reduce(1) { product, factor in
      let (result, overflow) = product.multipliedReportingOverflow(by: factor)
      return overflow ? .max : result
    }
    let (sum, overflow) = macs.addingReportingOverflow(product)
    macs = overflow ? .max : sum
  }
}

/// A place among a network's parameters, by its path, at which one part of the network declares its own. Asking for a
/// parameter declares it; asking for the same one again, as the later uses of a shared block do, gives the same one.
public struct ParameterScope {
  /// The shape of one sample's activations that come in: channels, height, width.
  public let input: [Int]
  private let root: String
  private let inner: String
  private let store: ParameterStore
  let declarations: Declarations
  /// The step whose scope this is; nil in the stem and the readout.
  private let place: StepSite?
  private let field: String

  /// A step that is being built.
  struct StepSite {
    let number: Int
    let stage: Int
    let block: Int
    let use: Int
    let sharing: Architecture.Sharing?
  }

  /// - Parameters:
  ///   - field: the architecture's field that messages name
  ///   - place: the step that declares; nil for other parts
  init(_ root: String, input: [Int], _ store: ParameterStore, field: String, place: StepSite? = nil) {
    self.init(root, inner: "", input: input, store, Declarations(), place, field)
  }

  private init(
    _ root: String, inner: String, input: [Int], _ store: ParameterStore, _ declarations: Declarations,
    _ place: StepSite?, _ field: String
  ) {
    (self.root, self.inner, self.input, self.store) = (root, inner, input, store)
    (self.declarations, self.place, self.field) = (declarations, place, field)
  }

  /// The path of this place, for instance "stages.2.0".
  public var path: String { root + inner }

  /// The place `name` below this one.
  public static func / (scope: ParameterScope, name: String) -> ParameterScope {
    ParameterScope(
      scope.root, inner: scope.path.isEmpty ? name : scope.inner + "." + name, input: scope.input, scope.store,
      scope.declarations, scope.place,
      scope.field)
  }

  /// The same place below the step's own use of a shared block.
  private var ofUse: ParameterScope {
    guard let place else { return self }
    return ParameterScope(
      "\(root).uses.\(place.use)", inner: inner, input: input, store, declarations, place, field)
  }

  /// The description of the step that this scope belongs to, with the costs of what has been declared so far.
  /// - Parameters:
  ///   - output: the shape of one sample's h after the step: channels, height, width
  ///   - hasIdentitySkip: whether the skip is h itself
  /// - Throws: `ArchitectureError` for a shape that is not possible.
  public func spec(output: [Int], hasIdentitySkip: Bool) throws -> StepSpec {
    guard let place else { throw refusal("spec can be called only in a step's scope") }
    guard output.count == 3, output.allSatisfy({ $0 >= 1 }) else { throw refusal("no h has the shape \(output)") }
    guard !hasIdentitySkip || output == input else {
      throw refusal(
        "the step changes the shape from \(shapeText(input)) to \(shapeText(output)) and needs a projection as its skip"
      )
    }
    return StepSpec(
      id: StepID(number: place.number, path: StepID.path(stage: place.stage, block: place.block, use: place.use)),
      stage: place.stage, block: place.block, use: place.use, input: input, output: output, macs: declarations.macs,
      hasIdentitySkip: hasIdentitySkip)
  }

  private func refusal(_ problem: String) -> ArchitectureError { ArchitectureError(field: field, problem: problem) }

  // MARK: parameters

  /// A parameter of this place.
  /// - Throws: `ArchitectureError` if it was declared with another shape or role; `ParameterError` if a network with
  ///   tensors lacks it.
  public func parameter(
    _ name: String, shape: [Int], role: ParameterSpecification.Role
  ) throws -> Parameter {
    let specification = ParameterSpecification(path: (self / name).path, shape: shape, role: role)
    if specification.isTrainable { declarations.use(specification.path) }
    return try store.declare(specification, field: field)
  }

  /// A convolution with a square kernel, and its costs.
  /// - Parameters:
  ///   - shape: of one sample that comes in: channels, height, width
  ///   - padding: nil for half of the kernel, which keeps the size at stride 1
  ///   - groups: the groups of channels between which there are no weights; only recorded convolutions may have several
  ///   - hasBias: whether a bias is added
  /// - Throws: as `parameter`; `ArchitectureError` if nothing is left of the image.
  public func convolution(
    _ name: String, of shape: [Int], outputs: Int, kernel: Int, stride: Int = 1, padding: Int? = nil,
    groups: Int = 1, hasBias: Bool = true
  ) throws -> ConvolutionLayer {
    let (inputs, padding) = (shape[0], padding ?? kernel / 2)
    guard (1...1_000_000).contains(outputs), (1...1000).contains(kernel), (1...1000).contains(stride),
      (0...1000).contains(padding)
    else { throw refusal("a convolution of \(outputs) outputs, kernel \(kernel) and stride \(stride) is not possible") }
    guard groups >= 1, inputs.isMultiple(of: groups), outputs.isMultiple(of: groups) else {
      throw refusal("a convolution of \(inputs) channels to \(outputs) cannot have \(groups) groups")
    }
    let sides = shape.dropFirst().map { $0 + 2 * padding < kernel ? 0 : ($0 + 2 * padding - kernel) / stride + 1 }
    let scope = self / name
    guard sides.allSatisfy({ $0 >= 1 }) else { throw refusal("nothing is left of the image behind \(scope.path)") }
    let read = inputs / groups
    declarations.count(kernel, kernel, read, outputs, sides[0], sides[1])
    declarations.convolutionReads(shape)
    return ConvolutionLayer(
      weight: try scope.parameter(
        "weight", shape: [outputs, read, kernel, kernel], role: .weight(fanIn: read * kernel * kernel)),
      bias: hasBias ? try scope.parameter("bias", shape: [outputs], role: .bias) : nil, stride: stride,
      padding: padding, output: [outputs] + sides)
  }

  /// A batch normalisation. In a shared block, the stage's sharing decides whether each step has its own γ and β, and
  /// its own running statistics.
  /// - Parameters:
  ///   - shape: of one sample that comes in: channels, height, width
  ///   - initialGamma: the initial value of γ where the sharing names none
  /// - Throws: as `parameter`.
  public func batchNorm(_ name: String, of shape: [Int], initialGamma: Double = 1) throws -> BatchNormLayer {
    let sharing = place?.sharing
    let affine = (sharing?.unsharedAffine == true ? ofUse : self) / name
    let running = (sharing?.unsharedStatistics == true ? ofUse : self) / name
    let channels = [shape[0]]
    let layer = BatchNormLayer(
      weight: try affine.parameter(
        "weight", shape: channels, role: .normWeight(initial: sharing?.initialGamma ?? initialGamma)),
      bias: try affine.parameter("bias", shape: channels, role: .normBias),
      statistics: RunningStatistics(
        path: running.path, mean: try running.parameter("running_mean", shape: channels, role: .runningMean),
        variance: try running.parameter("running_var", shape: channels, role: .runningVariance)))
    declarations.statistics.append(layer.statistics)
    declarations.normReads(shape)
    return layer
  }

  /// A fully connected layer, and its costs.
  /// - Throws: as `parameter`.
  public func linear(_ name: String, inputs: Int, outputs: Int) throws -> LinearLayer {
    declarations.count(inputs, outputs)
    let scope = self / name
    return LinearLayer(
      weight: try scope.parameter("weight", shape: [outputs, inputs], role: .weight(fanIn: inputs)),
      bias: try scope.parameter("bias", shape: [outputs], role: .bias))
  }
}

extension StepID {
  /// The path of a step, whether or not a network has such a one.
  static func path(stage: Int, block: Int, use: Int) -> String {
    "stages.\(stage).\(block)" + (use == 0 ? "" : ".uses.\(use)")
  }
}

/// A shape in messages, for instance "64×8×8".
func shapeText(_ shape: [Int]) -> String { shape.map(String.init).joined(separator: "×") }

/// The place of a block in its network, from which the block is built.
public final class BlockContext {
  /// The index of the block's stage.
  public let stage: Int
  /// The block's index in its stage.
  public let block: Int
  /// How many steps run the block one after the other; 1 unless the stage shares it.
  public let uses: Int
  /// The channels that h has after each of the block's steps.
  public let width: Int
  /// True if h gets the stage's shape in this block, so that its skip must be a projection.
  public let projects: Bool
  /// The stride by which this block makes h smaller; 1 unless it projects.
  public let stride: Int
  /// True if no h that comes into the stage has values below 0: a ReLU follows the stem and every step before the stage.
  let isRectified: Bool
  /// The stage's options.
  public let options: BlockOptionReader
  /// h before the block's next step.
  private var input: [Int]
  private var firstNumber: Int
  private let sharing: Architecture.Sharing?
  private let store: ParameterStore
  private(set) var declarations: [Declarations] = []

  /// - Parameters:
  ///   - input: the shape of one sample's h before the block
  ///   - number: that of the block's first step
  ///   - isRectified: whether no h that comes into the stage has values below 0
  init(
    _ architecture: Architecture.Stage, stage: Int, block: Int, uses: Int, input: [Int], number: Int,
    isRectified: Bool, _ store: ParameterStore
  ) {
    (self.stage, self.block, self.uses, self.input) = (stage, block, uses, input)
    (firstNumber, self.isRectified, self.store) = (number, isRectified, store)
    width = architecture.width
    projects = architecture.entry == .projection && block == 0
    stride = projects ? architecture.stride ?? 1 : 1
    sharing = architecture.sharing.flatMap { block >= $0.from ? $0 : nil }
    options = BlockOptionReader(architecture.options ?? [:], field: "stages[\(stage)].options")
  }

  /// An error that says why there can be no such block.
  /// - Parameter field: a field of the stage, for instance "stride" or "options.ratio"
  public func refusal(of field: String, _ problem: String) -> ArchitectureError {
    ArchitectureError(field: "stages[\(stage)].\(field)", problem: problem)
  }

  /// The block's steps: one for each use, made by `make`, which declares the step's parameters in its scope.
  public func steps<Step: ResidualStep>(
    _ make: (ParameterScope) throws -> Step
  ) throws -> [any ResidualStep] {
    try (0..<uses).map { _ in try step(make) }
  }

  /// The block's next step, for a kind that makes its steps one at a time. Each call makes the next use.
  public func step<Step: ResidualStep>(_ make: (ParameterScope) throws -> Step) throws -> any ResidualStep {
    let use = declarations.count
    let scope = ParameterScope(
      "stages.\(stage).\(block)", input: input, store, field: "stages[\(stage)].kind",
      place: .init(number: firstNumber + use, stage: stage, block: block, use: use, sharing: sharing))
    let step = try make(scope)
    input = step.spec.output
    declarations.append(scope.declarations)
    return step
  }
}
