import Foundation
import ResLensSupport
import ResLensReports
import ResLensNetworks
import ResLensResults
import ResLensTraining

extension Report {
  /// A report of run folders. Runs that differ only in their seed are shown as their mean.
  /// - Parameters:
  ///   - title: the page's heading; a usual one where it is nil
  ///   - paths: the run folders
  ///   - measures: the descriptions of all measures that the runs may have
  ///   - presentation: how pictures are drawn
  ///   - note: receives remarks about results that are not of their run as it is now
  /// - Throws: `FileError` where a folder holds no run, or its files cannot be read.
  public init(
    title: String? = nil, ofRuns paths: [String], measures: [MeasureDescription],
    presentation: Presentation = Presentation(), note: (String) -> Void = { _ in }
  ) throws {
    let configurations = try paths.map { try RunFolder(URL(filePath: $0)).configuration() }
    let names = RunNames(of: configurations, in: paths)
    let runs = try zip(paths, configurations).enumerated().map { index, run in
      let folder = RunFolder(URL(filePath: run.0))
      var reported = try ReportedRun(folder, run.1, name: run.0)
      if let mismatch = try folder.mismatchNote(run.0) { note(mismatch) }
      (reported.name, reported.group) = (names.names[index], names.groups[index])
      if reported.name != run.0 { reported.facts.insert(Fact("folder", run.0), at: 0) }
      return reported
    }
    let usual = paths.count == 1 ? "What every step of \(paths[0]) does" : "\(paths.count) runs, step by step"
    self.init(title: title ?? usual, runs: runs, measures: measures, presentation: presentation)
  }
}

extension ReportedRun {
  /// A run folder's files, as a page shows them.
  /// - Parameters:
  ///   - configuration: the run's configuration
  ///   - name: what the page calls the run
  public init(_ folder: RunFolder, _ configuration: RunConfiguration, name: String) throws {
    let history = try folder.history()
    let (measures, recorded) = try folder.measures(recordedAfter: configuration.recipe.epochs)
    let pruning = try folder.pruning()
    var facts = Self.facts(configuration, try folder.sessions(), pruning)
    if let measures {
      let mismatch = try folder.mismatch(of: measures).map { " (\($0))" } ?? ""
      let counts = measures.samplings.map { "\($0.samples) \($0.split.rawValue)" }.joined(separator: ", ")
      facts.append(
        Fact("measured", "\(measures.checkpoint)\(mismatch) on the first \(counts) images of \(measures.data)"))
    }
    if let recorded {
      facts.append(
        Fact(
          "recorded while training",
          "\(recorded.names.joined(separator: ", ")), on the first \(recorded.train) train and \(recorded.validation) "
            + "validation images"))
    }
    if let reason = folder.divergence { facts.append(Fact("did not come to its end", reason)) }
    self.init(
      name: name, facts: facts, epochs: try folder.epochs(), measures: measures, history: history)
    self.pruning = pruning
    isFromElsewhere = configuration.recipe.epochs == 0
    if let last = epochs.last {
      hasLearnt = isBeyondGuessing(
        accuracy: 1 - last.validationError, classes: configuration.architecture.classes,
        samples: configuration.validationSamples ?? measures?.samples(of: .validation) ?? 0)
    }
    try addOtherResults(of: folder)
  }

  /// Adds early exits, and what was measured in other ways than the usual one. Results of other weights or of another lens
  /// than the run now has are left out, and a fact says so.
  private mutating func addOtherResults(of folder: RunFolder) throws {
    let measured = try MeasuringWay.allCases.filter { $0 != .usual }.compactMap { way in
      try folder.measures(way).map { (way: way, results: $0) }
    }
    let leaving = try folder.exits()
    guard !measured.isEmpty || !leaving.isEmpty else { return }
    let known = try folder.knownWeights()
    var old: [String] = []
    for (way, results) in measured {
      if known.fits(results.provenance.weights, results.lens?.kind, results.lens?.maps) {
        otherMeasures[way] = results
      } else {
        old.append(folder.measuresFile(way).lastPathComponent)
      }
    }
    for results in leaving {
      let settings = results.settings
      if known.fits(settings.weights, LensKind(rawValue: settings.lens), settings.maps) {
        exits.append(results)
      } else {
        old.append(folder.exitsFile(settings.lens, settings.rule).lastPathComponent)
      }
    }
    for kind in LensKind.allCases {
      if let count = known.fitted[kind] {
        facts.append(Fact("\(kind.rawValue) lens", "fitted on the first \(count) train images"))
      }
    }
    if !old.isEmpty {
      facts.append(Fact("left out", "\(old.joined(separator: ", ")), of another network or lens than the run now has"))
    }
  }

