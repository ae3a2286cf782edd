import ResLensSupport
import ResLensResults

/// Made-up measures. Nothing in `Reports` names those in `plain`.
enum Descriptions {
  /// All measures, in the order of a page.
  static let all = plain + special

  /// Measures that are shown by what their descriptions say.
  static let plain = [size, without, slope, expansion, answer]

  /// Measures that have pages of their own, or parts of one.
  static let special = [borderline, unrolling, lesions, activationNorm, gradientNorm]

  /// A statistic of every step, with a band.
  static let size = MeasureDescription(
    name: "size",
    views: [
      MeasureView(
        id: "size", table: "size", title: "Size: how large is a step?", definition: "<b>|F|</b>, a made-up number.",
        place: "Fig. 2", finding: "small &amp; falling.", isAlwaysShown: true,
        figures: [
          StepFigure(name: "size", title: "Size of every step", quantities: [Quantity("|F|")])
        ], columns: ViewColumn.statistic(),
        history: MeasureHistory(
          title: "Size over training: which steps grow?", explanation: "The size, on logarithmic scales.",
          quantity: Quantity("|F|", isLogarithmic: true)))
    ],
    sentence: { tables in
      let steps = try tables.rows(of: StepStatistic.self, in: "size", .validation).filter(\.mean.isFinite)
      return steps.max { $0.mean < $1.mean }.map { "The size is largest at step \($0.step)." }
    })

  /// Scores beside a line that they are compared with.
  static let without = MeasureDescription(
    name: "without",
    views: [
      MeasureView(
        id: "without", table: "without", title: "Without a step: what is lost?",
        definition: "The accuracy without <b>F</b>.", place: "Fig. 3", finding: "mild.", isAlwaysShown: true,
        figures: [
          StepFigure(
            name: "without", title: "Accuracy without a step", axis: "left-out step",
            quantities: [
              Quantity(
                "accuracy (%)", column: "accuracy", factor: 100,
                reference: .init(table: "without-baseline", label: "whole network"))
            ],
            caption: "Dotted: the whole network.", markedCaption: "Diamonds: the projection stays.")
        ],
        columns: [
          ViewColumn("accuracy", column: "accuracy", format: .percent),
          ViewColumn("loss", column: "loss"),
          ViewColumn("n", column: "count", format: .count),
        ],
        history: MeasureHistory(
          title: "Without a step, over training: which are needed?", explanation: "The accuracy at that epoch.",
          quantity: Quantity("accuracy without the step (%)", column: "accuracy", factor: 100)),
        remark: { tables in
          try tables.rows(of: Score.self, in: "without-baseline", .validation).first.map {
            "The whole network: <b>\(percent($0.accuracy))</b>."
          }
        })
    ],
    sentence: { tables in
      try tables.table("without", .validation)?.presentNumbers("accuracy").min().map {
        "The worst accuracy without a step is \(percent($0))."
      }
    })

  /// A measure with two views of one table. The second exists in the last stage only.
  static let slope = MeasureDescription(
    name: "slope",
    views: [
      MeasureView(
        id: "slope", table: "slope", selection: ["gradient": "backpropagated"], title: "Slope: does a step go down?",
        definition: "The slope.", place: "Fig. 4", finding: "negative.", isAlwaysShown: true,
        figures: [
          StepFigure(
            name: "slope", title: "Slope of every step", quantities: [Quantity("slope", rules: [0])],
            markedCaption: StepFigure.gradientOfProjection)
        ], columns: ViewColumn.statistic(),
        history: MeasureHistory(
          title: "Slope over training: when do steps go down?", explanation: "Below zero, a step goes down.",
          quantity: Quantity("slope", rules: [0]), centre: 0)),
      MeasureView(
        id: "slope-readout", table: "slope", selection: ["gradient": "readout"],
        title: "Slope by the readout: would it, if the network ended there?", definition: "The slope of the readout.",
        place: "App. C", finding: "negative.", isAlwaysShown: true,
        figures: [
          StepFigure(
            name: "slope-readout", title: "Slope by the readout, last stage",
            quantities: [Quantity("slope, readout", rules: [0])])
        ], columns: ViewColumn.statistic(),
        history: MeasureHistory(
          title: "Slope by the readout over training: the last stage", explanation: "By the readout.",
          quantity: Quantity("slope, readout", rules: [0]), centre: 0)),
    ])

