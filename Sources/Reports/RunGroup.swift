import Foundation
import ResLensSupport
import ResLensResults

/// Runs that differ in nothing but their seed, to be shown as one curve.
struct RunGroup {
  var name: String
  var runs: [ReportedRun]
  /// The group's index among all groups of the page, which gives it the same colour everywhere.
  var place: Int

  /// The groups of some runs, in the order in which their first runs come: of each group the runs that have what is to be
  /// shown, and no group without one.
  static func all(of runs: [ReportedRun], where isShown: (ReportedRun) -> Bool = { _ in true }) -> [RunGroup] {
    var groups: [RunGroup] = []
    for run in runs {
      // A run that stands alone is not another one's seed, even where it is called the same.
      if let index = groups.firstIndex(where: { $0.runs[0].group != nil && $0.runs[0].group == run.group }) {
        groups[index].runs.append(run)
      } else {
        groups.append(RunGroup(name: run.group ?? run.name, runs: [run], place: groups.count))
      }
    }
    return groups.map { RunGroup(name: $0.name, runs: $0.runs.filter(isShown), place: $0.place) }
      .filter { !$0.runs.isEmpty }
  }

  /// All seeds as one: of every table the mean over the runs that have it, now and while they were trained. A run that is
  /// alone, or whose group was not measured, is shown as it is.
  var mean: ReportedRun {
    get throws {
      let measured = runs.compactMap(\.measures)
      var label = label
      // Some seeds can still be training.
      if runs.count > 1, measured.count < runs.count { label = "\(name) (\(measured.count) of \(runs.count) seeds)" }
      var mean = runs[0]
      mean.name = label
      guard runs.count > 1, let measures = try MeasureResults.mean(of: measured, called: label) else { return mean }
      mean.folders = runs.flatMap(\.folders)
      mean.measures = measures
      let epochs = Set(runs.flatMap(\.history).map(\.epoch)).sorted()
      mean.history = try epochs.compactMap { epoch in
        try MeasureResults.mean(of: runs.compactMap { run in run.history.first { $0.epoch == epoch } }, called: label)
      }
      return mean
    }
  }

  /// The name of the group in a picture, with the number of its runs if there are several.
  var label: String { runs.count == 1 ? name : "\(name) (\(runs.count) seeds)" }

  /// The mean over the runs at each place that at least one of them has, and behind it a thin line for each run where they
  /// are several.
  /// - Parameters:
  ///   - label: the legend's name of the mean
  ///   - seeds: the places of each run
  ///   - style: the style of the mean's curve of so many points
  func series(
    _ label: String, of seeds: [[(x: Double, y: Double)]], style: (Int) -> Figure.Style
  ) -> [Figure.Series] {
    let mean = Self.means(of: seeds.flatMap { $0 })
    let style = style(mean.count)
    let lines =
      seeds.count < 2
      ? []
      : seeds.map { places in
        Figure.Series("", style: style.thin, points: places.map { .init(x: $0.x, y: $0.y) })
      }
    return lines + [Figure.Series(label, style: style, points: mean)]
  }

  /// The mean of the places that have the same x. A number that is not finite counts only where there is no other: it would
  /// take the whole place away.
  private static func means(of places: [(x: Double, y: Double)]) -> [Figure.Point] {
    let all = Dictionary(grouping: places, by: \.x).mapValues { $0.map(\.y) }
    return all.keys.sorted().compactMap { x in
      all[x].map { ys in
        let finite = ys.filter(\.isFinite)
        return Figure.Point(x: x, y: SeedStatistic(finite.isEmpty ? ys : finite).mean)
      }
    }
  }

  /// The style of the group's curve among others; about ten markers on a curve.
  func style(_ dash: Figure.Dash, points: Int) -> Figure.Style {
    var style = Self.style(of: place)
    (style.dash, style.markerInterval) = (dash, max(1, points / 10))
    return style
  }

  /// The style of the curve of the group at an index: ten colours, and markers that differ where colours come again.
  static func style(of place: Int) -> Figure.Style {
    let markers: [Figure.Marker] = [.circle, .square, .triangle, .pentagon]
    let colours = Figure.palette
    return Figure.Style(
      colour: colours[place % colours.count], marker: markers[(place + place / colours.count) % markers.count])
  }

  /// The cells that the rows of a figure's data begin with.
  func cells(of run: ReportedRun) -> [(column: String, cell: Cell)] {
    [("run", .name(run.name)), ("network", .name(name))]
  }

  /// A legend of the groups, and of the meaning of solid and dashed lines.
  static func legend(_ groups: [RunGroup], solid: String? = nil, dashed: String? = nil) -> [Figure.LegendEntry] {
    groups.map { .init($0.label, style: $0.style(.solid, points: 1)) }
      + [(solid, Figure.Dash.solid), (dashed, .dashed)].compactMap { label, dash in
        label.map { .init($0, style: .init(colour: Figure.ink, dash: dash)) }
      }
  }
}

/// The meaning of thin lines where a curve is a mean over seeds.
func seedsCaption(_ groups: [RunGroup]) -> Markup {
  groups.contains { $0.runs.count > 1 } ? "A curve of several seeds is their mean. Thin lines: the seeds." : ""
}

extension SeedStatistic {
  /// As a share in per cent: "6.62 ± 0.12 %"; a dash without numbers.
  var percentage: String {
    mean.isNaN ? "–" : deviation.map { "\(decimal(100 * mean, 2)) ± \(percent($0))" } ?? percent(mean)
  }

  /// "1.234 ± 0.057"; a dash without numbers. Of a deviation two digits say enough.
  public var text: String {
    let spread = deviation.map { " ± " + ($0 < 100 ? String(format: "%.2g", $0) : decimal($0, 0)) }
    return mean.isNaN ? "–" : significant(mean) + (spread ?? "")
  }
}

extension Figure.Point {
  /// A place of a run's curve.
  static func place(_ x: Int, _ y: Double) -> (x: Double, y: Double) { (Double(x), y) }
}
