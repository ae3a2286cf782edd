import ResLensSupport
import ResLensTasks
import ResLensMeasures
import ResLensNetworks
import ResLensResults
import ResLensRuns
import ResLensTraining

// From what a study asks for, at a scale, to what is run.

extension Reproduction {
  /// A run with everything that its numbers depend on.
  /// - Throws: `FileError` naming the study's field for what cannot be.
  func resolved(
    _ study: Study, _ subject: Subject, seed: UInt64, source: String, _ dataset: ImageDataset
  ) throws -> PlannedRun {
    let rules = scale.rules
    func least(_ asked: Int, _ most: Int?) -> Int { min(asked, most ?? .max) }
    let isReplaced = rules.epochs != nil && ["paper", "paper-likely"].contains(subject.recipe)
    var recipe = try Recipe.find(isReplaced ? "quick" : subject.recipe, for: subject.architecture)
    recipe.epochs = least(study.epochs ?? recipe.epochs, rules.epochs)
    recipe.batch = study.batch ?? recipe.batch
    if let problem = recipe.problem { throw Self.wrong(study, problem) }
    let trained = least(study.trainSamples ?? dataset.train.count, rules.trainSamples)
    let validated = least(study.validationSamples ?? dataset.validation.count, rules.validationSamples)
    var configuration = RunConfiguration(
      architecture: subject.architecture, data: source, trainSamples: trained, validationSamples: validated,
      recipe: recipe, seed: seed, precision: study.precision ?? .fp32)
    configuration.statistics = try dataset.statistics
    let record = study.record ?? rules.record
    let needs = study.needs(in: registry)
    let recorded = needs.recorded.union(registry.names(where: \.whileTraining))
    configuration.measure = MeasureSchedule(
      every: record.every, samples: min(least(record.samples, rules.mostRecorded), trained, validated),
      names: recorded.sorted())
    try configuration.check(against: dataset)
    let samples = min(least(study.measure?.samples ?? rules.measured, rules.mostMeasured), trained, validated)
    let measurement = PlannedRun.Measurement(
      names: needs.measured.union(study.measure?.measures ?? []).sorted(), samples: samples,
      unroll: study.measure?.unroll ?? MeasureOptions.Unrolling().times, scale: study.measure?.scale,
      recalibrate: study.measure?.recalibrate)
    var options = measurement.options
    options.names.formUnion(recorded)
    try check(study, options, subject.architecture, trainImages: trained)
    return PlannedRun(configuration: configuration, dataset: dataset.name, measurement: measurement)
  }

  /// - Parameter options: what is measured and recorded
  /// - Throws: `FileError` where a figure or measure cannot be of this network.
  private func check(
    _ study: Study, _ options: MeasureOptions, _ architecture: Architecture, trainImages: Int
  ) throws {
    do {
      let context = MeasureContext(architecture, options)
      for measure in try registry.measures(named: options.names) {
        for absence in measure.absences(in: context) where absence.steps == nil {
          guard let field = study.field(showing: absence, of: measure.description, registry) else { continue }
          let name = absence.view ?? absence.measure
          throw Self.wrong(study, "\(field): there is no \(name) of \(architecture.name): \(absence.reason)")
        }
      }
      try options.check(for: architecture, trainImages: trainImages, registry: registry)
    } catch let error as MeasureError {
      throw Self.wrong(study, "measure: of \(architecture.name), \(error.option): \(error.problem)")
    }
  }
}

extension Study {
  /// The measures that the figures need. All figures must be known.
  fileprivate func needs(in registry: Registry) -> (measured: Set<String>, recorded: Set<String>) {
    let descriptions = registry.descriptions
    let needs = figures.compactMap { $0.needs(of: descriptions) }
    return (Set(needs.flatMap(\.measured)), Set(needs.flatMap(\.recorded)))
  }

  /// The field that asks for a measure or view that cannot exist in a network; nil where nothing asks for it.
  fileprivate func field(
    showing absence: MeasureResults.Absence, of measure: MeasureDescription, _ registry: Registry
  ) -> String? {
    if let view = absence.view {
      let histories = measure.views.filter { $0.id == view }.map(FigureKind.history)
      return figures.contains { $0.rawValue == view || histories.contains($0) } ? "figures" : nil
    }
    let needs = needs(in: registry)
    if needs.measured.union(needs.recorded).contains(absence.measure) { return "figures" }
    return self.measure?.measures?.contains(absence.measure) == true ? "measure.measures" : nil
  }
}
