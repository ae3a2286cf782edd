import Foundation
import Host
import ImageDatasets
import IterativeInference
import ResidualNetworks
import Results
import Torch
import Training

/// Studies at a scale, with every run that they need once.
public struct Reproduction: Sendable {
  /// How much of the studies' work is done.
  public var scale: Scale
  /// In the order in which they were named.
  public var studies: [PlannedStudy]
  /// In the order in which they are done: all networks with their first seed, then with the next.
  public var runs: [PlannedRun]

  /// A study and the runs that it looks at.
  public struct PlannedStudy: Sendable {
    /// The study that was asked for.
    public var study: Study
    /// By data set, network and recipe, in this order.
    public var subjects: [Subject]
    /// The runs' places in `Reproduction.runs`.
    public var runs: [Int] { subjects.flatMap(\.runs) }
  }

  /// One network of a study on one data set by one recipe.
  public struct Subject: Sendable {
    /// As the study names it.
    public var model: String
    /// As the study names it.
    public var data: String
    /// As the study names it.
    public var recipe: String
    /// As it is at this scale.
    public var architecture: Architecture
    /// A run a seed: places in `Reproduction.runs`.
    public var runs: [Int]
  }

  /// - Throws: for anything that cannot be, before any work: `FileError` naming the study's field, `ArchitectureError`,
  ///   `MeasureError`.
  public init(_ studies: [Study], scale: Scale, data: DataSources) throws {
    self.scale = scale
    self.studies = []
    runs = []
    var rounds: [Int] = []
    for study in studies {
      if let problem = study.problem { throw Self.wrong(study, problem) }
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
              model: network.name, data: name, recipe: recipe, architecture: scale.reduced(network), runs: [])
            for (round, seed) in seeds.enumerated() {
              let run = try Self.resolved(study, subject, seed: seed, source: source, dataset, scale)
              subject.runs.append(try place(of: run, in: study))
              if rounds.count < runs.count { rounds.append(round) }
            }
            planned.subjects.append(subject)
          }
        }
      }
      self.studies.append(planned)
    }
    sort(by: rounds)
  }

  /// Puts the runs of all first seeds before those of the second.
  private mutating func sort(by rounds: [Int]) {
    let order = runs.indices.sorted { (rounds[$0], $0) < (rounds[$1], $1) }
    let places = Dictionary(uniqueKeysWithValues: order.enumerated().map { ($1, $0) })
    runs = order.map { runs[$0] }
    for study in studies.indices {
      for subject in studies[study].subjects.indices {
        studies[study].subjects[subject].runs = studies[study].subjects[subject].runs.compactMap { places[$0] }
      }
    }
  }

  /// The place of a run that may be there already, with what this study wants measured.
  private mutating func place(of run: PlannedRun, in study: Study) throws -> Int {
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
