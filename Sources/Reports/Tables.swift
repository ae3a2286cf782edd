import ResLensSupport
import ResLensResults

/// The facts about the runs and their training: one row for each fact, one column for each run.
func factTable(_ runs: [ReportedRun]) -> Markup {
  var labels: [String] = []
  for fact in runs.flatMap(\.facts) where !labels.contains(fact.label) { labels.append(fact.label) }
  let rows = labels.map { label -> Markup in
    let cells = runs.map { run -> Markup in
      let value = run.facts.first { $0.label == label }?.value ?? "–"
      return "<td>\(value)</td>"
    }
    return "<tr><th scope=\"row\">\(label)</th>\(cells)</tr>"
  }
  let heads = runs.map { run -> Markup in "<th scope=\"col\">\(run.name)</th>" }
  return """
    <div class="scroll"><table class="facts"><thead><tr><th></th>\(heads)</tr></thead><tbody>
    \(rows)
    </tbody></table></div>
    """
}

/// One row for each epoch.
func epochTable(_ run: ReportedRun, captioned: Bool) -> Markup {
  table(
    [
      "epoch", "learning rate", "train loss", "train error", "validation loss", "validation error", "images/s",
      "seconds",
    ],
    rows: run.epochs.map {
      [
        String($0.epoch), significant($0.learningRate), decimal($0.trainLoss, 4), percent($0.trainError),
        decimal($0.validationLoss, 4), percent($0.validationError), decimal($0.imagesPerSecond, 0),
        decimal($0.seconds, 1),
      ]
    }, caption: captioned ? run.name : nil)
}

/// A mean and its deviation with four decimals, or with four significant digits where they are very large: losses can
/// explode.
func spread(_ mean: Double, _ std: Double) -> String {
  [mean, std].map { abs($0) < 1e5 ? decimal($0, 4) : significant($0) }.joined(separator: " ± ")
}

/// One row for each step, and the same columns for train and for validation.
/// - Parameters:
///   - train: the cells of the columns, by step
///   - validation: the cells of the columns, by step
///   - run: the caption; nil for none
func stepTable(
  columns: [String], train: [Int: [String]], validation: [Int: [String]], of tables: MeasuredTables, run: String?
) -> Markup {
  let blank = columns.map { _ in "–" }
  return table(
    ["step", "block", "skip"] + columns + columns,
    groups: [("", 3), ("train", columns.count), ("validation", columns.count)],
    rows: Set(train.keys).union(validation.keys).sorted().map { step in
      [String(step), tables.path(step), tables.skip(step)] + (train[step] ?? blank) + (validation[step] ?? blank)
    }, caption: run)
}

extension MeasuredTables {
  /// The block of a step as a checkpoint calls it; step 0 is the state that the stem makes.
  func path(_ number: Int) -> String { step(number)?.id.path ?? (number == 0 ? "stem" : "–") }

  /// The kind of a step's skip in words.
  fileprivate func skip(_ number: Int) -> String {
    step(number).map { $0.hasIdentitySkip ? "identity" : "projection" } ?? "–"
  }
}

/// The caption above one of several tables of a run.
func tableCaption(_ run: String?, _ part: String) -> String { run.map { "\($0), \(part)" } ?? part }

/// A table whose heads may stand under common ones, each over a number of columns.
func table(
  _ heads: [String], groups: [(head: String, columns: Int)] = [], rows: [[String]], caption: String?
) -> Markup {
  let caption: Markup = if let caption { "<caption>\(caption)</caption>" } else { "" }
  let group = groups.map { head, columns -> Markup in "<th scope=\"colgroup\" colspan=\"\(columns)\">\(head)</th>" }
  let groupRow: Markup = groups.isEmpty ? "" : "<tr class=\"groups\">\(group)</tr>"
  let head = heads.map { head -> Markup in "<th scope=\"col\">\(Markup(subscripted: head))</th>" }
  let body = rows.map { row -> Markup in "<tr>\(row.map { cell -> Markup in "<td>\(cell)</td>" })</tr>" }
  return """
    <div class="scroll"><table>\(caption)<thead>\(groupRow)<tr>\(head)</tr></thead><tbody>
    \(body)
    </tbody></table></div>
    """
}
