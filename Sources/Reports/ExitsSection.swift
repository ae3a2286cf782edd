import ResLensSupport
import ResLensResults

extension Section {
  /// The accuracy of networks that samples leave early; nil where no run has such results.
  init?(exitsOf runs: [ReportedRun]) throws {
    let all = runs.flatMap { run in run.exits.map { (run: run.name, results: $0) } }
    guard !all.isEmpty else { return nil }
    id = "exits"
    title = "Early exits: what does it cost to stop where the answer is sure?"
    text = [
      """
      A sample leaves at the first step where what a lens reads of the state is sure enough, and gets that answer: by \
      <b>confidence</b> where the largest probability is at least a threshold, by <b>entropy</b> where the entropy of the \
      distribution is at most one, and by <b>agreement</b> where the divergence from what the exit before read is at most \
      one. The multiply-accumulates of the readings are counted. A curve has a point for each threshold.
      """,
      """
      Two thresholds are chosen on train images: the one that saves most and loses no accuracy there, and the best one that \
      halves the multiply-accumulates there. The table says how accurate and how fast the network is with them on validation \
      images, when samples that have left are removed from the batch.
      """,
    ]
    let isOneOfMany = Set(all.map(\.run)).count > 1
    func name(_ run: String, _ results: ExitResults) -> String {
      let way = "\(results.settings.lens), \(results.settings.rule.rawValue)"
      return isOneOfMany ? "\(run), \(way)" : way
    }
    var (data, rows, series): (FigureData, [[String]], [Figure.Series]) = (FigureData(), [], [])
    for (index, (run, results)) in all.enumerated() {
      let points = try results.points.rows(of: ExitResults.Point.self)
      guard let whole = points.first(where: { $0.choice == ExitResults.Choice.whole.rawValue }) else { continue }
      let curve = try results.curve.rows(of: ExitResults.Threshold.self)
      for row in curve {
        data.add([
          ("run", .name(run)), ("lens", .text(results.settings.lens)), ("rule", .text(results.settings.rule.rawValue)),
          ("threshold", .number(row.threshold)), ("macs", .number(row.macs)), ("accuracy", .number(100 * row.accuracy)),
        ])
      }
      var style = RunGroup.style(of: index)
      style.markerInterval = 20
      series.append(
        Figure.Series(
          name(run, results), style: style,
          points: curve.map { .init(x: 100 * $0.macs / whole.macs, y: 100 * $0.accuracy) }.sorted { $0.x < $1.x }))
      rows += points.map { point in
        [
          name(run, results), ExitResults.Choice(rawValue: point.choice)?.words ?? point.choice,
          point.threshold.map { significant($0) } ?? "–", percent(point.accuracy),
          percent(point.macs / whole.macs, 1), decimal(point.steps, 1), decimal(point.imagesPerSecond, 0),
        ]
      }
    }
    overview = table(
      ["read by, leaves by", "network", "threshold", "accuracy", "multiply-accumulates", "steps", "images/s"],
      rows: rows,
      caption: nil)
    let samples = all.map { _, results in
      let settings = results.settings
      let after = settings.chosenAfter.map { " behind the \($0) that the lens was fitted on" } ?? ""
      let chosen = settings.chosenOn.map { "Thresholds are chosen on the first \($0) train images\(after). " } ?? ""
      let overlap =
        settings.isLensFittedOnThem == true
        ? "The lens was fitted on some of these and is surer of them than of others. " : ""
      return """
        Samples can leave after \(SharedAbsence.words(for: settings.exits)). \(chosen)\(overlap)Scores are of the first \
        \(settings.scoredOn) validation images of \(results.session.data).
        """
    }
    // A sentence that holds for all is said once.
    notes =
      Set(samples).count == 1
      ? ["\(samples[0])"] : zip(all, samples).map { "\(name($0.run, $0.results)): \($1)" }
    illustrations = [
      Illustration(
        figures: [
          Figure(
            name: "exits", title: "Accuracy of the network that samples leave early",
            panels: [
              .init(
                x: .init("multiply-accumulates (%)", isContinuous: true), y: .init("accuracy (%)"), series: series,
                rules: try Set(all.map { try $0.results.wholeAccuracy }).sorted())
            ], data: data)
        ], caption: "Accuracy on validation images. The horizontal line: the network without exits.")
    ]
  }
}

extension ExitResults {
  /// The accuracy of the network without exits, in per cent.
  fileprivate var wholeAccuracy: Double {
    get throws {
      let points = try points.rows(of: Point.self)
      return 100 * (points.first { $0.choice == Choice.whole.rawValue }?.accuracy ?? .nan)
    }
  }
}
