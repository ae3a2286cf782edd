import ResLensNetworks
import ResLensSupport
import ResLensTorch
import TestSupport
import Testing

@Suite struct RemovedStepsTests {
  /// The removable steps of an architecture that can go together: all but the last of each stage.
  private func going(_ network: ResidualNetwork) throws -> [Int] {
    var left = Dictionary(grouping: network.architecture.steps, by: \.stage).mapValues(\.count)
    return try network.removableSteps.filter { number in
      let stage = network.architecture.steps[number - 1].stage
      guard let count = left[stage], count > 1 else { return false }
      left[stage] = count - 1
      return true
    }
  }

  private static let all = smallArchitectures + smallHeArchitectures

  @Test("A network without a step gives the logits of the plan that drops it, to the bit", arguments: all)
  func logits(architecture: Architecture) throws {
    let (network, images, _) = try prepared(architecture, type: .float64)
    let going = try going(network)
    for steps in going.map({ [$0] }) + [going] where !steps.isEmpty {
      let plan = try network.plan.dropping(steps: steps)
      let smaller = try network.removingDroppedSteps(of: plan, named: "smaller")
      #expect(try smaller.logits(images).doubles() == network.logits(images, plan: plan).doubles(), "\(steps)")
      #expect(smaller.architecture.steps.count == architecture.steps.count - steps.count)
      let macs = architecture.steps.filter { steps.contains($0.id.number) }.reduce(0) { $0 + $1.macs }
      #expect(smaller.architecture.multiplyAccumulates == architecture.multiplyAccumulates - macs)
    }
  }

  @Test(
    "Statistics that were taken anew are the smaller network's own, and each step of a shared block keeps its own",
    arguments: all)
  func statistics(architecture: Architecture) throws {
    let (network, images, _) = try prepared(architecture, type: .float64)
    let step = try #require(going(network).first)
    let plan = try network.plan.dropping(step: step).recalibrating(behind: step, as: 7)
    #expect(throws: PlanError.self) { try network.logits(images, plan: plan) }
    let recalibrated = try network.recalibrated(for: [plan], batches: 1) { _ in images }
    let wanted = try recalibrated.logits(images, plan: plan).doubles()
    let smaller = try recalibrated.removingDroppedSteps(of: plan, named: "smaller")
    #expect(try smaller.logits(images).doubles() == wanted)
    #expect(try network.logits(images, plan: network.plan.dropping(step: step)).doubles() != wanted)
  }

  @Test("The readout's statistics are taken anew from the state that it reads by the plan")
  func readout() throws {
    let architecture = smallArchitectures[0]
    let (network, images, _) = try prepared(architecture, type: .float64)
    let step = try #require(try network.removableSteps.last)
    let plan = try network.plan.dropping(step: step).recalibrating(behind: step, as: 1)
    let halves = try [images.rows(0..<3), images.rows(3..<6)]
    let smaller = try network.recalibrated(for: [plan], batches: 2) { halves[$0] }
      .removingDroppedSteps(of: plan, named: "smaller")
    // The plan has no step behind the dropped one, so that h by trained statistics is what the readout reads.
    #expect(step == architecture.steps.count)
    let states = try halves.map { half in
      try network.run(network.plan.dropping(step: step), on: network.begin(half)).doubles()
    }
    let (channels, pixels) = (architecture.features[0], architecture.features[1] * architecture.features[2])
    for channel in 0..<channels {
      var (mean, variance) = (0.0, 0.0)
      for state in states {
        let own = state.indices.filter { $0 / pixels % channels == channel }.map { state[$0] }
        let average = own.reduce(0, +) / Double(own.count)
        mean += average / 2
        variance += own.reduce(0) { $0 + ($1 - average) * ($1 - average) } / Double(own.count - 1) / 2
      }
      #expect(abs(try #require(smaller.parameters["head.norm.running_mean"]).doubles()[channel] - mean) < 1e-12)
      #expect(abs(try #require(smaller.parameters["head.norm.running_var"]).doubles()[channel] - variance) < 1e-12)
    }
  }

  @Test("A network keeps the statistics that were taken before, and takes only those that it lacks")
  func twice() throws {
    let (network, images, _) = try prepared(smallArchitectures[0], type: .float64)
    let steps = try network.removableSteps
    let first = try network.plan.dropping(step: steps[0]).recalibrating(behind: steps[0], as: 1)
    let second = try first.dropping(step: steps[1]).recalibrating(behind: steps[1], as: 2)
    let once = try network.recalibrated(for: [first], batches: 1) { _ in images }
    let wanted = try once.logits(images, plan: first).doubles()
    // Other images would give other statistics.
    let other = try images.scaled(by: 3)
    let both = try once.recalibrated(for: [first, second], batches: 1) { _ in other }
    #expect(try both.logits(images, plan: first).doubles() == wanted)
    #expect(throws: PlanError.self) { try once.logits(images, plan: second) }
    let alone = try once.recalibrated(for: [second], batches: 1) { _ in other }
    #expect(try both.logits(images, plan: second).doubles() == alone.logits(images, plan: second).doubles())
    let otherwise = try once.recalibrated(for: [second], batches: 1) { _ in images }
    #expect(try both.logits(images, plan: second).doubles() != otherwise.logits(images, plan: second).doubles())
  }

