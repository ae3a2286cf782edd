import ResLensResults
import ResLensRuns
import ResLensSupport
import ResLensTraining

/// The errors of networks over their seeds, as a table and sentences for a terminal.
struct GroupSummary {
  private var groups: [Group] = []

  /// The runs of one network that differ in their seed only.
  private struct Group {
    var name: String
    /// The last epoch of each run.
    var last: [EpochRecord]
  }

  /// - Parameter runs: the runs' folders, of which those without an epoch do not count
  /// - Returns: nil where no network was trained with two seeds
  /// - Throws: `FileError` where a run's files cannot be read.
  init?(_ paths: [String]) throws {
    let folders = paths.map { RunFolder(.init(filePath: $0)) }
    let names = RunNames(of: try folders.map { try $0.configuration() }, in: paths)
    for (index, folder) in folders.enumerated() {
      guard let last = try folder.epochs().last else { continue }
      let name = names.groups[index] ?? names.names[index]
      if let group = groups.firstIndex(where: { $0.name == name }) {
        groups[group].last.append(last)
      } else {
        groups.append(Group(name: name, last: [last]))
      }
    }
    guard groups.contains(where: { $0.last.count > 1 }) else { return nil }
  }

  func text() -> String {
    func column(_ head: String..., rank: Int = 0, number: (EpochRecord) -> Double) -> TextTable.Column {
      var column = TextTable.Column("", cells: groups.map { percentage(statistic($0, number)) }, rank: rank)
      column.head = head
      return column
    }
    let table = TextTable(columns: [
      .init("network", cells: groups.map(\.name)), .init("seeds", cells: groups.map { "\($0.last.count)" }),
      column("train", "error", "%", rank: 1) { $0.trainError },
      column("validation", "error", "%") { $0.validationError },
      column("gap", "between them", "points", rank: 1) { $0.validationError - $0.trainError },
    ])
    let note =
      "After the last epoch; ± one standard deviation over seeds (n − 1). The gap is the validation error less the train "
      + "error, which was taken while the weights changed."
    return table.text() + "\n" + wrapped(([note] + [comparison].compactMap { $0 }).joined(separator: "\n"))
  }

  /// The networks whose validation error cannot be told from the lowest one.
  private var comparison: String? {
    let known = groups.compactMap { group in
      Estimate(overSeeds: group.last.map { Estimate($0.validationError) }).map { (group.name, $0) }
    }.filter { $0.1.value.isFinite }.sorted { $0.1.value < $1.1.value }
    guard let best = known.first, known.count > 1 else { return nil }
    let others = known.dropFirst()
    func names(_ isMeant: (Estimate) -> Bool) -> String {
      others.filter { isMeant($0.1) }.map(\.0).joined(separator: ", ")
    }
    func isWithinNoise(_ other: Estimate) -> Bool {
      min(other.runs, best.1.runs) > 1 && (other - best.1).isAbove(0) != true
    }
    let sentences = [
      (
        "worse by more than two standard errors over seeds: ",
        names { min($0.runs, best.1.runs) > 1 && !isWithinNoise($0) }
      ),
      ("within the noise: ", names(isWithinNoise)),
      ("not decided with one seed: ", names { min($0.runs, best.1.runs) < 2 }),
    ].filter { !$0.1.isEmpty }.map { $0 + $1 }
    return "The lowest validation error is that of \(best.0); " + sentences.joined(separator: "; ") + "."
  }

  private func statistic(_ group: Group, _ number: (EpochRecord) -> Double) -> SeedStatistic {
    SeedStatistic(group.last.map(number))
  }

  private func percentage(_ statistic: SeedStatistic) -> String {
    decimal(100 * statistic.mean, 2) + (statistic.deviation.map { " ± \(decimal(100 * $0, 2))" } ?? "")
  }
}
