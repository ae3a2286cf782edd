import Host
import ImageDatasets
import IterativeInference
import ResidualNetworks
import Results
import Training

// From what a study asks for, at a scale, to what is run.

extension Reproduction {
  /// A run with everything that its numbers depend on.
  /// - Throws: `FileError` naming the study's field for what cannot be.
  static func resolved(
    _ study: Study, _ subject: Subject, seed: UInt64, source: String, _ dataset: ImageDataset, _ scale: Scale
  ) throws -> PlannedRun {
    let rules = scale.rules
    func least(_ asked: Int, _ most: Int?) -> Int { min(asked, most ?? .max) }
    let isReplaced = rules.epochs != nil && ["paper", "paper-likely"].contains(subject.recipe)
    var recipe = try Recipe.find(isReplaced ? "quick" : subject.recipe, for: subject.architecture)
    recipe.epochs = least(study.epochs ?? recipe.epochs, rules.epochs)
    recipe.batch = study.batch ?? recipe.batch
    if let problem = recipe.problem { throw wrong(study, problem) }
    let trained = least(study.trainSamples ?? dataset.train.count, rules.trainSamples)
    let validated = least(study.validationSamples ?? dataset.validation.count, rules.validationSamples)
    var configuration = RunConfiguration(
      architecture: subject.architecture, data: source, trainSamples: trained, validationSamples: validated,
      recipe: recipe, seed: seed, precision: study.precision ?? .float32)
    configuration.statistics = dataset.statistics
    let record = study.record ?? rules.record
    let recorded = Set(study.figures.flatMap(\.recorded)).union(MeasureName.ridingOnTraining.map(\.rawValue))
    configuration.measure = MeasureSchedule(
      every: record.every, samples: min(least(record.samples, rules.mostRecorded), trained, validated),
      names: recorded.sorted())
    try configuration.check(against: dataset)
    let samples = min(least(study.measure?.samples ?? rules.measured, rules.mostMeasured), trained, validated)
    let measurement = try measurement(of: study, samples: samples)
    try check(study, measurement, recorded, subject.architecture, trainImages: trained)
    return PlannedRun(configuration: configuration, dataset: dataset.name, measurement: measurement)
  }

  private static func measurement(of study: Study, samples: Int) throws -> PlannedRun.Measurement {
    let names = Set(study.figures.flatMap(\.measured)).union(study.measure?.measures ?? [])
    if let stray = names.subtracting(MeasureName.allCases.map(\.rawValue)).min() {
      let known = MeasureName.allCases.map(\.rawValue).joined(separator: ", ")
      throw wrong(study, "measure.measures: there is no measure \"\(stray)\"; known are \(known)")
    }
    return PlannedRun.Measurement(
      names: names.sorted(), samples: samples, unroll: study.measure?.unroll ?? MeasureOptions.Unrolling().times,
      scale: study.measure?.scale, recalibrate: study.measure?.recalibrate)
  }

  /// - Throws: `FileError` where a figure or measure cannot be of this network.
  private static func check(
    _ study: Study, _ measurement: PlannedRun.Measurement, _ recorded: Set<String>, _ architecture: Architecture,
    trainImages: Int
  ) throws {
    var options = measurement.options
    options.names.formUnion(recorded.compactMap(MeasureName.init(rawValue:)))
    var asked = Set(measurement.names)
    if study.figures.contains(.gradientNormRatio) { asked.insert("gradient-norm.ratio") }
    for absence in options.absences(in: architecture) where absence.steps == nil && asked.contains(absence.measure) {
      throw wrong(study, "figures: there is no \(absence.measure) of \(architecture.name): \(absence.reason)")
    }
    do {
      try options.check(for: architecture, trainImages: trainImages)
    } catch {
      throw wrong(study, "measure: of \(architecture.name), \(error.option): \(error.problem)")
    }
  }
}
