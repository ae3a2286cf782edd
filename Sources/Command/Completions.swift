import ArgumentParser
import ResLensNetworks
import ResLensStudies
import ResLensTraining

/// The words that a shell completes. `reslens --generate-completion-script` writes them into the shell's script.
extension CompletionKind {
  /// Names of networks: the paper's, customary ResNets, and their shared forms.
  static var models: CompletionKind {
    let bases = Architecture.paperNames + ["max-pooling", "resnet-20", "resnet-32", "resnet-44", "resnet-56"]
    return .list(bases + ["shared", "ubn"].flatMap { suffix in bases.map { "\($0)-\(suffix)" } })
  }

  /// Names of recipes.
  static var recipes: CompletionKind { .list(Recipe.names) }

  /// Names of the paper's figures and tables.
  static var studies: CompletionKind { .list(["all"] + Study.paper.map(\.name)) }

  /// Names of measures, separated by commas.
  static var measures: CompletionKind {
    .custom { _, _, word in
      let names = Reslens.registry.names()
      let before = word.split(separator: ",", omittingEmptySubsequences: false).dropLast().map { $0 + "," }.joined()
      return (before.isEmpty ? ["all"] + names : names).map { before + $0 }
    }
  }

  /// YAML files.
  static var yaml: CompletionKind { .file(extensions: ["yaml", "yml"]) }
}
