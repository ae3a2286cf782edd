import Host

/// The results of measuring one network: the contents of `measures.json`, and of one epoch's file during training.
public struct MeasureResults: Codable, Equatable, Sendable {
  /// The version of this layout that this program writes and reads.
  public static let format = 3
  /// The version of the layout that it was read from.
  public var format = Self.format
  /// The run folder's name.
  public var run: String
  /// The architecture's name.
  public var architecture: String
  /// The checkpoint's name, for instance "epoch-00010-step-0000000".
  public var checkpoint: String
  /// Whole epochs that the network was trained for.
  public var epoch: Int
  /// The source of the samples, as it was given to `reslens`.
  public var data: String
  /// The first so many images of each set were measured; a measure that looks at fewer says so by its counts.
  public var samples: BySplit<Int>
  /// How many residual steps the network has.
  public var steps: Int
  /// By which statistics normalisations ran.
  public var mode: MeasureMode
  /// Samples of a batch in training mode, where the numbers depend on it; nil in evaluation mode.
  public var batch: Int?
  /// The network and the images that the numbers are of.
  public var provenance: Provenance
  /// The numbers.
  public var measures: Measures
  /// The values that were asked for and cannot exist in this network.
  public var absent: [Absence]

  public init(
    run: String, architecture: String, checkpoint: String, epoch: Int, data: String, samples: BySplit<Int>, steps: Int,
    mode: MeasureMode = .evaluation, batch: Int? = nil, provenance: Provenance, measures: Measures, absent: [Absence]
  ) {
    self.run = run
    self.architecture = architecture
    self.checkpoint = checkpoint
    self.epoch = epoch
    self.data = data
    self.samples = samples
    self.steps = steps
    self.mode = mode
    self.batch = batch
    self.provenance = provenance
    self.measures = measures
    self.absent = absent
  }

