import Foundation
import ResLensTasks
import ResLensMeasures
import ResLensNetworks
import ResLensResults
import TestSupport
import Testing
import ResLensTorch

/// ‖h_t‖ / ‖h_{t−1}‖: how much larger a step makes the hidden state.
final class Growth: Measure {
  private var sums = StepMoments()

  init() {}
  init?(_ context: MeasureContext) {}

  func rows(of step: StepView) throws -> [[Double]]? {
    // A projection makes a state of another size.
    step.spec.hasIdentitySkip ? [try step.outputSquares(), try step.inputSquares()] : nil
  }

  func add(_ rows: [[Double]], of step: PlanStep, _ batch: LabelledBatch) {
    sums[step.spec.id.number].add(ratios: rows[0], to: rows[1])
  }

  func tables() throws -> [Table] { [try Table("growth", sums.statistics)] }

  static let description = MeasureDescription(
    name: "growth",
    views: [
      MeasureView(
        id: "growth", table: "growth", title: "Growth: does a step make the hidden state larger?",
        definition: "<b>‖h<sub>t</sub>‖ / ‖h<sub>t−1</sub>‖</b>, for each sample, then averaged over samples.",
        figures: [StepFigure(name: "growth", title: "Growth", quantities: [Quantity("‖h‖ after / before")])],
        columns: ViewColumn.statistic())
    ],
    columns: [StepColumn(table: "growth")], use: .init(whileTraining: true))
}

/// The accuracy without two neighbouring steps.
final class DroppedPairs: Measure {
  private var sums: [Int: ScoreSum] = [:]

  init() {}
  init?(_ context: MeasureContext) {}

  func plans(for network: ResidualNetwork) throws -> [Plan] {
    try (1..<network.architecture.steps.count).map { try network.plan.dropping(steps: [$0, $0 + 1]) }
  }

  func add(_ predictions: LabelledPredictions, ofPlan plan: Int) { sums[plan, default: ScoreSum()].add(predictions) }

  /// A row for each pair, by the number of its first step.
  func tables() throws -> [Table] {
    let plans = sums.sorted { $0.key < $1.key }
    return [try Table("dropped-pairs", plans.map { StepScore(step: $0.key + 1, $0.value.score) })]
  }

  static let description = MeasureDescription(name: "dropped-pairs", views: [])
}

/// The score without two neighbouring steps.
struct PairRow: TableRow {
  var first: Int
  var second: Int
  var score: Score

  static let keys = ["first", "second"]
  static let units = Score.units
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

