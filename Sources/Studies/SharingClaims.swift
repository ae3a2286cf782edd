import ResLensResults

// MARK: sharing blocks (§4.5)

extension Claim {
  static let naiveSharing: [Claim] = [
    Claim(
      statement: "Naive sharing overfits: given similar training accuracy, its validation accuracy is lower.",
      source: "§4.5, Fig. 8",
      rule: "after the last epoch validation error, and validation error less train error, are larger than the other "
        + "network's"
    ) { evidence in
      compare(evidence, "resnet-110-shared", with: ["resnet-38", "resnet-110"]) { shared, other in
        let errors = (shared.validationError.mean, other.validationError.mean)
        return (
          errors.0 > errors.1 && shared.gap > other.gap,
          "\(percentage(errors.0)) against \(percentage(errors.1)), of which the gap is \(percentage(shared.gap)) against "
            + percentage(other.gap)
        )
      }
    },
    Claim(
      statement: "It underfits: its training error is higher than the unshared ResNet-110's.", source: "§4.5, Fig. 8",
      rule: "train error after the last epoch is higher"
    ) { evidence in
      compare(evidence, "resnet-110-shared", with: ["resnet-110"]) { shared, other in
        let (mine, others) = (shared.trainError.mean, other.trainError.mean)
        return (mine > others, "\(percentage(mine)) against \(percentage(others))")
      }
    },
    Claim(
      statement: "The gradient norm ratio is significantly larger with naive sharing.", source: "§4.5, Fig. 8",
      rule: "at the time named, the mean over train samples is more than twice as large"
    ) { evidence in
      try [("at initialisation", true), ("in training", false)].flatMap { time, isStart in
        try compare(evidence, "resnet-110-shared", with: ["resnet-38"]) { shared, other in
          guard let mine = try shared.gradientRatio(atStart: isStart),
            let others = try other.gradientRatio(atStart: isStart)
          else { return nil }
          return (mine > 2 * others, "\(number(mine, 1)) against \(number(others, 1))")
        }.map { Finding.Part("\($0.subject), \(time)", $0.holds, $0.numbers) }
      }
    },
    Claim(
      statement: "Naive sharing makes activations explode on the way forward at initialisation.",
      source: "§4.5, Fig. 8",
      rule: "‖h_T‖ as initialised (train samples) is more than twice as large"
    ) { evidence in
      try compare(evidence, "resnet-110-shared", with: ["resnet-110"]) { shared, other in
        guard let mine = try shared.normAtStart(), let others = try other.normAtStart() else { return nil }
        return (mine > 2 * others, "\(number(mine, 0)) against \(number(others, 0))")
      }
    },
  ]

  private static let ablated = "resnet-110-shared", whole = "resnet-110-ubn"
  private static let withoutOne = [
    "statistics": "resnet-110-shared+affine+gamma", "γ and β": "resnet-110-shared+statistics+gamma",
    "γ₀": "resnet-110-shared+statistics+affine",
  ]

  static let ablation: [Claim] = [
    Claim(
      statement: "All components of unshared batch normalization are important.", source: "§4.5, Fig. 9",
      rule: "with all of them, validation error after the last epoch is lower than without the one named"
    ) { evidence in
      withoutOne.sorted { $0.key < $1.key }.map { part, model in
        Finding.Part(
          "without unshared \(part)",
          outcome(evidence, whole, model) {
            ($0 < $1, "\(percentage($0)) with all, \(percentage($1)) without")
          })
      }
    },
    Claim(
      statement: "It is most crucial to unshare the statistics.", source: "§4.5, Fig. 9",
      rule: "of the networks without one component, that without unshared statistics has the highest validation error"
    ) { evidence in
      let errors = withoutOne.compactMapValues { evidence.subject($0)?.validationError.mean }.filter {
        $0.value.isFinite
      }
      guard errors.count == withoutOne.count, let statistics = errors["statistics"] else {
        return [Finding.Part("statistics", nil)]
      }
      let text = errors.sorted { $0.key < $1.key }.map { "without \($0.key) \(percentage($0.value))" }
      return [
        Finding.Part(
          "statistics", errors.allSatisfy { $0.key == "statistics" || $0.value < statistics },
          text.joined(separator: ", "))
      ]
    },
    Claim(
      statement: "The components drastically reduce the initial activation explosion.", source: "§4.5, Fig. 9",
      rule: "‖h_T‖ as initialised (train samples) is less than half of the naively shared network's"
    ) { evidence in
      try compare(evidence, whole, with: [ablated]) { repaired, naive in
        guard let mine = try repaired.normAtStart(), let others = try naive.normAtStart() else { return nil }
        return (2 * mine < others, "\(number(mine, 0)) against \(number(others, 0))")
      }
    },
  ]

