import ResLensNetworks
import ResLensResults
import ResLensSupport
import ResLensTorch

/// Fits a trained lens of a network on train samples, in which the network itself stays as it is.
///
/// A linear lens is fitted to the labels. The samples go through the network once; of each state its mean over pixels is
/// kept, and the optimum is found for one state after the other.
///
/// An affine lens is fitted to the network's final distribution. It begins with the least squares of the final state's pixels,
/// for which the samples go through the network once, and no state is kept. Then Adam descends along KL(final‖lens)
/// for some epochs, batch by batch, for all states at once.
public struct LensFitting {
  private let network: ResidualNetwork
  private let train: Samples
  private let options: Options
  private let places: [StatePlace]

  /// The kind of a lens and the settings of its fit.
  public struct Options: Codable, Equatable, Sendable {
    /// The kind of lens.
    public var kind: LensKind
    /// The factor λ of the penalty, above 0. The weights are those of features divided by their deviations.
    ///
    /// A linear lens pays λ/2 times the sum of squares of its weights. The least squares of an affine lens pay λ times the
    /// sum of squares of their weights' distance from the identity, or from 0 if the state has another number of channels
    /// than the last one. The descent pays λ/2 times that of the weights' distance from the least squares.
    public var penalty: Double
    /// The number of epochs along the divergence; a linear lens has none.
    public var epochs: Int

    /// The usual penalty.
    public static let penalty = 1e-4
    /// The usual number of epochs of an affine lens.
    public static let epochs = 5

    public init(_ kind: LensKind, penalty: Double = Self.penalty, epochs: Int = Self.epochs) {
      (self.kind, self.penalty) = (kind, penalty)
      self.epochs = kind == .linear ? 0 : epochs
    }

    /// The first step of Adam, as a part of the final state's deviation; the steps shrink evenly to 0.
    static let rate = 5e-3
  }

  /// The current phase.
  public enum Phase: Equatable, Sendable {
    /// The pass over the train samples before anything is fitted.
    case reading
    /// The fits of one state after the other.
    case solving
    /// An epoch of descent over the train samples, from 1.
    case descending(epoch: Int)
  }

  /// - Parameter train: the train samples to fit on
  /// - Throws: `ArgumentError` for options that are not possible; `MeasureError` where the lens reads no state of the
  ///   network.
  public init(_ network: ResidualNetwork, _ options: Options, on train: Samples) throws {
    (self.network, self.options, self.train) = (network, options, train)
    guard options.penalty.isFinite, options.penalty > 0 else {
      throw ArgumentError("penalty", "\(options.penalty) is not a finite number above 0")
    }
    try ArgumentError.check("epochs", options.epochs, in: 0...10_000)
    places = TrainedLens.places(options.kind, in: network.architecture)
    guard !places.isEmpty else {
      throw MeasureError(
        option: "lens", problem: "there is no state of \(network.architecture.name) that it can read")
    }
  }

  /// Fits the lens.
  /// - Parameter progress: told the phase, how much of it is done and how much there is
  /// - Throws: `MeasureError` where a map does not come out as finite numbers; `TorchError` where an optimum is not found.
  public func fitted(progress: (Phase, Int, Int) throws -> Void = { _, _, _ in }) throws -> TrainedLens {
    let maps: [Int: TrainedLens.Map] =
      switch options.kind {
      case .linear: try linearMaps(progress)
      case .affine: try affineMaps(progress)
      }
    for (steps, map) in maps.sorted(by: { $0.key < $1.key }) {
      guard try map.weight.isFinite(), try map.bias.isFinite() else {
        throw MeasureError(
          option: "lens",
          problem:
            "the map of the state after \(steps) steps has numbers that are not finite, because the network's states overflow there"
        )
      }
    }
    return TrainedLens(options.kind, maps, of: network)
  }

  /// The features of each state of a batch, to which its map is applied, by the number of steps; and the network's outputs.
  private func features(of images: Tensor) throws -> (states: [Int: Tensor], outputs: Tensor) {
    let wanted = Set(places.compactMap(\.steps))
    var states: [Int: Tensor] = [:]
    let outputs = try network.logits(images) { steps, h in
      guard wanted.contains(steps) else { return }
      let tape = Tape(mode: .running, records: false)
      let value = try TrainedLens.features(of: tape.input(h), options.kind, in: network.architecture)
      states[steps] = try tape.result(of: value)
    }
    return (states, outputs)
  }

