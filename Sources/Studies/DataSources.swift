import Foundation
import ResLensSupport
import ResLensTasks

/// The sources of the data sets that studies name.
public final class DataSources {
  /// The sources by the names of data sets, for instance "cifar-10".
  private var sources: [String: String] = [:]
  private var loaded: [String: ImageDataset] = [:]
  /// The names that studies asked for.
  private var asked: Set<String> = []

  /// - Parameter given: folders or archives of CIFAR, folders that hold both sets, or "synthetic", which stands for both
  ///   of them.
  /// - Throws: `FileError` where there is no data set.
  public init(_ given: [String]) throws {
    for source in given {
      if let seed = try Synthetic.seed(of: source) {
        try add(source, as: CIFAR.cifar10.rawValue)
        // Other images of the same kind.
        try add("synthetic:\(seed &+ 1)", as: CIFAR.cifar100.rawValue)
        continue
      }
      let url = URL(filePath: source).standardizedFileURL
      let inside = CIFAR.allCases.filter { $0.isInside(url) }
      if inside.count > 1 {
        for kind in inside { try add(url.appending(path: kind.folder).path, as: kind.rawValue) }
      } else {
        try add(url.path, as: load(url.path).name)
      }
    }
  }

  private func add(_ source: String, as name: String) throws {
    if let other = sources[name] {
      throw FileError(
        path: "--data", problem: "\(source) and \(other) are both to be \(name)", remedy: "give one of them alone")
    }
    sources[name] = source
  }

  /// The source that a study means by `name`.
  /// - Throws: `FileError` where it is a name that nothing was given for.
  public func source(of name: String) throws -> String {
    asked.insert(name)
    if let source = sources[name] { return source }
    guard CIFAR(rawValue: name) == nil else {
      throw FileError(
        path: "--data", problem: "the study needs \(name), and none was given",
        remedy: "name it with --data: its folder or archive, a folder that holds both sets, or synthetic in its place")
    }
    return try ImageDataset.wholeName(of: name)
  }

  /// The data set of a source, read once.
  /// - Parameter isNamed: whether the user has just named the source; one that a run remembers may have moved
  public func load(_ source: String, isNamed: Bool = true) throws -> ImageDataset {
    if let dataset = loaded[source] { return dataset }
    let dataset = try ImageDataset.load(source, isNamed: isNamed)
    loaded[source] = dataset
    return dataset
  }

  /// A text that names CIFAR-10 or CIFAR-100, with the names of the data sets that are used in their place.
  public func naming(_ text: String) throws -> String {
    var text = text
    for kind in CIFAR.allCases {
      guard let source = sources[kind.rawValue], try load(source).name != kind.rawValue else { continue }
      // "CIFAR-10" is the beginning of "CIFAR-100".
      text = text.replacing(try Regex("\(kind.rawValue.uppercased())(?![0-9])"), with: try load(source).name)
    }
    return text
  }

  /// The data sets that replace those of the paper that studies asked for, one sentence for each.
  public var substitutions: [String] {
    asked.sorted().compactMap { name in
      guard let source = sources[name], (try? Synthetic.seed(of: source)) != nil else { return nil }
      return "The embedded data set (\(source), ten classes) is used in place of \(name)."
    }
  }
}
