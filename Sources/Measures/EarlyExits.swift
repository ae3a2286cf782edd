import Foundation
import ResLensNetworks
import ResLensResults
import ResLensSupport
import ResLensTorch

/// A network that samples can leave early: after each of some steps a lens reads the state, and a sample that the rule finds
/// sure enough gets that answer. The others get the network's own.
public struct EarlyExits {
  private let network: ResidualNetwork
  private let lens: any ExitLens
  private let rule: ExitRule
  /// The places where samples can leave, in order.
  private let places: [StatePlace]
  /// The multiply-accumulates of a sample that leaves at each exit, and at last those of one that leaves at none.
  private let costs: [Int]

  /// The readings of some samples at every exit.
  public struct Readings {
    /// The number of samples.
    public private(set) var count = 0
    /// The sureness of each sample at each exit, exit after exit for each sample.
    fileprivate private(set) var sureness: [Double] = []
    /// True where a sample is classified correctly: at each exit, and at last by the network itself.
    fileprivate private(set) var isRight: [Bool] = []
    /// The number of samples that the network itself classifies correctly.
    fileprivate var right = 0

    fileprivate mutating func add(_ sureness: [Double], _ isRight: [Bool]) {
      count += 1
      self.sureness += sureness
      self.isRight += isRight
      if isRight.last == true { right += 1 }
    }
  }

  /// The accuracy and the cost of letting samples leave by one limit.
  public struct Outcome: Equatable {
    /// The share of samples that are classified correctly.
    public var accuracy: Double
    /// The mean of multiply-accumulates over samples.
    public var macs: Double

    public init(accuracy: Double, macs: Double) { (self.accuracy, self.macs) = (accuracy, macs) }
  }

  /// - Parameter steps: the numbers of the steps after which samples can leave; nil for all that the lens reads but the last
  /// - Throws: `MeasureError` where there is no such step, for one that the lens cannot read, and for agreement by one exit.
  public init(_ network: ResidualNetwork, by rule: ExitRule, through lens: any ExitLens, after steps: [Int]? = nil)
    throws(MeasureError)
  {
    (self.network, self.lens, self.rule) = (network, lens, rule)
    let architecture = network.architecture
    let all = architecture.steps.dropLast()
    for step in steps ?? [] {
      guard let spec = all.first(where: { $0.id.number == step }) else {
        throw MeasureError(
          option: "after",
          problem: "\(step) is not between 1 and \(all.count), the steps of \(architecture.name) but the last")
      }
      if let obstacle = lens.obstacle(to: StatePlace(after: spec)) {
        throw MeasureError(option: "after", problem: "the state after step \(step) cannot be read: \(obstacle)")
      }
    }
    try MeasureError.check(distinct: steps ?? [], option: "after")
    places = all.filter { steps?.contains($0.id.number) ?? true }.map { StatePlace(after: $0) }.filter {
      lens.obstacle(to: $0) == nil
    }
    guard !places.isEmpty else {
      throw MeasureError(
        option: "lens", problem: "it reads no state of \(architecture.name) before the last step")
    }
    guard rule != .agreement || places.count > 1 else {
      throw MeasureError(option: "by", problem: "agreement is of two exits, and there is one alone")
    }
    // A sample pays for the stem, for the steps until it leaves, and for every reading on its way.
    let steps = architecture.steps.map(\.macs)
    var cost = architecture.multiplyAccumulates - steps.reduce(0, +) - architecture.readoutMultiplyAccumulates
    var (costs, done) = ([Int](), 0)
    for place in places {
      let number = place.steps ?? done
      cost += steps[done..<number].reduce(0, +) + lens.multiplyAccumulates(at: place)
      costs.append(cost)
      done = number
    }
    self.costs = costs + [cost + steps[done...].reduce(0, +) + architecture.readoutMultiplyAccumulates]
  }

  /// The numbers of the steps after which samples can leave.
  public var exits: [Int] { places.compactMap(\.steps) }

  // MARK: choosing a limit

  /// Reads samples at every exit, whether or not they would leave there.
  /// - Parameter progress: told how many samples are done
  public func readings(on samples: some BatchSource, progress: (Int) throws -> Void = { _ in }) throws -> Readings {
    var readings = Readings()
    let byNumber = Dictionary(uniqueKeysWithValues: places.map { ($0.steps, $0) })
    try progress(0)
    try samples.forEachBatch { batch in
      var read: [[[Double]]] = []
      let final = try network.logits(batch.images) { steps, h in
        if let place = byNumber[steps] { read.append(try Self.logarithms(lens.outputs(of: h, at: place))) }
      }
      read.append(try Self.logarithms(final))
      for (sample, label) in batch.classes.enumerated() {
        let own = read.map { $0[sample] }
        readings.add(
          places.indices.map { rule.sureness(own[$0], after: $0 > 0 ? own[$0 - 1] : nil) },
          own.map { Self.likeliest(of: $0) == label })
      }
      try progress(readings.count)
    }
    return readings
  }

