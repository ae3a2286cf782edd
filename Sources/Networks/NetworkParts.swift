import ResLensSupport
import ResLensResults
import Synchronization
import ResLensTorch

/// The parts of a network, built in the order of the forward pass: with tensors in order to run, or without in order to be
/// counted.
struct NetworkParts {
  let stem: ConvolutionStem
  /// In order.
  let steps: [BuiltStep]
  let readout: ClassifierReadout
  let layout: NetworkLayout

  /// A step, and what it declared.
  struct BuiltStep {
    let step: any ResidualStep
    /// The running statistics of its normalisations, in the order of declaration.
    let statistics: [RunningStatistics]
    /// The paths of its trainable parameters, in the order of declaration.
    let trainable: [String]
  }

  /// - Parameters:
  ///   - architecture: one whose fields have been checked
  ///   - tensors: by path; nil for a network that cannot run
  /// - Throws: `ArchitectureError` if a part cannot be built; `ParameterError` if a tensor is missing.
  init(_ architecture: Architecture, tensors: [String: Tensor]?) throws {
    let store = ParameterStore(tensors)
    let image = architecture.input
    let stemScope = ParameterScope("", input: [image.channels, image.height, image.width], store, field: "stem")
    stem = try ConvolutionStem(stemScope, architecture.stem)
    var shape = stem.output
    var (steps, used): ([BuiltStep], [Declarations]) = ([], [stemScope.declarations])
    var options: [[String: BlockOptions.Value]] = []
    var isRectified = architecture.stem.norm == true
    for (index, stage) in architecture.stages.enumerated() {
      if stage.entry.isPooling {
        shape = [shape[0], shape[1] / 2, shape[2] / 2]
        guard shape.allSatisfy({ $0 >= 1 }) else {
          throw ArchitectureError(field: "stages[\(index)].entry", problem: "nothing is left of the image there")
        }
      }
      let kind = try stage.blockKind(field: "stages[\(index)].kind")
      let blocks = stage.sharing.map { $0.from + 1 } ?? stage.blocks
      for block in 0..<blocks {
        let context = BlockContext(
          stage, stage: index, block: block, uses: block < blocks - 1 ? 1 : stage.blocks - block, input: shape,
          number: steps.count + 1, isRectified: isRectified, store)
        let made = try Self.build(kind, context)
        if block == 0 { options.append(context.options.found) }
        steps += zip(made, context.declarations).map {
          BuiltStep(step: $0, statistics: $1.statistics, trainable: $1.trainable)
        }
        used += context.declarations
        shape = made.last?.spec.output ?? shape
        guard steps.count <= StepSpec.most else {
          throw ArchitectureError(
            field: "stages[\(index)].blocks", problem: "the network has more than \(StepSpec.most) steps")
        }
      }
      isRectified = isRectified && steps.last?.step.isRectified == true
    }
    // Counts stay far from what an Int holds; no machine trains a network of this size.
    guard used.reduce(0.0, { $0 + Double($1.macs) }) < 1e18 else {
      throw ArchitectureError(field: "stages", problem: "the network needs over 10¹⁸ multiplications an image")
    }
    let side = min(shape[1], shape[2])
    guard (1...side).contains(architecture.head.pooling) else {
      throw ArchitectureError(
        field: "head.pooling", problem: "\(architecture.head.pooling) is not between 1 and \(side)")
    }
    let readoutScope = ParameterScope("", input: shape, store, field: "head")
    readout = try ClassifierReadout(readoutScope, architecture.head, classes: architecture.classes)
    used.append(readoutScope.declarations)
    self.steps = steps
    layout = NetworkLayout(
      steps: steps.map(\.step.spec), blockOptions: options, features: shape, parameters: store.specifications,
      gradientParts: used.reduce(into: [:]) { parts, part in
        for path in part.trainable { parts[path, default: 0] += 1 }
      }, multiplyAccumulates: used.reduce(0) { $0 + $1.macs },
      readoutMultiplyAccumulates: readoutScope.declarations.macs, keptElements: used.reduce(0) { $0 + $1.keptElements })
  }

  private static func build(_ kind: any Block.Type, _ context: BlockContext) throws -> [any ResidualStep] {
    let made: [any ResidualStep]
    do {
      made = try kind.init(context).steps
    } catch let error where !(error is ArchitectureError || error is ParameterError) {
      throw context.refusal(of: "kind", "\(error)")
    }
    try context.options.checkAllRead(by: kind.kind)
    guard !made.isEmpty, made.count == context.declarations.count else {
      throw context.refusal(
        of: "kind", "a block of kind \(kind.kind) has \(made.count) steps and made \(context.declarations.count)")
    }
    if let step = made.first(where: { $0.spec.output[0] != context.width }) {
      throw context.refusal(
        of: "width", "\(step.spec.id.path) makes \(step.spec.output[0]) channels where the stage has \(context.width)")
    }
    return made
  }
}

extension Architecture.Stage {
  /// The kind of the stage's blocks.
  fileprivate func blockKind(field: String) throws(ArchitectureError) -> any Block.Type {
    guard let kind else { return PreActivation.self }
    if let found = BlockKinds.named(kind) { return found }
    throw ArchitectureError(
      field: field,
      problem:
        "there is no kind of blocks \"\(kind.printable())\"\(didYouMean(kind, among: BlockKinds.names)); known are "
        + BlockKinds.names.joined(separator: ", ")
    )
  }
}

/// The steps and parameters that follow from an architecture, found by building its network without tensors.
struct NetworkLayout: Sendable {
  let steps: [StepSpec]
  /// The options of each stage's blocks, those that the stage does not set with their default values.
  let blockOptions: [[String: BlockOptions.Value]]
  /// The shape of one sample's last h: channels, height, width.
  let features: [Int]
  let parameters: [ParameterSpecification]
  let gradientParts: [String: Int]
  let multiplyAccumulates: Int
  /// The readout's part of `multiplyAccumulates`.
  let readoutMultiplyAccumulates: Int
  /// About how many numbers of one sample the forward pass keeps for the backward pass.
  let keptElements: Double

  /// Layouts by architecture. Every one follows from its architecture alone, as a kind that is registered stays.
  private static let known = Mutex<(layouts: [Architecture: NetworkLayout], steps: Int)>(([:], 0))
  /// How many steps are remembered at most: those of one network of the largest size.
  private static let mostSteps = 2 * StepSpec.most

  /// - Parameter architecture: one whose fields have been checked
  static func of(_ architecture: Architecture) throws(ArchitectureError) -> NetworkLayout {
    if let layout = known.withLock({ $0.layouts[architecture] }) { return layout }
    let layout: NetworkLayout
    do {
      layout = try NetworkParts(architecture, tensors: nil).layout
    } catch let error as ArchitectureError {
      throw error
    } catch {
      throw ArchitectureError(field: "stages", problem: "\(error)")
    }
    known.withLock { known in
      if known.steps + layout.steps.count > mostSteps { known = ([:], 0) }
      if known.layouts.updateValue(layout, forKey: architecture) == nil { known.steps += layout.steps.count }
    }
    return layout
  }
}
