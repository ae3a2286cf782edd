import Foundation
import Reports
import ResidualNetworks
import Results
import Training

extension ReportedRun {
  /// A run folder's files, as a page shows them.
  /// - Parameter path: the folder, and what the page calls the run
  init(_ path: String, _ configuration: RunConfiguration) throws {
    let folder = RunFolder(URL(filePath: path))
    let history = try folder.history()
    let (measures, recorded) = try folder.measures(recordedAfter: configuration.recipe.epochs)
    var facts = Self.facts(configuration, try folder.sessions())
    if let measures {
      let counts = measures.samples
      let mismatch = try folder.mismatch(of: measures).map { " (\($0))" } ?? ""
      facts.append(
        Fact(
          "measured",
          "\(measures.checkpoint)\(mismatch) on the first \(counts.train) train and \(counts.validation) validation images of \(measures.data)"
        ))
    }
    if let recorded {
      let counts = recorded.samples
      facts.append(
        Fact(
          "recorded while training",
          "\(recorded.names.joined(separator: ", ")), on the first \(counts.train) train and \(counts.validation) validation images"
        ))
    }
    if let reason = folder.divergence { facts.append(Fact("did not come to its end", reason)) }
    self.init(
      name: path, facts: facts, epochs: try folder.epochs(), measures: measures, history: history)
  }

  private static func facts(_ configuration: RunConfiguration, _ sessions: [RunFolder.Session]) -> [Fact] {
    let recipe = configuration.recipe
    let schedule =
      switch recipe.schedule {
      case .steps(let parts):
        parts.map { part in "\(part.rate)" + (part.until.map { " until epoch \($0)" } ?? "") }.joined(separator: ", ")
      case .oneCycle(let peak, let warmup): "one cycle to \(peak), \(percent(warmup)) of it warming up"
      }
    var facts = configuration.architecture.facts
    facts += [
      Fact(
        "data",
        configuration.data + (configuration.trainSamples.map { ", the first \($0) train images" } ?? "")
          + (configuration.validationSamples.map { ", the first \($0) validation images" } ?? "")),
      Fact("recipe", "\(recipe.name): \(recipe.epochs) epochs, batches of \(recipe.batch)"),
      Fact("learning rate", schedule),
      Fact(
        "optimiser",
        "momentum \(recipe.momentum)\(recipe.nesterov ? " (Nesterov)" : ""), weight decay \(recipe.weightDecay)"
          + (recipe.decayWeightsOnly ? " of weights only" : "")
          + (recipe.labelSmoothing > 0 ? ", label smoothing \(recipe.labelSmoothing)" : "")),
      Fact("augmentation", (recipe.flip ? "flips, " : "") + "translations by up to \(recipe.translate) pixels"),
      Fact("seed", "\(configuration.seed)"),
      Fact("precision", configuration.precision.rawValue),
    ]
    if let session = sessions.last {
      facts += [
        Fact(
          "device",
          "\(session.device) (\(session.cpuCapability)), "
            + (session.processes.map { "\($0) processes of " } ?? "") + "\(session.threads) threads"),
        Fact(
          "software",
          "reslens \(session.reslens)\(session.commit.map { " (\($0.prefix(10)))" } ?? ""), libtorch \(session.libtorch), \(session.system)"
        ),
        Fact("sessions", "\(sessions.count), the last begun \(session.started)"),
      ]
    }
    return facts
  }
}

extension RunFolder {
  /// Notes where what was measured, which is shown beside the run's errors, is not of the run as it ended.
  /// - Parameter path: what the user calls the folder
  func noteMismatch(_ path: String, _ terminal: Terminal) throws {
    guard let measures = try measures(), let why = try mismatch(of: measures) else { return }
    terminal.note("note: \(path): \(why); measure again: reslens measure \(path.shellQuoted)")
  }
}
