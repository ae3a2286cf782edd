import Host

extension ImageDataset {
  /// "synthetic" or "synthetic:SEED" for the embedded set, else a folder or archive of CIFAR.
  /// - Throws: `FileError` that names the file and what is wrong with it.
  public static func load(_ source: String) throws -> ImageDataset {
    guard source == "synthetic" || source.hasPrefix("synthetic:") else { return try CIFAR.load(source) }
    let seed = source.dropFirst("synthetic:".count)
    guard let seed = UInt64(seed.isEmpty ? "0" : seed) else {
      throw FileError(path: source, problem: "\"\(seed)\" is not a seed", remedy: "write synthetic:7, for instance")
    }
    return try Synthetic.dataset(seed: seed)
  }
}
