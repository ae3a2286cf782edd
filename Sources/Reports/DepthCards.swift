import ResLensSupport
import ResLensResults

extension Section {
  /// The depth cards of some runs: every quantity of every step at a glance; nil where no run has one.
  init?(depthCardsOf runs: [ShownRun], _ measures: [MeasureDescription]) throws {
    let cards = try runs.compactMap { run -> Markup? in
      guard let tables = run.tables, let card = try DepthCard(measures, tables, .validation) else { return nil }
      let table = cardTable(card, tables)
      switch runs.count {
      case 1: return table
      case 2...3: return "<p><b>\(run.name)</b></p>\(table)"
      default: return "<details><summary>\(run.name)</summary>\(table)</details>"
      }
    }
    guard !cards.isEmpty else { return nil }
    id = "depth-card"
    title = "Depth card: what does every step do, at a glance?"
    text = [
      """
      The card has a row for each step, and a column for each quantity that is one number a step, on validation \
      samples. A line marks where a stage begins, and a star a step with a projection. A bar goes from 0 to the number; \
      in each column the longest bar is that of the largest size. The sections below say what the quantities are and \
      how certain the numbers are.
      """
    ]
    overview = "\(cards)"
  }
}

private func cardTable(_ card: DepthCard, _ tables: MeasuredTables) -> Markup {
  var groups: [(measure: String, columns: Int)] = []
  for column in card.columns {
    if groups.last?.measure == column.measure {
      groups[groups.count - 1].columns += 1
    } else {
      groups.append((column.measure, 1))
    }
  }
  let group = groups.map { measure, columns -> Markup in
    "<th scope=\"colgroup\" colspan=\"\(columns)\">\(measure)</th>"
  }
  let head = card.columns.map { column -> Markup in
    "<th scope=\"col\">\(column.quantity) \(column.unit)</th>"
  }
  let bars = card.columns.map { Bars(Array($0.values.values)) }
  let rows = card.steps.enumerated().map { index, step -> Markup in
    let spec = tables.step(step)
    let begins = index > 0 && spec?.stage != tables.step(card.steps[index - 1])?.stage
    let rowClass: Markup = begins ? " class=\"stage\"" : ""
    let cells = zip(card.columns, bars).map { column, bars -> Markup in
      guard let value = column.values[step] else { return "<td>–</td>" }
      let bar = bars.bar(of: value)
      let style: Markup = "--from:\(decimal(bar.lowerBound, 0))%;--to:\(decimal(bar.upperBound, 0))%"
      return "<td style=\"\(style)\">\(column.format.bareText(value))</td>"
    }
    let star = spec?.hasIdentitySkip == false ? "*" : ""
    return "<tr\(rowClass)><th scope=\"row\">\(step)\(star)</th>\(cells)</tr>"
  }
  return """
    <div class="scroll wide"><table class="card"><thead><tr class="groups"><th></th>\(group)</tr>\
    <tr><th scope="col">step</th>\(head)</tr></thead><tbody>
    \(rows)
    </tbody></table></div>
    """
}

/// The bars of a column, as stretches of a cell's width in per cent.
private struct Bars {
  private let low: Double
  private let high: Double

  init(_ values: [Double]) {
    let finite = values.filter(\.isFinite)
    (low, high) = (min(0, finite.min() ?? 0), max(0, finite.max() ?? 0))
  }

  func bar(of value: Double) -> ClosedRange<Double> {
    guard high > low, !value.isNaN else { return 0...0 }
    func place(_ value: Double) -> Double { 100 * (min(high, max(low, value)) / (high - low) - low / (high - low)) }
    return min(place(0), place(value))...max(place(0), place(value))
  }
}
