import ResLensResults
import ResLensTorch

/// A step whose forward pass is written as operations on a tape, and whose backward pass is libtorch's autograd:
/// h' = after(skip(h) + α·branch(activation(h))).
public struct RecordedStep: ResidualStep {
  /// The function that follows the sum.
  public enum After: Sendable {
    case identity, relu
  }

  /// The input of a projection that takes the place of the identity.
  public enum Source: String, Sendable, CaseIterable {
    /// h itself.
    case input
    /// activation(h), which the branch reads too.
    case activation

    /// The value of a stage's option `shortcut-reads`.
    /// - Throws: `ArchitectureError` if the option is another word.
    init(_ context: BlockContext, default fallback: Source) throws {
      let word = try context.options.word(
        "shortcut-reads", default: fallback.rawValue, of: Self.allCases.map(\.rawValue))
      self = Source(rawValue: word) ?? fallback
    }
  }

  /// A function of the values on a tape.
  public typealias Function = (Tape.Value) throws -> Tape.Value

  public let spec: StepSpec
  public var isRectified: Bool { after == .relu }
  private let after: After
  private let activation: Function?
  private let skip: Function?
  private let skipReads: Source
  private let branch: Function

  /// - Parameters:
  ///   - scope: the scope of the step; all of its layers must be declared before
  ///   - output: the shape of one sample's h after the step: channels, height, width
  ///   - after: what follows the sum
  ///   - activation: what is applied to h before the branch; nil for nothing
  ///   - skip: a projection; nil for h itself
  ///   - skipReads: what the projection is applied to
  ///   - branch: what is added, a function of activation(h)
  /// - Throws: `ArchitectureError` for an output that is not possible.
  public init(
    _ scope: ParameterScope, output: [Int], after: After = .identity, activation: Function? = nil,
    skip: Function? = nil, skipReads: Source = .input, branch: @escaping Function
  ) throws {
    scope.declarations.isRecorded = true
    spec = try scope.spec(output: output, hasIdentitySkip: skip == nil)
    (self.after, self.activation, self.branch) = (after, activation, branch)
    (self.skip, self.skipReads) = (skip, skipReads)
  }

  private struct Record {
    let tape: Tape
    let input: Tape.Value
    /// nil if the skip is the identity.
    let skip: Tape.Value?
    let output: Tape.Value
    let isKept: Bool
  }

  public func forward(
    _ h: Stream, _ step: Plan.Step, _ mode: NormMode, wants: Wanted
  ) throws -> StepTrace {
    let tape = Tape(mode: mode, statistics: step.statistics, records: wants.contains(.backward))
    let input = try tape.input(h.h)
    // The activation is computed once for branch and skip, because its BatchNorm may update running statistics.
    let isRead = step.scale != 0 || (skip != nil && skipReads == .activation)
    let active = isRead ? try activation?(input) ?? input : input
    let projected = try skip?(skipReads == .activation ? active : input)
    var sum = projected ?? input
    var term: Tape.Value?
    if step.scale != 0 {
      let made = try branch(active)
      let scaled = step.scale == 1 ? made : try made.scaled(by: step.scale)
      sum = try sum.adding(scaled)
      term = scaled
    }
    let value = after == .relu ? try sum.relu() : sum
    guard Array(value.shape.dropFirst()) == spec.output else {
      throw PlanError(
        "\(spec.id.path) makes \(shapeText(Array(value.shape.dropFirst()))) where \(shapeText(spec.output)) was declared"
      )
    }
    let skipped = try projected.map { try tape.result(of: $0) } ?? h.h
    let isUnchanged = term == nil && after == .identity
    let output = isUnchanged ? skipped : try tape.result(of: value)
    var added: Tensor?
    if let term, wants.contains(.added) {
      added = after == .relu ? try output.adding(skipped, scale: -1) : try tape.result(of: term)
    }
    return StepTrace(
      input: h.h, skip: skipped, added: added, output: Stream(output),
      tape: wants.contains(.backward)
        ? Record(tape: tape, input: input, skip: projected, output: value, isKept: wants.contains(.keptTape)) : nil)
  }

  public func backward(_ gradient: Tensor, _ trace: StepTrace, into gradients: Gradients?) throws -> StepGradients {
    guard let record = trace.tape as? Record else { throw PassError.notRecorded }
    let found = try record.tape.gradients(
      of: record.output, gradient, for: [record.input] + (record.skip.map { [$0] } ?? []),
      wantsParameters: gradients != nil, keepsRecord: record.isKept)
    for (path, part) in found.parameters { try gradients?.add(part, path) }
    return StepGradients(input: found.values[0], skip: found.values.dropFirst().first)
  }
}
