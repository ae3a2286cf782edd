extension Architecture {
  /// The steps of a stage that run one block together, and the parts of its normalisations that each has for itself
  /// (§4.5). With both `unshared…` false and `initialGamma` 1 sharing is naive; the paper's unshared batch normalization
  /// (UBN) is all three parts together.
  public struct Sharing: Codable, Hashable, Sendable {
    /// The shared block, counted from 0: the blocks before it are their own, every step from it on runs this one.
    public var from: Int
    /// True if each of these steps has running statistics of its own.
    public var unsharedStatistics: Bool
    /// True if each has γ and β of its own.
    public var unsharedAffine: Bool
    /// The initial value of γ in these steps.
    public var initialGamma: Double

    public init(
      from: Int, unsharedStatistics: Bool = false, unsharedAffine: Bool = false, initialGamma: Double = 1
    ) {
      self.from = from
      self.unsharedStatistics = unsharedStatistics
      self.unsharedAffine = unsharedAffine
      self.initialGamma = initialGamma
    }

    /// - Throws: `ArchitectureError` where `stage` cannot share so.
    func validate(for stage: Stage, field: String) throws(ArchitectureError) {
      guard (0..<stage.blocks).contains(from) else {
        throw ArchitectureError(
          field: field + ".from",
          problem: "sharing begins at block \(from), and the stage has the blocks 0 to \(stage.blocks - 1)")
      }
      guard from > 0 || stage.entry != .projection else {
        throw ArchitectureError(
          field: field + ".from",
          problem: "block 0 changes the shape of h by its projection and cannot be run again; share from block 1 on")
      }
      guard initialGamma.isFinite else {
        throw ArchitectureError(field: field + ".initial-gamma", problem: "\(initialGamma) is not a finite number")
      }
    }
  }

  /// The parts of unshared batch normalization, which are switches of their own (Fig. 9).
  public enum SharingPart: String, CaseIterable, Sendable {
    /// Running statistics a step.
    case statistics
    /// γ and β a step.
    case affine
    /// γ of the shared steps begins at 0.1.
    case gamma
  }

  /// This architecture with blocks shared in every stage.
  /// - Parameters:
  ///   - parts: what of unshared batch normalization it has; nothing is naive sharing, all is UBN
  ///   - from: the shared block; the 5th counted from 0 where it is nil, as in the paper, or that of a stage's last two
  ///     steps where it has fewer than seven
  /// - Throws: `ArchitectureError` where a stage has no such block, or, without `from`, none that two steps could run.
  public func sharing(_ parts: Set<SharingPart>, from: Int? = nil) throws(ArchitectureError) -> Architecture {
    let all = SharingPart.allCases
    let kind =
      parts.count == all.count ? "ubn" : "shared" + all.filter(parts.contains).map { "+\($0.rawValue)" }.joined()
    var shared = self
    shared.name = "\(name)-\(kind)" + (from.map { "@\($0)" } ?? "")
    for (index, stage) in stages.enumerated() {
      let first = from ?? min(5, stage.blocks - 2)
      guard from != nil || first >= (stage.entry == .projection ? 1 : 0) else {
        throw ArchitectureError(
          field: "model", problem: "\(name) has too few blocks in stage \(index) (\(stage.blocks)) for two to be shared"
        )
      }
      shared.stages[index].sharing = Sharing(
        from: first, unsharedStatistics: parts.contains(.statistics), unsharedAffine: parts.contains(.affine),
        initialGamma: parts.contains(.gamma) ? 0.1 : 1)
    }
    try shared.validate()
    return shared
  }

  /// The eight networks of the ablation of Fig. 9: naive sharing, each part of UBN alone, each left out, and all.
  /// - Throws: as `sharing(_:from:)`.
  public func sharingAblation(from: Int? = nil) throws(ArchitectureError) -> [Architecture] {
    let parts = SharingPart.allCases
    let sets =
      [[]] + parts.map { [$0] } + parts.reversed().map { left in parts.filter { $0 != left } } + [parts]
    var all: [Architecture] = []
    for set in sets { all.append(try sharing(Set(set), from: from)) }
    return all
  }
}
