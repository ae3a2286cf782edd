import ArgumentParser
import ResLensTasks
import ResLensNetworks

extension Architecture {
  /// An architecture by name, which takes as many classes as the data have, or from a file, which says itself.
  static func find(_ model: String, fitting dataset: ImageDataset) throws -> Architecture {
    try find(model, classes: isFile(model) ? nil : dataset.classNames.count)
  }

  /// The architectures that the words on the command line name.
  /// - Throws: `ValidationError` where two have one name, or one that is no name of a folder.
  static func findAll(_ models: [String], fitting dataset: ImageDataset) throws -> [Architecture] {
    let all = try models.flatMap { try findAll($0, classes: isFile($0) ? nil : dataset.classNames.count) }
    if let problem = namingProblem(of: all) { throw ValidationError(problem) }
    return all
  }
}
