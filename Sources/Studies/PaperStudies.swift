extension Study {
  /// Every figure of the paper that shows measurements, 2 to 20, and Table 1. Figure 1 is a drawing.
  public static let paper: [Study] = figuresOfTheMainText + figuresOfTheAppendix + [table1]

  /// Left to right in the paper's figures.
  private static let four = ["resnet-110", "single-representation", "avg-pooling", "wide"]

  private static let figuresOfTheMainText = [
    Study(name: "figure-2", title: "Figure 2: ℓ2 ratio of every step, CIFAR-10", models: four, figures: [.l2Ratio]),
    Study(
      name: "figure-3", title: "Figure 3: accuracy without each step, CIFAR-10", models: four, figures: [.droppedStep]),
    Study(
      name: "figure-4", title: "Figure 4: cosine loss of every step, CIFAR-10", models: four, figures: [.cosineLoss]),
    Study(
      name: "figure-5", title: "Figure 5: accuracy after each step of the last stage, in training, CIFAR-10",
      models: four, figures: [.historyIntermediate]),
    Study(
      name: "figure-6", title: "Figure 6: borderline examples over the last steps of ResNet-110, CIFAR-10",
      models: ["resnet-110"], seeds: [0, 1, 2, 3], figures: [.borderline, .cosineLoss]),
    Study(
      name: "figure-7", title: "Figure 7: ResNet-110 with its last block unrolled 20 more times, CIFAR-10",
      models: ["resnet-110"], seeds: [0, 1, 2, 3], figures: [.unrolling]),
    Study(
      name: "figure-8", title: "Figure 8: ResNet-110 shared naively, against ResNet-38, CIFAR-10",
      models: ["resnet-110-shared", "resnet-38", "resnet-110"],
      figures: [.training, .gradientNormRatio, .initialisation]),
    Study(
      name: "figure-9", title: "Figure 9: which parts of unshared batch normalization matter, CIFAR-10",
      models: ["resnet-110-ablation"], figures: [.training, .initialisation]),
  ]

  private static let figuresOfTheAppendix = [
    Study(
      name: "figure-10", title: "Figure 10: cosine loss of every step, CIFAR-100", models: four, data: ["cifar-100"],
      figures: [.cosineLoss]),
    Study(
      name: "figure-11", title: "Figure 11: ℓ2 ratio of every step, CIFAR-100", models: four, data: ["cifar-100"],
      figures: [.l2Ratio]),
    Study(
      name: "figure-12", title: "Figure 12: accuracy without each step, CIFAR-100", models: four, data: ["cifar-100"],
      figures: [.droppedStep]),
    Study(
      name: "figure-13", title: "Figure 13: cosine loss in training, CIFAR-10", models: four,
      figures: [.historyPluggedCosineLoss]),
    Study(
      name: "figure-14", title: "Figure 14: ℓ2 ratio in training, CIFAR-10", models: four, figures: [.historyL2Ratio]),
    Study(
      name: "figure-15", title: "Figure 15: cosine loss in training, CIFAR-100", models: four, data: ["cifar-100"],
      figures: [.historyPluggedCosineLoss]),
    Study(
      name: "figure-16", title: "Figure 16: ℓ2 ratio in training, CIFAR-100", models: four, data: ["cifar-100"],
      figures: [.historyL2Ratio]),
    Study(
      name: "figure-17", title: "Figure 17: accuracy after each step of the last stage, in training, CIFAR-100",
      models: four, data: ["cifar-100"], figures: [.historyIntermediate]),
    Study(
      name: "figure-18", title: "Figure 18: ResNet-110 shared with unshared batch normalization, in training, CIFAR-10",
      models: ["resnet-110-ubn"],
      figures: [.historyCosineLoss, .historyPluggedCosineLoss, .historyL2Ratio, .historyIntermediate]),
    Study(
      name: "figure-19", title: "Figure 19: ResNet-110 shared naively, in training, CIFAR-10",
      models: ["resnet-110-shared"],
      figures: [.historyCosineLoss, .historyPluggedCosineLoss, .historyL2Ratio, .historyIntermediate]),
    Study(
      name: "figure-20", title: "Figure 20: cosine loss and ℓ2 ratio of ResNet-110's added steps, CIFAR-10",
      models: ["resnet-110"], seeds: [0, 1, 2, 3], figures: [.unrollingSteps]),
  ]

  private static let table1 = Study(
    name: "table-1",
    title: "Table 1: errors of shared networks with unshared batch normalization, and of unshared ones",
    models: [
      "resnet-32", "resnet-38", "resnet-110-ubn", "resnet-146-ubn", "resnet-182-ubn", "resnet-56", "resnet-110",
    ], data: ["cifar-10", "cifar-100"], seeds: [0, 1, 2, 3], figures: [.errors])

  /// The numbers of Table 1: training and test error in per cent, means of four runs.
  public static let table1Errors: [String: [String: (train: Double, test: Double)]] = [
    "cifar-10": [
      "resnet-32": (1.53, 7.14), "resnet-38": (1.20, 6.99), "resnet-110-ubn": (0.63, 6.62),
      "resnet-146-ubn": (0.68, 6.82), "resnet-182-ubn": (0.48, 6.97), "resnet-56": (0.58, 6.53),
      "resnet-110": (0.22, 6.13),
    ],
    "cifar-100": [
      "resnet-32": (12.62, 30.08), "resnet-38": (10.04, 29.66), "resnet-110-ubn": (7.75, 29.94),
      "resnet-146-ubn": (7.21, 29.49), "resnet-182-ubn": (6.42, 29.33), "resnet-56": (5.19, 28.99),
      "resnet-110": (1.26, 27.54),
    ],
  ]
}
