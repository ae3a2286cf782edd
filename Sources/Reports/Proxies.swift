import ResLensSupport
import ResLensResults

extension Section {
  /// How well each quantity tells what dropping a step costs; nil where no run has the numbers.
  init?(proxiesOf runs: [ShownRun], _ measures: [MeasureDescription]) throws {
    let shown = try runs.compactMap { run -> (run: ShownRun, proxies: [DropCost.Proxy])? in
      guard let tables = run.tables, let cost = try DropCost(measures, tables) else { return nil }
      return (run, cost.proxies)
    }
    var names: [String] = []
    for proxy in shown.flatMap(\.proxies) where proxy.correlation != nil && !names.contains(proxy.name) {
      names.append(proxy.name)
    }
    guard names.count > 1 else { return nil }
    id = "proxies"
    title = "Proxies: which quantity tells what a dropped step costs?"
    text = [
      """
      Dropping each step in turn is the expensive way to learn which steps matter. <b>Spearman’s rank correlation</b> ρ \
      over the steps says how well a quantity ranks them by that cost: 1 where a larger quantity always means a larger \
      cost, −1 where it always means a smaller one, 0 where it says nothing. The quantities were measured on train \
      samples, the cost is the rise of the loss on validation samples, and steps with a projection are left out.
      """,
      """
      A ρ within two standard errors of 0 is within the noise; the standard error for n steps is 1/√(n − 1). Quantities that \
      need the readout exist in the last stage only, and are ranked there alone.
      """,
    ]
    let isOneOfMany = shown.count > 1
    func proxy(_ name: String, _ proxies: [DropCost.Proxy]) -> DropCost.Proxy? { proxies.first { $0.name == name } }
    overview = table(
      ["quantity"] + shown.map { isOneOfMany ? $0.run.name : "ρ" },
      rows: names.map { name in [name] + shown.map { proxy(name, $0.proxies)?.text ?? "–" } }, caption: nil)
    // The points of many networks would make a page that no browser likes.
    guard shown.count <= Presentation.mostOverlaid else { return }
    var data = FigureData()
    let panels = names.map { name -> Figure.Panel in
      let series = shown.compactMap { run, proxies -> Figure.Series? in
        guard let proxy = proxy(name, proxies) else { return nil }
        for point in proxy.points {
          data.add([
            ("run", .name(run.name)), ("quantity", .text(name)), ("step", .integer(point.step)),
            ("value", .number(point.value)), ("cost", .number(point.cost)),
          ])
        }
        let colour = run.style.colour
        return Figure.Series(
          isOneOfMany ? run.name : "",
          style: .init(colour: colour, marker: .circle, filled: false, hasLine: false),
          points: proxy.points.map { .init(x: $0.value, y: $0.cost) })
      }
      return Figure.Panel(
        title: name, x: .init("value", isContinuous: true), y: .init("cost (nats)"), series: series, rules: [0])
    }
    illustrations = [
      Illustration(
        figures: [
          Figure(
            name: "proxies", title: "The cost of dropping each step beside each quantity of the step", panels: panels,
            columns: 4, panelHeight: 150, data: data)
        ], caption: "A point for each step: the quantity on train samples, and the rise of the validation loss.")
    ]
  }
}

extension DropCost.Proxy {
  /// The correlation and the number of steps in words.
  fileprivate var text: String {
    guard let correlation else { return "–" }
    return "\(decimal(correlation, 2)) (n = \(points.count)\(isBeyondNoise ? "" : ", within the noise"))"
  }
}
