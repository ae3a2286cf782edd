import Foundation
import ImageDatasets
import IterativeInference
import ResidualNetworks
import Results
import TestSupport
import Testing
import Torch

@Suite struct SuiteTests {
  /// Remembers which readings it saw.
  private final class Witness: Measure {
    var seen: [ObjectIdentifier] = []
    var kept: [StepReading] = []
    func observe(_ step: StepReading) throws {
      seen.append(ObjectIdentifier(step))
      kept.append(step)
    }
  }

  @Test("However many measures there are, all look at the same readings, one a step and batch")
  func onePass() throws {
    let network = try network(pooled)
    let (first, last) = (Witness(), Witness())
    let all: [any Measure] = [
      first, CosineLoss(), L2Ratio(), FirstOrder(), IntermediateScores(), try BorderlineGroups(pooled),
      DroppedStep(pooled), try UnrolledSteps(pooled, times: 2, ways: [.init(scale: 1)]), try LesionScores(pooled), last,
    ]
    try measure(all, on: network, samples(10, batch: 4, of: pooled))
    #expect(first.seen == last.seen && Set(first.seen).count == 3 * 6)
  }

  @Test("No more tensors live after many batches than after one")
  func memory() throws {
    let network = try network(pooled)
    let options = MeasureOptions(names: Set(MeasureName.allCases))
    let samples = try samples(40, batch: 4, of: pooled)
    let suite = try MeasureSuite(network, options, train: samples, validation: samples)
    var alive: [MeasureSuite.Phase: Set<Int>] = [:]
    _ = try suite.run { phase, _, _ in alive[phase, default: []].insert(Libtorch.liveTensors) }
    #expect(alive.count == 3 && alive.values.allSatisfy { $0.count == 1 })
  }

