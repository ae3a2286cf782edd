import ResLensResults
import ResLensTorch

/// A kind of residual block. A conforming type reads its options, declares its parameters and makes its steps.
///
/// `BlockKinds.register(_:)` makes a kind known under its name, which a stage's `kind:` gives in YAML.
///
///     struct PlainBlock: Block {
///       static let kind = "plain"
///       let steps: [any ResidualStep]
///
///       init(_ context: BlockContext) throws {
///         steps = try context.steps { scope in
///           let convolution = try scope.convolution("conv", of: scope.input, outputs: context.width, kernel: 3)
///           return try RecordedStep(scope, output: convolution.output) { h in try convolution(h.relu()) }
///         }
///       }
///     }
public protocol Block: SendableMetatype {
  /// The name of the kind in YAML. It begins with a letter and has at most 100 letters, digits, hyphens and underscores;
  /// words that YAML reads as something else, such as `on` and `null`, are not allowed.
  static var kind: String { get }

  /// Declares the block's parameters and makes its steps by `context.steps`. A network is also built without tensors, in
  /// order to be counted.
  /// - Throws: `ArchitectureError` by `context.refusal(of:_:)` for a stage or options that are not possible.
  init(_ context: BlockContext) throws

  /// The block's steps, in the order in which `context` made them.
  var steps: [any ResidualStep] { get }
}

/// One step of a residual block: h' = after(skip(h) + α·branch(h)), `after` being the identity or ReLU.
public protocol ResidualStep {
  /// The step's name, its shapes and its costs, as `ParameterScope.spec` makes it.
  var spec: StepSpec { get }

  /// True if a training step of a network with this step can be captured as a CUDA graph.
  var isCapturable: Bool { get }

  /// True if h' has no values below 0, because a ReLU follows the sum.
  var isRectified: Bool { get }

  /// Runs the step; if `step.scale` is 0, without its branch.
  /// - Parameters:
  ///   - h: N×C×H×W, of the spec's input shape
  ///   - step: the scale α of the branch, and which running statistics the normalisations have
  ///   - mode: how the normalisations run
  ///   - wants: what the trace must hold besides the output
  func forward(_ h: Stream, _ step: Plan.Step, _ mode: NormMode, wants: Wanted) throws -> StepTrace

  /// The backward pass of a step that was run with `.backward`. It may free what the trace keeps, and can then be run only
  /// once, unless `wants` had `.keptTape`.
  /// - Parameters:
  ///   - gradient: ∂L/∂h' for a scalar L; it is not written
  ///   - gradients: receives the parameters' gradients; nil if they are not wanted
  /// - Throws: `PassError.notRecorded` if the trace has no tape.
  func backward(_ gradient: Tensor, _ trace: StepTrace, into gradients: Gradients?) throws -> StepGradients
}

/// A step whose backward pass can begin with a gradient that its first kernel finishes, and can leave such a gradient.
protocol PendingStep: ResidualStep {
  /// The backward pass without the gradient of the skip.
  /// - Returns: ∂L/∂h
  func backward(
    pending gradient: ResidualUnit.PendingGradient, _ trace: StepTrace, into gradients: Gradients?
  ) throws -> ResidualUnit.PendingGradient
}

extension ResidualStep {
  public var isCapturable: Bool { false }
  public var isRectified: Bool { false }
}

/// The hidden state h and, if a kernel found them, its channel sums, with which the next batch normalisation can begin.
public struct Stream {
  /// The hidden state, N×C×H×W.
  public let h: Tensor
  /// The channel sums with which a normalisation by the batch's statistics begins, if the kernel that wrote h found them.
  let sums: NormReLU.ChannelSums?

  public init(_ h: Tensor) { self.init(h, sums: nil) }

  init(_ h: Tensor, sums: NormReLU.ChannelSums?) { (self.h, self.sums) = (h, sums) }
}

/// The results that are wanted of a forward pass besides its output.
public struct Wanted: OptionSet, Sendable {
  /// The wishes as bits.
  public let rawValue: Int

  public init(rawValue: Int) { self.rawValue = rawValue }

  /// The tape of the backward pass.
  public static let backward = Wanted(rawValue: 1)
  /// F, what each step adds to its skip.
  public static let added = Wanted(rawValue: 2)
  /// The tape for several backward passes through the same forward pass.
  public static let keptTape = Wanted(rawValue: 4)
}

/// The results of a step's forward pass. None of its tensors is ever written again.
public struct StepTrace {
  /// The state h before the step.
  public let input: Tensor
  /// The tensor that the branch is added to: h itself, or a projection of it.
  public let skip: Tensor
  /// F: α·branch(h), or h' − skip(h) where a ReLU follows the sum. nil unless it was wanted, and where the scale is 0.
  public let added: Tensor?
  /// The state h' after the step.
  public let output: Stream
  /// The values that the step's own backward pass needs; it may be nil if `.backward` was not wanted.
  public let tape: Any?
  let known: KnownSquares?

  public init(input: Tensor, skip: Tensor, added: Tensor? = nil, output: Stream, tape: Any?) {
    self.init(input: input, skip: skip, added: added, output: output, tape: tape, known: nil)
  }

  init(input: Tensor, skip: Tensor, added: Tensor?, output: Stream, tape: Any?, known: KnownSquares?) {
    (self.input, self.skip, self.added) = (input, skip, added)
    (self.output, self.tape, self.known) = (output, tape, known)
  }
}

/// ‖F‖² and ‖h'‖² of each sample, found by the kernel that wrote F and h'.
struct KnownSquares {
  let added: [Double]
  let output: [Double]
}

/// The results of a step's backward pass.
public struct StepGradients {
  /// ∂L/∂h, h being the step's input.
  public let input: Tensor
  /// ∂L with respect to what the skip makes; nil if the skip is the identity.
  public let skip: Tensor?
  /// Σ F·∂L/∂h and Σ (∂L/∂h)² of each sample, found by the kernel that wrote ∂L/∂h.
  let products: (dot: [Double], squares: [Double])?

  public init(input: Tensor, skip: Tensor?) { self.init(input: input, skip: skip, products: nil) }

  init(input: Tensor, skip: Tensor?, products: (dot: [Double], squares: [Double])?) {
    (self.input, self.skip, self.products) = (input, skip, products)
  }
}
