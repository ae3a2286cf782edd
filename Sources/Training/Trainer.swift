import Foundation
import ResLensSupport
import ResLensTasks
import ResLensNetworks
import ResLensResults
import ResLensTorch

/// Trains one run in its folder, from its start or from its last checkpoint.
public final class Trainer {
  /// An event that training reports while it runs.
  public enum Event {
    /// One more step; numbers of the epoch so far.
    case step(Progress)
    /// An epoch is done, and its checkpoint is written.
    case epoch(EpochRecord)
  }

  /// How far a training is.
  public struct Progress: Sendable {
    /// Counted from 1.
    public var epoch: Int
    /// The epochs of the whole training.
    public var epochs: Int
    /// Steps done in this epoch, and in it all.
    public var step: Int
    /// The steps of an epoch.
    public var steps: Int
    /// Means over the epoch so far, as far as they are known; a GPU tells them some steps later.
    public var loss: Double?
    /// The share of samples that were classified wrongly, 0 … 1, likewise.
    public var error: Double?
    /// The speed of this epoch so far, without validation.
    public var imagesPerSecond: Double
    /// Estimated seconds to the end of the training; nil before anything is known.
    public var secondsLeft: Double?
  }

  /// How `run` ended.
  public enum Outcome: Sendable {
    /// The last epoch is done.
    case finished
    /// Told to stop; the state was saved.
    case stopped
  }

  /// The configuration of the training.
  public let configuration: RunConfiguration
  /// Where its state and its results are written.
  public let folder: RunFolder
  /// The network that is trained.
  public var network: ResidualNetwork { stepTrainer.network }
  /// The epochs that are done.
  public var records: [EpochRecord] { loop.records }
  /// Steps done in the epoch that is under way.
  public var stepsOfEpoch: Int { loop.step }
  /// Measures the network after an epoch of the configuration's `measure`, before the epoch's checkpoint is written: what
  /// it has recorded is there whenever the epoch counts as done; and, as epoch 0, before the first step.
  public var measureEpoch: ((_ epoch: Int, _ shouldStop: () throws -> Bool) throws -> Measuring)?

  /// How measuring an epoch ended.
  public enum Measuring {
    /// - Parameter validation: what the network said, in evaluation mode and float32, of the first images of the validation
    ///   set: they are not scored again. Of none where they were not looked at in this way.
    case done(validation: ScoreSum = ScoreSum())
    /// Told to stop: it is done again when the run goes on.
    case stopped
  }
  /// Seconds between checkpoints within an epoch; there is one at the end of every epoch anyway.
  public var secondsBetweenCheckpoints = 300.0

  private let dataset: ImageDataset
  private let group: ProcessGroup?
  private let stepTrainer: StepTrainer
  /// Scores are of float32, as measures are, whatever the training's precision.
  private let scoreMaker: BatchMaker
  private var loop: Checkpoint.Loop
  private let trainCount: Int
  private var steps: Int { (trainCount + configuration.recipe.batch - 1) / configuration.recipe.batch }

  /// Goes on from the folder's last checkpoint, or begins where there is none.
  /// - Parameters:
  ///   - device: what computes
  ///   - capturesSteps: whether a GPU's steps become graphs, where that is possible
  ///   - processes: those that share the work; process 0 alone reads and writes the folder
  /// - Throws: `ArgumentError` for a configuration that cannot be; `FileError` where data, folder or checkpoint do not fit;
  ///   `TrainingError.smallBatch`.
  public init(
    _ configuration: RunConfiguration, dataset: ImageDataset, folder: RunFolder, device: Device = .cpu,
    capturesSteps: Bool = true, processes: DataParallel? = nil
  ) throws {
    if let problem = configuration.problem { throw ArgumentError("configuration", problem) }
    try configuration.check(against: dataset)
    self.configuration = configuration
    self.dataset = dataset
    self.folder = folder
    group = processes?.group
    let statistics = try configuration.inputStatistics(on: dataset)
    let maker = try BatchMaker(
      statistics: statistics, type: configuration.precision.type, seed: configuration.seed, device: device)
    scoreMaker = try BatchMaker(statistics: statistics, device: device)
    trainCount = configuration.trainSamples ?? dataset.train.count
    if let processes {
      let rest = trainCount % configuration.recipe.batch
      let smallest = rest == 0 ? configuration.recipe.batch : min(rest, configuration.recipe.batch)
      guard smallest >= processes.group.size else {
        throw TrainingError.smallBatch(images: smallest, processes: processes.group.size)
      }
    }
    if let checkpoint = group.isFirst ? folder.latestCheckpoint() : nil {
      let network = try checkpoint.network(expecting: configuration.architecture).moved(to: device)
      do {
        stepTrainer = try StepTrainer(
          network, configuration.recipe, maker: maker, velocities: checkpoint.velocities(), processes: processes,
          capturesSteps: capturesSteps)
      } catch let error as ParameterError {
        throw FileError(
          path: checkpoint.optimizerFile.path, problem: "\(error)", remedy: "train again into another folder")
      }
      loop = try checkpoint.loop()
      let problem = loop.problem(
        in: checkpoint.url.lastPathComponent, epochs: configuration.recipe.epochs, steps: steps, images: trainCount)
      if let problem {
        throw FileError(path: checkpoint.loopFile.path, problem: problem, remedy: "train again into another folder")
      }
      // A kill may have fallen between the checkpoint and the table.
      try writeEpochs()
    } else {
      // The other processes get theirs from process 0.
      let network =
        try (group.isFirst ? configuration.initialWeights : nil)?.network(of: configuration.architecture)
        ?? ResidualNetwork(configuration.architecture, seed: configuration.seed)
      stepTrainer = try StepTrainer(
        network.moved(to: device), configuration.recipe, maker: maker, velocities: nil, processes: processes,
        capturesSteps: capturesSteps)
      loop = Checkpoint.Loop()
    }
    if let group { try takeState(from: group) }
  }

