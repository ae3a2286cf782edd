import ResLensSupport
import ResLensResults

/// The scales that were tried, then every way on every set: its groups and its steps.
func unrollingTables(_ unrolled: Unrolled, run: String?) -> Markup {
  var tables: [Markup] = []
  if !unrolled.tried.isEmpty {
    tables.append(
      table(
        ["α", "mean train loss"], rows: unrolled.tried.map { [significant($0.scale), significant($0.loss)] },
        caption: tableCaption(run, "scales tried")))
  }
  for way in unrolled.ways {
    for split in Split.allCases {
      let caption = tableCaption(run, "\(split.rawValue), α = \(significant(way.scale))")
      let scores = unrolled.scores(way, split)
      if !scores.isEmpty { tables.append(ExampleGroup.table(scores, place: "steps run", caption: caption)) }
      if !unrolled.places(way).isEmpty { tables.append(stepTable(unrolled, way, split, caption: caption)) }
    }
  }
  return "\(tables)"
}

private func stepTable(_ unrolled: Unrolled, _ way: Unrolled.Way, _ split: Split, caption: String) -> Markup {
  let columns = [
    ("cosine", "cosine loss"), ("cosine_readout", "by readout"), ("ratio", "‖αF‖ / ‖h‖"), ("distance", "distance"),
    ("update_cosine", "update cosine"),
  ].map { name, head in
    let statistics = unrolled.quantity(name, way, split).map { ($0.place.place, $0.statistic) }
    return (head: head, statistics: Dictionary(statistics, uniquingKeysWith: { first, _ in first }))
  }
  return table(
    ["step run", "block", "added"] + columns.map(\.head) + ["n"],
    rows: unrolled.places(way).map { place in
      let statistics = columns.map { $0.statistics[place.place] }
      return [
        String(place.place), unrolled.network.path(place.step), place.repetition == 0 ? "–" : "\(place.repetition)",
      ]
        + statistics.map { $0.map { "\(significant($0.mean)) ± \(significant($0.std))" } ?? "–" }
        + [statistics.compactMap { $0?.count }.max().map { String($0) } ?? "–"]
    }, caption: caption)
}
