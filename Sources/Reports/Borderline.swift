import ResLensSupport
import ResLensResults

/// The scores of borderline examples along the last steps, and the predictions that each of them flips.
struct BorderlineDisplay: ViewDisplay {
  private static let scores = "borderline"
  private static let flips = "borderline-flips"

  /// The keys of the table of scores.
  private struct State: TableRow {
    /// The number of steps made before the state.
    var step: Int
    /// The name of an `ExampleGroup`.
    var group: String

    static let keys = ["step", "group"]
  }

  /// The borderline examples whose prediction one step flips.
  private struct Flips: TableRow {
    var step: Int
    /// The number of examples that are wrong before the step and right after it.
    var corrected: Int
    /// The number of examples that are right before the step and wrong after it.
    var broken: Int
    /// The number of borderline examples.
    var count: Int

    static let keys = ["step"]
  }

  private func scores(_ tables: MeasuredTables, _ split: Split) throws -> [GroupScore] {
    zip(
      try tables.rows(of: State.self, in: Self.scores, split), try tables.rows(of: Score.self, in: Self.scores, split)
    ).map { GroupScore(place: $0.step, group: $0.group, score: $1) }.sorted { $0.place < $1.place }
  }

  func isPresent(in tables: MeasuredTables) throws -> Bool { tables[Self.scores]?.rows.isEmpty == false }

  func remark(on tables: MeasuredTables) throws -> Markup? {
    guard let parameters = tables[Self.scores]?.parameters, let reference = parameters["reference"]?.integer else {
      return nil
    }
    let sizes = try Split.allCases.map { split in
      let first = try scores(tables, split).filter { $0.place == reference }
      func count(_ group: String) -> Int { first.first { $0.group == group }?.score.count ?? 0 }
      return "\(count("borderline")) of \(count("all")) \(split.rawValue) examples are borderline and "
        + "\(count("already-correct")) are already correct"
    }
    return """
      The margin is \(significant(parameters["margin"]?.number ?? .nan)), and the reference is the state after step \
      \(reference). There, \(sizes.joined(separator: "; ")).
      """
  }

  func sampleCounts(in tables: MeasuredTables, _ split: Split) throws -> [Double] {
    try scores(tables, split).filter { $0.group == "all" }.map { Double($0.score.count) }
  }

  func pictures(of subjects: Subjects) throws -> [Picture] {
    [
      Picture(
        figure: try scoreFigure(of: subjects),
        caption: """
          Means over each group. The leftmost points are the reference. A group without examples has no curve.
          """)
    ]
      + [try flipFigure(of: subjects)].compactMap { figure in
        figure.map {
          Picture(
            figure: $0, caption: "Shares of the borderline examples of each set.",
            markedCaption: "Diamonds: steps with a projection.")
        }
      }
  }

  /// The three groups over the states from the reference on; a row for each set of a run.
  private func scoreFigure(of subjects: Subjects) throws -> Figure {
    var panels: [Figure.Panel] = []
    var data = FigureData()
    for run in subjects.runs {
      for split in Split.allCases {
        let scores = try scores(run.tables, split)
        panels += groupPanels(subjects.title(run.name, split.rawValue), x: "after step", scores)
      }
      if let table = run.tables[Self.scores] { data.add([("run", .name(run.name))], table) }
    }
    return Figure(
      name: "borderline", title: "Accuracy, loss and entropy of borderline, already correct and all examples",
      panels: panels, columns: 3, panelHeight: 200, data: data)
  }

  /// The shares of borderline examples that each step corrects and breaks; a panel for each run. It is nil if no run has
  /// borderline examples.
  private func flipFigure(of subjects: Subjects) throws -> Figure? {
    var panels: [Figure.Panel] = []
    var data = FigureData()
    for run in subjects.runs {
      guard let table = run.tables[Self.flips] else { continue }
      data.add([("run", .name(run.name))], table)
      var series: [Figure.Series] = []
      for split in Split.allCases {
        let rows = try run.tables.rows(of: Flips.self, in: Self.flips, split).filter { $0.count > 0 }
        func curve(_ label: String, _ dash: Figure.Dash, _ number: (Flips) -> Int) -> Figure.Series {
          var style = split.style
          (style.dash, style.filled) = (dash, dash == .solid)
          return Figure.Series(
            "\(split.rawValue), \(label)", style: style,
            points: rows.map {
              .init(
                x: Double($0.step), y: 100 * Double(number($0)) / Double($0.count),
                marked: run.tables.isMarked($0.step))
            })
        }
        series += [curve("corrected", .solid, \.corrected), curve("broken", .dashed, \.broken)]
      }
      panels.append(
        Figure.Panel(
          title: subjects.title(run.name), x: .init("step"), y: .init("of the borderline examples (%)"),
          series: series))
    }
    guard panels.contains(where: { $0.series.contains { !$0.points.isEmpty } }) else { return nil }
    return Figure(
      name: Self.flips, title: "Borderline examples corrected and broken by each step", panels: panels,
      columns: min(2, panels.count), data: data)
  }

  func table(of tables: MeasuredTables, run: String?) throws -> Markup {
    let states = try Split.allCases.map { split in
      ExampleGroup.table(
        try scores(tables, split), place: "after step", caption: tableCaption(run, split.rawValue))
    }
    func cells(_ split: Split) throws -> [Int: [String]] {
      let rows = try tables.rows(of: Flips.self, in: Self.flips, split).map {
        ($0.step, [String($0.corrected), String($0.broken), String($0.count)])
      }
      return Dictionary(rows, uniquingKeysWith: { first, _ in first })
    }
    let flipped = stepTable(
      columns: ["corrected", "broken", "borderline"], train: try cells(.train), validation: try cells(.validation),
      of: tables, run: tableCaption(run, "borderline examples whose prediction flips"))
    return "\(states + [flipped])"
  }
}
