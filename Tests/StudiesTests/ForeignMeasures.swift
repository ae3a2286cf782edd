import ResLensMeasures
import ResLensResults

/// A measure that is not one of this package's: ‖h_t‖² after every step. It is registered to be found.
final class StateSquares: Measure {
  private var sums = StepMoments()

  init?(_ context: MeasureContext) {}

  func rows(of step: StepView) throws -> [[Double]]? { [try step.outputSquares()] }

  func add(_ rows: [[Double]], of step: PlanStep, _ batch: LabelledBatch) {
    sums[step.spec.id.number].add(rows[0])
  }

  func tables() throws -> [Table] { [try Table("state-squares", sums.statistics)] }

  static let description = MeasureDescription(
    name: "state-squares",
    views: [
      MeasureView(
        id: "state-squares", table: "state-squares", title: "Squares: how large is the state?", definition: "‖h‖²",
        history: MeasureHistory(title: "Squares over training", explanation: "", quantity: Quantity("‖h‖²")))
    ])
}

/// A measure that exists in no network, and of which one view exists in none.
final class Impossible: Measure {
  init?(_ context: MeasureContext) { return nil }

  static func absences(in context: MeasureContext) -> [MeasureResults.Absence] {
    [.init(measure: "impossible", reason: "it cannot be")]
  }

  func tables() throws -> [Table] { [] }

  static let description = MeasureDescription(
    name: "impossible", views: [MeasureView(id: "impossible", table: "impossible", title: "", definition: "")])
}

/// A measure of which one of two views exists in no network, and that is taken on train samples alone.
final class Partial: Measure {
  init?(_ context: MeasureContext) { if context.split == .validation { return nil } }

  static func absences(in context: MeasureContext) -> [MeasureResults.Absence] {
    [
      .init(measure: "partial", view: "partial-second", reason: "it cannot be"),
      .init(measure: "partial", view: "partial-first", steps: 1...1, reason: "it cannot be there"),
    ]
  }

  func tables() throws -> [Table] { [] }

  static let description = MeasureDescription(
    name: "partial",
    views: ["partial-first", "partial-second"].map {
      MeasureView(
        id: $0, table: "partial", title: "", definition: "",
        history: MeasureHistory(title: "", explanation: "", quantity: Quantity("x")))
    })
}

extension Registry {
  /// The standard measures and those above.
  static var withForeign: Registry {
    var registry = Registry.standard
    registry.register(StateSquares.self)
    registry.register(Impossible.self)
    registry.register(Partial.self)
    return registry
  }
}
