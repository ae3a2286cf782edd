import Foundation
import ImageDatasets
import IterativeInference
import ResidualNetworks
import TestSupport
import Testing

@Suite struct ReadmeTests {
  @Test("The README's library example compiles and runs")
  func libraryExample() throws {
    let scratch = try Scratch()
    let weights = scratch.file("weights.safetensors")
    try ResidualNetwork(.named("resnet-8"), seed: 0).save(to: weights)
    let source = "synthetic"

    let network = try ResidualNetwork(contentsOf: weights)
    let data = try ImageDataset.load(source)
    let samples = Samples(data.validation, count: 100, maker: BatchMaker(statistics: data.statistics))

    let cosine = CosineLoss()
    try measure([cosine], on: network, samples)
    for step in cosine.backpropagated { #expect(abs(step.mean) <= 1 && step.count == 100) }
    #expect(cosine.backpropagated.count == 3)

    let without = network.plan.dropping(step: 3)
    let batch = try samples.maker.batch(data.validation, 0..<100)
    let logits = try network.logits(batch.images, plan: without)
    #expect(logits.shape == [100, 10])
  }
}