  @Test("Every Swift example of the articles stands in this file")
  func examples() throws {
    func trimmed(_ text: String) -> String {
      text.split(separator: "\n").map { line in
        let code = line.firstRange(of: "          //").map { line[..<$0.lowerBound] } ?? line
        return code.trimmingCharacters(in: .whitespaces)
      }.filter { !$0.isEmpty && !$0.hasPrefix("import ") }.joined(separator: "\n")
    }
    func blocks(_ file: URL) throws -> [String] {
      try String(contentsOf: file, encoding: .utf8).components(separatedBy: "```swift\n").dropFirst()
        .map { $0.components(separatedBy: "```")[0] }
    }
    let code = trimmed(try String(contentsOf: URL(filePath: #filePath), encoding: .utf8))
    let articles = Checkout.root.appending(path: "Sources/Measures/Measures.docc")
    var count = 0
    for name in try FileManager.default.contentsOfDirectory(atPath: articles.path) where name.hasSuffix(".md") {
      for block in try blocks(articles.appending(path: name)) {
        count += 1
        #expect(code.contains(trimmed(block)), "\(name): \(block)")
      }
    }
    #expect(count >= 17)
  }

  @Test("The first example: a measure, and a plan of one's own")
  func first() throws {
    let network = try ResidualNetwork(contentsOf: weights)
    let data = try ImageDataset.load(source)
    let samples = try Samples(data.validation, count: 100, maker: BatchMaker(statistics: data.statistics))

    let cosine = CosineLoss()
    try measure([cosine], on: network, samples)
    print(try cosine.tables()[0].csv)

    let without = try network.plan.dropping(step: 3)
    let batch = try samples.maker.batch(data.validation, 0..<100)
    let logits = try network.logits(batch.images, plan: without)
    #expect(logits.shape == [100, 10] && printed.count == 1)
    // Six steps, of which the readout reads the two of the last stage.
    #expect(try cosine.tables()[0].rows.count == 6 + 2)
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

    let norms = ActivationNorm()
    try measure([norms], on: network, samples)
    let table = try norms.tables()[0]
    for row in try table.rows(of: StepStatistic.self) { print(row.step, row.mean, row.statistic.std) }
    print(try table.numbers("mean"), table.csv)
    #expect(printed.count == 8)

    let (cosine, ratio) = (CosineLoss(), L2Ratio())
    try measure([cosine, ratio], on: network, samples)
    let angles = try cosine.tables()[0].selecting(["gradient": "backpropagated"]).rows(of: StepStatistic.self)
    let sizes = try ratio.tables()[0].rows(of: StepStatistic.self)
    for (angle, size) in zip(angles, sizes) { print(angle.step, angle.mean, size.mean) }
    #expect(printed.count == 14)

    let firstOrder = FirstOrder()
    try measure([firstOrder], on: network, samples)
    for row in try firstOrder.tables()[0].rows(of: FirstOrder.Row.self) {
      print(row.step, row.change, row.term, row.ratio ?? .nan)
    }
    #expect(printed.count == 16)

    let (intermediate, dropped) = (IntermediateScores(), DroppedStep(network.architecture))
    try measure([intermediate, dropped], on: network, samples)
    for row in try intermediate.tables()[0].rows(of: StepScore.self) { print(row.step, row.score.accuracy) }
    for row in try dropped.tables()[0].rows(of: DroppedStep.Row.self) {
      print(row.step, row.score.accuracy, row.becameRight, row.becameWrong)
    }
    #expect(printed.count == 24)

    let borderline = try BorderlineGroups(network.architecture, margin: 0.1) { print($0.index, $0.flippedBy) }
    try measure([borderline], on: network, samples)
    for row in try borderline.tables()[1].rows(of: BorderlineGroups.Flips.self) {
      print(row.step, row.corrected, row.broken, row.count)
    }
    #expect(try printed.count == 25 + Int(#require(borderline.tables()[1].presentNumbers("count").first)))

    let unrolled = try UnrolledSteps(network.architecture, times: 20, ways: [.init(scale: 1), .init(scale: 0.1)])
    try measure([unrolled], on: network, samples)
    let scaled = try unrolled.tables()[0].selecting(["way": "scaled"])
    print(try scaled.pivoted(by: "group", values: ["loss"]).csv)
    // Two steps of the last stage, and the added ones.
    #expect(try scaled.pivoted(by: "group", values: ["loss"]).rows.count == 22)

    let lesions = try LesionScores(network.architecture, .init(drops: [1, 2], shuffles: [1], seeds: 5))
    try measure([lesions], on: network, samples)
    for table in try lesions.tables() where table.name == "lesions-random" {
      for row in try table.rows(of: LesionScores.RandomRow.self) { print(row.kind, row.size, row.error, row.errorStd) }
    }
    let random = try lesions.rows(of: LesionScores.RandomRow.self, in: "lesions-random")
    #expect(random.map(\.draws) == [5, 5, 5])

    let relations = printed.count
    let (influence, alignment, agreement) = (Influence(), Alignment(), Agreement())
    try measure([influence, alignment, agreement], on: network, samples)
    for table in try influence.tables() + alignment.tables() { print(table.name, try table.numbers("mean")) }
    for row in try agreement.tables()[0].rows(of: Agreement.Row.self) { print(row.step, row.divergence, row.first) }
    #expect(printed.count == relations + 3 + 2)

    let already = printed.count
    let fresh = try ResidualNetwork(.named("resnet-20").sharing([.statistics, .affine, .gamma], from: 1), seed: 0)
    let (activations, gradients) = (ActivationNorm(), GradientNorm(fresh.architecture))
    try measure([activations, gradients], on: fresh, samples, batchNorm: .batch)
    for row in try activations.tables()[0].rows(of: StepStatistic.self) { print(row.step, row.mean) }
    for table in try gradients.tables() { print(table.name, try table.numbers("mean")) }
    #expect(printed.count == already + 10 + 2)

    let initial = try ResidualNetwork(network.architecture, seed: 0)
    let exits = IntermediateScores()
    try measure([exits], on: initial, samples, lens: ReadoutLens(network))
    print(try exits.tables()[0].csv)
    #expect(try exits.tables()[0].rows.count == 2)

    let shown = printed.count
    let fitting = try LensFitting(network, .init(.linear), on: Samples(data.train, count: 200, maker: samples.maker))
    let lens = try fitting.fitted()
    let everywhere = IntermediateScores()
    try measure([everywhere], on: network, samples, lens: lens)
    for row in try everywhere.tables()[0].rows(of: StepScore.self) { print(row.step, row.score.accuracy) }
    #expect(printed.count == shown + network.architecture.steps.count)

    let train = try Samples(data.train, count: 200, maker: samples.maker)
    let options = MeasureOptions(names: ["cosine-loss", "borderline", "unrolling"])
    let suite = try MeasureSuite(network, options, train: train, validation: samples)
    let found = try suite.run { phase, done, count in print(phase.rawValue, done, count) }
    for table in found.tables { print(table.name, table.rows.count, table.parameters) }
    print(found.absent.map(\.reason))
    #expect(Set(found.tables.map(\.measure)) == options.names)
  }

  @Test("The measures of the article are right")
  func adding() throws {
    let network = try network(twoStages)
    let samples = try samples(9, batch: 4)
    let growth = Growth()
    try measure([growth, CosineLoss()], on: network, samples)
    for row in try growth.tables()[0].rows(of: StepStatistic.self) { print(row.step, row.mean, row.statistic.std) }
    #expect(printed.count == 3)
    // Step 3 has the projection.
    let steps = try growth.steps()
    #expect(steps.map(\.step) == [1, 2, 4])
    for step in steps {
      var wanted: [Double] = []
      for index in 0..<9 {
        let sample = try SingleSample(network, samples, index)
        let h = try sample.run(network.plan.moves[..<(step.step - 1)], sample.h0)
        let next = try sample.run(network.plan.moves[(step.step - 1)..<step.step], h).doubles()
        wanted.append(norm(next) / norm(try h.doubles()))
      }
      try expectEqual(step.statistic, wanted, within: 1e-10)
    }

    let pairs = DroppedPairs()
    try measure([pairs], on: network, samples)
    let scores = try pairs.rows(of: StepScore.self)
    #expect(scores.map(\.step) == [1, 2, 3])
    for score in scores {
      let lesion = try network.plan.dropping(step: score.step).dropping(step: score.step + 1)
      var (right, losses) = ([Bool](), [Double]())
      for index in 0..<9 {
        let sample = try SingleSample(network, samples, index)
        let h = try sample.run(lesion.moves, sample.h0)
        right.append(try sample.isRight(h))
        losses.append(try sample.loss(h))
      }
      try expectEqual(score.score, right: right, losses: losses, within: 1e-12)
    }
    let table = try Table("pairs", scores.map { PairRow(first: $0.step, second: $0.step + 1, score: $0.score) })
    #expect(table.keys.map(\.name) == ["first", "second"] && table.rows.count == 3)
    #expect(try table.rows(of: PairRow.self).map(\.score) == scores.map(\.score))

    let already = printed.count
    var registry = Registry.standard
    registry.register(Growth.self)
    let options = MeasureOptions(names: ["growth", "l2-ratio"])
    let suite = try MeasureSuite(network, options, registry: registry, train: samples, validation: samples)
    for table in try suite.run().tables { print(table.csv) }
    #expect(printed.count == already + 2)
  }
}
