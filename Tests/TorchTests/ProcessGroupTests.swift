import Foundation
import TestSupport
import Testing
import ResLensTorch

@Suite(.enabled(if: ProcessGroup.isPossible, "this build has no Gloo: install libgloo-dev and build again"))
struct ProcessGroupTests {
  @Test("Sums, first ones and gathered bytes of three")
  func exchanges() throws {
    let found = try asProcesses(3) { group in
      let tensor = try Tensor([Double(group.rank), 1], shape: [2])
      let other = try Tensor([10 * Double(group.rank)], shape: [1])
      try group.sum([tensor, other])
      let first = try Tensor([Double(group.rank) + 7], shape: [1])
      try group.broadcast([first])
      let gathered = try group.gather([UInt8](repeating: UInt8(group.rank), count: group.rank))
      return (
        sums: try tensor.doubles() + other.doubles(), first: try first.doubles(), gathered: gathered,
        any: [try group.any(group.rank == 2), try group.any(false)], share: group.share(of: 5..<13)
      )
    }
    for one in found {
      #expect(one.sums == [3, 3, 30] && one.first == [7] && one.any == [true, false])
      #expect(one.gathered == [[], [1], [2, 2]])
    }
    #expect(found.map(\.share) == [5..<7, 7..<10, 10..<13])
  }

  /// The results, gradients and running statistics of a normalisation of one batch.
  private struct Found: Sendable {
    var output: [Double]
    var gradient: [Double]
    var parameters: [Double]
    var running: [Double]
  }

  private static let (samples, channels, side) = (6, 3, 4)

  /// The samples of `range` of a batch, normalised by the statistics of the batch that `group` shares.
  private static func normalise(_ range: Range<Int>, _ type: ElementType, over group: ProcessGroup?) throws -> Found {
    let count = channels * side * side
    func part(_ seed: UInt64) throws -> Tensor {
      let all = noise(samples * count, seed: seed)
      let own = Array(all[(range.lowerBound * count)..<(range.upperBound * count)])
      return try Tensor(own, shape: [range.count, channels, side, side]).converted(to: type)
    }
    func channel(_ seed: UInt64) throws -> Tensor {
      try Tensor(noise(channels, seed: seed, from: 0.5, to: 1.5), shape: [channels]).converted(to: type)
    }
    let parameters = NormReLU.Parameters(
      weight: try channel(3), bias: try channel(4), runningMean: try channel(5), runningVariance: try channel(6),
      epsilon: 1e-5)
    let x = try part(1)
    let there = try NormReLU.forward(x, parameters, by: .batchUpdating(momentum: 0.3, over: group))
    let back = try NormReLU.backward(part(2), input: x, parameters, statistics: there.statistics)
    let (weight, bias) = (try #require(back.weight), try #require(back.bias))
    try group?.sum([weight, bias])
    return Found(
      output: try there.output.doubles(), gradient: try back.input.doubles(),
      parameters: try weight.doubles() + bias.doubles(),
      running: try parameters.runningMean.doubles() + parameters.runningVariance.doubles())
  }

  @Test(
    "A batch in unequal parts is normalised, forward and back, as in one piece: by kernels and by libtorch",
    arguments: [ElementType.float32, .float64])
  func synchronised(type: ElementType) throws {
    let whole = try Self.normalise(0..<Self.samples, type, over: nil)
    let parts = try asProcesses(2) { group in try Self.normalise(group.rank == 0 ? 0..<2 : 2..<6, type, over: group) }
    let bound = type == .float32 ? 1e-5 : 1e-12
    func near(_ a: [Double], _ b: [Double], _ name: String) {
      let distance = largestDistance(a, b)
      #expect(distance < bound, "\(name): \(distance)")
    }
    near(parts.flatMap(\.output), whole.output, "output")
    near(parts.flatMap(\.gradient), whole.gradient, "gradient")
    for part in parts {
      near(part.parameters, whole.parameters, "γ and β")
      near(part.running, whole.running, "running statistics")
    }
    // Parts that are normalised each by itself are something else.
    let apart = try Self.normalise(0..<2, type, over: nil)
    #expect(zip(apart.output, whole.output).contains { abs($0 - $1) > 0.01 })
  }
}
