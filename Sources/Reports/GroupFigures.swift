import ResLensSupport
import ResLensResults

/// The score of one group of examples at one state of a network.
struct GroupScore {
  /// The state, by the number of steps that were made.
  var place: Int
  /// The group's name in tables.
  var group: String
  var score: Score
}

/// A group of examples as pictures and tables show it. The colours are not those of train and validation samples.
struct ExampleGroup {
  /// The group's name in tables.
  var name: String
  var label: String
  var style: Figure.Style

  static let all = [
    ExampleGroup(
      name: "borderline", label: "borderline", style: .init(colour: Figure.palette[3], marker: .circle)),
    ExampleGroup(
      name: "already-correct", label: "already correct",
      style: .init(colour: Figure.palette[2], dash: .dashed, marker: .square, filled: false)),
    ExampleGroup(name: "all", label: "all", style: .init(colour: Figure.ink, dash: .dotted)),
  ]

  /// A row for each place: accuracy, loss and entropy of each group, with the groups' sizes in the head.
  static func table(_ scores: [GroupScore], place: String, caption: String) -> Markup {
    let groups = all.map { group in
      let count = scores.first { $0.group == group.name }?.score.count ?? 0
      return (head: "\(group.label) (n = \(count))", columns: 3)
    }
    return ResLensReports.table(
      [place] + all.flatMap { _ in ["accuracy", "loss ± std", "entropy ± std"] }, groups: [("", 1)] + groups,
      rows: Set(scores.map(\.place)).sorted().map { place in
        [String(place)]
          + all.flatMap { group in
            (scores.first { $0.place == place && $0.group == group.name }?.score).map {
              [percent($0.accuracy), spread($0.loss, $0.lossStd), spread($0.entropy, $0.entropyStd)]
            } ?? ["–", "–", "–"]
          }
      }, caption: caption)
  }
}

/// Accuracy, loss and entropy of the groups over the network: a panel each, with the title over the first.
func groupPanels(
  _ title: String, x: String, _ scores: [GroupScore], loss: Figure.Scale = .linear, uprights: [Double] = []
) -> [Figure.Panel] {
  let quantities: [(axis: Figure.Axis, value: (Score) -> Double)] = [
    (.init("accuracy (%)"), { 100 * $0.accuracy }), (.init("loss (nats)", scale: loss), \.loss),
    (.init("entropy (nats)"), \.entropy),
  ]
  return quantities.enumerated().map { column, quantity in
    Figure.Panel(
      title: column == 0 ? title : "", x: .init(x), y: quantity.axis,
      series: ExampleGroup.all.map { group in
        Figure.Series(
          group.label, style: group.style,
          points: scores.filter { $0.group == group.name }.map {
            .init(x: Double($0.place), y: quantity.value($0.score))
          })
      }, uprights: uprights)
  }
}
