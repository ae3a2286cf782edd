import ResLensMeasures
import ResLensNetworks
import ResLensResults
import ResLensTasks
import ResLensTorch
import ResLensTraining
import TestSupport
import Testing

/// The classification of images whose classes are counted from the last to the first.
private struct MirroredClassification: LearningTask {
  private let task = ImageClassification()

  private func mirrored(_ labels: Tensor, in outputs: Tensor) throws -> Tensor {
    let last = (outputs.shape.last ?? 0) - 1
    let classes = try labels.doubles().map { Int64(last) - Int64($0) }
    return try Tensor(classes, shape: [classes.count])
  }

  func loss(_ outputs: Tensor, _ labels: Tensor, smoothing: Double, gradientScale: Double) throws -> BatchLoss {
    try task.loss(outputs, mirrored(labels, in: outputs), smoothing: smoothing, gradientScale: gradientScale)
  }

  func predictions(_ outputs: Tensor, _ labels: Tensor) throws -> Predictions {
    try task.predictions(outputs, mirrored(labels, in: outputs))
  }

  func outputGradient(_ outputs: Tensor, _ labels: Tensor, samplesAreIndependent: Bool) throws -> OutputGradient {
    try task.outputGradient(
      outputs, mirrored(labels, in: outputs), samplesAreIndependent: samplesAreIndependent)
  }
}

@Suite struct LearningTaskTests {
  private let dataset: ImageDataset
  /// The same images, with the classes that `MirroredClassification` makes of theirs.
  private let mirrored: ImageSet
  private let maker: BatchMaker
  private let network: ResidualNetwork

  init() throws {
    dataset = try Synthetic.dataset(train: 24, validation: 4)
    let set = dataset.train
    let side = set.images.shape[3]
    mirrored = try ImageSet(
      pixels: Array(set.images.bytes()), labels: set.labels.map { 9 - $0 }, channels: 3, height: side, width: side)
    maker = try BatchMaker(statistics: dataset.statistics)
    network = try ResidualNetwork(Architecture.find("resnet-14"), seed: 1)
  }

  @Test("A network is trained by the loss of the task that it is given")
  func training() throws {
    func trained(_ set: ImageSet, by task: any LearningTask) throws -> [String: [Double]] {
      let network = try ResidualNetwork(network.architecture, seed: 1)
      let recipe = try Recipe.find("quick", for: network.architecture)
      let trainer = try StepTrainer(network, recipe, maker: maker, task: task)
      for start in [0, 8, 16] { try trainer.step(on: set, Array(start..<(start + 8)), epoch: 0, rate: 0.1) }
      return try network.parameters.mapValues { try $0.doubles() }
    }
    let found = try trained(dataset.train, by: MirroredClassification())
    #expect(try found == trained(mirrored, by: ImageClassification()))
    #expect(try found != trained(dataset.train, by: ImageClassification()))
  }

  @Test("A network is scored and measured by the task that it is given")
  func measuring() throws {
    let mirrors = MirroredClassification()
    let scores = try [
      network.score(dataset.train, task: mirrors, maker: maker), network.score(mirrored, maker: maker),
      network.score(dataset.train, maker: maker),
    ]
    #expect(scores[0]?.loss == scores[1]?.loss && scores[0]?.loss != scores[2]?.loss)

    func tables(_ set: ImageSet, by task: any LearningTask, _ batchNorm: BatchNormStatistics) throws -> [Table] {
      let measures: [any Measure] = [CosineLoss(), GradientNorm(network.architecture)]
      let batch = try maker.batch(set, 0..<24)
      // Measures count right answers by the classes of the batch; these two look at gradients alone.
      let samples = [try LabelledBatch(images: batch.images, classes: set.labels, indices: batch.indices)]
      try measure(measures, on: network, samples, batchNorm: batchNorm, task: task)
      return try measures.flatMap { try $0.tables() }
    }
    for batchNorm in BatchNormStatistics.allCases {
      let found = try tables(dataset.train, by: mirrors, batchNorm)
      #expect(try found == tables(mirrored, by: ImageClassification(), batchNorm))
      #expect(try found != tables(dataset.train, by: ImageClassification(), batchNorm))
    }
  }
}
