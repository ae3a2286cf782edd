import Results

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

/// - Parameter isNorm: of numbers of any size
func statisticTable(_ statistics: BySplit<[StepStatistic]>?, run: String?, isNorm: Bool = false) -> Markup {
  stepTable(
    columns: ["mean ± std", "n"], train: statistics?.train ?? [], validation: statistics?.validation ?? [],
    name: \.name, run: run
  ) { step in
    let value = isNorm ? "\(significant(step.mean)) ± \(significant(step.std))" : spread(step.mean, step.std)
    return [value, String(step.count)]
  }
}

func droppedStepTable(_ measures: MeasureResults.Measures, run: String?) -> Markup {
  guard let dropped = measures.droppedStep else { return "" }
  let baseline = dropped.baseline
  let note: Markup = """
    <p class="note">The whole network: train \(percent(baseline.train.accuracy)) (n = \(baseline.train.count)), \
    validation \(percent(baseline.validation.accuracy)) (n = \(baseline.validation.count)).</p>
    """
  return stepTable(
    columns: ["accuracy", "loss ± std", "n"], train: dropped.train, validation: dropped.validation, name: \.name,
    run: run
  ) { [percent($0.score.accuracy), spread($0.score.loss, $0.score.lossStd), String($0.score.count)] } + note
}

func intermediateTable(_ measures: MeasureResults.Measures, run: String?) -> Markup {
  stepTable(
    columns: ["accuracy", "loss ± std", "entropy ± std", "n"], train: measures.intermediate?.train ?? [],
    validation: measures.intermediate?.validation ?? [], name: \.name, run: run
  ) { step in
    let score = step.score
    return [
      percent(score.accuracy), spread(score.loss, score.lossStd), spread(score.entropy, score.entropyStd),
      String(score.count),
    ]
  }
}

/// Four decimals, as long as that is not a row of digits that say nothing: losses can explode.
func spread(_ mean: Double, _ std: Double) -> String {
  [mean, std].map { abs($0) < 1e5 ? decimal($0, 4) : significant($0) }.joined(separator: " ± ")
}

/// A row a step, the same columns for train and for validation.
func stepTable<Row>(
  columns: [String], train: [Row], validation: [Row], name: KeyPath<Row, StepName>, run: String?,
  cells: (Row) -> [String]
) -> Markup {
  let rows = BySteps(train: train, validation: validation, name: name)
  let blank = columns.map { _ in "–" }
  return table(
    ["step", "block", "keeps h by"] + columns + columns,
    groups: [("", 3), ("train", columns.count), ("validation", columns.count)],
    rows: rows.names.map { step in
      [String(step.step), step.path, step.projection ? "projection" : "identity"]
        + (rows.train[step.step].map(cells) ?? blank) + (rows.validation[step.step].map(cells) ?? blank)
    }, caption: run)
}

/// The rows of both splits by step, whichever of them has it.
private struct BySteps<Row> {
  var train: [Int: Row]
  var validation: [Int: Row]
  var names: [StepName]

  init(train: [Row], validation: [Row], name: KeyPath<Row, StepName>) {
    func byStep(_ rows: [Row]) -> [Int: Row] {
      Dictionary(rows.map { ($0[keyPath: name].step, $0) }, uniquingKeysWith: { first, _ in first })
    }
    self.train = byStep(train)
    self.validation = byStep(validation)
    let all = (train + validation).map { ($0[keyPath: name].step, $0[keyPath: name]) }
    names = Dictionary(all, uniquingKeysWith: { first, _ in first }).values.sorted { $0.step < $1.step }
  }
}

/// A table whose heads may stand under common ones, each over a number of columns.
func table(
  _ heads: [String], groups: [(head: String, columns: Int)] = [], rows: [[String]], caption: String?
) -> Markup {
  let caption: Markup = if let caption { "<caption>\(caption)</caption>" } else { "" }
  let group = groups.map { head, columns -> Markup in "<th scope=\"colgroup\" colspan=\"\(columns)\">\(head)</th>" }
  let groupRow: Markup = groups.isEmpty ? "" : "<tr class=\"groups\">\(group)</tr>"
  let head = heads.map { head -> Markup in "<th scope=\"col\">\(head)</th>" }
  let body = rows.map { row -> Markup in "<tr>\(row.map { cell -> Markup in "<td>\(cell)</td>" })</tr>" }
  return """
    <div class="scroll"><table>\(caption)<thead>\(groupRow)<tr>\(head)</tr></thead><tbody>
    \(body)
    </tbody></table></div>
    """
}
