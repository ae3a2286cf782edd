import Results

extension MeasureResults.Measures {
  /// ‖h_t‖ by step.
  var activationNormSteps: BySplit<[StepStatistic]>? {
    activationNorm.map { BySplit(train: $0.train.steps, validation: $0.validation.steps) }
  }

  /// ‖∂L/∂h_{t−1}‖ by step.
  var gradientNormSteps: BySplit<[StepStatistic]>? {
    gradientNorm.map { BySplit(train: $0.train.steps, validation: $0.validation.steps) }
  }
}

extension Measure {
  static var activationNorm: Measure {
    Measure(
      id: "activation-norm", name: "activation-norm", title: "Activation norm: how large is the hidden state?",
      definition: """
        <b>‖h<sub>t</sub>‖</b> after every step, for each sample, then averaged over samples. A pooling or a projection \
        between stages changes what the norm is taken over.
        """,
      place: "§4.5, Fig. 8, 9",
      finding: "explodes at initialisation where blocks are shared naively; unshared batch normalization mends it.",
      isPresent: { $0.activationNorm != nil },
      pictures: { subjects in
        let figure = statisticFigure(
          "activation-norm", title: "Norm of the hidden state after every step", of: subjects, quantity: "‖h‖",
          scale: .logarithmic, values: \.activationNormSteps)
        return [Picture(figure: figure, caption: "Means over samples, on a logarithmic scale.")]
      },
      table: { statisticTable($0.activationNormSteps, run: $1, isNorm: true) })
  }

  static var gradientNorm: Measure {
    Measure(
      id: "gradient-norm", name: "gradient-norm", title: "Gradient norm: how strongly does the loss pull?",
      definition: """
        <b>‖∂L/∂h<sub>t−1</sub>‖</b> where each step’s block takes h, for each sample, then averaged over samples; at a \
        projection too, with respect to what the block takes.
        """,
      place: "§4.5, Fig. 8",
      finding: "far larger at the first block than at later ones where blocks are shared naively.",
      isPresent: { $0.gradientNorm != nil },
      details: { measures in
        guard let train = measures.gradientNorm?.train.ratio, let validation = measures.gradientNorm?.validation.ratio
        else { return nil }
        return """
          The ratio of the first block of the first stage to that of the last stage is \(significant(train.mean)) on train \
          and \(significant(validation.mean)) on validation samples.
          """
      },
      pictures: { subjects in
        let figure = statisticFigure(
          "gradient-norm", title: "Norm of the gradient before every step", of: subjects, quantity: "‖∂L/∂h‖",
          scale: .logarithmic, values: \.gradientNormSteps)
        return [
          Picture(
            figure: figure, caption: "Means over samples, on a logarithmic scale.",
            projectionCaption: "Diamonds: steps with a projection.")
        ]
      },
      table: { statisticTable($0.gradientNormSteps, run: $1, isNorm: true) })
  }
}
