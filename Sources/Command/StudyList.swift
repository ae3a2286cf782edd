import Foundation
import ResLensSupport
import ResLensTasks
import ResLensMeasures
import ResLensNetworks
import ResLensResults
import ResLensRuns
import ResLensStudies
import ResLensTorch
import ResLensTraining

/// A list of studies with their cost: runs, epochs, images, and hours on this machine, estimated from a short timing.
struct StudyList {
  private let reproduction: Reproduction
  private let folder: StudyFolder
  private let data: DataSources
  private let device: Device

  init(_ reproduction: Reproduction, _ folder: StudyFolder, _ data: DataSources, _ device: Device) {
    (self.reproduction, self.folder, self.data, self.device) = (reproduction, folder, data, device)
  }

  func text(_ terminal: Terminal) throws -> String {
    let states = try folder.states(of: reproduction.runs, registry: Reslens.registry)
    let hours = try timed(states, terminal)
    var known: Set<Int> = []
    var lines: [[String]] = []
    for planned in reproduction.studies {
      let runs = Set(planned.runs).sorted()
      let left = runs.filter { states[$0].isUnfinished }
      let shared = left.filter { !known.insert($0).inserted }.count
      lines.append(
        try [planned.study.name] + numbers(runs, left, hours)
          + [
            planned.study.title
              + (shared > 0 ? " (\(shared == left.count ? "all" : "\(shared)") in lines above too)" : "")
          ])
    }
    let all = Array(reproduction.runs.indices)
    let left = all.filter { states[$0].isUnfinished }
    lines.append(try ["all, each run once"] + numbers(all, left, hours) + [""])
    var table = TextTable(columns: [])
    for (index, head) in ["study", "runs", "to do", "epochs", "images", "time", "title"].enumerated() {
      table.columns.append(.init(head, cells: lines.map { $0[index] }, rank: head == "title" ? 1 : 0))
    }
    let notes = reproduction.scale.reductions + data.substitutions
    return table.text() + "\n\n"
      + wrapped(
        ([
          "Scale \(reproduction.scale.rawValue). Time of what is to do, one run after the other, on this machine with "
            + "\(device == .cpu ? "\(Libtorch.threads) threads" : "\(device)"), estimated from one training step of each network."
        ] + notes).joined(separator: "\n"))
  }

  private func numbers(_ runs: [Int], _ left: [Int], _ hours: [Int: Double]) throws -> [String] {
    let count = try runs.map { try images($0) }.reduce(0, +)
    let epochs = runs.map { reproduction.runs[$0].configuration.recipe.epochs }.reduce(0, +)
    let time = left.compactMap { hours[$0] }.reduce(0, +)
    return [
      "\(runs.count)", "\(left.count)", "\(epochs)",
      count < 1_000_000 ? "\(count)" : "\(decimal(Double(count) / 1e6, 1)) M",
      spoken(seconds: 3600 * time),
    ]
  }

  private func images(_ index: Int) throws -> Int {
    let run = reproduction.runs[index]
    return try run.images(in: data.load(run.configuration.data))
  }

  /// Hours of each run that is not done.
  private func timed(_ states: [PlannedRun.State], _ terminal: Terminal) throws -> [Int: Double] {
    var rates: [Kind: Double] = [:]
    var hours: [Int: Double] = [:]
    for (index, run) in reproduction.runs.enumerated() where states[index].isUnfinished {
      let kind = Kind(run.configuration)
      if rates[kind] == nil {
        terminal.progress(index, of: reproduction.runs.count, "timing \(kind.architecture.name)")
        rates[kind] = try rate(of: run)
      }
      hours[index] = try rates[kind].map { try work(of: run) / $0 / 3600 }
    }
    terminal.clear()
    return hours
  }

  /// The properties of a run on which a step's time depends.
  private struct Kind: Hashable {
    let architecture: Architecture
    let batch: Int
    let precision: Precision

    init(_ configuration: RunConfiguration) {
      (architecture, batch, precision) =
        (configuration.architecture, configuration.recipe.batch, configuration.precision)
    }
  }

  /// The work that a run still needs, in trained images. A forward pass counts a third, a forward and backward pass two
  /// thirds.
  private func work(of run: PlannedRun) throws -> Double {
    let (configuration, dataset) = (run.configuration, try data.load(run.configuration.data))
    let place = folder.folder(of: run)
    let missing = try run.missingMeasures(in: place, registry: Reslens.registry)
    let epochs = Double(configuration.recipe.epochs - (try place.epochs().count))
    let validated = Double(configuration.validationSamples ?? dataset.validation.count)
    var images = epochs * (Double(run.images(in: dataset)) / Double(configuration.recipe.epochs) + validated / 3)
    if let measure = configuration.measure {
      images += epochs / Double(measure.every) * Double(2 * measure.samples) * 2 / 3
    }
    guard !missing.isEmpty else { return images }
    let samples = Double(run.measurement.samples)
    images += 2 * samples * 2 / 3
    for split in Split.allCases {
      let context = MeasureContext(
        configuration.architecture, run.measurement.options, split: split, samples: run.measurement.samples)
      for measure in try Reslens.registry.measures(named: missing) {
        images += samples * measure.forwardPasses(in: context) / 3
      }
    }
    return images
  }

  /// Images a second of training, by one step after another that warms up.
  private func rate(of run: PlannedRun) throws -> Double {
    let (configuration, dataset) = (run.configuration, try data.load(run.configuration.data))
    // Large networks are slow enough to be timed on few images.
    let most = configuration.architecture.multiplyAccumulates > 1_000_000_000 ? 8 : 64
    let count = min(configuration.recipe.batch, most, dataset.train.count)
    let trainer = try StepTrainer(
      ResidualNetwork(configuration.architecture, seed: 0).moved(to: device), configuration.recipe,
      maker: BatchMaker(statistics: dataset.statistics, type: configuration.precision.type, device: device))
    let step = {
      try trainer.step(on: dataset.train, 0..<count, epoch: 0, rate: 0.01)
      _ = try trainer.outcome()
    }
    for _ in 0..<(device.isAsynchronous ? 3 : 1) { try step() }
    let began = ContinuousClock.now
    try step()
    return Double(count) / ((ContinuousClock.now - began) / .seconds(1))
  }
}
