import Results

/// A measure as a report explains and shows it.
struct Measure {
  var id: String
  /// The name in `measures.json` and in `reslens measure --measures`.
  var name: String
  /// The part of what has that name, where it is not the whole; as in `Absence.measure` behind a point.
  var part: String?
  /// Whether the page says so where no run has it, instead of leaving the section out.
  var isAlwaysShown = false
  var title: String
  /// The formula and how to read it.
  var definition: Markup
  /// Whose finding it is.
  var source = "The paper"
  /// Where the paper has it, and what it found there.
  var place: String
  var finding: Markup
  var isPresent: (MeasureResults.Measures) -> Bool
  /// Facts about one run's measurement that a reader must know.
  var details: (MeasureResults.Measures) -> Markup? = { _ in nil }
  var pictures: (Subjects) -> [Picture]
  /// The numbers of a run, under its name where it is given.
  var table: (MeasureResults.Measures, String?) -> Markup

  /// In the order of the paper's figures; what is not from the paper comes last.
  static var all: [Measure] {
    [
      l2Ratio, droppedStep, cosineLoss, pluggedCosineLoss, firstOrder, intermediate, borderline, unrolling, lesions,
      activationNorm, gradientNorm,
    ]
  }

  /// Whether something absent is this measure, or belongs to it.
  func concerns(_ absence: String) -> Bool {
    if absence == name { return true }
    return part.map { absence == "\(name).\($0)" } ?? absence.hasPrefix(name + ".")
  }
}

/// A figure and what stands below it.
struct Picture {
  var figure: Figure
  var caption: Markup
  /// Added where a point is marked.
  var projectionCaption: Markup = "Diamonds: steps that keep h through a projection instead of the identity."

  var fullCaption: Markup { figure.hasMarkedPoints ? "\(caption) \(projectionCaption)" : caption }
}

/// The runs that a figure shows.
struct Subjects {
  var runs: [ReportedRun]
  /// Whether a panel must say whose it is. The page's only run needs no name; the only one of several that was measured
  /// does.
  var areNamed: Bool

  func title(_ run: ReportedRun, _ part: String = "") -> String {
    guard areNamed else { return part }
    return part.isEmpty ? run.name : "\(run.name), \(part)"
  }
}

extension Measure {
  static let band: Markup =
    """
    Band: one standard deviation over the validation samples to both sides of their mean, cut off where it would dwarf \
    the means.
    """
  static let gradientOfProjection: Markup =
    "Diamonds: steps with a projection, where the gradient is the one with respect to the projection’s output."

  private static var l2Ratio: Measure {
    Measure(
      id: "l2-ratio", name: "l2-ratio", isAlwaysShown: true,
      title: "ℓ2 ratio: how far does a step move the hidden state?",
      definition: """
        <b>‖F<sub>t</sub>(h<sub>t−1</sub>)‖ / ‖h<sub>t−1</sub>‖</b>, for each sample, then averaged over samples. A \
        step with a large ratio rewrites the representation; one with a small ratio can only refine it, and for it \
        the first-order view that the cosine loss takes is a good one.
        """,
      place: "Fig. 2",
      finding: """
        up to about 2 at the first block of the single-representation and avg-pooling networks, small and falling \
        above it; small throughout in the original and wide networks.
        """,
      isPresent: { $0.l2Ratio.hasSteps },
      pictures: { subjects in
        let figure = statisticFigure(
          "l2-ratio", title: "ℓ2 ratio of every step", of: subjects, quantity: "‖F‖ / ‖h‖", values: \.l2Ratio)
        return [Picture(figure: figure, caption: band)]
      },
      table: { statisticTable($0.l2Ratio, run: $1) })
  }

