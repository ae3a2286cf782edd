import ResLensSupport
import Testing

/// The names that messages suggest in place of those that do not exist.
@Suite struct SuggestionTests {
  @Test(
    "The nearest name is suggested, and none that is far",
    arguments: [
      ("cosine-los", "cosine-loss"), ("consine-loss", "cosine-loss"), ("ocsine-loss", "cosine-loss"),
      ("cos", "cosine-loss"),
      ("l2-ration", "l2-ratio"), ("l1-ratio", "l2-ratio"), ("weight-norm", nil), ("", nil), ("l2", nil),
    ])
  func nearest(name: String, expected: String?) {
    let suggestion = didYouMean(name, among: ["l2-ratio", "cosine-loss", "intermediate"])
    #expect(suggestion == expected.map { " (did you mean \($0)?)" } ?? "")
  }

  @Test(
    "The command suggests subcommands, models, recipes, measures and studies",
    arguments: [
      (["trian"], "there is no subcommand \"trian\" (did you mean train?); known are train, "),
      (["data", "describ"], "(did you mean describe?)"),
      (["models", "resent-20-ubn"], "(did you mean resnet-20?)"),
      (["models", "resnet-20-unb"], "(did you mean resnet-20-ubn?)"),
      (["models", "avg-poling"], "(did you mean avg-pooling?)"),
      (["train", "--model", "resnet-8", "--data", "synthetic", "--recipe", "quik"], "(did you mean quick?)"),
      (["measure", "run", "--measures", "l2-ration"], "(did you mean l2-ratio?)"),
      (["reproduce", "figur-4", "--data", "synthetic"], "(did you mean figure-4?)"),
      (["zzzzzz"], "there is no subcommand \"zzzzzz\"; known are train, "),
    ])
  func command(arguments: [String], words: String) throws {
    let found = try Reslens.run(arguments)
    #expect(found.status != 0 && found.output.isEmpty && found.errors.contains(words), "\(found.errors)")
  }

  @Test("help and the names of all subcommands are known")
  func known() throws {
    for arguments in [["help"], ["help", "train"], ["data", "describe", "--help"], ["work", "--help"]] {
      #expect(try Reslens.run(arguments).status == 0, "\(arguments)")
    }
  }
}
