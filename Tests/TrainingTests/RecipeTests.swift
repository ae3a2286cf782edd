import Foundation
import ResLensSupport
import ResLensNetworks
import TestSupport
import Testing
import ResLensTraining

@Suite struct RecipeTests {
  @Test("The paper's rates change at the paper's epochs")
  func paperSchedules() throws {
    func rates(_ name: String, _ recipe: String, _ epochs: [Double]) throws -> [Double] {
      let recipe = try Recipe.find(recipe, for: .named(name))
      return epochs.map { recipe.schedule.rate(at: $0, of: recipe.epochs) }
    }
    let edges = [0, 79.99, 80, 119.9, 120, 199.9, 200, 239.9, 240, 299]
    #expect(
      try rates("resnet-110", "paper", edges)
        == [0.1, 0.1, 0.01, 0.01, 0.001, 0.001, 0.00001, 0.00001, 0.000011, 0.000011])
    #expect(
      try rates("resnet-110", "paper-likely", edges)
        == [0.1, 0.1, 0.01, 0.01, 0.001, 0.001, 0.0001, 0.0001, 0.00001, 0.00001])
    for name in ["single-representation", "avg-pooling"] {
      #expect(try rates(name, "paper", [39.9, 40, 60, 80, 99]) == [0.1, 0.02, 0.004, 0.0008, 0.0008])
    }
    #expect(try rates("wide", "paper", [59.9, 60, 99]) == [0.1, 0.02, 0.02])
    let epochs = try ["resnet-110", "single-representation", "avg-pooling", "wide"].map {
      try Recipe.find("paper", for: .named($0)).epochs
    }
    #expect(epochs == [300, 200, 100, 100])
    #expect(try Recipe.find("paper", for: .named("wide")).weightDecay == 5e-4)
  }

  @Test("One cycle rises to its peak and falls to nothing in straight lines")
  func oneCycle() {
    let schedule = Schedule.oneCycle(peak: 0.4, warmup: 0.25)
    #expect(schedule.rate(at: 0, of: 8) == 0)
    #expect(schedule.rate(at: 1, of: 8) == 0.2)
    #expect(schedule.rate(at: 2, of: 8) == 0.4)
    #expect(abs(schedule.rate(at: 5, of: 8) - 0.2) < 1e-15)
    #expect(schedule.rate(at: 8, of: 8) == 0)
  }

  @Test("A recipe survives YAML, and YAML 1.1 readers see numbers as numbers")
  func yaml() throws {
    for name in Recipe.names {
      let recipe = try Recipe.find(name, for: .named("resnet-20"))
      let text = try YAML.encode(recipe)
      #expect(try YAML.decode(Recipe.self, from: text, path: "x") == recipe)
      #expect(text.firstMatch(of: /\d+e[+-]?\d/) == nil || text.contains(".0e"))
    }
  }

  @Test(
    "A recipe that cannot be is an error that names file and field",
    arguments: [
      ("batch: 128", "batch: 1", "batch"), ("momentum: 0.9", "momentum: 2", "momentum"),
      ("epochs: 10", "epochs: 0", "epochs"), ("epochs: 10", "epochs: ten", "epochs"),
      ("peak: 0.2", "peak: -1", "rate"), ("peak: 0.2", "peak: .nan", "rate"), ("warmup: 0.2", "warmup: 1", "warmup"),
      ("kind: one-cycle", "kind: two-cycle", "kind: two-cycle is neither steps nor one-cycle"),
      ("flip: true", "flip: true\nmirror: true", "mirror"),
      ("kind: one-cycle", "kind: steps\n  parts: []", "parts"),
    ])
  func problems(from: String, to: String, field: String) throws {
    let scratch = try Scratch()
    let file = scratch.file("recipe.yaml")
    let good = try YAML.encode(Recipe.find("quick", for: .named("resnet-20")))
    try #require(good.contains(from))
    try Files.write(good.replacing(from, with: to), to: file)
    #expect { try Recipe.find(file.path, for: .named("resnet-20")) } throws: {
      ($0 as? FileError).map { $0.path == file.path && $0.problem.contains(field) } ?? false
    }
    #expect(throws: FileError.self) { try Recipe.find("swift", for: .named("resnet-20")) }
  }
}
