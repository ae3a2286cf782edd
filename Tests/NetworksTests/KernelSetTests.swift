import ResLensNetworks
import TestSupport
import Testing
import ResLensTorch

@Suite(.serialized) struct KernelSetTests {
  /// The results of a forward and a backward pass: logits, gradients of parameters, updated statistics.
  private func outcome(
    _ architecture: Architecture, type: ElementType, mode: NormMode
  ) throws -> [(path: String, values: [Double])] {
    let (network, images, labels) = try prepared(architecture, type: type)
    let pass = try Pass(network, images: images, mode: mode)
    let gradients = Gradients()
    let reading = try Predictions(
      logits: pass.logits, labels: labels, gradientScale: 1 / Double(labels.shape[0]))
    try pass.backward(reading.requiredGradient(), into: gradients)
    var found = [("logits", try pass.logits.doubles())]
    for (path, gradient) in gradients.byPath { found.append(("∂" + path, try gradient.doubles())) }
    for (path, tensor) in network.parameters where path.contains("running") {
      found.append((path, try tensor.doubles()))
    }
    return found.sorted { $0.0 < $1.0 }
  }

  @Test(
    "On every kernel set a network's float32 pass, there and back, is the plain composition's in float64",
    arguments: KernelSet.all, smallArchitectures)
  func network(set: String, architecture: Architecture) throws {
    for mode in [NormMode.batchUpdating(), .batch, .running] {
      let plain = try outcome(architecture, type: .float64, mode: mode)
      let found = try KernelSet.using(set) { try outcome(architecture, type: .float32, mode: mode) }
      #expect(found.map(\.path) == plain.map(\.path))
      for (one, other) in zip(found, plain) {
        let largest = other.values.map(abs).max() ?? 0
        let apart = largestDistance(one.values, other.values)
        // Before a normalisation by the batch's statistics a bias has no gradient but what rounding leaves.
        #expect(apart <= 3e-4 * max(largest, 0.01), "\(one.path) of \(architecture.name), \(mode)")
      }
    }
  }
}
