import ImageDatasets
import ResidualNetworks
import Results

/// The measures of §4.1 and §4.2 on one set of samples, together on one pass.
public struct MainMeasures {
  private let cosineLoss = CosineLoss()
  private let l2Ratio = L2Ratio()
  private let droppedStep: DroppedStep
  private let intermediate = IntermediateScores()

  /// - Parameter progress: told after each batch how many samples are done
  public init(
    _ network: ResidualNetwork, _ samples: Samples, progress: (Int) throws -> Void = { _ in }
  ) throws {
    droppedStep = DroppedStep(network.architecture)
    try measure([cosineLoss, l2Ratio, droppedStep, intermediate], on: network, samples, progress: progress)
  }

  /// The results of both splits as `measures.json` has them.
  public static func results(train: MainMeasures, validation: MainMeasures) -> MeasureResults.Measures {
    func split<Value>(_ value: (MainMeasures) -> Value) -> BySplit<Value> {
      BySplit(train: value(train), validation: value(validation))
    }
    return MeasureResults.Measures(
      cosineLoss: .init(
        backpropagated: split { $0.cosineLoss.backpropagated }, plugged: split { $0.cosineLoss.plugged }),
      l2Ratio: split { $0.l2Ratio.result },
      droppedStep: .init(
        train: train.droppedStep.result, validation: validation.droppedStep.result,
        baseline: split { $0.droppedStep.baseline }),
      intermediate: split { $0.intermediate.result })
  }
}
