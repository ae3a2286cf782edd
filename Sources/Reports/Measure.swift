import Results

/// A measure as a report explains and shows it.
struct Measure {
  var id: String
  var title: String
  /// The formula and how to read it.
  var definition: Markup
  /// Where the paper has it, and what it found there.
  var place: String
  var finding: Markup
  var caption: Markup
  var projectionCaption: Markup = "Diamonds: steps that keep h through a projection instead of the identity."
  var isPresent: (MeasureResults.Measures) -> Bool
  var figure: ([ReportedRun]) -> Figure
  /// The numbers of a run, under its name where it is given.
  var table: (MeasureResults.Measures, String?) -> Markup

  /// In the order of the paper's figures.
  static var all: [Measure] { [l2Ratio, droppedStep, cosineLoss, pluggedCosineLoss, intermediate] }
}

extension Measure {
  private static let band: Markup =
    """
    Band: one standard deviation over the validation samples to both sides of their mean, cut off where it would dwarf \
    the means.
    """
  private static let gradientOfProjection: Markup =
    "Diamonds: steps with a projection, where the gradient is the one with respect to the projection’s output."

  private static var l2Ratio: Measure {
    Measure(
      id: "l2-ratio", title: "ℓ2 ratio: how far does a step move the hidden state?",
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
      caption: band, isPresent: { !$0.l2Ratio.isEmpty },
      figure: {
        statisticFigure("l2-ratio", title: "ℓ2 ratio of every step", of: $0, quantity: "‖F‖ / ‖h‖") { $0.l2Ratio }
      },
      table: { statisticTable($0.l2Ratio, run: $1) })
  }

  private static var droppedStep: Measure {
    Measure(
      id: "dropped-step", title: "Dropping a step: what does the network lose without it?",
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
      caption: "Dotted: the whole network.",
      projectionCaption: "Diamonds: steps with a projection, which stays when F is dropped.",
      isPresent: { !$0.droppedStep.train.isEmpty || !$0.droppedStep.validation.isEmpty },
      figure: droppedStepFigure, table: droppedStepTable)
  }

  private static var cosineLoss: Measure {
    Measure(
      id: "cosine-loss", title: "Cosine loss: does a step go downhill?",
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
      caption: band, projectionCaption: gradientOfProjection,
      isPresent: { !$0.cosineLoss.backpropagated.isEmpty },
      figure: {
        statisticFigure("cosine-loss", title: "Cosine loss of every step", of: $0, quantity: "cosine loss", rules: [0])
        {
          $0.cosineLoss.backpropagated
        }
      },
      table: { statisticTable($0.cosineLoss.backpropagated, run: $1) })
  }

  private static var pluggedCosineLoss: Measure {
    Measure(
      id: "cosine-loss-plugged", title: "Cosine loss, plugged: would it, if the network ended there?",
      definition: """
        The same cosine, but with L computed by <b>the head applied straight to h<sub>t−1</sub></b>, as if no step \
        followed: does F<sub>t</sub> improve the answer that can be read off already? Only the hidden states of the \
        last stage fit the head.
        """,
      place: "App. C", finding: "negative in all architectures, all through training.",
      caption: band, projectionCaption: gradientOfProjection,
      isPresent: { !$0.cosineLoss.plugged.isEmpty },
      figure: {
        statisticFigure(
          "cosine-loss-plugged", title: "Cosine loss with the plugged gradient, last stage", of: $0,
          quantity: "cosine loss, plugged", rules: [0]
        ) { $0.cosineLoss.plugged }
      },
      table: { statisticTable($0.cosineLoss.plugged, run: $1) })
  }

  private static var intermediate: Measure {
    Measure(
      id: "intermediate", title: "Intermediate accuracy: how does the answer form?",
      definition: """
        <b>The trained head applied to h<sub>t</sub></b> after each step of the last stage: accuracy, mean \
        cross-entropy and mean entropy of the softmax. Iterative refinement shows as an accuracy that rises little by \
        little. The head was trained on the last h only; where it fails on earlier ones, loss and entropy say whether \
        it fails confidently.
        """,
      place: "Fig. 5", finding: "accuracy rises gradually over the blocks of the last stage.",
      caption: "Loss and entropy in nats.",
      isPresent: { !$0.intermediate.train.isEmpty || !$0.intermediate.validation.isEmpty },
      figure: intermediateFigure, table: intermediateTable)
  }
}

extension BySplit where Value == [StepStatistic] {
  fileprivate var isEmpty: Bool { train.isEmpty && validation.isEmpty }
}
