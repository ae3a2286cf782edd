import Results

/// The scales that were tried, then every trajectory on every set: its groups and its steps.
func unrollingTables(_ measures: MeasureResults.Measures, run: String?) -> Markup {
  guard let unrolling = measures.unrolling else { return "" }
  var tables: [Markup] = []
  if let tried = unrolling.tried {
    tables.append(
      table(
        ["α", "mean train loss"], rows: tried.map { [significant($0.scale), significant($0.loss)] },
        caption: tableCaption(run, "scales tried")))
  }
  for trajectory in unrolling.trajectories {
    for (split, steps) in splits(of: trajectory.steps) {
      let caption = tableCaption(run, "\(split), α = \(significant(trajectory.scale))")
      let read = steps.filter { $0.groups != nil }
      if !read.isEmpty { tables.append(groupTable(read, caption: caption)) }
      tables.append(stepTable(steps, caption: caption))
    }
  }
  return "\(tables)"
}

private func groupTable(_ steps: [UnrolledStep], caption: String) -> Markup {
  ExampleGroup.table(
    steps.compactMap { step in step.groups.map { PlacedGroups(place: step.place, groups: $0) } }, place: "steps run",
    caption: caption)
}

private func stepTable(_ steps: [UnrolledStep], caption: String) -> Markup {
  func cell(_ statistic: Statistic?) -> String {
    statistic.map { "\(significant($0.mean)) ± \(significant($0.std))" } ?? "–"
  }
  return table(
    ["step run", "block", "added", "cosine loss", "plugged", "‖αF‖ / ‖h‖", "distance", "turn", "n"],
    rows: steps.map { step in
      [
        String(step.place), step.name.path,
        step.repetition == 0 ? "–" : String(step.repetition),
      ] + [step.cosineLoss, step.pluggedCosineLoss, step.l2Ratio, step.distance, step.turn].map(cell) + [
        String(step.distance.count)
      ]
    }, caption: caption)
}
