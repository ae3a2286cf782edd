import ArgumentParser
import ResLensSupport
import ResLensMeasures
import ResLensResults

extension BatchNormStatistics: ExpressibleByArgument {}

/// The options of `reslens measure` that say what to measure and how.
struct MeasureArguments: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      """
      Measures to take: all, or any of \(Reslens.registry.names().joined(separator: ", ")). \
      (default: all except \(Reslens.registry.names { !$0.byDefault }.joined(separator: " and ")); with --batch-norm \
      batch or --lens all that exist there)
      """, valueName: "names"), completion: .measures)
  var measures: String?

  @Option(
    help: ArgumentHelp(
      """
      Statistics of the batch normalisations: the running ones (running) or each batch's own (batch). By each batch's own \
      statistics only these measures exist: \(Reslens.registry.names(where: \.withBatchStatistics).joined(separator: ", ")).
      """))
  var batchNorm = BatchNormStatistics.running

  @Option(
    help: ArgumentHelp(
      """
      Reads states by the trained lens that reslens lens fitted: linear or affine. With it only these measures exist: \
      \(Reslens.registry.names(where: \.withTrainedLens).joined(separator: ", ")). (default: the network's own readout, \
      which reads the last stage)
      """))
  var lens: LensKind?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "An example is borderline if the probability of its class differs by less than this from the largest one of any other class.",
      valueName: "m"))
  var margin = 0.1

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Number of last steps along which borderline examples are followed. (default: 5, or as many as the lens can read)",
      valueName: "n"))
  var lastSteps: Int?

  @Option(
    help: ArgumentHelp(
      "Writes the borderline examples to this CSV file. Implies the measure borderline.", valueName: "file.csv"))
  var listBorderline: String?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Applies a step this many more times (§4.4). (default: 20, where --measures or another option asks for it)",
      valueName: "n")
  )
  var unroll: Int?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "The step to repeat, from 1. It must keep the shape of h. (default: the last)", valueName: "t"))
  var unrollStep: Int?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Factor α of F in the added steps. Results with α = 1 are always given too. auto selects the factor with the lowest mean training loss.",
      valueName: "a|auto"))
  var scale = "auto"

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Factors that auto tries. (default: \(MeasureOptions.Scale.grid.map { "\($0)" }.joined(separator: ",")))",
      valueName: "a,a,…"))
  var scaleGrid: String?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      """
      Recalibrates running statistics on this many batches of \(Recalibration.batch) training images: those of each step \
      that unrolling adds; and the measures \(Reslens.registry.names(where: \.withRecalibration).joined(separator: " and ")) \
      are taken a second time, with everything behind what they alter recalibrated.
      """, valueName: "n"))
  var recalibrate: Int?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Numbers of random steps to drop at once. (default: 1,2,4,8,16, up to the number of steps that keep the shape of h)",
      valueName: "k,k,…"))
  var lesionDrops: String?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Numbers of random pairs of steps to exchange. (default: 1,2,4,8,16, up to what the steps that keep the shape of h allow)",
      valueName: "n,n,…"))
  var lesionShuffles: String?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("Factors by which F is multiplied, one step at a time. (default: 0.5,2)", valueName: "f,f,…"))
  var lesionFactors: String?

  @Option(
    parsing: .unconditional, help: ArgumentHelp("Number of draws of each random lesion. (default: 3)", valueName: "n"))
  var lesionSeeds: Int?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("Number of validation samples for lesions. (default: 2000)", valueName: "n"))
  var lesionSamples: Int?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("Number of samples of each split for spectral radii. (default: 256)", valueName: "n"))
  var spectralSamples: Int?

  /// - Throws: `ValidationError` or `MeasureError` for what cannot be read.
  func options() throws -> MeasureOptions {
    var options = MeasureOptions(names: try names())
    options.way = try way()
    options.margin = margin
    options.lastSteps = lastSteps
    if let unroll { options.unrolling.times = unroll }
    options.unrolling.step = unrollStep
    options.unrolling.scale = try chosenScale()
    options.recalibrationBatches = recalibrate
    options.lesions.drops = try lesionDrops.map { try numbers($0, "lesion-drops") { Int($0) } }
    options.lesions.shuffles = try lesionShuffles.map { try numbers($0, "lesion-shuffles") { Int($0) } }
    if let lesionFactors { options.lesions.factors = try numbers(lesionFactors, "lesion-factors") { Double($0) } }
    if let lesionSeeds { options.lesions.seeds = lesionSeeds }
    if let lesionSamples { options.lesions.samples = lesionSamples }
    if let spectralSamples { options.spectralSamples = spectralSamples }
    return options
  }

  /// True if an option for unrolling was given.
  var asksToUnroll: Bool {
    unroll != nil || unrollStep != nil || scale != "auto" || scaleGrid != nil
  }

  /// The measures that `--measures` names, and those that other options imply.
  private func names() throws -> Set<String> {
    let registry = Reslens.registry
    let way = try way()
    var names = Set(registry.names { $0.isPossible(way) && (measures == "all" || $0.byDefault) })
    if let measures, measures != "all" { names = Set(try registry.parse(measures, option: "measures")) }
    if asksToUnroll { names.insert(UnrolledSteps.description.name) }
    if listBorderline != nil || lastSteps != nil { names.insert(BorderlineGroups.description.name) }
    let lesions: [Any?] = [lesionDrops, lesionShuffles, lesionFactors, lesionSeeds, lesionSamples]
    if lesions.contains(where: { $0 != nil }) { names.insert(LesionScores.description.name) }
    if spectralSamples != nil { names.insert(SpectralRadius.description.name) }
    return names
  }

  /// The way in which the network is measured.
  private func way() throws -> MeasuringWay {
    guard let lens else { return MeasuringWay(by: batchNorm) }
    guard batchNorm == .running else {
      throw ValidationError("--lens: by each batch's own statistics no state is read inside the network")
    }
    return .lens(lens)
  }

  /// The options of a second time, with recalibrated statistics; nil where none of the measures has one.
  /// - Throws: `ValidationError` where batches of recalibration are asked for and nothing is recalibrated.
  func recalibrated(_ options: MeasureOptions) throws -> MeasureOptions? {
    guard recalibrate != nil else { return nil }
    var again = options
    again.way = .recalibrated
    again.names.formIntersection(Reslens.registry.names(where: \.withRecalibration))
    guard options.way == .usual else {
      throw ValidationError("--recalibrate is for running statistics and the network's own readout")
    }
    guard !again.names.isEmpty || options.names.contains(UnrolledSteps.description.name) else {
      let possible = [UnrolledSteps.description.name] + Reslens.registry.names(where: \.withRecalibration)
      throw ValidationError(
        "--recalibrate is for \(possible.joined(separator: ", ")) alone, and none of them is measured")
    }
    return again.names.isEmpty ? nil : again
  }

  private func chosenScale() throws -> MeasureOptions.Scale {
    guard scale == "auto" else {
      guard let given = Double(scale) else { throw ValidationError("--scale \(scale) is neither a number nor auto") }
      guard scaleGrid == nil else { throw ValidationError("--scale-grid is for --scale auto") }
      return .given(given)
    }
    return .chosen(
      from: try scaleGrid.map { try numbers($0, "scale-grid") { Double($0) } } ?? MeasureOptions.Scale.grid)
  }

  private func numbers<Number>(_ list: String, _ option: String, _ number: (String) -> Number?) throws -> [Number] {
    try list.split(separator: ",", omittingEmptySubsequences: false).map {
      let text = $0.trimmingCharacters(in: .whitespaces)
      guard let value = number(text) else { throw ValidationError("--\(option) \(list): \"\(text)\" is not a number") }
      return value
    }
  }
}

extension Registry {
  /// The names of measures in a list, separated by commas.
  /// - Throws: `ValidationError` for a name that no measure has.
  func parse(_ list: String, option: String) throws -> [String] {
    try list.split(separator: ",", omittingEmptySubsequences: false).map {
      let text = $0.trimmingCharacters(in: .whitespaces)
      guard names().contains(text) else {
        throw ValidationError(
          "--\(option): there is no measure \"\(text)\"\(didYouMean(text, among: names())); known are "
            + names().joined(separator: ", "))
      }
      return text
    }
  }
}
