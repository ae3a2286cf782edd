import ResLensSupport
import ResLensResults

extension Section {
  /// The scores of the networks from which runs were pruned, step by step; nil where no run was pruned.
  init?(pruningOf runs: [ReportedRun]) throws {
    let curves = try runs.flatMap { run -> [(run: String, order: String, points: [PruningResults.Point])] in
      guard let pruning = run.pruning else { return [] }
      return try pruning.orders.map { (run.name, $0, try pruning.curve(of: $0)) }
    }
    guard !curves.isEmpty else { return nil }
    id = "pruning"
    title = "Pruning: how many steps can go?"
    text = [
      """
      The network that each run was pruned from, with its steps dropped one after the other. The <b>greedy</b> order \
      drops, again and again, the step without which the loss on train images is the lowest. An order by a quantity \
      drops the step with the smallest value on train samples first, or with the largest. Nothing is trained \
      meanwhile.
      """
    ]
    notes = runs.compactMap { run in run.pruning.map { "\(run.name): \($0.settings.text)" } }
    let isOneOfMany = Set(curves.map(\.run)).count > 1
    func name(_ run: String, _ order: String) -> String { isOneOfMany ? "\(run), \(order)" : order }
    tables = curves.map { run, order, points in
      let whole = Double(points.first?.macs ?? 1)
      return table(
        ["dropped", "step", "error", "loss", "multiply-accumulates"],
        rows: points.map { point in
          [
            "\(point.dropped)", point.step.map { "\($0)" } ?? "–", percent(1 - point.score.accuracy),
            readable(point.score.loss), percent(Double(point.macs) / whole, 1),
          ]
        }, caption: "\(name(run, order))")
    }
    var data = FigureData()
    for (run, order, points) in curves {
      for point in points {
        data.add([
          ("run", .name(run)), ("order", .text(order)), ("dropped", .integer(point.dropped)),
          ("macs", .integer(point.macs)), ("error", .number(100 * (1 - point.score.accuracy))),
          ("loss", .number(point.score.loss)),
        ])
      }
    }
    func series(_ x: (PruningResults.Point, Double) -> Double) -> [Figure.Series] {
      curves.enumerated().map { index, curve in
        let whole = Double(curve.points.first?.macs ?? 1)
        return Figure.Series(
          name(curve.run, curve.order), style: RunGroup.style(of: index),
          points: curve.points.map { .init(x: x($0, whole), y: 100 * (1 - $0.score.accuracy)) })
      }
    }
    illustrations = [
      Illustration(
        figures: [
          Figure(
            name: "pruning", title: "The error of the network without some of its steps",
            panels: [
              .init(
                x: .init("dropped steps"), y: .init("error (%)"), series: series { point, _ in Double(point.dropped) }),
              .init(
                x: .init("multiply-accumulates (%)", isContinuous: true), y: .init("error (%)"),
                series: series { 100 * Double($0.macs) / $1 }),
            ], columns: 2, data: data)
        ], caption: "The error on validation images.")
    ]
  }
}

extension PruningResults.Settings {
  /// The settings in a sentence.
  fileprivate var text: String {
    let choosing = chosenOn.map { "chosen on the first \($0) train images and " } ?? ""
    return "steps of \(architecture) \(choosing)scored on the first \(scoredOn) validation images of \(data), with "
      + "\(runningStatistics)."
  }
}
