import Foundation
import ResLensSupport
import TestSupport
import Testing

/// The scripts with which shells complete the command.
@Suite struct CompletionTests {
  /// The words that bash offers at the end of a line.
  private func completions(_ words: [String]) throws -> [String] {
    let script = """
      source <("$1" --generate-completion-script bash)
      COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
      COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}
      _reslens "$1" "${@: -1}" "${@: -2:1}"
      printf '%s\\n' "${COMPREPLY[@]}"
      """
    let outcome = try Tool("bash").run(["-c", script, "bash", Reslens.program] + words)
    try #require(outcome.status == 0, Comment(rawValue: outcome.errors))
    return String(decoding: outcome.output, as: UTF8.self).split(separator: "\n").map {
      $0.trimmingCharacters(in: .whitespaces)
    }
  }

  @Test(
    "bash completes subcommands, models, recipes, measures and studies",
    arguments: [
      (["tra"], ["train"]), (["train", "--model", "avg"], ["avg-pooling", "avg-pooling-shared", "avg-pooling-ubn"]),
      (["train", "--recipe", "pa"], ["paper", "paper-likely"]), (["probe", "wide-u"], ["wide-ubn"]),
      (["measure", "run", "--measures", "cos"], ["cosine-loss"]),
      (["measure", "run", "--measures", "l2-ratio,cos"], ["l2-ratio,cosine-loss"]),
      (["reproduce", "table"], ["table-1"]),
    ])
  func bash(words: [String], expected: [String]) throws {
    #expect(try completions(words) == expected)
  }

  @Test("There is a script for zsh and for fish", arguments: ["zsh", "fish"])
  func others(shell: String) throws {
    let found = try Reslens.run(["--generate-completion-script", shell])
    #expect(found.status == 0 && found.output.contains("paper-likely") && found.output.contains("avg-pooling-ubn"))
  }
}
