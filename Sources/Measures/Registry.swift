import ResLensSupport
import ResLensNetworks
import ResLensResults

/// The measures of a program, and the kinds of blocks that it adds. A registered measure appears in `reslens measure`,
/// comparisons, studies and reports; where its description allows it, it can be recorded during training.
public struct Registry: Sendable {
  /// The measures, in the order of reports.
  public private(set) var measures: [any Measure.Type]

  /// All measures of ResLens, in the order in which reports show them.
  public static let standard = Registry(measures: [
    L2Ratio.self, DroppedStep.self, CosineLoss.self, FirstOrder.self, IntermediateScores.self, BorderlineGroups.self,
    UnrolledSteps.self, LesionScores.self, ActivationNorm.self, GradientNorm.self, Influence.self, Alignment.self,
    Agreement.self, AngularDistance.self, FutureEffect.self, SpectralRadius.self,
  ])

  /// The kinds of blocks that were registered here, besides those that `BlockKinds` knows anyway.
  public private(set) var blocks: [any Block.Type] = []

  private init(measures: [any Measure.Type]) { self.measures = measures }

  /// Adds a measure at the end, or in place of one of the same name.
  public mutating func register(_ measure: any Measure.Type) {
    if let index = measures.firstIndex(where: { $0.description.name == measure.description.name }) {
      measures[index] = measure
    } else {
      measures.append(measure)
    }
  }

  /// Adds a kind of block, which `reslensMain(registry:)` registers with `BlockKinds`.
  public mutating func register(_ block: any Block.Type) { blocks.append(block) }

  /// The descriptions of all measures.
  public var descriptions: [MeasureDescription] { measures.map { $0.description } }

  /// The names of the measures that fulfil a condition, in order.
  public func names(where condition: (MeasureDescription.Use) -> Bool = { _ in true }) -> [String] {
    descriptions.filter { condition($0.use) }.map(\.name)
  }

  /// The measures of these names, in the order of the registry.
  /// - Throws: `MeasureError` for a name that no measure has.
  public func measures(named names: Set<String>) throws(MeasureError) -> [any Measure.Type] {
    let found = measures.filter { names.contains($0.description.name) }
    if let stray = names.subtracting(found.map { $0.description.name }).min() {
      throw MeasureError(
        option: "measures",
        problem: "there is no measure \"\(stray)\"\(didYouMean(stray, among: self.names())); known are "
          + self.names().joined(separator: ", "))
    }
    return found
  }
}