  /// Two figures of two quantities each; some values are missing, and one axis has bounds.
  static let expansion = MeasureDescription(
    name: "expansion",
    views: [
      MeasureView(
        id: "expansion", table: "expansion", title: "Expansion: how much does it tell?", definition: "Two terms.",
        source: "Taylor 1715", place: "§3", finding: "exact near by.",
        figures: [
          StepFigure(
            name: "expansion", title: "Change and term",
            quantities: [
              Quantity("change", column: "change", rules: [0]),
              Quantity("term", column: "term", rules: [0]),
            ]),
          StepFigure(
            name: "expansion-share", title: "Share of the term",
            quantities: [
              Quantity("term / change", column: "ratio", bounds: -1...3, rules: [1]),
              Quantity("correlation", column: "correlation", rules: [0]),
            ], caption: "Ratios beyond −1 and 3 are cut off."),
        ],
        columns: [
          ViewColumn("change", column: "change"),
          ViewColumn("ratio", column: "ratio", format: .decimal(3)),
          ViewColumn("n", column: "count", format: .count),
        ],
        history: MeasureHistory(
          title: "Expansion over training: when does it tell?", explanation: "1 where it tells all.",
          quantity: Quantity("term / change", column: "ratio", bounds: -1...3, rules: [1]), centre: 1))
    ])

  /// Scores in the last stage, three quantities side by side.
  static let answer = MeasureDescription(
    name: "answer",
    views: [
      MeasureView(
        id: "answer", table: "answer", title: "Answer: how does it form?", definition: "The readout at each step.",
        place: "Fig. 5", finding: "little by little.", isAlwaysShown: true,
        figures: [
          StepFigure(
            name: "answer", title: "Accuracy, loss and entropy", axis: "after step",
            quantities: [
              Quantity("accuracy (%)", column: "accuracy", factor: 100), Quantity("loss (nats)", column: "loss"),
              Quantity("entropy (nats)", column: "entropy"),
            ], caption: "Means over samples.")
        ],
        columns: [
          ViewColumn("accuracy", column: "accuracy", format: .percent),
          ViewColumn("n", column: "count", format: .count),
        ],
        history: MeasureHistory(
          title: "Answer over training: when does it form where?", explanation: "By that epoch’s readout.",
          quantity: Quantity("accuracy (%)", column: "accuracy", factor: 100)))
    ])

  static let borderline = MeasureDescription(
    name: "borderline",
    views: [
      MeasureView(
        id: "borderline", table: "borderline", title: "Borderline examples: what is corrected?",
        definition: "Near the boundary.", place: "Fig. 6", finding: "a significant chunk.")
    ], use: .init(canBeRecorded: false))

  static let unrolling = MeasureDescription(
    name: "unrolling",
    views: [
      MeasureView(
        id: "unrolling", table: "unrolling-steps", title: "Unrolling: what if a step runs more often?",
        definition: "h ← h + α·F(h)", place: "Fig. 7 and 20", finding: "the loss explodes.")
    ], use: .init(byDefault: false, canBeRecorded: false))

  static let lesions = MeasureDescription(
    name: "lesions",
    views: [
      MeasureView(
        id: "lesions", table: "lesions-random", title: "Lesions: how much can be taken out?",
        definition: "Dropped or moved.", source: "Veit et al. 2016", place: "Fig. 5", finding: "smooth.",
        remark: { tables in
          try tables.rows(of: Score.self, in: "lesions-whole", .validation).first.map {
            "The whole network: \(percent(1 - $0.accuracy)) wrong."
          }
        })
    ], use: .init(byDefault: false, canBeRecorded: false))

  static let activationNorm = MeasureDescription(
    name: "activation-norm",
    views: [
      MeasureView(
        id: "activation-norm", table: "activation-norm", title: "Activation norm: how large is h?", definition: "‖h‖",
        figures: [
          StepFigure(
            name: "activation-norm", title: "Norm of h", axis: "after step",
            quantities: [Quantity("‖h‖", isLogarithmic: true)])
        ], columns: ViewColumn.statistic(.significant),
        history: MeasureHistory(
          title: "Activation norm over training: how large does h become?", explanation: "On logarithmic scales.",
          quantity: Quantity("‖h‖ after the step", isLogarithmic: true)))
    ])

  static let gradientNorm = MeasureDescription(
    name: "gradient-norm",
    views: [
      MeasureView(
        id: "gradient-norm", table: "gradient-norm", title: "Gradient norm: how strong?", definition: "‖∂L/∂h‖",
        figures: [
          StepFigure(
            name: "gradient-norm", title: "Norm of the gradient", quantities: [Quantity("‖∂L/∂h‖", isLogarithmic: true)]
          )
        ], columns: ViewColumn.statistic(.significant),
        history: MeasureHistory(
          title: "Gradient norm over training: where does the loss pull?", explanation: "On logarithmic scales.",
          quantity: Quantity("‖∂L/∂h‖ before the step", isLogarithmic: true)))
    ])
}