  private static func facts(
    _ configuration: RunConfiguration, _ sessions: [RunFolder.Session], _ pruning: PruningResults?
  ) -> [Fact] {
    let recipe = configuration.recipe
    let schedule =
      switch recipe.schedule {
      case .steps(let parts):
        parts.map { part in "\(part.rate)" + (part.until.map { " until epoch \($0)" } ?? "") }.joined(separator: ", ")
      case .oneCycle(let peak, let warmup): "one cycle to \(peak), \(percent(warmup)) of it warming up"
      }
    var facts = configuration.architecture.facts
    facts.append(
      Fact(
        "data",
        configuration.data + (configuration.trainSamples.map { ", the first \($0) train images" } ?? "")
          + (configuration.validationSamples.map { ", the first \($0) validation images" } ?? "")))
    if let statistics = configuration.statistics { facts.append(Fact("inputs normalised by", statistics.text)) }
    if let pruning {
      let steps = pruning.removed.map(String.init).joined(separator: ", ")
      return facts + [
        Fact("trained", "as \(pruning.run)"),
        Fact("pruned", "\(pruning.settings.architecture) without the steps \(steps)"),
      ]
    }
    guard recipe.epochs > 0 else {
      return facts + [Fact("trained", "elsewhere; its weights are from \(configuration.initialWeights?.path ?? "?")")]
    }
    if let weights = configuration.initialWeights {
      facts.append(Fact("starts from", "the weights of \(weights.path)"))
    }
    facts += [
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
  /// A note where what was measured, which is shown beside the run's errors, is not of the run as it ended; nil where it is.
  /// - Parameter path: what the user calls the folder
  public func mismatchNote(_ path: String) throws -> String? {
    guard let measures = try measures(), let why = try mismatch(of: measures) else { return nil }
    return "note: \(path): \(why); measure again: reslens measure \(path.shellQuoted)"
  }
}

extension Architecture {
  /// The facts that a page states about the model.
  public var facts: [Fact] {
    let shared = Set(stages.map(\.sharing))
    let stages = stages.map { stage in
      var text = "\(stage.blocks) × \(stage.width) channels"
      if stage.entry != .none { text += " after \(stage.entry.rawValue)" }
      if shared.count > 1 { text += ", \(stage.sharing?.summary ?? "nothing shared")" }
      return text
    }
    let alike = shared.count == 1 ? shared.first.flatMap { $0 } : nil
    return [
      Fact(
        "architecture",
        "\(name): \(stages.joined(separator: "; "))" + (alike.map { "; in every stage \($0.summary)" } ?? "")),
      Fact("parameters", "\(trainableParameters) trainable, \(totalParameters) in all"),
      Fact("multiply-accumulates an image", "\(multiplyAccumulates)"),
    ]
  }
}

extension Architecture.Sharing {
  fileprivate var summary: String {
    let own = [unsharedStatistics ? "statistics" : nil, unsharedAffine ? "γ and β" : nil].compactMap { $0 }
    return "one block from \(from) on" + (own.isEmpty ? "" : " with \(own.joined(separator: ", ")) a step")
      + (initialGamma == 1 ? "" : ", γ from \(initialGamma)")
  }
}

/// The checksums of the network and the lenses that a run now has.
private struct KnownWeights {
  /// nil where the run has no checkpoint to compare with.
  var network: String?
  /// The checksums of the lenses that can be read.
  var maps: [LensKind: String] = [:]
  /// The numbers of train images that these were fitted on.
  var fitted: [LensKind: Int] = [:]

  /// True unless results are of other weights, or of another lens, than the run now has.
  func fits(_ weights: String, _ lens: LensKind?, _ itsMaps: String?) -> Bool {
    if let network, weights != network { return false }
    guard let maps = lens.flatMap({ maps[$0] }) else { return true }
    return itsMaps == maps
  }
}

extension RunFolder {
  /// The checksums of what the run now has.
  fileprivate func knownWeights() throws -> KnownWeights {
    guard let checkpoint = latestCheckpoint() else { return KnownWeights() }
    let network: ResidualNetwork
    do {
      network = try checkpoint.network()
    } catch  where latestCheckpoint()?.url != checkpoint.url {
      // The run is being trained, and a newer checkpoint has just taken this one's place.
      return try knownWeights()
    }
    var known = KnownWeights(network: try network.fingerprint())
    for kind in LensKind.allCases {
      guard let lens = try? lens(kind, of: network) else { continue }
      known.maps[kind] = try lens.identity.maps
      known.fitted[kind] = try images(fittedBy: kind)?.count
    }
    return known
  }
}