  // MARK: linear lenses

  private func linearMaps(_ progress: (Phase, Int, Int) throws -> Void) throws -> [Int: TrainedLens.Map] {
    var kept: [Int: Tensor] = [:]
    for place in places {
      if let steps = place.steps { kept[steps] = try .zeros([train.count, place.shape[0]], train.maker.type) }
    }
    var (done, labels) = (0, [Int64]())
    try progress(.reading, 0, train.count)
    try train.forEachBatch { batch in
      let range = done..<(done + batch.classes.count)
      for (steps, state) in try features(of: batch.images).states {
        try kept[steps]?.rows(range).copy(from: state.flattened().moved(to: .cpu))
      }
      labels += batch.classes.map(Int64.init)
      done = range.upperBound
      try progress(.reading, done, train.count)
    }
    let given = try Tensor(labels, shape: [labels.count])
    var maps: [Int: TrainedLens.Map] = [:]
    for steps in kept.keys.sorted() {
      try progress(.solving, maps.count, kept.count)
      guard let features = kept.removeValue(forKey: steps) else { continue }
      let fit = try LogisticRegression.fit(
        features, given, classes: network.architecture.classes, penalty: options.penalty)
      maps[steps] = try map(fit.weight, fit.bias)
    }
    try progress(.solving, maps.count, maps.count)
    return maps
  }

  /// A map in the element type of the samples, where they lie.
  private func map(_ weight: Tensor, _ bias: Tensor) throws -> TrainedLens.Map {
    func placed(_ tensor: Tensor, _ shape: [Int]) throws -> Tensor {
      try tensor.converted(to: train.maker.type).reshaped(shape).moved(to: train.maker.device)
    }
    return .init(weight: try placed(weight, weight.shape + [1, 1]), bias: try placed(bias, bias.shape))
  }

  // MARK: affine lenses

  private func affineMaps(_ progress: (Phase, Int, Int) throws -> Void) throws -> [Int: TrainedLens.Map] {
    let (translators, deviation) = try regressed(progress)
    let (batches, order) = ((train.count - 1) / train.batch + 1, train.maker)
    for epoch in 0..<options.epochs {
      let phase = Phase.descending(epoch: epoch + 1)
      let indices = try order.order(count: train.count, epoch: epoch)
      for batch in 0..<batches {
        let range = batch * train.batch..<min(train.count, (batch + 1) * train.batch)
        try progress(phase, range.lowerBound, train.count)
        let found = try features(of: train.maker.batch(train.set, indices[range]).images)
        let left = 1 - Double(epoch * batches + batch) / Double(options.epochs * batches)
        for (steps, state) in found.states {
          try translators[steps]?.descend(
            network, on: state, to: found.outputs, penalty: options.penalty, rate: Options.rate * deviation * left)
        }
      }
      try progress(phase, train.count, train.count)
    }
    return try translators.mapValues { translator in
      let (weight, bias) = try translator.unscaled()
      return try map(weight, bias)
    }
  }

  /// The least squares of the final state's pixels, for each state, and the root mean square of the deviations of that
  /// state's channels.
  private func regressed(
    _ progress: (Phase, Int, Int) throws -> Void
  ) throws -> (translators: [Int: Translator], deviation: Double) {
    let last = network.architecture.steps.count
    let channels = network.architecture.features[0]
    var sums: [Int: LinearRegression] = [:]
    for place in places {
      guard let steps = place.steps else { continue }
      sums[steps] = try LinearRegression(inputs: place.shape[0], outputs: channels, on: train.maker.device)
    }
    var done = 0
    try progress(.reading, 0, train.count)
    try train.forEachBatch { batch in
      let states = try features(of: batch.images).states
      guard let final = states[last] else { throw TorchError.missingResult }
      for (steps, state) in states {
        // The map of a state that the last one grows from differs little from the identity.
        try sums[steps]?.add(state, isGrown(state) ? final.adding(state, scale: -1) : final)
      }
      done += batch.classes.count
      try progress(.reading, done, train.count)
    }
    var (translators, deviation): ([Int: Translator], Double) = ([:], 0)
    for place in places {
      guard let steps = place.steps, let fit = try sums[steps]?.solved(penalty: options.penalty) else { continue }
      translators[steps] = try Translator(
        fit, addsIdentity: place.shape[0] == channels, in: train.maker.type, on: train.maker.device)
      guard steps == last else { continue }
      let squares = try fit.deviations.doubles().map { $0 * $0 }
      deviation = (squares.reduce(0, +) / Double(squares.count)).squareRoot()
    }
    return (translators, deviation)
  }

