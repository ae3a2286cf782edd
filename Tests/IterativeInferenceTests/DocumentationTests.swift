import Foundation
import ImageDatasets
import IterativeInference
import ResidualNetworks
import Results
import TestSupport
import Testing
import Torch

/// cos(h_{t−1}, F_t(h_{t−1})): does a step push along h, or across it?
final class Alignment: Measure {
  private(set) var byStep: [StepName: Moments] = [:]

  func observe(_ step: StepReading) throws {
    // A projection's h has another shape than F.
    guard !step.layout.name.projection else { return }
    let products = try step.numbers { tensors in
      let found = try tensors.input.sampleProducts(tensors.residual)
      return [found.dot, found.squares, found.otherSquares]
    }
    for (dot, squares) in zip(products[0], zip(products[1], products[2])) {
      byStep[step.layout.name, default: Moments()].add(dot / (squares.0 * squares.1).squareRoot())
    }
  }
}

/// The accuracy without two neighbouring steps.
final class DroppedPairs: Measure {
  private var sums: [Int: ScoreSum] = [:]

  func plans(for network: ResidualNetwork) throws -> [Plan] {
    try (1..<network.architecture.steps.count).map { try network.plan.dropping(steps: [$0, $0 + 1]) }
  }

  func observe(plan: Int, _ reading: LabelledReading) { sums[plan, default: ScoreSum()].add(reading) }

  /// By the number of the first of the two steps.
  var accuracies: [Int: Double] { sums.reduce(into: [:]) { $0[$1.key + 1] = $1.value.score.accuracy } }
}

/// The examples of the README and the articles, as they stand there.
@Suite struct DocumentationTests {
  private let scratch: Scratch
  private let weights: URL
  private let source = "synthetic"

  init() throws {
    scratch = try Scratch()
    weights = scratch.file("weights.safetensors")
    try ResidualNetwork(.named("resnet-14"), seed: 0).save(to: weights)
  }

  /// In place of the standard one: what the examples print.
  private func print(_ items: Any...) { printed.count += 1 }
  private let printed = Count()
  private final class Count { var count = 0 }

