import Foundation
import ResLensNetworks
import ResLensResults
import ResLensRuns
import ResLensTraining

extension Claim {
  /// The paper's claims about the steps of trained networks (Figures 2 to 7 and 20), as claims about networks of one's own.
  /// - Parameter models: the networks' names, and whether any of their steps has a projection
  static func paper(on models: [(name: String, hasProjections: Bool)]) -> [Claim] {
    let names = models.map(\.name)
    let projected = models.filter(\.hasProjections).map(\.name)
    let shallow = names.filter { !projected.contains($0) }
    return Claim.l2Ratio("Fig. 2", shallow: shallow, projected: projected)
      + Claim.dropping("Fig. 3", shallow: shallow, projected: projected) + Claim.cosineLoss("Fig. 4", names)
      + [Claim.gradual("Fig. 5", names)] + Claim.borderline(names) + Claim.unrolling(names)
      + Claim.unrolledSteps(names)
  }
}

extension Finding {
  /// The paper's claims about the steps of trained networks, checked on run folders. Runs that differ only in their seed are
  /// one network; a claim without numbers is left out.
  /// - Parameter paths: the run folders
  /// - Throws: `FileError` where a folder holds no run, or its files cannot be read; `TableError` where a table lacks a
  ///   column.
  public static func ofPaper(onRuns paths: [String]) throws -> [Finding] {
    let runs = try paths.map { path in
      let folder = RunFolder(URL(filePath: path))
      return (folder: folder, configuration: try folder.configuration())
    }
    let names = RunNames(of: runs.map(\.configuration), in: paths)
    // The only run of a page is named by its architecture: the page says which folder it is.
    // A run without a group is called by its whole path, which is no group's name.
    let groups = zip(names.groups, paths).map { group, path in
      runs.count == 1 ? runs[0].configuration.architecture.name : group ?? path
    }
    var models: [(name: String, hasProjections: Bool)] = []
    var subjects: [Evidence.Subject] = []
    for name in groups where !models.contains(where: { $0.name == name }) {
      let own = zip(groups, runs).filter { $0.0 == name }.map(\.1)
      let architecture = own[0].configuration.architecture
      let measures = try own.compactMap {
        try $0.folder.measures(recordedAfter: $0.configuration.recipe.epochs).0
      }
      models.append((name, architecture.steps.contains { !$0.hasIdentitySkip }))
      subjects.append(
        Evidence.Subject(
          model: name, data: own[0].configuration.data, architecture: name,
          parameters: architecture.trainableParameters, classes: architecture.classes,
          validationSamples: own[0].configuration.validationSamples ?? measures.first?.samples(of: .validation) ?? 0,
          runs: try own.map { .init(epochs: try $0.folder.epochs(), history: try $0.folder.history()) },
          measures: measures.map(\.widest)))
    }
    let evidence = Evidence(subjects: subjects)
    return try Claim.paper(on: models).map { try $0.finding(in: evidence) }.filter { $0.verdict != .notChecked }
  }
}
