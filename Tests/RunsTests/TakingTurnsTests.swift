import DeviceEmulator
import Foundation
import ResLensNetworks
import ResLensResults
import ResLensRuns
import ResLensTasks
import ResLensTorch
import ResLensTraining
import TestSupport
import Testing

/// Work on several runs at once in one process.
@Suite struct TakingTurnsTests {
  private struct Failed: Error, Equatable { let index: Int }

  @Test("Work passes its turn in a circle, and whoever ends makes room for the next run")
  func order() throws {
    var said: [String] = []
    try TakingTurns(on: .cpu, atOnce: 2).each(3) { index, turn in
      for round in 0..<(index == 0 ? 2 : 3) {
        said.append("\(index).\(round) \(turn.others) \(turn.isFirst)")
        turn.pass()
      }
    }
    #expect(
      said == [
        "0.0 1 true", "1.0 1 false", "0.1 1 true", "1.1 1 false", "2.0 1 true", "1.2 1 false", "2.1 1 true",
        "2.2 0 true",
      ])
  }

  @Test("No two threads work at the same time, and each has one of its own", arguments: [2, 3, 8])
  func onlyOne(atOnce: Int) throws {
    var inside = 0
    var threads: [Int: Set<pthread_t>] = [:]
    var sum = 0
    try TakingTurns(on: .cpu, atOnce: atOnce).each(8) { index, turn in
      for _ in 0..<200 {
        inside += 1
        #expect(inside == 1)
        sum += 1
        threads[index, default: []].insert(pthread_self())
        inside -= 1
        turn.pass()
      }
    }
    #expect(sum == 8 * 200 && threads.count == 8 && threads.values.allSatisfy { $0.count == 1 })
    #expect(Set(threads.values.flatMap { $0 }).count == atOnce && !threads.values.joined().contains(pthread_self()))
  }

  @Test("Runs one after the other are in the caller's thread and alone", arguments: [(1, 3), (4, 1)])
  func alone(atOnce: Int, count: Int) throws {
    let caller = pthread_self()
    var found: [Int] = []
    try TakingTurns(on: .cpu, atOnce: atOnce).each(count) { index, turn in
      turn.pass()
      if turn.others == 0, turn.isFirst, pthread_self() == caller { found.append(index) }
    }
    #expect(found == Array(0..<count))
  }

  @Test("After an error no further run is begun, the others end, and the first error is thrown")
  func errors() throws {
    var (begun, ended): ([Int], [Int]) = ([], [])
    #expect(throws: Failed(index: 1)) {
      try TakingTurns(on: .cpu, atOnce: 3).each(6) { index, turn in
        begun.append(index)
        turn.pass()
        if index == 1 || index == 2 { throw Failed(index: index) }
        turn.pass()
        ended.append(index)
      }
    }
    #expect(begun == [0, 1, 2] && ended == [0])
  }

  @Test("A lack of memory says that fewer runs at once need less")
  func memory() throws {
    let lack = TorchError(message: "CUDA out of memory. Tried to allocate 2.00 GiB.")
    let found = #expect(throws: TooManyAtOnce.self) {
      try TakingTurns(on: .cpu, atOnce: 4).each(4) { index, _ in if index == 3 { throw lack } }
    }
    #expect(found?.description.contains("4 runs were at work at once") == true)
    #expect(found?.description.contains("--at-once 2") == true)
    #expect(throws: lack) { try TakingTurns(on: .cpu, atOnce: 1).each(1) { _, _ in throw lack } }
  }

  // MARK: trainings

  /// A training of one seed in its folder.
  private struct Training {
    let dataset: ImageDataset
    let device: Device
    let batch: Int
    let epochs: Int

    init(images: Int, batch: Int = 8, epochs: Int = 2, device: Device = .cpu) throws {
      dataset = try Synthetic.dataset(train: images, validation: batch)
      (self.device, self.batch, self.epochs) = (device, batch, epochs)
    }

    func configuration(_ seed: Int) throws -> RunConfiguration {
      let architecture = try Architecture.named("resnet-8")
      var recipe = try Recipe.find("quick", for: architecture)
      (recipe.epochs, recipe.batch) = (epochs, batch)
      var configuration = RunConfiguration(
        architecture: architecture, data: "synthetic", recipe: recipe, seed: UInt64(seed))
      configuration.measure = MeasureSchedule(every: 1, samples: batch / 2, names: ["cosine-loss", "l2-ratio"])
      return configuration
    }

    /// Trains in the folder of that name, until `shouldStop` says so.
    func train(_ seed: Int, _ folder: URL, shouldStop: () -> Bool = { false }) throws -> Trainer.Outcome {
      var options = TrainingRun.Options()
      options.device = device
      return try TrainingRun(configuration(seed), dataset: dataset, folder: RunFolder(folder), options: options)
        .run(shouldStop: shouldStop)
    }

    /// The numbers that a training comes to.
    struct Results: Equatable {
      let weights: [Data]
      let measures: [MeasuredTables]
      /// Losses and errors of the epochs.
      let epochs: [[Double]]

      init(_ folder: URL) throws {
        let run = RunFolder(folder)
        let checkpoint = try #require(run.latestCheckpoint()).url
        weights = try ["weights", "optimizer"].map {
          try Data(contentsOf: checkpoint.appending(path: "\($0).safetensors"))
        }
        measures = try run.history().map(\.widest)
        epochs = try run.epochs().map { [$0.trainLoss, $0.trainError, $0.validationLoss, $0.validationError] }
      }
    }

    /// Expects seeds that are trained at once, cut off and gone on with, to equal those trained alone.
    func expectEqualAlone(seeds: Int, atOnce: Int, cutAfter: Int, _ scratch: Scratch) throws {
      let turns = TakingTurns(on: device, atOnce: atOnce)
      for seed in 0..<seeds { #expect(try train(seed, scratch.file("alone-\(seed)")) == .finished) }
      var stopped = 0
      for isCut in [true, false] {
        var asked = 0
        try turns.each(seeds) { seed, turn in
          let outcome = try train(seed, scratch.file("once-\(seed)")) {
            asked += 1
            turn.pass()
            return isCut && asked > cutAfter
          }
          if outcome == .stopped { stopped += 1 }
        }
      }
      #expect(stopped > 0)
      for seed in 0..<seeds {
        let alone = try Results(scratch.file("alone-\(seed)"))
        #expect(alone.measures.count == epochs + 1 && alone.epochs.count == epochs)
        #expect(try Results(scratch.file("once-\(seed)")) == alone, "seed \(seed)")
      }
      #expect(try Results(scratch.file("once-0")) != Results(scratch.file("once-1")))
    }
  }

  @Test("Two and four seeds at once, cut off and gone on with, are to the bit what they are alone", arguments: [2, 4])
  func seeds(atOnce: Int) throws {
    try Training(images: 44).expectEqualAlone(seeds: 4, atOnce: atOnce, cutAfter: 17, Scratch())
  }

  @Test("The same holds on a GPU's kernels, emulated", arguments: [2, 4])
  func emulatedSeeds(atOnce: Int) throws {
    device_emulator_install()
    let before = device_emulator_launches("backward_float")
    try KernelSet.using("emulated") {
      try Training(images: 3, batch: 2, epochs: 1)
        .expectEqualAlone(seeds: atOnce, atOnce: atOnce, cutAfter: atOnce + 1, Scratch())
    }
    #expect(device_emulator_launches("backward_float") > before)
  }

  @Test(
    "The same holds on a GPU, where steps are captured and each run has a stream",
    .enabled(if: Libtorch.cudaDeviceCount > 0, "there is no GPU"), arguments: [2, 4])
  func seedsOnGPU(atOnce: Int) throws {
    try Device.cuda(0).use()
    try Training(images: 100, device: .cuda(0)).expectEqualAlone(seeds: 4, atOnce: atOnce, cutAfter: 50, Scratch())
  }

  // MARK: queues

  @Test("A study's queue with several runs at once gives the numbers of one after the other")
  func queue() throws {
    let scratch = try Scratch()
    let training = try Training(images: 24)
    let runs = try (0..<3).map {
      PlannedRun(name: "seed-\($0)", configuration: try training.configuration($0), dataset: training.dataset.name)
    }
    for (name, atOnce) in [("one", 1), ("several", 3)] {
      let log = Collected()
      let outcome = try LocalQueue(atOnce: atOnce).launch(
        runs, in: StudyFolder(scratch.file(name)), datasets: { _ in training.dataset }, shouldStop: { false }, log: log)
      #expect(outcome == .done)
      #expect(log.notes.contains { $0.hasPrefix("seed-2: epoch 2") } == (atOnce > 1), "\(log.notes)")
    }
    for run in runs {
      let folders = ["one", "several"].map { StudyFolder(scratch.file($0)).folder(of: run).url }
      #expect(try Training.Results(folders[0]) == Training.Results(folders[1]))
    }
  }

  @Test("A queue that is stopped, or has a run that fails, saves all runs at work and begins none")
  func stoppedQueue() throws {
    let scratch = try Scratch()
    let training = try Training(images: 24)
    let runs = try (0..<4).map {
      PlannedRun(name: "seed-\($0)", configuration: try training.configuration($0), dataset: training.dataset.name)
    }
    let folder = StudyFolder(scratch.url)
    func launch(stopAfter: Int = .max) throws -> LaunchOutcome {
      var asked = 0
      return try LocalQueue(atOnce: 2).launch(
        runs, in: folder, datasets: { _ in training.dataset },
        shouldStop: {
          asked += 1
          return asked > stopAfter
        }, log: SilentLog())
    }
    #expect(try launch(stopAfter: 20) == .stopped)
    let begun = runs.map { folder.folder(of: $0).latestCheckpoint() != nil }
    #expect(begun == [true, true, false, false])
    // A folder where the last run's is to be.
    let place = folder.folder(of: runs[3]).url
    try FileManager.default.createDirectory(
      at: place.deletingLastPathComponent(), withIntermediateDirectories: true)
    try Data().write(to: place)
    #expect(throws: (any Error).self) { try launch() }
    try FileManager.default.removeItem(at: place)
    #expect(try launch() == .done)
  }
}

/// A log that keeps its notes.
private final class Collected: RunLog {
  var notes: [String] = []
  func note(_ text: String) { notes.append(text) }
  func progress(_ done: Int, of total: Int, _ words: @autoclosure () -> String) {}
  func clear() {}
}