  @Test("The normalisation of a dropped step's projection is recalibrated too")
  func projection() throws {
    let architecture = try Architecture(
      name: "he", input: .init(height: 4, width: 4), classes: 2, stem: .init(width: 4, norm: true),
      stages: [
        .init(width: 4, blocks: 2, entry: .none, kind: "post-activation"),
        .init(width: 6, blocks: 2, entry: .projection, stride: 2, kind: "post-activation"),
      ], head: .init(pooling: 2, norm: false))
    let (network, images, _) = try prepared(architecture, type: .float64)
    let plan = try network.plan.dropping(steps: [2, 3]).recalibrating(behind: 2, as: 1)
    let recalibrated = try network.recalibrated(for: [plan], batches: 1) { _ in images }
    let found = try recalibrated.run(Plan(moves: Array(plan.moves.prefix(3))), on: network.begin(images)).doubles()
    // By hand: the projection's convolution, normalised by the mean and the unbiased variance of its own output.
    let h = try recalibrated.run(Plan(moves: Array(plan.moves.prefix(2))), on: network.begin(images))
    let path = "stages.1.0.projection"
    let convolved = try Convolution.forward(
      h, weight: network.parameters.required(path + ".weight"), bias: nil, stride: 2, padding: 0
    ).doubles()
    let gamma = try network.parameters.required(path + ".norm.weight").doubles()
    let beta = try network.parameters.required(path + ".norm.bias").doubles()
    for channel in 0..<6 {
      let own = convolved.indices.filter { $0 / 4 % 6 == channel }
      let mean = own.reduce(0) { $0 + convolved[$1] } / Double(own.count)
      let variance = own.reduce(0) { $0 + (convolved[$1] - mean) * (convolved[$1] - mean) } / Double(own.count - 1)
      for index in own {
        let normed = (convolved[index] - mean) / (variance + 1e-5).squareRoot() * gamma[channel] + beta[channel]
        #expect(abs(found[index] - max(0, normed)) < 1e-12)
      }
    }
  }

  @Test("Uses that shared statistics have tensors of their own in the smaller network")
  func ownTensors() throws {
    let architecture = try Architecture(
      name: "shared", input: .init(height: 4, width: 4), classes: 2, stem: .init(width: 4),
      stages: [.init(width: 4, blocks: 5, entry: .none, sharing: .init(from: 0))], head: .init(pooling: 4))
    let (network, images, _) = try prepared(architecture, type: .float64)
    let plan = try network.plan.dropping(step: 4).recalibrating(behind: 4, as: 1)
    let recalibrated = try network.recalibrated(for: [plan], batches: 1) { _ in images }
    let smaller = try recalibrated.removingDroppedSteps(of: plan, named: "smaller")
    let means = try (0..<4).map { try smaller.parameters.required("stages.0.0.uses.\($0).norm1.running_mean") }
    #expect(try means.prefix(3).allSatisfy { try $0.doubles() == means[0].doubles() })
    #expect(try means[3].doubles() != means[0].doubles())
    for first in 0..<4 { for second in (first + 1)..<4 { #expect(means[first] !== means[second]) } }
    #expect(try smaller.logits(images).doubles() == recalibrated.logits(images, plan: plan).doubles())
  }

  @Test("Plans that do more than dropping removable steps are refused, and stages without steps")
  func refusals() throws {
    let architecture = try Architecture(
      name: "two", input: .init(height: 4, width: 4), classes: 2, stem: .init(width: 4),
      stages: [
        .init(width: 4, blocks: 2, entry: .none), .init(width: 6, blocks: 2, entry: .projection, stride: 1),
      ], head: .init(pooling: 4))
    let network = try ResidualNetwork(architecture, seed: 0)
    #expect(try network.removableSteps == [1, 2, 4])
    func problem(_ plan: Plan) -> String? {
      do {
        _ = try network.removingDroppedSteps(of: plan, named: "x")
        return nil
      } catch { return "\(error)" }
    }
    let plan = network.plan
    #expect(try problem(plan.dropping(step: 3))?.contains("it drops step 3") == true)
    #expect(try problem(plan.dropping(steps: [1, 2]))?.contains("no step in stage 0") == true)
    #expect(try problem(plan.scaling(step: 1, by: 0.5))?.contains("it scales step 1 by 0.5") == true)
    #expect(try problem(plan.exchanging(step: 1, with: 2))?.contains("more than dropping") == true)
    #expect(try problem(plan.unrolling(step: 4, times: 1, scale: 1))?.contains("more than dropping") == true)
    #expect(try problem(plan.dropping(step: 1)) == nil)
  }

  @Test("The first step behind a stem without a ReLU is not removable if it ends in one")
  func rectified() throws {
    func removable(_ stem: Architecture.Stem) throws -> [Int] {
      let architecture = try Architecture(
        name: "he", input: .init(height: 4, width: 4), classes: 2, stem: stem,
        stages: [.init(width: 4, blocks: 3, entry: .none, kind: "post-activation")],
        head: .init(pooling: 4, norm: false))
      return try ResidualNetwork(architecture, seed: 0).removableSteps
    }
    #expect(try removable(.init(width: 4, norm: true)) == [1, 2, 3])
    #expect(try removable(.init(width: 4)) == [2, 3])
  }
}