  @Test("The suite gives what each measure gives alone, and the train and validation sets are not mixed up")
  func together() throws {
    let network = try network(pooled)
    let (train, validation) = try (samples(20, batch: 8, of: pooled), samples(12, batch: 8, of: pooled, seed: 7))
    var options = MeasureOptions(names: Set(MeasureName.allCases))
    options.unrolling.scale = .given(0.5)
    options.unrolling.times = 3
    options.lastSteps = 2
    let (found, absent, score) = try MeasureSuite(network, options, train: train, validation: validation).run()
    for (samples, isTrain) in [(train, true), (validation, false)] {
      func own<Value>(_ split: BySplit<Value>?) throws -> Value {
        let split = try #require(split)
        return isTrain ? split.train : split.validation
      }
      let (cosine, ratio, order) = (CosineLoss(), L2Ratio(), FirstOrder())
      try measure([cosine], on: network, samples)
      try measure([ratio], on: network, samples)
      try measure([order], on: network, samples)
      #expect(try own(found.cosineLoss?.backpropagated) == cosine.backpropagated)
      #expect(try own(found.cosineLoss?.plugged) == cosine.plugged)
      #expect(try own(found.l2Ratio) == ratio.result)
      #expect(try own(found.firstOrder) == order.result)
      let borderline = try BorderlineGroups(pooled, lastSteps: 2)
      try measure([borderline], on: network, samples)
      #expect(try own(found.borderline?.states) == borderline.states)
      let unrolled = try UnrolledSteps(pooled, times: 3, ways: [.init(scale: 1), .init(scale: 0.5)])
      try measure([unrolled], on: network, samples)
      for way in 0..<2 { #expect(try own(found.unrolling?.trajectories[way].steps) == unrolled.result(way: way)) }
    }
    let lesions = try LesionScores(pooled, options.lesions)
    try measure([lesions], on: network, validation)
    #expect(found.lesions == lesions.result)
    #expect(score.score == found.droppedStep?.baseline.validation)
    #expect(found.unrolling?.tried == nil && found.borderline?.reference == 4)
    #expect(Set(absent.map(\.measure)) == ["cosine-loss.plugged", "first-order", "intermediate"])
    #expect(absent.allSatisfy { $0.steps == [1, 3] })
  }

  @Test(
    "Several processes find what one does, to the bit, and list the same borderline examples",
    .enabled(if: ProcessGroup.isPossible, "this build has no Gloo: install libgloo-dev and build again"),
    arguments: [(2, MeasureMode.evaluation), (3, .evaluation), (2, .training)])
  func processes(size: Int, mode: MeasureMode) throws {
    @Sendable func found(by group: ProcessGroup?) throws -> [String] {
      let network = try network(pooled)
      // Five batches, the last of them a part of one; and fewer than there are processes.
      let (train, validation) = try (samples(33, batch: 8, of: pooled), samples(12, batch: 8, of: pooled, seed: 7))
      var options = MeasureOptions(names: mode == .training ? MeasureName.inTrainingMode : Set(MeasureName.allCases))
      options.mode = mode
      options.unrolling.scale = .chosen(from: [0.5, 0.1])
      options.unrolling.times = 3
      options.lesions.samples = 9
      var listed: [String] = []
      let (measures, _, score) = try MeasureSuite(
        network, options, train: train, validation: validation, by: group,
        listBorderline: mode == .training ? nil : { listed.append("\($0) \($1)") }
      ).run()
      let encoder = JSONEncoder()
      encoder.outputFormatting = .sortedKeys
      return try [String(decoding: encoder.encode(measures), as: UTF8.self), "\(score)"] + listed
    }
    let one = try found(by: nil)
    let all = try asProcesses(size) { try found(by: $0) }
    #expect(all.count == size)
    for other in all { #expect(other == one) }
  }

  /// Asks for something else whenever it is asked anew.
  private final class Fickle: Measure {
    private let vectors: Int
    init(vectors: Int) { self.vectors = vectors }
    func observe(_ step: StepReading) throws {
      _ = try step.numbers { _ in Array(repeating: [.nan], count: vectors) }
      if vectors == 2 { _ = try step.products() }
    }
  }

  @Test(
    "Measures that do not ask the same in every process are an error, whichever asks for more",
    .enabled(if: ProcessGroup.isPossible, "this build has no Gloo: install libgloo-dev and build again"),
    arguments: [1, 2])
  func unlikeMeasures(told: Int) throws {
    #expect(throws: UnlikeMeasures.self) {
      _ = try asProcesses(1) { group in
        let measures = { isTold in [Fickle(vectors: isTold ? told : 3 - told)] }
        _ = try measure(measures, all: { $0 }, on: network(pooled), samples(4, batch: 4, of: pooled), by: group)
        return 0
      }
    }
  }

  @Test("What cannot exist is absent with a reason")
  func absences() throws {
    let single = try Architecture(
      name: "steps", input: .init(channels: 1, height: 2, width: 2), classes: 2, stem: .init(width: 2),
      stages: [
        .init(width: 2, blocks: 1, entry: .none), .init(width: 3, blocks: 1, entry: .projection, stride: 1),
      ], head: .init(pooling: 2))
    let samples = try samples(6, batch: 3)
    let suite = try MeasureSuite(
      network(single), MeasureOptions(names: Set(MeasureName.allCases)), train: samples, validation: samples)
    let (found, absent, _) = try suite.run()
    #expect(found.borderline == nil && found.unrolling == nil)
    #expect(found.lesions?.shuffled.isEmpty == true && found.lesions?.dropped.map(\.size) == [1])
    for name in ["borderline", "unrolling", "lesions.swapped", "lesions.shuffled", "first-order"] {
      #expect(absent.contains { $0.measure == name && !$0.reason.isEmpty }, "\(name)")
    }
    let everywhere = try MeasureSuite(
      network(tiny), MeasureOptions(names: Set(MeasureName.allCases)), train: samples, validation: samples)
    // One stage has all but a ratio of two stages' gradients.
    #expect(try everywhere.run().absent.map(\.measure) == ["gradient-norm.ratio"])
  }

  @Test("What cannot be is refused before any work")
  func misuse() throws {
    let samples = try samples(6, batch: 3)
    func refused(_ change: (inout MeasureOptions) -> Void) throws -> String? {
      var options = MeasureOptions(names: Set(MeasureName.allCases))
      change(&options)
      do {
        _ = try MeasureSuite(network(twoStages), options, train: samples, validation: samples)
        return nil
      } catch let error as MeasureError {
        return error.option
      }
    }
    #expect(try refused { _ in } == nil)
    #expect(try refused { $0.margin = 2 } == "margin")
    #expect(try refused { ($0.names, $0.margin) = ([.l2Ratio], .nan) } == "margin")
    #expect(try refused { $0.unrolling.scale = .chosen(from: [0.1, 0.1]) } == "scale-grid")
    #expect(try refused { $0.lastSteps = 9 } == "last-steps")
    #expect(try refused { $0.unrolling.step = 3 } == "unroll-step")
    #expect(try refused { $0.unrolling.scale = .given(.nan) } == "scale")
    #expect(try refused { $0.unrolling.scale = .chosen(from: [0.1, .infinity]) } == "scale")
    #expect(try refused { $0.unrolling.scale = .chosen(from: []) } == "scale-grid")
    #expect(try refused { $0.unrolling.recalibrationBatches = 1 } == "recalibrate")
    #expect(try refused { $0.lesions.drops = [9] } == "lesion-drops")
  }

  @Test("A plan that the network cannot run is refused before any work")
  func impossiblePlan() throws {
    final class Wrong: Measure {
      func plans(for network: ResidualNetwork) throws -> [Plan] { [try network.plan.exchanging(step: 1, with: 3)] }
    }
    #expect(throws: PlanError.self) { try measure([Wrong()], on: network(twoStages), samples(3, batch: 3)) }
    final class Elsewhere: Measure {
      let make: (Plan) throws -> Trajectory
      init(_ make: @escaping (Plan) throws -> Trajectory) { self.make = make }
      func trajectories(for network: ResidualNetwork) throws -> [Trajectory] { [try make(network.plan)] }
    }
    for (make, words) in [
      ({ Trajectory(try $0.dropping(step: 1), from: 2) }, "before step 2"), ({ Trajectory($0, from: 9) }, "no step 9"),
      ({ Trajectory(try $0.unrolling(step: 2, times: 1, scale: 1, firstStatistics: 5), from: 2) }, "statistics 5"),
    ] as [((Plan) throws -> Trajectory, String)] {
      #expect {
        try measure([Elsewhere(make)], on: network(twoStages), samples(3, batch: 3))
      } throws: { error in error is PlanError && "\(error)".contains(words) }
    }
  }
}