  enum CodingKeys: String, CodingKey {
    case format, run, architecture, checkpoint, epoch, data, samples, steps, mode, batch, provenance, measures, absent
  }

  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    self.init(
      run: try values.decode(String.self, forKey: .run),
      architecture: try values.decode(String.self, forKey: .architecture),
      checkpoint: try values.decode(String.self, forKey: .checkpoint),
      epoch: try values.decode(Int.self, forKey: .epoch), data: try values.decode(String.self, forKey: .data),
      samples: try values.decode(BySplit<Int>.self, forKey: .samples),
      steps: try values.decode(Int.self, forKey: .steps),
      mode: try values.decode(MeasureMode.self, forKey: .mode),
      batch: try values.decodeIfPresent(Int.self, forKey: .batch),
      provenance: try values.decode(Provenance.self, forKey: .provenance),
      measures: try values.decode(Measures.self, forKey: .measures),
      absent: try values.decode([Absence].self, forKey: .absent))
    format = try values.decode(Int.self, forKey: .format)
  }

  /// Each measure's numbers; nil where it was not asked for or cannot exist.
  public struct Measures: Codable, Equatable, Sendable {
    /// cos(F_t(h_{t−1}), ∂L/∂h_{t−1}) (§4.1, Fig. 4).
    public var cosineLoss: CosineLoss?
    /// ‖F_t(h_{t−1})‖ / ‖h_{t−1}‖ (§4.2, Fig. 2).
    public var l2Ratio: BySplit<[StepStatistic]>?
    /// How much of each step's change of loss its first-order term tells (§3, eq. 4); steps that the head can read.
    public var firstOrder: BySplit<[FirstOrderTerm]>?
    /// The network's accuracy and loss with one step's F left out (§4.2, Fig. 3).
    public var droppedStep: DroppedStep?
    /// The head applied to h_t for every step of the last stage (§4.2, Fig. 5).
    public var intermediate: BySplit<[StepScore]>?
    /// The effect of the last steps on examples near the decision boundary (§4.3, Fig. 6).
    public var borderline: BorderlineExamples?
    /// One step repeated past its training (§4.4, Fig. 7, 20).
    public var unrolling: Unrolling?
    /// Steps dropped, exchanged and scaled (Veit et al. 2016).
    public var lesions: Lesions?
    /// ‖h_t‖ after every step (§4.5, Fig. 8 and 9).
    public var activationNorm: BySplit<ActivationNorms>?
    /// ‖∂L/∂h_{t−1}‖ before every step, and the ratio of Fig. 8 (§4.5).
    public var gradientNorm: BySplit<GradientNorms>?

    public init() {}

    /// The names of the measures that have results, as in `measures.json`.
    public var names: Set<String> {
      let present: [(CodingKeys, Bool)] = [
        (.cosineLoss, cosineLoss != nil), (.l2Ratio, l2Ratio != nil), (.firstOrder, firstOrder != nil),
        (.droppedStep, droppedStep != nil), (.intermediate, intermediate != nil), (.borderline, borderline != nil),
        (.unrolling, unrolling != nil), (.lesions, lesions != nil), (.activationNorm, activationNorm != nil),
        (.gradientNorm, gradientNorm != nil),
      ]
      return Set(present.filter(\.1).map(\.0.rawValue))
    }

    enum CodingKeys: String, CodingKey {
      case cosineLoss = "cosine-loss"
      case l2Ratio = "l2-ratio"
      case firstOrder = "first-order"
      case droppedStep = "dropped-step"
      case intermediate, borderline, unrolling, lesions
      case activationNorm = "activation-norm"
      case gradientNorm = "gradient-norm"
    }
  }

  /// A measure, or a part of it, that does not exist for some steps.
  public struct Absence: Codable, Equatable, Hashable, Sendable {
    /// As in `Measures`, for instance "first-order" or "cosine-loss.plugged".
    public var measure: String
    /// The first and the last of the steps, from 1; nil where the whole measure is meant.
    public var steps: [Int]?
    /// Why it cannot be, in a clause.
    public var reason: String

    /// The measure that it is of: "cosine-loss" of "cosine-loss.plugged".
    var measureName: String { String(measure.prefix { $0 != "." }) }

    enum CodingKeys: String, CodingKey { case measure, steps, reason }

    public init(from decoder: any Decoder) throws {
      let values = try decoder.container(keyedBy: CodingKeys.self)
      measure = try values.decode(String.self, forKey: .measure)
      steps = try values.decodeIfPresent([Int].self, forKey: .steps)
      reason = try values.decode(String.self, forKey: .reason)
      if let steps {
        try decoder.require(
          steps.count == 2 && steps[0] <= steps[1] && steps.allSatisfy(StepName.numbers.contains),
          "steps \(steps) are not the first and the last of some")
      }
    }

    public init(measure: String, steps: ClosedRange<Int>? = nil, reason: String) {
      self.measure = measure
      self.steps = steps.map { [$0.lowerBound, $0.upperBound] }
      self.reason = reason
    }
  }

  /// cos(F_t(h_{t−1}), ∂L/∂h_{t−1}) (§4.1, Fig. 4).
  public struct CosineLoss: Codable, Equatable, Sendable {
    /// With the gradient that comes back through all later steps; every step.
    public var backpropagated: BySplit<[StepStatistic]>
    /// With the gradient of the head applied straight to h_{t−1} (appendix C); the last stage's steps only.
    public var plugged: BySplit<[StepStatistic]>

    public init(backpropagated: BySplit<[StepStatistic]>, plugged: BySplit<[StepStatistic]>) {
      self.backpropagated = backpropagated
      self.plugged = plugged
    }
  }

  /// The network with each step's F left out in turn (§4.2, Fig. 3).
  public struct DroppedStep: Codable, Equatable, Sendable {
    /// On train samples, a step each.
    public var train: [StepScore]
    /// On validation samples, a step each.
    public var validation: [StepScore]
    /// The whole network on the same samples.
    public var baseline: BySplit<Score>

    public init(train: [StepScore], validation: [StepScore], baseline: BySplit<Score>) {
      self.train = train
      self.validation = validation
      self.baseline = baseline
    }
  }
}

/// By which statistics normalisations ran while a network was measured.
public enum MeasureMode: String, Codable, Sendable, CaseIterable {
  /// The running ones.
  case evaluation
  /// Each batch's own, as while training; the running ones stay as they are.
  case training
}

extension MeasureResults {
  /// The first thing in which the network or the data differ, in a few words: the weights, for instance. nil where both results
  /// are of one network in one mode on one data set, perhaps on more or fewer samples.
  private func networkDifference(from other: MeasureResults) -> String? {
    if architecture != other.architecture { return "the architecture" }
    if provenance.weights != other.provenance.weights { return "the weights" }
    if provenance.statistics != other.provenance.statistics { return "the statistics that inputs are normalised by" }
    // The run's own data stay the same wherever they lie.
    if provenance.isOwnData != other.provenance.isOwnData || !provenance.isOwnData && data != other.data {
      return "the data"
    }
    return mode == other.mode ? nil : "the mode"
  }

  /// The first thing in which what was measured differs, in a few words; nil where both results are of one network on the same
  /// samples, so that one file can hold them.
  public func difference(from other: MeasureResults) -> String? {
    if let difference = networkDifference(from: other) { return difference }
    if samples != other.samples { return "the number of samples" }
    if provenance.images != other.provenance.images { return "the images" }
    return batch == other.batch ? nil : "the batch"
  }

