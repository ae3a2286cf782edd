import ResLensResults

extension Study {
  /// Every figure of the paper that shows measurements, 2 to 20, and Table 1. Figure 1 is a drawing.
  public static let paper: [Study] = figuresOfTheMainText + figuresOfTheAppendix + [table1]

  /// The four networks of most figures, as they stand from left to right.
  private static let four = ["resnet-110", "single-representation", "avg-pooling", "wide"]
  /// The networks among the four without projections.
  private static let shallow = ["single-representation", "avg-pooling"]
  /// The networks among the four with projections.
  private static let projected = ["resnet-110", "wide"]

  private static let figuresOfTheMainText = [
    Study(
      name: "figure-2", title: "Figure 2: ℓ2 ratio of every step, CIFAR-10", models: four, figures: ["l2-ratio"],
      claims: Claim.l2Ratio("Fig. 2", shallow: shallow, projected: projected)),
    Study(
      name: "figure-3", title: "Figure 3: accuracy without each step, CIFAR-10", models: four,
      figures: ["dropped-step"], claims: Claim.dropping("Fig. 3", shallow: shallow, projected: projected)),
    Study(
      name: "figure-4", title: "Figure 4: cosine loss of every step, CIFAR-10", models: four,
      figures: ["cosine-loss"], claims: Claim.cosineLoss("Fig. 4", four)),
    Study(
      name: "figure-5", title: "Figure 5: accuracy after each step of the last stage, in training, CIFAR-10",
      models: four, figures: ["history-intermediate"], claims: [Claim.gradual("Fig. 5", four)]),
    Study(
      name: "figure-6", title: "Figure 6: borderline examples over the last steps of ResNet-110, CIFAR-10",
      models: ["resnet-110"], seeds: [0, 1, 2, 3], figures: ["borderline", "cosine-loss"],
      claims: Claim.borderline(["resnet-110"])),
    Study(
      name: "figure-7", title: "Figure 7: ResNet-110 with its last block unrolled 20 more times, CIFAR-10",
      models: ["resnet-110"], seeds: [0, 1, 2, 3], figures: ["unrolling"], claims: Claim.unrolling(["resnet-110"])),
    Study(
      name: "figure-8", title: "Figure 8: ResNet-110 shared naively, against ResNet-38, CIFAR-10",
      models: ["resnet-110-shared", "resnet-38", "resnet-110"],
      figures: [.training, .gradientNormRatio, .initialisation], claims: Claim.naiveSharing),
    Study(
      name: "figure-9", title: "Figure 9: which parts of unshared batch normalization matter, CIFAR-10",
      models: ["resnet-110-ablation"], figures: [.training, .initialisation], claims: Claim.ablation),
  ]

  private static let figuresOfTheAppendix = [
    Study(
      name: "figure-10", title: "Figure 10: cosine loss of every step, CIFAR-100", models: four, data: ["cifar-100"],
      figures: ["cosine-loss"], claims: Claim.cosineLoss("Fig. 10", four)),
    Study(
      name: "figure-11", title: "Figure 11: ℓ2 ratio of every step, CIFAR-100", models: four, data: ["cifar-100"],
      figures: ["l2-ratio"], claims: Claim.l2Ratio("Fig. 11", shallow: shallow, projected: projected)),
    Study(
      name: "figure-12", title: "Figure 12: accuracy without each step, CIFAR-100", models: four, data: ["cifar-100"],
      figures: ["dropped-step"], claims: Claim.dropping("Fig. 12", shallow: shallow, projected: projected)),
    Study(
      name: "figure-13", title: "Figure 13: cosine loss in training, CIFAR-10", models: four,
      figures: ["history-cosine-loss-readout"], claims: [Claim.cosineLossInTraining("Fig. 13", four)]),
    Study(
      name: "figure-14", title: "Figure 14: ℓ2 ratio in training, CIFAR-10", models: four,
      figures: ["history-l2-ratio"], claims: [Claim.l2RatioInTraining("Fig. 14", four)]),
    Study(
      name: "figure-15", title: "Figure 15: cosine loss in training, CIFAR-100", models: four, data: ["cifar-100"],
      figures: ["history-cosine-loss-readout"], claims: [Claim.cosineLossInTraining("Fig. 15", four)]),
    Study(
      name: "figure-16", title: "Figure 16: ℓ2 ratio in training, CIFAR-100", models: four, data: ["cifar-100"],
      figures: ["history-l2-ratio"], claims: [Claim.l2RatioInTraining("Fig. 16", four)]),
    Study(
      name: "figure-17", title: "Figure 17: accuracy after each step of the last stage, in training, CIFAR-100",
      models: four, data: ["cifar-100"], figures: ["history-intermediate"], claims: [Claim.gradual("Fig. 17", four)]),
    Study(
      name: "figure-18", title: "Figure 18: ResNet-110 shared with unshared batch normalization, in training, CIFAR-10",
      models: ["resnet-110-ubn"], figures: trends, claims: Claim.sharedTrend("Fig. 18", "resnet-110-ubn")),
    Study(
      name: "figure-19", title: "Figure 19: ResNet-110 shared naively, in training, CIFAR-10",
      models: ["resnet-110-shared"], figures: trends, claims: Claim.sharedTrend("Fig. 19", "resnet-110-shared")),
    Study(
      name: "figure-20", title: "Figure 20: cosine loss and ℓ2 ratio of ResNet-110's added steps, CIFAR-10",
      models: ["resnet-110"], seeds: [0, 1, 2, 3], figures: [.unrollingSteps],
      claims: Claim.unrolledSteps(["resnet-110"])),
  ]

  /// The figures of shared networks over training.
  private static let trends: [FigureKind] = [
    "history-cosine-loss", "history-cosine-loss-readout", "history-l2-ratio", "history-intermediate",
  ]

  private static let table1 = Study(
    name: "table-1",
    title: "Table 1: errors of shared networks with unshared batch normalization, and of unshared ones",
    models: [
      "resnet-32", "resnet-38", "resnet-110-ubn", "resnet-146-ubn", "resnet-182-ubn", "resnet-56", "resnet-110",
    ], data: ["cifar-10", "cifar-100"], seeds: [0, 1, 2, 3], figures: [.errors], claims: Claim.table1,
    // Means of four runs.
    printed: PrintedErrors([
      "cifar-10": [
        "resnet-32": .init(train: 1.53, test: 7.14), "resnet-38": .init(train: 1.20, test: 6.99),
        "resnet-110-ubn": .init(train: 0.63, test: 6.62), "resnet-146-ubn": .init(train: 0.68, test: 6.82),
        "resnet-182-ubn": .init(train: 0.48, test: 6.97), "resnet-56": .init(train: 0.58, test: 6.53),
        "resnet-110": .init(train: 0.22, test: 6.13),
      ],
      "cifar-100": [
        "resnet-32": .init(train: 12.62, test: 30.08), "resnet-38": .init(train: 10.04, test: 29.66),
        "resnet-110-ubn": .init(train: 7.75, test: 29.94), "resnet-146-ubn": .init(train: 7.21, test: 29.49),
        "resnet-182-ubn": .init(train: 6.42, test: 29.33), "resnet-56": .init(train: 5.19, test: 28.99),
        "resnet-110": .init(train: 1.26, test: 27.54),
      ],
    ]))
}
