import Foundation
import ResLensSupport
import ResLensNetworks
import ResLensResults
import ResLensTorch

/// The spectral radius of a step's Jacobian ∂h_t/∂h_{t−1} at h_{t−1}: the size of its largest eigenvalue. Below 1, the step
/// taken again and again near there comes closer to a fixed state; above 1, some direction grows.
///
/// It is found by power iteration with vector–Jacobian products, which need no Jacobian in memory. The largest eigenvalues may be
/// a complex pair, under which the vector's growth goes up and down; so the radius is the geometric mean of the growth over the
/// last iterations. The steps before and after a projection differ in shape and have none.
public final class SpectralRadius: Measure {
  private var sums = StepMoments()
  private let samples: Int

  /// The number of products.
  public static let iterations = 50
  /// The number of last products of whose growth the mean is taken.
  public static let averaged = 20

  /// - Parameter samples: the number of samples, the first ones
  public init(samples: Int) { self.samples = samples }

  public init?(_ context: MeasureContext) throws(MeasureError) {
    guard context.options.spectralSamples >= 1 else {
      throw MeasureError(
        option: "spectral-samples", problem: "\(context.options.spectralSamples): at least one is needed")
    }
    samples = context.options.spectralSamples
  }

  public static let readsJacobians = true

  public static func absences(in context: MeasureContext) -> [MeasureResults.Absence] {
    context.incomparable(description.name)
  }

  public static func parameters(in context: MeasureContext) -> [String: Cell] {
    ["first_samples": .number(Double(context.options.spectralSamples))]
  }

  public func rows(of step: StepView) throws -> [[Double]]? {
    guard step.spec.hasIdentitySkip, step.earlier < samples else { return nil }
    var vector = try Self.start(of: step)
    var logarithms = [Double](repeating: 0, count: vector.shape[0])
    for iteration in 0..<Self.iterations {
      let next = try step.timesJacobian(vector)
      let lengths = try next.sampleSquares().map { $0.squareRoot() }
      if iteration >= Self.iterations - Self.averaged {
        for (sample, length) in lengths.enumerated() { logarithms[sample] += log(length) }
      }
      // A vector that has vanished stays zero.
      vector = try next.scaled(bySample: lengths.map { $0 == 0 ? 0 : 1 / $0 })
    }
    return [logarithms.map { exp($0 / Double(Self.averaged)) }]
  }

  /// The vector that the iteration starts with, of length 1 and the same for each sample. It depends on the step's number and
  /// its shape alone.
  private static func start(of step: StepView) throws -> Tensor {
    let shape = step.spec.input
    let stream = RandomStream(seed: 0, name: "spectral-radius").stream(step.spec.id.number)
    let values = (0..<shape.reduce(1, *)).map { 2 * stream.uniform($0) - 1 }
    let length = values.reduce(0) { $0 + $1 * $1 }.squareRoot()
    let one = try Tensor(values.map { $0 / length }, shape: [1] + shape)
    let zeros = try Tensor([Int64](repeating: 0, count: step.input.shape[0]), shape: [step.input.shape[0]])
    return try one.converted(to: step.input.elementType).rows(at: zeros).moved(to: step.input.device)
  }

  public func add(_ rows: [[Double]], of step: PlanStep, _ batch: LabelledBatch) {
    for (radius, index) in zip(rows[0], batch.indices) where index < samples { sums[step.spec.id.number].add(radius) }
  }

  public func tables() throws -> [Table] { [try Table("spectral-radius", sums.statistics)] }

  public static let description = MeasureDescription(
    name: "spectral-radius",
    views: [
      MeasureView(
        id: "spectral-radius", table: "spectral-radius",
        title: "Spectral radius: would a step contract if it were repeated?",
        definition: """
          The size of the largest eigenvalue of <b>∂h<sub>t</sub>/∂h<sub>t−1</sub></b>, the Jacobian of the step at \
          h<sub>t−1</sub>, for each sample, then averaged over samples. Below 1 all small differences between two states \
          die out where the step is repeated, so that it settles; above 1 some of them grow. It is found by 50 \
          vector–Jacobian products, as the geometric mean of the growth over the last 20.
          """,
        figures: [
          StepFigure(
            name: "spectral-radius", title: "Spectral radius of every step",
            quantities: [Quantity("largest |eigenvalue| of the Jacobian", rules: [1])],
            caption: "Below the line a repeated step contracts.")
        ],
        columns: ViewColumn.statistic(.significant))
    ],
    columns: [StepColumn(table: "spectral-radius")],
    compared: [
      ComparedNumber("largest", key: "spectral-radius-largest") { tables in
        try tables.table("spectral-radius", .validation)?.presentNumbers("mean").max()
      }
    ],
    use: .init(byDefault: false, canBeRecorded: false),
    sentence: { tables in
      let steps = try tables.rows(of: StepStatistic.self, in: "spectral-radius", .validation).filter(\.mean.isFinite)
      guard !steps.isEmpty else { return nil }
      let below = steps.count { $0.mean < 1 }
      return "Repeated, \(below) of \(counted(steps.count, "step")) would contract (spectral radius below 1)."
    })
}
