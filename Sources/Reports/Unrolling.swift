import Results

extension Measure {
  static var unrolling: Measure {
    Measure(
      id: "unrolling", name: "unrolling", title: "Unrolling: what if a step runs more often than it was trained to?",
      definition: """
        The trained network with one step repeated right after itself, <b>h ← h + α·F(h)</b>, without training: \
        unscaled (α = 1) and scaled. A step that refines should go on refining; one that only makes a fixed change \
        carries the state away. The groups of examples are fixed by the trained network’s own answer: borderline where \
        |p<sub>y</sub> − max<sub>k≠y</sub> p<sub>k</sub>| is below the margin.
        """,
      place: "Fig. 7 and 20",
      finding: """
        unscaled, the loss explodes. The cosine loss stays negative on the first two added steps without scaling, and \
        on all with scaling. In ResNet-110 the scaled steps take the train loss from 0.0012 to 0.001, and the accuracy \
        on 51 borderline test examples from 43\u{00A0}% to 53\u{00A0}%.
        """,
      isPresent: { $0.unrolling?.trajectories.contains { !$0.steps.hasNoSteps } ?? false },
      details: { $0.unrolling.map(\.explanation) },
      pictures: unrollingPictures, table: unrollingTables)
  }
}

extension Unrolling {
  /// α = 1.
  var unscaled: Trajectory? { trajectories.first { $0.scale == 1 } }

  /// The one with another scale; nil where 1 is the scale that was given or chosen.
  var scaled: Trajectory? { trajectories.last { $0.scale != 1 } }

  /// The repeated step, the number of repetitions, the scale, and how it was chosen.
  fileprivate var explanation: Markup {
    let scale = scaled?.scale ?? 1
    var origin = "as was asked"
    if let tried {
      let finite = tried.filter(\.loss.isFinite)
      let best = finite.min { $0.loss < $1.loss }?.scale
      origin = "chosen of \(tried.count) tried on train data"
      if best == scale {
        origin += ", where the mean loss of the networks with 1 to \(times) added steps is lowest with it"
        if tried.count > 1, scale == finite.map(\.scale).min() { origin += "; it is the smallest that was tried" }
      }
    }
    let statistics =
      recalibrationBatches.map {
        "Each added step has running statistics of its own, taken anew on \($0) train batches; the weights are shared."
      } ?? "The added steps use the block’s running statistics as they are; nothing was recalibrated."
    return """
      Step \(repeated.step) (\(repeated.path)) runs \(times) more \
      time\(times == 1 ? "" : "s"). The scale is α = \(significant(scale)), \(origin). \(statistics) Margin \
      \(significant(margin)).
      """
  }
}