  /// The result of letting every sample leave where its sureness is at least a limit.
  public func outcome(_ readings: Readings, from limit: Double) -> Outcome {
    var (right, cost) = (0, 0.0)
    for sample in 0..<readings.count {
      let start = sample * places.count
      let exit = places.indices.first { readings.sureness[start + $0] >= limit } ?? places.count
      if readings.isRight[start + sample + exit] { right += 1 }
      cost += Double(costs[exit])
    }
    let count = Double(max(readings.count, 1))
    return Outcome(accuracy: Double(right) / count, macs: cost / count)
  }

  /// The network without exits.
  public func whole(_ readings: Readings) -> Outcome {
    Outcome(
      accuracy: Double(readings.right) / Double(max(readings.count, 1)),
      macs: Double(network.architecture.multiplyAccumulates))
  }

  /// Limits of sureness from the surest reading down, evenly spread over the readings of all exits.
  /// - Parameter count: the largest number of limits
  public static func limits(of readings: Readings, count: Int = 200) -> [Double] {
    let sorted = readings.sureness.filter { !$0.isNaN }.sorted(by: >)
    guard sorted.count > 1 else { return sorted }
    let places = (0..<max(2, count)).map { $0 * (sorted.count - 1) / (max(2, count) - 1) }
    return places.map { sorted[$0] }.reduce(into: []) { limits, limit in
      if limits.last != limit { limits.append(limit) }
    }
  }

  /// The limit that a choice asks for; nil where there is none.
  public func limit(
    for choice: ExitResults.Choice, among limits: [(limit: Double, outcome: Outcome)], whole: Outcome
  ) -> Double? {
    switch choice {
    case .lossless:
      let possible = limits.filter { $0.outcome.accuracy >= whole.accuracy && $0.outcome.macs < whole.macs }
      return possible.min { $0.outcome.macs < $1.outcome.macs }?.limit
    case .half:
      let possible = limits.filter { $0.outcome.macs <= whole.macs / 2 }
      return possible.max { ($0.outcome.accuracy, -$0.outcome.macs) < ($1.outcome.accuracy, -$1.outcome.macs) }?.limit
    case .whole, .given: return nil
    }
  }

  // MARK: leaving

  /// Runs a batch. Samples that have left are removed from the batch as soon as the steps that are saved outweigh the copying
  /// of the others, which takes about as long as a step.
  /// - Parameter limit: the sureness from which on a sample leaves
  /// - Returns: the class of each sample, and the number of steps that ran for it
  public func run(_ images: Tensor, from limit: Double) throws -> (classes: [Int], steps: [Int]) {
    let count = images.shape.first ?? 0
    var (classes, steps) = ([Int](repeating: 0, count: count), [Int](repeating: 0, count: count))
    /// The samples in the batch; nil where one has left and is still in it.
    var inside: [Int?] = Array(0..<count)
    var earlier: [[Double]?] = Array(repeating: nil, count: count)
    let last = network.architecture.steps.count
    let byNumber = Dictionary(uniqueKeysWithValues: places.map { ($0.steps, $0) })
    let end = try network.run(images) { done, h in
      guard let place = byNumber[done] else { return h }
      let read = try Self.logarithms(lens.outputs(of: h, at: place))
      for (index, sample) in inside.enumerated() {
        guard let sample, rule.sureness(read[index], after: earlier[index]) >= limit else { continue }
        (classes[sample], steps[sample], inside[index]) = (Self.likeliest(of: read[index]), done, nil)
      }
      earlier = read
      let staying = inside.indices.filter { inside[$0] != nil }
      guard !staying.isEmpty else { return nil }
      guard (inside.count - staying.count) * (last - done) > staying.count else { return h }
      (inside, earlier) = (staying.map { inside[$0] }, staying.map { earlier[$0] })
      return try h.rows(at: Tensor(staying.map(Int64.init), shape: [staying.count]).moved(to: h.device))
    }
    guard let end else { return (classes, steps) }
    for (sample, logs) in zip(inside, try Self.logarithms(network.classify(end))) {
      guard let sample else { continue }
      (classes[sample], steps[sample]) = (Self.likeliest(of: logs), last)
    }
    return (classes, steps)
  }

  /// The class of each sample by the network without exits.
  public func classesOfWhole(_ images: Tensor) throws -> [Int] {
    try Self.logarithms(network.logits(images)).map(Self.likeliest)
  }

  /// The multiply-accumulates of a sample for which so many steps ran.
  public func multiplyAccumulates(afterSteps steps: Int) -> Int {
    exits.firstIndex(of: steps).map { costs[$0] } ?? costs[places.count]
  }

  /// The logarithms of each sample's probabilities.
  private static func logarithms(_ outputs: Tensor) throws -> [[Double]] {
    try outputs.samples().map { logProbabilities($0) }
  }

  /// The likeliest class, the lowest among equals.
  private static func likeliest(of logs: [Double]) -> Int {
    logs.indices.max { (logs[$0], -$0) < (logs[$1], -$1) } ?? 0
  }
}
