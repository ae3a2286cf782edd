import ResLensNetworks

/// How much of a study's work is done: all of it, or less of everything by stated rules, so that any machine can do it.
public enum Scale: String, CaseIterable, Codable, Sendable {
  /// All of the study's work; for the paper's studies, the paper's own work.
  case paper
  /// Hours of work on a few cores: enough to see which findings show.
  case small
  /// Minutes of work, to see that everything runs. The networks learn next to nothing.
  case smoke

  struct Rules {
    /// The divisor of the number of blocks of a stage, and of the first shared block.
    var blocks = 1
    /// The divisor of channels; no stage gets fewer than `leastWidth`.
    var width = 1
    var trainSamples: Int?
    var validationSamples: Int?
    /// The largest number of epochs, by the recipe `quick` in place of the paper's.
    var epochs: Int?
    /// The largest number of seeds.
    var seeds: Int?
    var record: Study.Recording
    /// The number of samples of each set on which trained networks are measured where the study does not say.
    var measured: Int
    /// True if a study gets no more samples than that, recorded and measured, where it asks for more.
    var limitsSamples = true
    var mostRecorded: Int? { limitsSamples ? record.samples : nil }
    var mostMeasured: Int? { limitsSamples ? measured : nil }
  }

  static let leastWidth = 16

  var rules: Rules {
    switch self {
    case .paper: Rules(record: .init(every: 1, samples: 2000), measured: 10_000, limitsSamples: false)
    case .small:
      Rules(
        blocks: 2, width: 4, trainSamples: 20_000, validationSamples: 5000, epochs: 8, seeds: 2,
        record: .init(every: 1, samples: 500), measured: 2000)
    case .smoke:
      Rules(
        blocks: 2, width: 4, trainSamples: 1000, validationSamples: 500, epochs: 3, seeds: 2,
        record: .init(every: 1, samples: 64), measured: 200)
    }
  }

  /// Reductions compared with the study's description, one sentence for each; empty at full scale.
  public var reductions: [String] {
    let rules = rules
    guard self != .paper else { return [] }
    return [
      "Blocks of every stage, and the first shared block, are divided by \(rules.blocks) and rounded down, at least one.",
      "Channels are divided by \(rules.width), as long as no stage gets fewer than \(Self.leastWidth).",
      "The first \(rules.trainSamples ?? 0) train and \(rules.validationSamples ?? 0) validation images are used.",
      "The recipe is \"quick\" in place of the paper's, for at most \(rules.epochs ?? 0) epochs.",
      "At most \(rules.seeds ?? 0) seeds; recorded on \(rules.record.samples) samples of each set an epoch, measured on "
        + "\(rules.measured) at the end.",
    ]
  }

  /// The architecture at this scale. Where steps share a block, two of them stay.
  public func reduced(_ architecture: Architecture) -> Architecture {
    let rules = rules
    guard rules.blocks > 1 || rules.width > 1 else { return architecture }
    var reduced = architecture
    let narrowest = architecture.stages.map(\.width).min() ?? Self.leastWidth
    let factor = min(1, max(1 / Double(rules.width), Double(Self.leastWidth) / Double(narrowest)))
    for index in reduced.stages.indices {
      let stage = architecture.stages[index]
      let from = stage.sharing.map { max(stage.entry == .projection ? 1 : 0, $0.from / rules.blocks) }
      reduced.stages[index].sharing?.from = from ?? 0
      reduced.stages[index].blocks = min(stage.blocks, max(1, stage.blocks / rules.blocks, from.map { $0 + 2 } ?? 1))
      reduced.stages[index].width = Int((Double(stage.width) * factor).rounded())
    }
    // Without a projection the first stage has the stem's channels.
    if reduced.stages[0].entry != .projection { reduced.stem.width = reduced.stages[0].width }
    guard reduced != architecture else { return architecture }
    reduced.name = name(of: reduced, from: architecture)
    return reduced
  }

  /// The name of a reduced architecture. A ResNet of fewer blocks is another ResNet, and is called so where that name says
  /// what it is.
  private func name(of reduced: Architecture, from architecture: Architecture) -> String {
    let base = architecture.baseName
    if base.hasPrefix("resnet-"), architecture.name.hasPrefix(base) {
      let form = architecture.name.dropFirst(base.count).prefix { $0 != "@" }
      let from = reduced.stages.compactMap(\.sharing?.from).first.map { "@\($0)" } ?? ""
      let name = "resnet-\(6 * reduced.stages[0].blocks + 2)\(form)\(from)"
      if var named = try? Architecture.named(name) {
        (named.name, named.classes) = (reduced.name, reduced.classes)
        if named == reduced { return name }
      }
    }
    return architecture.name + "-reduced"
  }
}