  static let table1: [Claim] = [
    // On CIFAR-100 the paper's own table has 29.94 % against 29.66 %.
    Claim(
      statement: "With unshared batch normalization, ResNet-110 is slightly better than the baseline with similar "
        + "number of parameters.", source: "§4.5, Table 1, of CIFAR-10",
      rule: "the mean validation error over seeds, after the last epoch, is lower than ResNet-38's"
    ) { evidence in
      [
        Finding.Part(
          "cifar-10",
          outcome(evidence, "resnet-110-ubn", "resnet-38", data: "cifar-10") {
            ($0 < $1, "\(percentage($0)) against \(percentage($1))")
          })
      ]
    },
    Claim(
      statement: "Among unshared networks, deeper ones err less.", source: "Table 1",
      rule: "the mean validation error over seeds, after the last epoch, is lower than the next shallower network's"
    ) { evidence in
      datasets(evidence).flatMap { data in
        [("resnet-110", "resnet-56"), ("resnet-56", "resnet-38"), ("resnet-38", "resnet-32")].map { deep, shallow in
          Finding.Part(
            "\(data), \(deep) and \(shallow)",
            outcome(evidence, deep, shallow, data: data) {
              ($0 < $1, "\(percentage($0)) and \(percentage($1))")
            })
        }
      }
    },
  ]

  private static func datasets(_ evidence: Evidence) -> [String] { Set(evidence.subjects.map(\.data)).sorted() }

  /// The comparison of two networks' validation errors; nil where one of them has none.
  private static func outcome(
    _ evidence: Evidence, _ model: String, _ other: String, data: String? = nil,
    _ check: (Double, Double) -> (Bool, String)
  ) -> (Bool, String)? {
    guard let mine = evidence.subject(model, data: data)?.validationError.mean, mine.isFinite,
      let others = evidence.subject(other, data: data)?.validationError.mean, others.isFinite
    else { return nil }
    return check(mine, others)
  }

  /// The comparisons of one network with others, one part for each of the others.
  private static func compare(
    _ evidence: Evidence, _ model: String, with others: [String],
    _ check: (Evidence.Subject, Evidence.Subject) throws -> (Bool, String)?
  ) rethrows -> [Finding.Part] {
    try others.map { other in
      guard let mine = evidence.subject(model), let others = evidence.subject(other) else {
        return Finding.Part("\(model) against \(other)", nil)
      }
      let hasEpochs = mine.runs.contains { !$0.epochs.isEmpty } && others.runs.contains { !$0.epochs.isEmpty }
      return Finding.Part("\(mine.title) against \(others.title)", hasEpochs ? try check(mine, others) : nil)
    }
  }
}

extension Evidence.Subject {
  /// Validation error less train error.
  fileprivate var gap: Double { validationError.mean - trainError.mean }

  /// ‖h_T‖ of the network as it was initialised, on train samples; nil where it was not measured.
  fileprivate func normAtStart() throws -> Double? {
    // Step 0 is what the first step takes.
    try history().first { $0.epoch == 0 }?.tables.statistics("activation-norm", .train).last { $0.step > 0 }?.mean
  }

  /// The gradient norm ratio on train samples, at initialisation or as the mean over measured epochs; nil where it was not
  /// measured.
  fileprivate func gradientRatio(atStart: Bool) throws -> Double? {
    let ratios = try history().filter { ($0.epoch == 0) == atStart }.compactMap {
      try $0.tables.rows(of: Statistic.self, in: "gradient-norm-ratio", .train).first?.mean
    }
    return ratios.isEmpty ? nil : average(ratios)
  }
}
