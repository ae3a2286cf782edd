import ResLensResults

/// A run, or the mean over the seeds of one network, with its tables as sections show them.
struct ShownRun {
  /// The name in pictures and tables.
  let name: String
  /// The folders that `reslens measure` is to be called with.
  let folders: [String]
  /// nil where the run has not been measured.
  let results: MeasureResults?
  /// The tables of the largest number of samples; nil where the run has not been measured.
  let tables: MeasuredTables?
  /// The measured epochs of the training, in order.
  let epochs: [Epoch]
  /// The tables of each seed, where this is the mean over several.
  let seeds: [MeasuredTables]
  /// The style of curves where runs share axes.
  let style: Figure.Style

  /// The network as it was after one epoch.
  struct Epoch {
    var number: Int
    var batchNorm: BatchNormStatistics
    var tables: MeasuredTables
  }

  /// The mean over the seeds of a group.
  /// - Parameters:
  ///   - name: the name in pictures and tables; nil for the group's
  ///   - style: the style of curves on shared axes; nil for the group's
  init(_ group: RunGroup, named name: String? = nil, style: Figure.Style? = nil) throws {
    let run = try group.mean
    self.name = name ?? run.name
    self.style = style ?? RunGroup.style(of: group.place)
    seeds = group.runs.count > 1 ? group.runs.compactMap { $0.measures?.widest } : []
    folders = run.folders
    results = run.measures
    tables = run.measures?.widest
    let byEpoch = Dictionary(run.history.map { ($0.epoch, $0) }, uniquingKeysWith: { $1 })
    epochs = byEpoch.values.sorted { $0.epoch < $1.epoch }.map {
      Epoch(number: $0.epoch, batchNorm: $0.batchNorm, tables: $0.widest)
    }
  }

  /// True if the run has values of a view.
  func has(_ view: MeasureView) throws -> Bool { try tables.map { try view.display.isPresent(in: $0) } ?? false }
}

/// The measured runs that a figure shows.
struct Subjects {
  var runs: [Subject]
  var presentation = Presentation()
  /// True if a panel says which run it shows. On a page about one run it does not; on a page about several it does, also
  /// where only one of them was measured.
  var areNamed: Bool

  /// One run of a figure.
  struct Subject {
    var name: String
    var tables: MeasuredTables
    /// The tables of each seed where `tables` are their mean.
    var seeds: [MeasuredTables] = []
    /// The style of the run's curves where runs share axes.
    var style = Figure.Style.train
  }

  /// True if the runs share axes.
  var isOverlaid: Bool { presentation.isOverlaid(runs.count) }

  /// The panels of a row where each run has its own: all in one row, as the paper has its four, or two in a row.
  func columns(of panels: Int) -> Int { presentation.layout == .panels && panels <= 4 ? panels : min(2, panels) }

  /// Half the height of the band around a mean; nil where it is not a finite number.
  func spread(of statistic: Statistic) -> Double? {
    let spread = presentation.band == .error ? statistic.estimate.margin : statistic.std
    return spread.isFinite ? spread : nil
  }

  /// The meaning of bands over samples.
  var bandCaption: Markup {
    presentation.band == .error
      ? "Band: two standard errors of the mean over samples." : "Band: one standard deviation over samples."
  }

  /// The meaning of the bands and of thin lines in a figure; empty where it has neither.
  func caption(of figure: Figure) -> Markup {
    let series = figure.panels.flatMap(\.series)
    let hasSeeds = runs.contains { !$0.seeds.isEmpty }
    var sentences: [Markup] = []
    if series.contains(where: { $0.style.hasBand && $0.points.contains { $0.spread != nil } }) {
      sentences.append(
        hasSeeds && presentation.band == .error
          ? "Band: two standard errors of the mean, over samples and over seeds." : bandCaption)
    }
    if series.contains(where: \.style.isThin) { sentences.append("Thin lines: the seeds.") }
    return Markup(joining: sentences, by: " ")
  }

  /// The title of a panel that shows a run, or a part of it.
  func title(_ run: String, _ part: String = "") -> String {
    guard areNamed else { return part }
    return part.isEmpty ? run : "\(run), \(part)"
  }
}