  @Test("Every Swift example of the README and the articles stands in this file")
  func examples() throws {
    let articles = Checkout.root.appending(path: "Sources/IterativeInference/IterativeInference.docc")
    let files =
      try FileManager.default.contentsOfDirectory(atPath: articles.path).filter { $0.hasSuffix(".md") }
      .map { articles.appending(path: $0) } + [Checkout.root.appending(path: "README.md")]
    func trimmed(_ text: String) -> String {
      text.split(separator: "\n").map { line in
        let code = line.firstRange(of: "          //").map { line[..<$0.lowerBound] } ?? line
        return code.trimmingCharacters(in: .whitespaces)
      }.filter { !$0.isEmpty && !$0.hasPrefix("import ") }.joined(separator: "\n")
    }
    let code = trimmed(try String(contentsOf: URL(filePath: #filePath), encoding: .utf8))
    var blocks = 0
    for file in files {
      let text = try String(contentsOf: file, encoding: .utf8)
      for part in text.components(separatedBy: "```swift\n").dropFirst() {
        let block = trimmed(part.components(separatedBy: "```")[0])
        blocks += 1
        #expect(code.contains(block), "\(file.lastPathComponent): \(block)")
      }
    }
    #expect(blocks >= 14)
  }

  @Test("The README's example")
  func readme() throws {
    let network = try ResidualNetwork(contentsOf: weights)
    let data = try ImageDataset.load(source)
    let samples = try Samples(data.validation, count: 100, maker: BatchMaker(statistics: data.statistics))

    let cosine = CosineLoss()
    try measure([cosine], on: network, samples)
    for step in cosine.backpropagated { print(step.name.step, step.mean) }

    let without = try network.plan.dropping(step: 3)
    let batch = try samples.maker.batch(data.validation, 0..<100)
    let logits = try network.logits(batch.images, plan: without)
    #expect(logits.shape == [100, 10] && printed.count == 6)
  }

  @Test("The examples of using measures")
  func using() throws {
    let network = try ResidualNetwork(contentsOf: weights)
    let data = try ImageDataset.load(source)
    let samples = try Samples(data.validation, count: 200, maker: BatchMaker(statistics: data.statistics))

    let images = try samples.maker.batch(data.validation, 0..<3).images
    let classes = [0, 1, 2]
    let batch = try LabelledBatch(images: images, classes: classes, indices: Array(0..<classes.count))
    try measure([L2Ratio()], on: network, [batch])
    #expect(throws: BatchError.self) { try LabelledBatch(images: images, classes: [1], indices: [0]) }

    let (cosine, ratio) = (CosineLoss(), L2Ratio())
    try measure([cosine, ratio], on: network, samples)
    for (angle, size) in zip(cosine.backpropagated, ratio.result) {
      print(angle.name.step, angle.mean, size.mean)
    }
    #expect(printed.count == 6)

    let firstOrder = FirstOrder()
    try measure([firstOrder], on: network, samples)
    for step in firstOrder.result { print(step.name.step, step.change.mean, step.term.mean, step.ratio ?? .nan) }
    #expect(printed.count == 8)

    let (intermediate, dropped) = (IntermediateScores(), DroppedStep(network.architecture))
    try measure([intermediate, dropped], on: network, samples)
    for step in intermediate.result { print(step.name.step, step.score.accuracy) }
    for step in dropped.result { print(step.name.step, dropped.baseline.accuracy - step.score.accuracy) }
    #expect(printed.count == 16)

    let borderline = try BorderlineGroups(network.architecture, margin: 0.1) { print($0.index, $0.margin, $0.turnedBy) }
    try measure([borderline], on: network, samples)
    for turn in borderline.turned { print(turn.name.step, turn.corrected, turn.broken, turn.count) }
    #expect(printed.count == 17 + borderline.turned[0].count)

    let unrolled = try UnrolledSteps(network.architecture, times: 20, ways: [.init(scale: 1), .init(scale: 0.1)])
    try measure([unrolled], on: network, samples)
    for step in unrolled.result(way: 1) { print(step.place, step.distance.mean, step.groups?.all.loss ?? .nan) }
    #expect(unrolled.result(way: 1).count == 22)

    let lesions = try LesionScores(network.architecture, .init(drops: [1, 2], shuffles: [1], seeds: 5))
    try measure([lesions], on: network, samples)
    for lesion in lesions.result.dropped { print(lesion.size, lesion.error.mean, lesion.error.std) }
    #expect(lesions.result.dropped.map(\.size) == [1, 2])

    let already = printed.count
    let fresh = try ResidualNetwork(.named("resnet-20").sharing([.statistics, .affine, .gamma], from: 1), seed: 0)
    let (activations, gradients) = (ActivationNorm(), GradientNorm(fresh.architecture))
    try measure([activations, gradients], on: fresh, samples, mode: .training)
    for step in activations.result?.steps ?? [] { print(step.name.path, step.mean) }
    print(gradients.result?.ratio?.mean ?? .nan)
    #expect(printed.count == already + 10 && gradients.result?.ratio != nil)

    let train = try Samples(data.train, count: 200, maker: samples.maker)
    let options = MeasureOptions(names: [.cosineLoss, .borderline, .unrolling])
    let suite = try MeasureSuite(network, options, train: train, validation: samples)
    let (measures, absent, _) = try suite.run { phase, done, count in print(phase.rawValue, done, count) }
    print(measures.unrolling?.trajectories.count ?? 0, absent.map(\.reason))
    #expect(measures.unrolling?.trajectories.count == 2)
  }

  @Test("The measures of the article are right")
  func adding() throws {
    let network = try network(twoStages)
    let samples = try samples(9, batch: 4)
    let alignment = Alignment()
    try measure([alignment, CosineLoss()], on: network, samples)
    for (name, angle) in alignment.byStep { print(name.step, angle.mean, angle.deviation) }
    #expect(printed.count == 3)
    let second = try #require(alignment.byStep.first { $0.key.step == 2 }).value
    var wanted: [Double] = []
    for index in 0..<9 {
      let sample = try SingleSample(network, samples, index)
      let h = try sample.run(network.plan.moves[..<1], sample.h0)
      let next = try sample.run(network.plan.moves[1..<2], h).doubles()
      wanted.append(cosine(zip(next, try h.doubles()).map { $0 - $1 }, try h.doubles()))
    }
    try expectEqual(second.statistic, wanted, within: 1e-10)

    let pairs = DroppedPairs()
    try measure([pairs], on: network, samples)
    #expect(pairs.accuracies.keys.sorted() == [1, 2, 3])
    let lesion = try network.plan.dropping(step: 2).dropping(step: 3)
    let right = try (0..<9).count { index in
      let sample = try SingleSample(network, samples, index)
      return try sample.isRight(sample.run(lesion.moves, sample.h0))
    }
    #expect(pairs.accuracies[2] == Double(right) / 9)
  }
}
