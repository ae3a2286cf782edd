import ArgumentParser
import Foundation
import ImageDatasets
import IterativeInference
import ResidualNetworks
import Torch
import Training

struct BenchCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench",
    abstract: "Times one piece of work, a repetition for every line on standard input.",
    discussion: """
      The part of `make bench` that runs ours: prints "ready", then the seconds of one repetition for every line that
      it reads, and at the end the peak memory of the process. benchmarks/run.py steps it in turn with PyTorch.
      """,
    shouldDisplay: false)

  enum Work: String, ExpressibleByArgument, CaseIterable {
    case train, evaluate, measure
  }

  @Option var model = "resnet-20"
  @Option var work = Work.train
  @Option var precision = TrainCommand.Precision.fp32
  @Option var batch = 128
  @OptionGroup var threads: ThreadOptions

  func run() throws {
    try threads.apply()
    let repetition = try prepared()
    for _ in 0..<2 { try repetition() }
    answer("ready")
    while readLine() != nil {
      let began = ContinuousClock.now
      try repetition()
      answer("\((ContinuousClock.now - began) / .seconds(1))")
    }
    var usage = rusage()
    getrusage(.init(RUSAGE_SELF.rawValue), &usage)
    answer("{\"peak_bytes\": \(usage.ru_maxrss * 1024)}")
  }

  private func answer(_ line: String) {
    print(line)
    fflush(nil)
  }

  /// One repetition as a call; what it needs is made before.
  private func prepared() throws -> () throws -> Void {
    let architecture = try Architecture.find(model)
    let dataset = try Synthetic.dataset(train: batch, validation: 1)
    switch work {
    case .train:
      let recipe = try Recipe.find("quick", for: architecture)
      let trainer = try StepTrainer(
        ResidualNetwork(architecture, seed: 0), recipe,
        maker: BatchMaker(statistics: dataset.statistics, type: precision.type))
      let indices = Array(0..<batch)
      return { _ = try trainer.step(on: dataset.train, indices, epoch: 0, rate: 0.01) }
    case .evaluate:
      let network = try ResidualNetwork(architecture, seed: 0)
      let images = try BatchMaker(statistics: dataset.statistics, type: precision.type)
        .batch(dataset.train, 0..<batch).images
      return { _ = try network.logits(images) }
    case .measure:
      let network = try ResidualNetwork(architecture, seed: 0)
      let samples = Samples(dataset.train, batch: batch, maker: BatchMaker(statistics: dataset.statistics))
      return { try IterativeInference.measure([CosineLoss(), L2Ratio()], on: network, samples) }
    }
  }
}
