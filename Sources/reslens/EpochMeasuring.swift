import ArgumentParser
import Foundation
import ImageDatasets
import IterativeInference
import ResidualNetworks
import Results
import Torch
import Training

extension MeasureSchedule {
  static let standard = MeasureName.ridingOnTraining.map(\.rawValue)

  static let standardSamples = 2000

  /// `every=1,samples=2000,mode=training,names…` on the command line.
  /// - Throws: `ValidationError` for a part that is none of these.
  init(parsing argument: String) throws {
    self.init(every: 1, samples: Self.standardSamples, names: [])
    for part in argument.split(separator: ",", omittingEmptySubsequences: false) {
      let sides = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      switch (sides[0], sides.dropFirst().first.map { Int($0) ?? 0 }) {
      case ("every", .some(let number)) where number >= 1: every = number
      case ("samples", .some(let number)) where number >= 1: samples = number
      case ("every", _), ("samples", _):
        throw ValidationError("--measure \(part): a whole number of at least 1 is needed, as in \(sides[0])=1")
      case ("mode", _):
        guard let mode = sides.dropFirst().first.flatMap({ MeasureMode(rawValue: String($0)) }) else {
          throw ValidationError("--measure \(part): the modes are mode=evaluation and mode=training")
        }
        self.mode = mode
      default:
        let name = try MeasureName.parse(String(part), option: "measure")[0]
        if [.borderline, .unrolling, .lesions].contains(name) {
          throw ValidationError(
            "--measure \(part): it does not give one number for each step; measure the trained run instead")
        }
        names.append(name.rawValue)
      }
    }
    let possible = mode == .training ? MeasureName.inTrainingMode.map(\.rawValue) : MeasureName.allCases.map(\.rawValue)
    if let name = names.first(where: { !possible.contains($0) }) {
      throw ValidationError(
        "--measure mode=training: there is no \(name), only \(possible.sorted().joined(separator: ", "))")
    }
    if names.isEmpty { names = Self.standard.filter(possible.contains) }
  }
}

/// Measures a run after its epochs, into its folder.
struct EpochMeasuring {
  /// The name of the data in results.
  private let source: String
  /// The fingerprints of the samples, which are every epoch's.
  private let images: BySplit<String>
  private let network: ResidualNetwork
  private let folder: RunFolder
  private let options: MeasureOptions
  private let dataset: ImageDataset
  private let schedule: MeasureSchedule
  /// In float32, whatever the training's precision.
  private let (train, validation): (Samples, Samples)
  private let group: ProcessGroup?

  private struct Stopped: Error {}

  /// nil where nothing is to be measured.
  /// - Parameter group: processes that share the work, the first of which puts what is found into the folder
  /// - Throws: `MeasureError` where a measure cannot be, before anything is trained.
  init?(
    _ configuration: RunConfiguration, _ network: ResidualNetwork, _ dataset: ImageDataset, _ folder: RunFolder,
    by group: ProcessGroup?
  ) throws {
    self.group = group
    guard let schedule = configuration.measure else { return nil }
    (self.network, self.folder) = (network, folder)
    source = configuration.data
    (self.dataset, self.schedule) = (dataset, schedule)
    var options = MeasureOptions(
      names: Set(try MeasureName.parse(schedule.names.joined(separator: ","), option: "measure")))
    options.mode = schedule.mode ?? .evaluation
    self.options = options
    let maker = try BatchMaker(statistics: dataset.statistics, device: network.device)
    func samples(_ set: ImageSet) throws -> Samples { try Samples(set, count: schedule.samples, maker: maker) }
    (train, validation) = (try samples(dataset.train), try samples(dataset.validation))
    images = try Provenance.fingerprints(of: train, validation)
    _ = try suite(options)
  }

  private func suite(_ options: MeasureOptions) throws -> MeasureSuite {
    try MeasureSuite(network, options, train: train, validation: validation, by: group)
  }

  /// Where it was told to stop nothing is written.
  func measure(
    _ epoch: Int, shouldStop: () throws -> Bool, progress: (Int, Int, MeasureSuite.Phase) -> Void
  ) throws -> Trainer.Measuring {
    var options = options
    if epoch == 0 {
      // Before the first step the running statistics are those of nothing.
      options.mode = .training
      options.names.formIntersection(MeasureName.inTrainingMode)
      if options.names.isEmpty { return .done() }
    }
    let suite = try suite(options)
    do {
      let (measures, absent, score) = try suite.run { phase, done, count in
        if try shouldStop() { throw Stopped() }
        progress(done, count, phase)
      }
      guard group.isFirst else { return .done(validation: score) }
      try folder.writeHistory(
        MeasureResults(
          run: folder.name, architecture: network.architecture.name, checkpoint: Checkpoint.name(epoch: epoch),
          epoch: epoch, data: source,
          samples: .init(train: suite.train.count, validation: suite.validation.count),
          steps: network.architecture.steps.count, mode: options.mode,
          batch: options.mode == .training ? suite.train.batch : nil,
          provenance: Provenance(
            of: network, images: images, statistics: dataset.statistics, isOwnData: true, program: Program.version),
          measures: measures, absent: absent))
      return .done(validation: score)
    } catch is Stopped {
      return .stopped
    }
  }
}
