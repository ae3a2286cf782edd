import ResidualNetworks
import Results

/// ‖h_t‖ after every step, and before the first (§4.5, Fig. 8 and 9): whether activations explode on the way forward.
public final class ActivationNorm: Measure {
  private var start = Moments()
  private var sums = StepMoments()

  public init() {}

  public func observe(_ step: StepReading) throws {
    if step.number == 1 { for square in try step.inputSquares() { start.add(square.squareRoot()) } }
    sums.add(step.layout.name, try step.outputSquares().map { $0.squareRoot() })
  }

  /// nil where nothing was observed.
  public var result: ActivationNorms? {
    start.statistic.map { ActivationNorms(start: $0, steps: sums.statistics) }
  }
}

/// ‖∂L/∂h_{t−1}‖ at the input of every step's block, and its ratio between the first blocks of the first and of the last
/// stage (§4.5, Fig. 8): whether gradients explode on the way back.
public final class GradientNorm: Measure {
  private let firstOfLastStage: Int?
  private var sums = StepMoments()
  private var ratios = Moments()
  /// The numbers of the current batch where the last stage begins.
  private var atLastStage: [Double] = []

  public init(_ architecture: Architecture) {
    let last = architecture.stages.count - 1
    firstOfLastStage = last > 0 ? architecture.steps.first { $0.name.stage == last }?.name.step : nil
  }

  public func observe(_ step: StepReading) throws {
    let squares = try step.inputGradientSquares()
    sums.add(step.layout.name, zip(squares, step.doubts).map { $0.squareRoot() * $1 })
    // A sample's doubt is in both norms, and would leave nothing of either where the network is sure.
    if step.number == firstOfLastStage { atLastStage = squares }
    // The way goes back: the first step comes last.
    if step.number == 1, firstOfLastStage != nil { ratios.add(ratios: squares, to: atLastStage) }
  }

  /// nil where nothing was observed.
  public var result: GradientNorms? {
    let steps = sums.statistics
    return steps.isEmpty ? nil : GradientNorms(steps: steps, ratio: ratios.statistic)
  }
}
