import Foundation
import ResLensSupport
import ResLensTraining

/// The names by which a page or a table tells several runs apart, and the common names of runs that differ only in their
/// seed.
public struct RunNames: Equatable, Sendable {
  /// The name of each run.
  public var names: [String]
  /// The name that a run shares with the runs that differ from it in their seed only; nil for a run whose configuration
  /// and seed another run has too.
  public var groups: [String?]

  /// A group is called by its architecture, and where groups have the same one, by what else they differ in.
  /// - Parameters:
  ///   - configurations: the runs' configurations
  ///   - paths: their folders
  public init(of configurations: [RunConfiguration], in paths: [String]) {
    guard configurations.count > 1 else {
      (names, groups) = (paths, [nil])
      return
    }
    let kinds = configurations.map { configuration in
      var kind = configuration
      (kind.seed, kind.measure, kind.keptCheckpoints) = (0, nil, nil)
      return kind
    }
    let named = zip(kinds, configurations).map { kind, configuration -> String? in
      let alike = zip(kinds, configurations).filter { $0.0 == kind }
      guard alike.count(where: { $0.1.seed == configuration.seed }) == 1 else { return nil }
      let namesakes = kinds.filter { $0.architecture.name == kind.architecture.name }
      return ([kind.architecture.name] + Self.differences(of: kind, among: namesakes)).joined(separator: ", ")
    }
    // Groups whose difference has no words are told apart by the folder of their first run.
    let groups = zip(named, kinds).map { group, kind -> String? in
      guard let group, let first = kinds.firstIndex(of: kind) else { return nil }
      let isShared = zip(named, kinds).contains { $0 == group && $1 != kind }
      return isShared ? "\(group) (\(URL(filePath: paths[first]).lastPathComponent))" : group
    }
    self.groups = groups
    // Runs that are alike in everything are told apart by their folders, in as few words as will do.
    let folders = paths.map { URL(filePath: $0).lastPathComponent }
    names = zip(groups.indices, groups).map { index, group in
      guard let group else { return Set(folders).count == folders.count ? folders[index] : paths[index] }
      let hasSeeds = groups.count { $0 == group } > 1
      return hasSeeds ? "\(group), seed \(configurations[index].seed)" : group
    }
  }

  /// The properties of a run, in words, in which some runs of one architecture differ.
  private static func differences(of kind: RunConfiguration, among namesakes: [RunConfiguration]) -> [String] {
    let properties: [(RunConfiguration) -> String] = [
      { URL(filePath: $0.data).lastPathComponent }, \.recipe.name, { counted($0.recipe.epochs, "epoch") },
      { "batches of \($0.recipe.batch)" },
      { $0.trainSamples.map { "\($0) train images" } ?? "all train images" },
      \.precision.rawValue,
    ]
    return properties.filter { property in Set(namesakes.map(property)).count > 1 }.map { $0(kind) }
  }
}

extension RunFolder {
  /// The run folders that a path names: the run itself, or all runs of a study or reproduction, or of any folder of runs, in
  /// the order of their names. A path that is none of these is returned as it is.
  public static func paths(in path: String) -> [String] {
    if RunFolder(URL(filePath: path)).holdsRun { return [path] }
    let base = path.hasSuffix("/") ? path : path + "/"
    for parent in [base + "runs/", base] {
      let names = (try? FileManager.default.contentsOfDirectory(atPath: parent)) ?? []
      let folders = names.filter { RunFolder(URL(filePath: parent + $0)).holdsRun }
        .sorted { $0.compare($1, options: .numeric) == .orderedAscending }
      if !folders.isEmpty { return folders.map { parent + $0 } }
    }
    return [path]
  }
}