  /// Takes the weights, the optimiser's state and the place in the loop from process 0.
  private func takeState(from group: ProcessGroup) throws {
    for tensors in [network.parameters, stepTrainer.optimizer.velocities] { try group.broadcastByName(tensors) }
    loop = try group.first(loop)
  }

  /// Trains to the end.
  /// - Parameters:
  ///   - shouldStop: asked after every step; once it says so the state is saved and the call returns
  ///   - report: told of every step and epoch
  /// - Throws: `TrainingError.notFinite`; `FileError` where a file cannot be written. The last checkpoint stays.
  public func run(shouldStop: () -> Bool = { false }, report: (Event) -> Void = { _ in }) throws -> Outcome {
    let recipe = configuration.recipe
    func stopsTogether() throws -> Bool { try agreed([shouldStop()])[0] }
    // From here on the run does not need the file of its initial weights.
    if loop.epoch == 0, loop.step == 0, configuration.initialWeights != nil { try save() }
    if loop.epoch == 0, loop.step == 0, try measured(0, stopsTogether) == nil { return .stopped }
    while loop.epoch < recipe.epochs {
      guard try trainEpoch(shouldStop, report) else { return .stopped }
      guard let (validation, seconds) = try validate(stopsTogether) else {
        // The validation is done again when the run goes on, the epoch's steps are not.
        try save()
        return .stopped
      }
      guard validation.loss.isFinite else { throw notFinite(step: steps) }
      let record = EpochRecord(
        epoch: loop.epoch + 1, learningRate: rate(step: steps - 1), trainLoss: loop.lossSum / Double(trainCount),
        trainError: Double(loop.wrong) / Double(trainCount), validationLoss: validation.loss,
        validationError: 1 - validation.accuracy, imagesPerSecond: Double(trainCount) / loop.trainSeconds,
        seconds: loop.trainSeconds + seconds)
      loop = Checkpoint.Loop(epoch: loop.epoch + 1, records: loop.records + [record])
      try save()
      try writeEpochs()
      report(.epoch(record))
    }
    return .finished
  }

  /// For each question whether any process says so: all of them do the same.
  private func agreed(_ own: [Bool]) throws -> [Bool] { try group?.any(own) ?? own }

  /// Measures and scores the network as the epoch leaves it; nil where it was told to stop.
  /// - Returns: how it does on the validation set, and how long it took to say so of what measuring had not seen
  private func validate(_ shouldStop: () throws -> Bool) throws -> (score: Score, seconds: Double)? {
    guard var known = try measured(loop.epoch + 1, shouldStop) else { return nil }
    let count = configuration.validationSamples ?? dataset.validation.count
    if known.count > count { known = ScoreSum() }
    let began = ContinuousClock.now
    let score = try network.score(
      dataset.validation, samples: count, known: known, maker: scoreMaker, group: group, shouldStop: shouldStop)
    return score.map { ($0, began.seconds) }
  }

  /// The scores of the validation set as far as measuring the network gives them, in epochs that are measured; nil
  /// where measuring was stopped.
  private func measured(_ epoch: Int, _ shouldStop: () throws -> Bool) throws -> ScoreSum? {
    guard let measureEpoch, configuration.measure?.includes(epoch, of: configuration.recipe.epochs) == true else {
      return ScoreSum()
    }
    guard case .done(let validation) = try measureEpoch(epoch, shouldStop) else { return nil }
    return validation
  }