  private static var droppedStep: Measure {
    Measure(
      id: "dropped-step", name: "dropped-step", isAlwaysShown: true,
      title: "Dropping a step: what does the network lose without it?",
      definition: """
        The accuracy of the trained network with <b>F<sub>t</sub> left out</b>, so that h<sub>t</sub> = \
        s<sub>t</sub>(h<sub>t−1</sub>); one step at a time, nothing retrained. Far below the dotted line, which is the \
        whole network on the same samples, a step does what no other makes up for; on the line it hardly matters.
        """,
      place: "Fig. 3",
      finding: """
        dropping the first blocks of the single-representation and avg-pooling networks is catastrophic; of the \
        original and wide networks, mild. Most higher blocks of all four hardly matter.
        """,
      isPresent: { $0.droppedStep.map { !$0.train.isEmpty || !$0.validation.isEmpty } ?? false },
      pictures: { subjects in
        [
          Picture(
            figure: droppedStepFigure(of: subjects), caption: "Dotted: the whole network.",
            projectionCaption: "Diamonds: steps with a projection, which stays when F is dropped.")
        ]
      }, table: droppedStepTable)
  }

  private static var cosineLoss: Measure {
    Measure(
      id: "cosine-loss", name: "cosine-loss", part: "backpropagated", isAlwaysShown: true,
      title: "Cosine loss: does a step go downhill?",
      definition: """
        <b>cos(F<sub>t</sub>(h<sub>t−1</sub>), ∂L/∂h<sub>t−1</sub>)</b> with the gradient backpropagated through all \
        later steps. To first order a step changes the loss by F<sub>t</sub>(h<sub>t−1</sub>) · ∂L/∂h<sub>t−1</sub>; \
        below zero it moves the hidden state to where the loss is lower, as a step of gradient descent would.
        """,
      place: "Fig. 4",
      finding: """
        negative for all blocks, more so for higher ones; about −0.1 for the last block of ResNet-110 (caption of \
        Fig. 6).
        """,
      isPresent: { ($0.cosineLoss?.backpropagated).hasSteps },
      pictures: { subjects in
        let figure = statisticFigure(
          "cosine-loss", title: "Cosine loss of every step", of: subjects, quantity: "cosine loss", rules: [0],
          values: { $0.cosineLoss?.backpropagated })
        return [Picture(figure: figure, caption: band, projectionCaption: gradientOfProjection)]
      },
      table: { statisticTable($0.cosineLoss?.backpropagated, run: $1) })
  }

  private static var pluggedCosineLoss: Measure {
    Measure(
      id: "cosine-loss-plugged", name: "cosine-loss", part: "plugged", isAlwaysShown: true,
      title: "Cosine loss, plugged: would it, if the network ended there?",
      definition: """
        The same cosine, but with L computed by <b>the head applied straight to h<sub>t−1</sub></b>, as if no step \
        followed: does F<sub>t</sub> improve the answer that can be read off already? Only the hidden states of the \
        last stage fit the head.
        """,
      place: "App. C", finding: "negative in all architectures, all through training.",
      isPresent: { ($0.cosineLoss?.plugged).hasSteps },
      pictures: { subjects in
        let figure = statisticFigure(
          "cosine-loss-plugged", title: "Cosine loss with the plugged gradient, last stage", of: subjects,
          quantity: "cosine loss, plugged", rules: [0], values: { $0.cosineLoss?.plugged })
        return [Picture(figure: figure, caption: band, projectionCaption: gradientOfProjection)]
      },
      table: { statisticTable($0.cosineLoss?.plugged, run: $1) })
  }

  private static var intermediate: Measure {
    Measure(
      id: "intermediate", name: "intermediate", isAlwaysShown: true,
      title: "Intermediate accuracy: how does the answer form?",
      definition: """
        <b>The trained head applied to h<sub>t</sub></b> after each step of the last stage: accuracy, mean \
        cross-entropy and mean entropy of the softmax. Iterative refinement shows as an accuracy that rises little by \
        little. The head was trained on the last h only; where it fails on earlier ones, loss and entropy say whether \
        it fails confidently.
        """,
      place: "Fig. 5", finding: "accuracy rises gradually over the blocks of the last stage.",
      isPresent: { $0.intermediate.hasSteps },
      pictures: { [Picture(figure: intermediateFigure(of: $0), caption: "Loss and entropy in nats.")] },
      table: intermediateTable)
  }
}

/// Whether there is a row for at least one step.
protocol StepRows { var hasNoSteps: Bool { get } }

extension BySplit: StepRows where Value: Collection {
  var hasNoSteps: Bool { train.isEmpty && validation.isEmpty }
}

extension Optional where Wrapped: StepRows {
  var hasSteps: Bool { map { !$0.hasNoSteps } ?? false }
}
