import Foundation
import ResLensSupport

extension Synthetic {
  /// The seed of the embedded set that a source means: "synthetic" or "synthetic:SEED"; nil where it is another source.
  /// - Throws: `FileError` for what is no seed.
  public static func seed(of source: String) throws(FileError) -> UInt64? {
    if source == "synthetic" { return 0 }
    guard source.hasPrefix("synthetic:") else { return nil }
    let text = source.dropFirst("synthetic:".count)
    guard let seed = UInt64(text) else {
      throw FileError(path: source, problem: "\"\(text)\" is not a seed", remedy: "write synthetic:7, for instance")
    }
    return seed
  }
}

extension ImageDataset {
  /// A source by the name that it has from any folder, and that is kept in files: the whole path of what is no embedded set.
  /// - Throws: `FileError` for a seed that is none.
  public static func wholeName(of source: String) throws(FileError) -> String {
    try Synthetic.seed(of: source) == nil ? URL(filePath: source).standardizedFileURL.path : source
  }

  /// The forms of a source, for messages and help.
  public static let sourceForms =
    "synthetic, synthetic:SEED, a folder or archive of CIFAR, or a .safetensors file that reference/dataset.py wrote"

  /// A data set by one of `sourceForms`.
  /// - Parameter isNamed: whether the user has just named the source; one that a run remembers may have moved
  /// - Throws: `FileError` that names the file and what is wrong with it.
  public static func load(_ source: String, isNamed: Bool = true) throws -> ImageDataset {
    if !isNamed, try Synthetic.seed(of: source) == nil, !FileManager.default.fileExists(atPath: source) {
      throw FileError(
        path: source, problem: "the run's data are no longer here",
        remedy: "name their new place with --data")
    }
    if let seed = try Synthetic.seed(of: source) { return try Synthetic.dataset(seed: seed) }
    let url = URL(filePath: source)
    return url.pathExtension == "safetensors" ? try DatasetFile(url).dataset() : try CIFAR.load(source)
  }
}