  /// Whether a call that measures `asked` would throw away what cannot be had back from it: measures that are not among them, or
  /// that were taken on more samples.
  public func isMore(than asked: Set<String>, on samples: BySplit<Int>) -> Bool {
    let isWider = self.samples.train > samples.train || self.samples.validation > samples.validation
    return !measures.names.subtracting(asked).isEmpty || isWider && !measures.names.isEmpty
  }

  /// Takes over what is missing here of measures of the same network in the same mode on the same data, though perhaps on other
  /// samples.
  /// - Returns: the names of what was taken over
  public mutating func complete(by other: MeasureResults) -> Set<String> {
    guard networkDifference(from: other) == nil else { return [] }
    let taken = other.measures.names.subtracting(measures.names)
    measures = measures.completed(by: other.measures)
    absent += other.absent.filter { taken.contains($0.measureName) }
    return taken
  }

  /// Takes over, of measures of the same network on the same samples, those that were not asked for now.
  /// - Parameter asked: the names of those that were
  public mutating func keepMeasures(of earlier: MeasureResults, asked: Set<String>) {
    guard difference(from: earlier) == nil else { return }
    measures = measures.completed(by: earlier.measures)
    absent += earlier.absent.filter { !asked.contains($0.measureName) }
  }
}

extension MeasureResults.Measures {
  /// These, and of `older` those that are missing here.
  public func completed(by older: Self) -> Self {
    var all = self
    all.cosineLoss = cosineLoss ?? older.cosineLoss
    all.l2Ratio = l2Ratio ?? older.l2Ratio
    all.firstOrder = firstOrder ?? older.firstOrder
    all.droppedStep = droppedStep ?? older.droppedStep
    all.intermediate = intermediate ?? older.intermediate
    all.borderline = borderline ?? older.borderline
    all.unrolling = unrolling ?? older.unrolling
    all.lesions = lesions ?? older.lesions
    all.activationNorm = activationNorm ?? older.activationNorm
    all.gradientNorm = gradientNorm ?? older.gradientNorm
    return all
  }
}

extension MeasureResults: Checked {
  /// The first field of a file that cannot be, and why.
  public var problem: String? {
    if !(0...99_999).contains(epoch) { return "epoch: \(epoch) is not between 0 and 99999" }
    if !(1...StepName.numbers.upperBound).contains(steps) { return "steps: \(steps) is not a number of steps" }
    for count in [samples.train, samples.validation, batch ?? 1] where !(1...1_000_000_000_000).contains(count) {
      return "samples: \(count) is not a number of samples"
    }
    if let problem = provenance.statistics.problem { return "provenance.statistics.\(problem)" }
    if let unrolling = measures.unrolling, let problem = unrolling.problem { return "measures.unrolling.\(problem)" }
    if let borderline = measures.borderline,
      !([borderline.reference] + (borderline.states.train + borderline.states.validation).map(\.step)).allSatisfy({
        (0...steps).contains($0)
      })
    {
      return "measures.borderline: a state is not one of the network's \(steps) steps"
    }
    return measures.lists.first { !$0.isInOrder(upTo: steps) }.map {
      "measures.\($0.name): its steps are not in order, or not among the network's \(steps)"
    }
  }
}

extension MeasureResults.Measures {
  /// The steps of one list of rows.
  fileprivate struct StepList {
    var name: String
    var steps: [Int]

    /// Whether every step comes once, in order.
    func isInOrder(upTo last: Int) -> Bool {
      zip(steps, steps.dropFirst()).allSatisfy { $0 < $1 } && (steps.last ?? 1) <= last
    }
  }

  /// The steps of every list of rows that has one row a step.
  fileprivate var lists: [StepList] {
    func lists<Row>(_ key: CodingKeys, _ rows: BySplit<[Row]>?, _ step: (Row) -> Int) -> [StepList] {
      [rows?.train, rows?.validation].compactMap { $0 }.map { StepList(name: key.rawValue, steps: $0.map(step)) }
    }
    var all = lists(.cosineLoss, cosineLoss?.backpropagated) { $0.name.step }
    all += lists(.cosineLoss, cosineLoss?.plugged) { $0.name.step }
    all += lists(.l2Ratio, l2Ratio) { $0.name.step }
    all += lists(.firstOrder, firstOrder) { $0.name.step }
    all += lists(.droppedStep, droppedStep.map { BySplit(train: $0.train, validation: $0.validation) }) { $0.name.step }
    all += lists(.intermediate, intermediate) { $0.name.step }
    all += lists(.borderline, borderline?.turns) { $0.name.step }
    all += lists(
      .activationNorm, activationNorm.map { BySplit(train: $0.train.steps, validation: $0.validation.steps) }
    ) {
      $0.name.step
    }
    all += lists(.gradientNorm, gradientNorm.map { BySplit(train: $0.train.steps, validation: $0.validation.steps) }) {
      $0.name.step
    }
    return all
  }
}