  /// True if a state has as many channels as the last one.
  private func isGrown(_ state: Tensor) -> Bool { state.shape[1] == network.architecture.features[0] }
}

/// The map of one state of an affine lens while it is fitted, for channels that are normalised by their mean and deviation.
private struct Translator {
  private let means: [Double]
  private let deviations: [Double]
  private let norm: (weight: Tensor, bias: Tensor, mean: Tensor, variance: Tensor)
  /// D×C×1×1
  private let weight: Tensor
  private let bias: Tensor
  /// The weight of the least squares.
  private let start: Tensor
  private let optimiser: Adam

  init(_ fit: LinearRegression.Fit, addsIdentity: Bool, in type: ElementType, on device: Device) throws {
    // A channel that does not vary has no weight, whatever it is divided by.
    let (means, deviations) = (try fit.means.doubles(), try fit.deviations.doubles().map { $0 == 0 ? 1 : $0 })
    var (weights, biases) = (try fit.weight.doubles(), try fit.bias.doubles())
    let channels = means.count
    for row in biases.indices {
      if addsIdentity { weights[row * channels + row] += 1 }
      for column in 0..<channels {
        biases[row] += weights[row * channels + column] * means[column]
        weights[row * channels + column] *= deviations[column]
      }
    }
    func tensor(_ values: [Double], _ shape: [Int]) throws -> Tensor {
      try Tensor(values, shape: shape).converted(to: type).moved(to: device)
    }
    (self.means, self.deviations) = (means, deviations)
    norm = (
      try tensor(means.map { _ in 1 }, [channels]), try tensor(means.map { _ in 0 }, [channels]),
      try tensor(means, [channels]), try tensor(deviations.map { $0 * $0 }, [channels])
    )
    weight = try tensor(weights, [biases.count, channels, 1, 1])
    bias = try tensor(biases, [biases.count])
    start = try weight.scaled(by: 1)
    optimiser = try Adam([weight, bias])
  }

  /// One step of Adam along the mean of KL(final‖lens) over a batch, and the penalty.
  /// - Parameters:
  ///   - state: N×C×H×W, on the grid of the readout
  ///   - outputs: the network's own, N×K
  func descend(
    _ network: ResidualNetwork, on state: Tensor, to outputs: Tensor, penalty: Double, rate: Double
  ) throws {
    let tape = Tape(mode: .running, records: true)
    let normed = try tape.input(state).normalised(
      .init(
        path: "the lens", weight: tape.input(norm.weight), bias: tape.input(norm.bias), runningMean: norm.mean,
        runningVariance: norm.variance, epsilon: 0))
    let mapped = try normed.convolved(
      tape.parameter("weight", weight), bias: tape.parameter("bias", bias), padding: 0)
    let head = try PluggedHead(network, on: tape.result(of: mapped))
    let gradient = try Divergence.gradient(of: head.logits, from: outputs, scale: 1 / Double(outputs.shape[0]))
    let found = try tape.gradients(of: mapped, head.backward(gradient), for: [], wantsParameters: true).parameters
    var gradients = Dictionary(found.map { ($0.path, $0.gradient) }, uniquingKeysWith: { $1 })
    guard let slope = gradients.removeValue(forKey: "weight"), let shift = gradients.removeValue(forKey: "bias") else {
      throw TorchError.missingResult
    }
    let pull = try weight.adding(start, scale: -1)
    try optimiser.step([slope.adding(pull, scale: penalty), shift], rate: rate)
  }

  /// The map for channels as they are: D×C and D, float64.
  func unscaled() throws -> (weight: Tensor, bias: Tensor) {
    var (weights, biases) = (try weight.doubles(), try bias.doubles())
    for row in biases.indices {
      for column in means.indices {
        let index = row * means.count + column
        weights[index] /= deviations[column]
        biases[row] -= weights[index] * means[column]
      }
    }
    return (
      try Tensor(weights, shape: [biases.count, means.count]), try Tensor(biases, shape: [biases.count])
    )
  }
}
