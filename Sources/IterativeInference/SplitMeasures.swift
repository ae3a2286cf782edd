import ResidualNetworks

/// The measures of one split.
struct SplitMeasures {
  var cosineLoss: CosineLoss?
  var l2Ratio: L2Ratio?
  var firstOrder: FirstOrder?
  var intermediate: IntermediateScores?
  var borderline: BorderlineGroups?
  var droppedStep: DroppedStep?
  var unrolled: UnrolledSteps?
  var lesions: LesionScores?
  var activationNorm: ActivationNorm?
  var gradientNorm: GradientNorm?
  let whole: NetworkScore

  var all: [any Measure] {
    let all: [(any Measure)?] = [
      cosineLoss, l2Ratio, firstOrder, intermediate, borderline, droppedStep, unrolled, lesions, activationNorm,
      gradientNorm, whole,
    ]
    return all.compactMap { $0 }
  }

  init(
    _ architecture: Architecture, _ options: MeasureOptions, isTrain: Bool, unrolled: UnrolledSteps?,
    _ tell: ((BorderlineExample) -> Void)?
  ) throws(MeasureError) {
    func asked(_ name: MeasureName) -> Bool { options.names.contains(name) }
    whole = NetworkScore(architecture)
    cosineLoss = asked(.cosineLoss) ? CosineLoss() : nil
    l2Ratio = asked(.l2Ratio) ? L2Ratio() : nil
    firstOrder = asked(.firstOrder) ? FirstOrder() : nil
    activationNorm = asked(.activationNorm) ? ActivationNorm() : nil
    gradientNorm = asked(.gradientNorm) ? GradientNorm(architecture) : nil
    intermediate = asked(.intermediate) ? IntermediateScores() : nil
    droppedStep = asked(.droppedStep) ? DroppedStep(architecture) : nil
    self.unrolled = unrolled
    // Where nobody said how many of the last steps, and the head can read the state before none, there is nothing.
    if asked(.borderline), options.lastSteps != nil || !architecture.readableSteps.isEmpty {
      borderline = try BorderlineGroups(
        architecture, margin: options.margin, lastSteps: options.lastSteps, tell: tell)
    }
    if asked(.lesions), !isTrain { lesions = try LesionScores(architecture, options.lesions) }
  }
}
