import ResLensSupport

/// A ResNet as the names and shapes of its tensors tell.
struct HeNetwork {
  private let stem: (before: [Int], width: Int)
  private let stages: [Stage]
  private let isBottleneck: Bool
  private let hasFinalNorm: Bool
  private let classes: Int

  private struct Stage {
    let width: Int
    let blocks: Int
    /// The channels inside of a bottleneck, and how many of them one filter of its 3×3 convolution reads.
    let inner: (width: Int, read: Int)
    /// The form of the first block's shortcut; nil if it has no convolution.
    let shortcut: Shortcut.Form?
  }

  /// - Returns: nil where the names are those of no ResNet
  init?(_ shapes: [String: [Int]], _ names: any ResNetNames) {
    func width(_ layer: String) -> Int? { shapes[layer + ".weight"]?.first }
    guard let classes = width(names.classifier) else { return nil }
    let single = width(names.stem(0, of: 1).convolution)
    // A stem has at most nine convolutions.
    let several = (0..<9).map { width(names.stem($0, of: 9).convolution) }.prefix { $0 != nil }.compactMap { $0 }
    let widths = single.map { [$0] } ?? several
    guard let last = widths.last else { return nil }
    stem = (widths.dropLast(), last)
    let isBottleneck = width("\(names.stage(0)).0.conv3") != nil
    var stages: [Stage] = []
    while let width = width("\(names.stage(stages.count)).0.conv\(isBottleneck ? 3 : 1)") {
      let stage = names.stage(stages.count)
      let middle = shapes["\(stage).0.conv2.weight"] ?? []
      guard middle.count == 4, middle.allSatisfy({ $0 > 0 }), width > 0 else { return nil }
      func has(_ form: Shortcut.Form) -> Bool {
        let convolution = names.shortcut(pools: form == .pooledProjection).convolution
        return shapes["\(stage).0.\(convolution).weight"]?.count == 4
      }
      // If both forms have the same name, a stem of several convolutions tells that there is a pooling (ResNet-D).
      let forms: [Shortcut.Form] =
        single == nil ? [.pooledProjection, .projection] : [.projection, .pooledProjection]
      stages.append(
        Stage(
          width: width, blocks: (1...).first { shapes["\(stage).\($0).conv1.weight"] == nil } ?? 1,
          inner: (middle[0], middle[1]), shortcut: forms.first(where: has)))
    }
    guard !stages.isEmpty else { return nil }
    (self.stages, self.isBottleneck, self.classes) = (stages, isBottleneck, classes)
    hasFinalNorm = shapes["\(names.finalNorm).weight"] != nil
  }

  /// The structure of a family's networks, as far as it is not in names and shapes.
  struct Form {
    /// True if the stem has stride 2 and a pooling, and a 7×7 kernel if it has one convolution.
    var isForLargeImages = false
    /// True if BatchNorm and ReLU come before convolutions.
    var isPreActivation = false
    /// True if the shortcuts of blocks that change the shape have no parameters (option A).
    var addsZeros = false
  }

  /// The architecture of such a network; every stage but the first halves the images.
  /// - Returns: nil for a stem that such networks do not have
  func architecture(input: Architecture.Input, _ form: Form) throws -> Architecture? {
    let before = stem.before.isEmpty ? nil : stem.before
    guard form.isForLargeImages || before == nil else { return nil }
    let stem = Architecture.Stem(
      width: stem.width, norm: form.isPreActivation ? nil : true, bias: false,
      kernel: form.isForLargeImages && before == nil ? 7 : nil, stride: form.isForLargeImages ? 2 : nil,
      before: before, pool: form.isForLargeImages ? true : nil)
    var edge = stem.edge(of: input.height)
    let stages = stages.enumerated().map { index, stage in
      let projects = index > 0 || stage.shortcut != nil
      if index > 0 { edge = (edge + 1) / 2 }
      var options = options(of: stage, projects: projects, form.isPreActivation)
      let shortcut = form.addsZeros ? .zeros : stage.shortcut ?? .projection
      if projects, shortcut != .projection { options["shortcut"] = .word(shortcut.rawValue) }
      return Architecture.Stage(
        width: stage.width, blocks: stage.blocks, entry: projects ? .projection : .none,
        stride: projects ? (index > 0 ? 2 : 1) : nil, kind: kind(form.isPreActivation),
        options: options.isEmpty ? nil : BlockOptions(options))
    }
    return try Architecture(
      name: "imported", input: input, classes: classes, stem: stem, stages: stages,
      head: .init(pooling: edge, norm: hasFinalNorm ? nil : false))
  }

  private func kind(_ isPreActivation: Bool) -> String {
    switch (isPreActivation, isBottleneck) {
    case (false, false): PostActivation.kind
    case (false, true): Bottleneck.kind
    case (true, false): PreActivation.kind
    case (true, true): PreActivationBottleneck.kind
    }
  }

  private func options(of stage: Stage, projects: Bool, _ isPreActivation: Bool) -> [String: BlockOptions.Value] {
    var options: [String: BlockOptions.Value] = [:]
    if isBottleneck {
      let (reduction, groups) = (stage.width / stage.inner.width, stage.inner.width / stage.inner.read)
      if reduction != 4 { options["reduction"] = .number(Double(reduction)) }
      if groups != 1 { options["groups"] = .number(Double(groups)) }
    } else if isPreActivation {
      options["bias"] = .flag(false)
      if projects { options["shortcut-reads"] = .word(RecordedStep.Source.activation.rawValue) }
    }
    return options
  }
}
