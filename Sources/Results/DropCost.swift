/// How well each quantity of a network's steps tells what dropping a step costs: Spearman's rank correlation over the steps.
///
/// The quantities are those of the depth card on train samples, and the step's number. The cost is the rise of the mean loss
/// on validation samples, so the two come from different samples. Steps with a projection are left out: most quantities do
/// not exist there, and dropping one leaves its projection in place.
public struct DropCost: Sendable {
  /// The quantities, in the order of the depth card.
  public let proxies: [Proxy]

  /// One quantity beside the cost.
  public struct Proxy: Sendable {
    /// The quantity's name, for instance "cosine-loss readout".
    public var name: String
    /// The steps that have the quantity, in order.
    public var points: [Point]

    /// The quantity and the cost of one step.
    public struct Point: Equatable, Sendable {
      /// The step's number, from 1.
      public var step: Int
      /// The quantity on train samples.
      public var value: Double
      /// The rise of the mean loss on validation samples where the step is dropped, in nats.
      public var cost: Double

      public init(step: Int, value: Double, cost: Double) {
        (self.step, self.value, self.cost) = (step, value, cost)
      }
    }

    /// Spearman's rank correlation of quantity and cost over the steps; nil where one of them does not vary.
    public var correlation: Double? { rankCorrelation(points.map(\.value), points.map(\.cost)) }

    /// True if the correlation is beyond two standard errors of that of unrelated quantities, 1/√(n − 1).
    public var isBeyondNoise: Bool {
      guard let correlation, points.count > 1 else { return false }
      return abs(correlation) > Estimate.z / Double(points.count - 1).squareRoot()
    }
  }

  /// - Parameter measures: the descriptions of all measures
  /// - Returns: nil where no measure says what steps cost
  /// - Throws: `TableError` where a table lacks a column that a description names.
  public init?(_ measures: [MeasureDescription], _ tables: MeasuredTables) throws {
    guard let cost = measures.first(where: { $0.stepCost != nil }), let costs = try cost.stepCost?(tables) else {
      return nil
    }
    let steps = tables.steps.filter { $0.hasIdentitySkip && costs[$0.id.number]?.isFinite == true }.map(\.id.number)
    guard !steps.isEmpty else { return nil }
    func proxy(_ name: String, _ values: [Int: Double]) -> Proxy {
      Proxy(
        name: name,
        points: steps.compactMap { step in
          guard let value = values[step], let cost = costs[step], value.isFinite else { return nil }
          return .init(step: step, value: value, cost: cost)
        })
    }
    let card = try DepthCard(measures.filter { $0.name != cost.name }, tables, .train)
    let numbers = Dictionary(uniqueKeysWithValues: steps.map { ($0, Double($0)) })
    proxies = [proxy("step number", numbers)] + (card?.columns ?? []).map { proxy($0.name, $0.values) }
  }
}

/// Spearman's rank correlation of pairs: Pearson's correlation of their ranks, where equal numbers share the mean of their
/// ranks.
/// - Returns: nil where one of the two does not vary
public func rankCorrelation(_ first: [Double], _ second: [Double]) -> Double? {
  func ranks(_ values: [Double]) -> [Double] {
    let order = values.indices.sorted { values[$0] < values[$1] }
    var ranks = values
    var start = 0
    while start < order.count {
      let end = order[start...].firstIndex { values[$0] != values[order[start]] } ?? order.count
      for place in start..<end { ranks[order[place]] = Double(start + end - 1) / 2 }
      start = end
    }
    return ranks
  }
  var pairs = PairMoments()
  for (a, b) in zip(ranks(first), ranks(second)) { pairs.add(a, b) }
  return pairs.correlation
}