  /// The rest of an epoch's steps; false where it was told to stop, the state then being saved.
  private func trainEpoch(_ shouldStop: () -> Bool, _ report: (Event) -> Void) throws -> Bool {
    let batch = configuration.recipe.batch
    let order = try stepTrainer.maker.order(count: trainCount, epoch: loop.epoch)
    var saved = ContinuousClock.now
    try stepTrainer.begin(.init(lossSum: loop.lossSum, wrong: loop.wrong, steps: loop.step))
    while loop.step < steps {
      let began = ContinuousClock.now
      let first = loop.step * batch
      try stepTrainer.step(
        on: dataset.train, order[first..<min(first + batch, trainCount)], epoch: loop.epoch, rate: rate(step: loop.step)
      )
      loop.step += 1
      let votes = try agreed([shouldStop(), saved.seconds > secondsBetweenCheckpoints])
      let (stops, saves) = (votes[0], votes[0] || votes[1])
      // A GPU is waited for only where it must be.
      try take(saves || loop.step == steps ? stepTrainer.outcome() : stepTrainer.latest)
      loop.trainSeconds += began.seconds
      report(.step(progress))
      if saves {
        try save()
        saved = .now
      }
      if stops { return false }
    }
    return true
  }

  /// Takes over what came of the epoch's steps.
  private func take(_ outcome: StepTrainer.Outcome) throws {
    guard outcome.lossSum.isFinite else { throw notFinite(step: outcome.steps + 1) }
    (loop.lossSum, loop.wrong) = (outcome.lossSum, outcome.wrong)
  }

  private func notFinite(step: Int) -> TrainingError {
    .notFinite(
      epoch: loop.epoch + 1, step: step, rate: rate(step: step - 1), hasCheckpoint: folder.latestCheckpoint() != nil)
  }

  private func rate(step: Int) -> Double {
    configuration.recipe.schedule.rate(
      at: Double(loop.epoch) + Double(step) / Double(steps), of: configuration.recipe.epochs)
  }

  private var progress: Progress {
    let seen = min(loop.step * configuration.recipe.batch, trainCount)
    let speed = Double(seen) / loop.trainSeconds
    let left = (configuration.recipe.epochs - loop.epoch) * trainCount - seen
    let known = min(stepTrainer.latest.steps * configuration.recipe.batch, trainCount)
    func mean(_ sum: Double) -> Double? { known > 0 ? sum / Double(known) : nil }
    return Progress(
      epoch: loop.epoch + 1, epochs: configuration.recipe.epochs, step: loop.step, steps: steps,
      loss: mean(loop.lossSum), error: mean(Double(loop.wrong)), imagesPerSecond: speed,
      secondsLeft: speed > 0 ? Double(left) / speed : nil)
  }

  /// - Throws: `TrainingError.notFinite` where the last step ruined the parameters: the checkpoint before stays.
  private func save() throws {
    guard try network.parameters.values.allSatisfy({ try $0.isFinite() }) else { throw notFinite(step: loop.step) }
    guard group.isFirst else { return }
    _ = try Checkpoint.write(
      network, velocities: stepTrainer.optimizer.velocities, loop, in: folder, keeping: configuration.keptCheckpoints)
  }

  private func writeEpochs() throws {
    if group.isFirst, !loop.records.isEmpty { try Files.write(EpochRecord.csv(loop.records), to: folder.epochsFile) }
  }
}

/// A training that cannot go on.
public enum TrainingError: Error, CustomStringConvertible, Equatable {
  case notFinite(epoch: Int, step: Int, rate: Double, hasCheckpoint: Bool)
  /// There is a batch that not every process gets an image of.
  case smallBatch(images: Int, processes: Int)

  public var description: String {
    switch self {
    case .smallBatch(let images, let processes):
      "the last batch of an epoch has \(images) images for \(processes) processes: choose another --batch or "
        + "--train-samples, or fewer processes"
    case .notFinite(let epoch, let step, let rate, let hasCheckpoint):
      "the loss is not finite at step \(step) of epoch \(epoch), learning rate \(rate); try a lower rate or a longer "
        + "warm-up in the recipe, or --precision fp32. "
        + (hasCheckpoint ? "The last checkpoint is whole" : "There is no checkpoint yet")
    }
  }
}

extension ContinuousClock.Instant {
  /// Since this moment.
  var seconds: Double {
    let (seconds, attoseconds) = (ContinuousClock.now - self).components
    return Double(seconds) + Double(attoseconds) * 1e-18
  }
}
