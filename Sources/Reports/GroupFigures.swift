import Results

/// The scores of three groups of examples at one state of the network.
struct PlacedGroups {
  var place: Int
  var groups: GroupScores
}

/// Accuracy, loss and entropy of the groups over the network: a panel each, the title over the first.
func groupPanels(
  _ title: String, x: String, _ states: [PlacedGroups], loss: Figure.Scale = .linear, uprights: [Double] = []
) -> [Figure.Panel] {
  let quantities: [(axis: Figure.Axis, value: (Score) -> Double)] = [
    (.init("accuracy (%)"), { 100 * $0.accuracy }), (.init("loss", scale: loss), \.loss), (.init("entropy"), \.entropy),
  ]
  return quantities.enumerated().map { column, quantity in
    Figure.Panel(
      title: column == 0 ? title : "", x: .init(x), y: quantity.axis,
      series: ExampleGroup.all.map { group in
        Figure.Series(
          group.label, style: group.style,
          points: states.compactMap { state in
            group.score(state.groups).map { .init(x: Double(state.place), y: quantity.value($0)) }
          })
      }, uprights: uprights)
  }
}

/// A group of examples as pictures and tables show it. The colours are not those of train and validation data.
struct ExampleGroup {
  var label: String
  var style: Figure.Style
  var score: (GroupScores) -> Score?

  static var all: [ExampleGroup] {
    [
      ExampleGroup(
        label: "borderline", style: .init(colour: Figure.palette[3], marker: .circle), score: \.borderline),
      ExampleGroup(
        label: "already correct",
        style: .init(colour: Figure.palette[2], dash: .dashed, marker: .square, filled: false),
        score: \.alreadyCorrect),
      ExampleGroup(label: "all", style: .init(colour: Figure.ink, dash: .dotted), score: \.all),
    ]
  }

  /// A row a place: accuracy, loss and entropy of each group, their sizes in the head.
  static func table(_ states: [PlacedGroups], place: String, caption: String) -> Markup {
    let groups = all.map { group in
      let count = states.first.flatMap { group.score($0.groups) }?.count ?? 0
      return (head: "\(group.label) (n = \(count))", columns: 3)
    }
    return Reports.table(
      [place] + all.flatMap { _ in ["accuracy", "loss ± std", "entropy ± std"] }, groups: [("", 1)] + groups,
      rows: states.map { state in
        [String(state.place)]
          + all.flatMap { group in
            group.score(state.groups).map {
              [percent($0.accuracy), spread($0.loss, $0.lossStd), spread($0.entropy, $0.entropyStd)]
            } ?? ["–", "–", "–"]
          }
      }, caption: caption)
  }
}

/// The caption above one of several tables of a run.
func tableCaption(_ run: String?, _ part: String) -> String { run.map { "\($0), \(part)" } ?? part }
