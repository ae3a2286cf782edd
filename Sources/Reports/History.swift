import Results

/// A measure as it goes over the epochs of training.
struct HistoryMeasure {
  /// A section's and a figure's name.
  var id: String
  var title: String
  /// The quantity of the values, and their axis.
  var quantity: Figure.Axis
  /// Where blue turns to red in the map.
  var centre: Double?
  var rules: [Double] = []
  /// How to read the figure.
  var reading: Markup
  /// A value a step; nil where the epoch was measured without it.
  var values: (MeasureResults.Measures) -> BySplit<[StepValue]>?

  static var all: [HistoryMeasure] {
    [
      HistoryMeasure(
        id: "history-cosine-loss", title: "Cosine loss over training: when do steps begin to go downhill?",
        quantity: .init("cosine loss"), centre: 0, rules: [0],
        reading: "Below zero, a step moved the hidden state to where the loss is lower already at that epoch.",
        values: { $0.cosineLoss?.backpropagated.values { StepValue(name: $0.name, value: $0.mean) } }),
      HistoryMeasure(
        id: "history-cosine-loss-plugged", title: "Cosine loss, plugged, over training: the last stage by itself",
        quantity: .init("cosine loss, plugged"), centre: 0, rules: [0],
        reading: "With the gradient of the head applied straight to the state before the step.",
        values: { $0.cosineLoss?.plugged.values { StepValue(name: $0.name, value: $0.mean) } }),
      HistoryMeasure(
        id: "history-l2-ratio", title: "ℓ2 ratio over training: which steps come to do much?",
        quantity: .init("‖F‖ / ‖h‖", scale: .logarithmic),
        reading: "How far each step moves the hidden state; on logarithmic scales.",
        values: { $0.l2Ratio?.values { StepValue(name: $0.name, value: $0.mean) } }),
      HistoryMeasure(
        id: "history-first-order", title: "First-order term over training: when does it tell the change of loss?",
        quantity: .init("mean term / mean change", bounds: -1...3), centre: 1, rules: [1],
        reading: "1 where the first order tells all. Beyond −1 and 3, where the mean change is near 0, it is cut off.",
        values: {
          $0.firstOrder.map { terms in
            func ratios(_ terms: [FirstOrderTerm]) -> [StepValue] {
              terms.compactMap { term in term.ratio.map { StepValue(name: term.name, value: $0) } }
            }
            return BySplit(train: ratios(terms.train), validation: ratios(terms.validation))
          }
        }),
      HistoryMeasure(
        id: "history-intermediate", title: "Intermediate accuracy over training: when does the answer form where?",
        quantity: .init("accuracy (%)"), reading: "What the head of that epoch says of the state after each step.",
        values: { $0.intermediate?.values { StepValue(name: $0.name, value: 100 * $0.score.accuracy) } }),
      HistoryMeasure(
        id: "history-dropped-step", title: "Dropping a step over training: which steps come to be needed?",
        quantity: .init("accuracy without the step (%)"),
        reading: "The accuracy of the network of that epoch with the step’s F left out.",
        values: {
          $0.droppedStep.map { BySplit(train: $0.train, validation: $0.validation) }?.values {
            StepValue(name: $0.name, value: 100 * $0.score.accuracy)
          }
        }),
      HistoryMeasure(
        id: "history-activation-norm", title: "Activation norm over training: how large does the hidden state become?",
        quantity: .init("‖h‖ after the step", scale: .logarithmic),
        reading: "On logarithmic scales.",
        values: {
          $0.activationNormSteps?.values { StepValue(name: $0.name, value: $0.mean) }
        }),
      HistoryMeasure(
        id: "history-gradient-norm", title: "Gradient norm over training: where does the loss pull?",
        quantity: .init("‖∂L/∂h‖ before the step", scale: .logarithmic),
        reading: "On logarithmic scales.",
        values: {
          $0.gradientNormSteps?.values { StepValue(name: $0.name, value: $0.mean) }
        }),
    ]
  }

  struct StepValue: Codable, Equatable, Sendable {
    var name: StepName
    var value: Double
  }
}

/// The history of one measure in one run.
struct RunHistory {
  var run: ReportedRun
  /// Epochs with values, in order.
  var epochs: [Int]
  private var values: [BySplit<[HistoryMeasure.StepValue]>]

  /// nil where no epoch has a value.
  init?(_ run: ReportedRun, _ measure: HistoryMeasure) {
    let measured = run.history.compactMap { results -> (Int, BySplit<[HistoryMeasure.StepValue]>)? in
      guard let values = measure.values(results.measures), !values.hasNoSteps else { return nil }
      return (results.epoch, values)
    }
    let byEpoch = Dictionary(measured, uniquingKeysWith: { $1 })
    guard !byEpoch.isEmpty else { return nil }
    self.run = run
    epochs = byEpoch.keys.sorted()
    values = epochs.compactMap { byEpoch[$0] }
  }

  /// The steps that have a value at some epoch.
  var names: [StepName] {
    let all = values.flatMap { $0.train + $0.validation }.map { ($0.name.step, $0.name) }
    return Dictionary(all, uniquingKeysWith: { first, _ in first }).values.sorted { $0.step < $1.step }
  }

  /// The values of one set: an entry an epoch, by step.
  func values(_ split: KeyPath<BySplit<[HistoryMeasure.StepValue]>, [HistoryMeasure.StepValue]>) -> [[Int: Double]] {
    values.map { value in
      Dictionary(value[keyPath: split].map { ($0.name.step, $0.value) }, uniquingKeysWith: { first, _ in first })
    }
  }
}

extension Section {
  /// nil where no run has measured this while training.
  init?(_ measure: HistoryMeasure, of runs: [ReportedRun]) {
    let histories = runs.compactMap { RunHistory($0, measure) }
    guard !histories.isEmpty else { return nil }
    id = measure.id
    title = measure.title
    text = [
      """
      The same measure of the network <b>as it was after each measured epoch</b>. \(measure.reading) \
      \(modesOfHistory(histories.map(\.run)))
      """,
      """
      <i>The paper (Fig. 5, 13–19):</i> draws its measures over training the same way, a curve a block, from blue for \
      the lowest to red for the highest.
      """,
    ]
    let subjects = Subjects(runs: histories.map(\.run), areNamed: runs.count > 1)
    let without = runs.filter { run in !histories.contains { $0.run.name == run.name } }
    notes = without.map { run -> Markup in "<b>\(run.name)</b>. Has no such numbers from its training." }
    illustrations = [
      Illustration(
        figures: [historyCurves(measure, histories, subjects)],
        caption: "A curve a step, from blue for the lowest to red for the highest; means over samples."),
      Illustration(
        figures: [historyMap(measure, histories, subjects)],
        caption: "The same numbers, a row a step; of many epochs an even choice. A step without a value has no cell."),
    ]
    tables = histories.map { historyTable($0, run: runs.count > 1 ? $0.run.name : nil) }
  }
}

extension BySplit {
  fileprivate func values<Row>(_ value: (Row) -> HistoryMeasure.StepValue) -> BySplit<[HistoryMeasure.StepValue]>
  where Value == [Row] {
    .init(train: train.map(value), validation: validation.map(value))
  }
}
