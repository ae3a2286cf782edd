import ArgumentParser
import ImageDatasets
import Reports
import ResidualNetworks

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

  /// The facts that a page states about the model.
  var facts: [Fact] {
    let shared = Set(stages.map(\.sharing))
    let stages = stages.map { stage in
      var text = "\(stage.blocks) × \(stage.width) channels"
      if stage.entry != .none { text += " after \(stage.entry.rawValue)" }
      if shared.count > 1 { text += ", \(stage.sharing?.summary ?? "nothing shared")" }
      return text
    }
    let alike = shared.count == 1 ? shared.first.flatMap { $0 } : nil
    return [
      Fact(
        "architecture",
        "\(name): \(stages.joined(separator: "; "))" + (alike.map { "; in every stage \($0.summary)" } ?? "")),
      Fact("parameters", "\(trainableParameters) trainable, \(totalParameters) in all"),
      Fact("multiply-accumulates an image", "\(multiplyAccumulates)"),
    ]
  }
}

extension Architecture.Sharing {
  fileprivate var summary: String {
    let own = [unsharedStatistics ? "statistics" : nil, unsharedAffine ? "γ and β" : nil].compactMap { $0 }
    return "one block from \(from) on" + (own.isEmpty ? "" : " with \(own.joined(separator: ", ")) a step")
      + (initialGamma == 1 ? "" : ", γ from \(initialGamma)")
  }
}
