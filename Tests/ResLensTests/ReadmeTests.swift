import Foundation
import ResLens
import TestSupport
import Testing

/// The Swift examples of the README, as they stand there.
@Suite struct ReadmeTests {
  @Test("The README's example trains a network, records measures, and draws a report")
  func example() throws {
    let scratch = try Scratch()
    let runs = scratch.url

    let data = try ImageDataset.load("synthetic")  // or a folder of CIFAR
    let network = try Architecture.named("resnet-8")
    var run = RunConfiguration(
      architecture: network, data: "synthetic", trainSamples: 512, recipe: try .find("quick", for: network))
    run.recipe.epochs = 2
    run.measure = MeasureSchedule(every: 1, samples: 100, names: ["cosine-loss", "l2-ratio"])
    let folder = RunFolder(runs.appending(path: "first"))
    try TrainingRun(run, dataset: data, folder: folder).run()

    for epoch in try folder.history() {  // epoch 0 is the initialised network
      let steps = try epoch.widest.rows(of: StepStatistic.self, in: "l2-ratio", .validation)
      print("epoch \(epoch.epoch):", steps.map { "step \($0.step) \($0.mean)" }.joined(separator: ", "))
    }
    let report = try Report(ofRuns: [folder.url.path], measures: Registry.standard.descriptions)
    _ = try report.write(to: folder.reportFile, gnuplot: .find())

    #expect(try folder.history().map(\.epoch) == [0, 1, 2])
    let page = try String(contentsOf: folder.reportFile, encoding: .utf8)
    #expect(page.contains("ℓ2 ratio over training"))
  }

  @Test("Every Swift example of the README stands in this file")
  func examples() throws {
    func trimmed(_ text: String) -> String {
      text.split(separator: "\n").map { $0.trimmingCharacters(in: .whitespaces) }
        .filter { !$0.isEmpty && !$0.hasPrefix("import ") }.joined(separator: "\n")
    }
    let code = trimmed(try String(contentsOf: URL(filePath: #filePath), encoding: .utf8))
    let readme = try String(contentsOf: Checkout.root.appending(path: "README.md"), encoding: .utf8)
    let blocks = readme.components(separatedBy: "```swift\n").dropFirst().map { $0.components(separatedBy: "```")[0] }
    #expect(blocks.contains { $0.contains("import ResLens") })
    for block in blocks where !block.contains(".package(") {
      #expect(code.contains(trimmed(block)), "\(block)")
    }
  }
}
