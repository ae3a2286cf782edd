import ResLensSupport
import ResLensResults

/// Loss and error over epochs: all groups in the same axes, a colour a group; train and validation side by side where the
/// curves are many.
func trainingCurves(of groups: [RunGroup]) -> Figure {
  typealias Curve = (split: String, dash: Figure.Dash, value: (EpochRecord) -> Double)
  let isCrowded = groups.count > 3
  func panels(_ label: String, _ curves: [Curve]) -> [Figure.Panel] {
    let drawn = curves.map { curve in
      groups.map { group in
        let seeds = group.runs.map { run in run.epochs.map { Figure.Point.place($0.epoch, curve.value($0)) } }
        return group.series("\(group.label) \(curve.split)", of: seeds) {
          style(of: group, among: groups, curve.dash, points: $0)
        }
      }
    }
    let axis = Figure.Axis(label, scale: scale(of: drawn.joined().flatMap { $0 }))
    guard isCrowded else {
      // A group's two curves one after the other.
      let series = groups.indices.flatMap { group in drawn.flatMap { $0[group] } }
      return [Figure.Panel(x: .init("epoch"), y: axis, series: series)]
    }
    return zip(curves, drawn).map {
      Figure.Panel(title: $0.split, x: .init("epoch"), y: axis, series: $1.flatMap { $0 })
    }
  }
  let legend =
    isCrowded
    ? RunGroup.legend(groups)
    : groups.count > 1
      ? RunGroup.legend(groups, solid: "train", dashed: "validation")
      : [.init("train", style: .train), .init("validation", style: .validation)]
  let validation = isCrowded ? Figure.Dash.solid : .dashed
  return Figure(
    name: "training", title: "Loss and error over epochs",
    panels: panels("loss (nats)", [("train", .solid, \.trainLoss), ("validation", validation, \.validationLoss)])
      + panels(
        "error (%)",
        [("train", .solid, { 100 * $0.trainError }), ("validation", validation, { 100 * $0.validationError })]),
    columns: 2, legend: legend,
    data: epochData(of: groups) {
      [
        ("train_loss", .number($0.trainLoss)), ("train_error", .number($0.trainError)),
        ("validation_loss", .number($0.validationLoss)), ("validation_error", .number($0.validationError)),
      ]
    })
}

func learningRates(of groups: [RunGroup]) -> Figure {
  let runs = groups.flatMap(\.runs)
  let series = groups.flatMap { group in
    let seeds = group.runs.map { run in run.epochs.map { Figure.Point.place($0.epoch, $0.learningRate) } }
    return group.series(group.label, of: seeds) { count in
      var style = style(of: group, among: groups, .solid, points: count)
      if groups.count == 1 { style.colour = Figure.ink }
      return style
    }
  }
  let axis = Figure.Axis("learning rate", scale: isStaircase(runs) ? .logarithmic : .linear)
  return Figure(
    name: "learning-rate", title: "Learning rate over epochs",
    panels: [.init(x: .init("epoch"), y: axis, series: series)], panelHeight: 90, legend: [],
    data: epochData(of: groups) { [("learning_rate", .number($0.learningRate))] })
}

/// A row for each epoch of each run.
private func epochData(
  of groups: [RunGroup], _ cells: (EpochRecord) -> [(column: String, cell: Cell)]
) -> FigureData {
  var data = FigureData()
  for group in groups {
    for run in group.runs {
      for epoch in run.epochs { data.add(group.cells(of: run) + [("epoch", .integer(epoch.epoch))] + cells(epoch)) }
    }
  }
  return data
}

/// A single run's splits have the colours that they have in all pictures; of several groups each has its own.
private func style(
  of group: RunGroup, among groups: [RunGroup], _ dash: Figure.Dash, points: Int
) -> Figure.Style {
  var style: Figure.Style = dash == .solid ? .train : .validation
  if groups.count > 1 {
    style = group.style(dash, points: points)
    style.filled = dash == .solid
  }
  style.markerInterval = max(1, points / 10)
  return style
}

/// How the groups' trainings ended: a row a group, means over the seeds that came as far as the farthest one.
func outcomeTable(_ groups: [RunGroup]) -> Markup {
  table(
    ["network", "seeds", "epochs", "train error", "validation error", "lowest validation error"],
    rows: groups.map { group in
      let epochs = group.runs.compactMap { $0.epochs.last?.epoch }.max() ?? 0
      let whole = group.runs.filter { $0.epochs.last?.epoch == epochs }
      func mean(_ value: (ReportedRun) -> Double?) -> String { SeedStatistic(whole.compactMap(value)).percentage }
      let seeds =
        whole.count == group.runs.count ? "\(whole.count)" : "\(whole.count) of \(group.runs.count) at that epoch"
      return [
        group.name, seeds, "\(epochs)", mean { $0.epochs.last?.trainError }, mean { $0.epochs.last?.validationError },
        mean { $0.epochs.map(\.validationError).filter(\.isFinite).min() },
      ]
    }, caption: "after the last epoch; ± one standard deviation over seeds (n − 1)")
}

/// Logarithmic where the values are positive and span more than a factor of 20: the late epochs would lie on the axis.
func scale(of series: [Figure.Series]) -> Figure.Scale {
  let values = series.flatMap(\.points).map(\.y).filter(\.isFinite)
  guard let low = values.min(), let high = values.max() else { return .linear }
  return low > 0 && high > 20 * low ? .logarithmic : .linear
}

/// True if the rates fall in a few large steps, which only a logarithmic axis shows.
private func isStaircase(_ runs: [ReportedRun]) -> Bool {
  let rates = runs.flatMap(\.epochs).map(\.learningRate)
  guard let low = rates.min(), let high = rates.max(), low > 0, high.isFinite else { return false }
  return high >= 10 * low && Set(rates).count * 3 <= rates.count
}
