import Results

/// Loss and error over epochs: all runs in the same axes, a colour a run.
func trainingCurves(of runs: [ReportedRun]) -> Figure {
  func panel(_ label: String, train: (EpochRecord) -> Double, validation: (EpochRecord) -> Double) -> Figure.Panel {
    let series = runs.enumerated().flatMap { index, run in
      [
        Figure.Series(
          run.name + " train", style: style(index, of: runs, .solid),
          points: run.epochs.map { .init(x: Double($0.epoch), y: train($0)) }),
        Figure.Series(
          run.name + " validation", style: style(index, of: runs, .dashed),
          points: run.epochs.map { .init(x: Double($0.epoch), y: validation($0)) }),
      ]
    }
    return Figure.Panel(x: .init("epoch"), y: .init(label, scale: scale(of: series)), series: series)
  }
  var legend = [Figure.LegendEntry("train", style: .train), .init("validation", style: .validation)]
  if runs.count > 1 {
    legend = runs.enumerated().map { .init($1.name, style: style($0, of: runs, .solid)) }
    legend.append(.init("train", style: .init(colour: Figure.ink)))
    legend.append(.init("validation", style: .init(colour: Figure.ink, dash: .dashed)))
  }
  return Figure(
    name: "training", title: "Loss and error over epochs",
    panels: [
      panel("loss (nats)", train: \.trainLoss, validation: \.validationLoss),
      panel("error (%)", train: { 100 * $0.trainError }, validation: { 100 * $0.validationError }),
    ], columns: 2, legend: legend)
}

func learningRates(of runs: [ReportedRun]) -> Figure {
  let series = runs.enumerated().map { index, run in
    var style = style(index, of: runs, .solid)
    if runs.count == 1 { style.colour = Figure.ink }
    return Figure.Series(
      run.name, style: style, points: run.epochs.map { .init(x: Double($0.epoch), y: $0.learningRate) })
  }
  let axis = Figure.Axis("learning rate", scale: isStaircase(runs) ? .logarithmic : .linear)
  return Figure(
    name: "learning-rate", title: "Learning rate over epochs",
    panels: [.init(x: .init("epoch"), y: axis, series: series)], panelHeight: 90, legend: [])
}

/// A single run's splits have the colours that they have in all pictures; of several runs each has its own. Some ten
/// markers tell the curves apart without colours.
private func style(_ index: Int, of runs: [ReportedRun], _ dash: Figure.Dash) -> Figure.Style {
  var style: Figure.Style = dash == .solid ? .train : .validation
  if runs.count > 1 {
    let markers: [Figure.Marker] = [.circle, .square, .triangle, .pentagon, .diamond]
    style.colour = Figure.palette[index % Figure.palette.count]
    style.marker = markers[index % markers.count]
  }
  style.markerInterval = max(1, runs[index].epochs.count / 10)
  return style
}

/// Logarithmic where the values are positive and span more than a factor of 20: the late epochs would lie on the axis.
func scale(of series: [Figure.Series]) -> Figure.Scale {
  let values = series.flatMap(\.points).map(\.y).filter(\.isFinite)
  guard let low = values.min(), let high = values.max() else { return .linear }
  return low > 0 && high > 20 * low ? .logarithmic : .linear
}

/// Whether the rates fall in a few large steps, which only a logarithmic axis shows.
private func isStaircase(_ runs: [ReportedRun]) -> Bool {
  let rates = runs.flatMap(\.epochs).map(\.learningRate)
  guard let low = rates.min(), let high = rates.max(), low > 0, high.isFinite else { return false }
  return high >= 10 * low && Set(rates).count * 3 <= rates.count
}
