import ArgumentParser
import Foundation
import Host
import Reports
import ResidualNetworks
import Results
import Training

struct ReportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "report",
    abstract: "Makes a page of one run, or of several side by side.",
    discussion: """
      The page stands on its own; each figure's numbers (.csv) and gnuplot script (.gp) lie in figures/ beside it.

      For example: reslens report runs/first runs/second --out comparison/report.html
      """)

  @Argument(help: ArgumentHelp("Run folders.", valueName: "run"))
  var runs: [String]

  @Option(help: ArgumentHelp("The page. (default: report.html in the first run's folder)", valueName: "file.html"))
  var out: String?

  func validate() throws {
    if runs.isEmpty { throw ValidationError("name at least one run folder") }
  }

  func run() throws {
    let reported = try runs.map(Self.reported)
    let page = out.map { URL(filePath: $0) } ?? RunFolder(URL(filePath: runs[0])).reportFile
    try Files.makeFolder(page.deletingLastPathComponent())
    let title =
      reported.count == 1 ? "What every step of \(reported[0].name) does" : "\(reported.count) runs, step by step"
    let notes = try Reports.Report(title: title, runs: reported).write(to: page, gnuplot: .find())
    let terminal = Terminal()
    for note in notes { terminal.note("note: \(note)") }
    print(page.path)
  }

  /// A run folder's files, as the page shows them.
  static func reported(_ path: String) throws -> ReportedRun {
    let folder = RunFolder(URL(filePath: path))
    let configuration = try folder.configuration()
    let measures = try folder.measures()
    var facts = facts(configuration, try folder.sessions())
    if let measures {
      let counts = measures.samples
      let newest = folder.latestCheckpoint()?.url.lastPathComponent
      facts.append(
        Fact(
          "measured",
          "\(measures.checkpoint)\(newest == measures.checkpoint ? "" : " (not the newest checkpoint)") on the first "
            + "\(counts.train) train and \(counts.validation) validation images of \(measures.data)"))
    }
    return ReportedRun(
      name: path, facts: facts, epochs: try folder.epochs(), measures: measures, history: try folder.history())
  }

  private static func facts(_ configuration: RunConfiguration, _ sessions: [RunFolder.Session]) -> [Fact] {
    let architecture = configuration.architecture
    let recipe = configuration.recipe
    let stages = architecture.stages.map { stage in
      let entry = stage.entry == .none ? "" : " after \(stage.entry.rawValue)"
      return "\(stage.blocks) × \(stage.width) channels\(entry)"
    }
    let schedule =
      switch recipe.schedule {
      case .steps(let parts):
        parts.map { part in "\(part.rate)" + (part.until.map { " until epoch \($0)" } ?? "") }.joined(separator: ", ")
      case .oneCycle(let peak, let warmup): "one cycle to \(peak), \(percent(warmup)) of it warming up"
      }
    var facts = [
      Fact("architecture", "\(architecture.name): \(stages.joined(separator: "; "))"),
      Fact("parameters", "\(architecture.trainableParameters) trainable, \(architecture.totalParameters) in all"),
      Fact("multiply-accumulates an image", "\(architecture.multiplyAccumulates)"),
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
        Fact("device", "\(session.device) (\(session.cpuCapability)), \(session.threads) threads"),
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
