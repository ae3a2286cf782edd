import Foundation
import ResLensSupport
import ResLensTasks
import ResLensMeasures
import ResLensNetworks
import ResLensResults
import ResLensRuns
import ResLensTorch
import ResLensTraining

/// Studies at a scale, with every run that they need once.
public struct Reproduction: Sendable {
  /// How much of the studies' work is done.
  public var scale: Scale
  /// The measures that the studies can name.
  public let registry: Registry
  /// The studies, in the order in which they were named.
  public var studies: [PlannedStudy]
  /// The runs, in the order in which they are done: all networks with their first seed, then with the next.
  public var runs: [PlannedRun]

  /// A study and the runs that it looks at.
  public struct PlannedStudy: Sendable {
    /// The study that was asked for.
    public var study: Study
    /// The networks, ordered by data set, network and recipe.
    public var subjects: [Subject]
    /// The indices of the study's runs in `Reproduction.runs`.
    public var runs: [Int] { subjects.flatMap(\.runs) }
  }

  /// One network of a study on one data set by one recipe.
  public struct Subject: Sendable {
    /// The name that the study gives the network.
    public var model: String
    /// The name that the study gives the data set.
    public var data: String
    /// The name that the study gives the recipe.
    public var recipe: String
    /// The architecture at this scale.
    public var architecture: Architecture
    /// The number of validation images at this scale.
    public var validationSamples: Int
    /// The indices in `Reproduction.runs`, one run for each seed.
    public var runs: [Int]
  }

  /// - Parameter registry: the measures that the studies can name
  /// - Throws: for anything that cannot be, before any work: `FileError` naming the study's field, `ArchitectureError`,
  ///   `MeasureError`.
  public init(_ studies: [Study], scale: Scale, data: DataSources, registry: Registry = .standard) throws {
    self.scale = scale
    self.registry = registry
    self.studies = []
    runs = []
    // For each run, the index of its seed in the study that names the run first.
    var seedIndices: [Int] = []
    for study in studies {
      if let problem = study.problem ?? study.problem(in: registry) { throw Self.wrong(study, problem) }
      var planned = PlannedStudy(study: study, subjects: [])
      let seeds = study.seeds.prefix(scale.rules.seeds ?? .max)
      for name in study.data {
        let source = try data.source(of: name)
        let dataset = try data.load(source)
        let networks = try study.models.flatMap { model in
          try Architecture.findAll(model, classes: Architecture.isFile(model) ? nil : dataset.classNames.count)
        }
        if let problem = Architecture.namingProblem(of: networks) { throw Self.wrong(study, "models: \(problem)") }
        for network in networks {
          for recipe in study.recipes {
            var subject = Subject(
              model: network.name, data: name, recipe: recipe, architecture: scale.reduced(network),
              validationSamples: dataset.validation.count, runs: [])
            for (seedIndex, seed) in seeds.enumerated() {
              let run = try resolved(study, subject, seed: seed, source: source, dataset)
              subject.validationSamples = run.configuration.validationSamples ?? dataset.validation.count
              subject.runs.append(try index(of: run, in: study))
              if seedIndices.count < runs.count { seedIndices.append(seedIndex) }
            }
            planned.subjects.append(subject)
          }
        }
      }
      self.studies.append(planned)
    }
    sort(by: seedIndices)
  }

  /// Puts the runs of all first seeds before those of the second.
  private mutating func sort(by seedIndices: [Int]) {
    let order = runs.indices.sorted { (seedIndices[$0], $0) < (seedIndices[$1], $1) }
    let newIndices = Dictionary(uniqueKeysWithValues: order.enumerated().map { ($1, $0) })
    runs = order.map { runs[$0] }
    for study in studies.indices {
      for subject in studies[study].subjects.indices {
        studies[study].subjects[subject].runs = studies[study].subjects[subject].runs.compactMap { newIndices[$0] }
      }
    }
  }

  /// The index of a run. Where another study needs the run too, the measures of both studies are taken.
  private mutating func index(of run: PlannedRun, in study: Study) throws -> Int {
    let name = run.folderName
    guard let index = runs.firstIndex(where: { $0.folderName == name }) else {
      runs.append(run)
      return runs.count - 1
    }
    var both = runs[index]
    both.measurement.names = Set(both.measurement.names + run.measurement.names).sorted()
    var merged = run.measurement
    merged.names = both.measurement.names
    guard merged == both.measurement else {
      throw Self.wrong(
        study, "measure: another study measures the same run otherwise; reproduce them apart, with another --out")
    }
    runs[index] = both
    return index
  }

  static func wrong(_ study: Study, _ problem: String) -> FileError {
    FileError(path: study.name, problem: problem, remedy: "correct the study")
  }
}
