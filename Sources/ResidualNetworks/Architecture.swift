import Host
import Results

/// The structure of a residual network, as a value: everything else (parameter names and shapes, counts, the
/// network itself, its plans) follows from it. One that contradicts itself cannot be made.
///
/// Stem: 3×3 convolution. Blocks: BatchNorm, ReLU, 3×3 convolution, twice. Head: BatchNorm, ReLU, average pooling,
/// fully connected. Every convolution has a bias.
public struct Architecture: Codable, Hashable, Sendable {
  /// The name on the command line and in messages; `name` in a file.
  public package(set) var name: String
  /// The shape of the images.
  public package(set) var input: Input
  /// Classes that the head tells apart; at least 2.
  public package(set) var classes: Int
  /// The layer that makes h_0 from the images.
  public package(set) var stem: Stem
  /// In the order in which h goes through them; at least one.
  public package(set) var stages: [Stage]
  /// The layers that make logits from the last h.
  public package(set) var head: Head

  /// The images: channels × height × width.
  public struct Input: Codable, Hashable, Sendable {
    /// The channels of an image; 3 for red, green and blue.
    public var channels = 3
    /// In pixels.
    public var height = 32
    /// In pixels.
    public var width = 32

    public init(channels: Int = 3, height: Int = 32, width: Int = 32) {
      self.channels = channels
      self.height = height
      self.width = width
    }
  }

  /// The 3×3 convolution that makes h_0 of the images.
  public struct Stem: Codable, Hashable, Sendable {
    /// Channels that the first convolution makes.
    public var width: Int

    public init(width: Int) { self.width = width }
  }

  /// Steps that work on one shape of h.
  public struct Stage: Codable, Hashable, Sendable {
    /// Channels.
    public var width: Int
    /// Residual steps. Each has a block of its own, save where `sharing` says otherwise.
    public var blocks: Int
    /// How h gets this stage's shape.
    public var entry: Entry
    /// The stride of the entry's projection and of its block's first convolution; nil for other entries.
    public var stride: Int?
    /// Which steps run one block together; nil where none do.
    public var sharing: Sharing?

    public init(width: Int, blocks: Int, entry: Entry, stride: Int? = nil, sharing: Sharing? = nil) {
      self.width = width
      self.blocks = blocks
      self.entry = entry
      self.stride = stride
      self.sharing = sharing
    }
  }

  /// How h gets the shape of a stage.
  public enum Entry: String, Codable, Hashable, Sendable, CaseIterable {
    /// As it comes.
    case none
    /// Through a 1×1 convolution in the first block, in place of the identity.
    case projection
    /// 2×2, before the first block.
    case averagePooling = "average-pooling"
    /// 2×2, the largest of each window, before the first block.
    case maximumPooling = "max-pooling"
  }

  /// BatchNorm, ReLU, average pooling and a fully connected layer.
  public struct Head: Codable, Hashable, Sendable {
    /// The side of the average pooling's windows.
    public var pooling: Int

    public init(pooling: Int) { self.pooling = pooling }
  }

  /// - Throws: `ArchitectureError` at the first field that cannot be or that contradicts another.
  public init(
    name: String, input: Input = Input(), classes: Int = 10, stem: Stem, stages: [Stage], head: Head = Head(pooling: 8)
  ) throws(ArchitectureError) {
    self.name = name
    self.input = input
    self.classes = classes
    self.stem = stem
    self.stages = stages
    self.head = head
    try validate()
  }
}

/// Channels, height and width of h.
public struct Shape: Hashable, Sendable, CustomStringConvertible {
  /// Maps of h.
  public var channels: Int
  /// Rows of a map.
  public var height: Int
  /// Columns of a map.
  public var width: Int

  public init(channels: Int, height: Int, width: Int) {
    self.channels = channels
    self.height = height
    self.width = width
  }

  public var description: String { "\(channels)×\(height)×\(width)" }
}

/// One residual step of an architecture.
public struct StepLayout: Hashable, Sendable {
  /// Which step it is.
  public var name: StepName
  /// The block's input; after the pooling where the stage enters through one.
  public var input: Shape
  /// The shape of h after the step.
  public var output: Shape
  /// The stride of the block's first convolution, and of its projection where it has one.
  public var stride: Int
  /// The sharing among the block's steps; nil where the block belongs to this step alone.
  public var sharing: Architecture.Sharing?
}

extension Architecture {
  /// The steps in order.
  public var steps: [StepLayout] {
    var steps: [StepLayout] = []
    var shape = Shape(channels: stem.width, height: input.height, width: input.width)
    for (index, stage) in stages.enumerated() {
      if stage.entry.isPooling {
        shape.height /= 2
        shape.width /= 2
      }
      for place in 0..<stage.blocks {
        let projection = stage.entry == .projection && place == 0
        let shared = stage.sharing.flatMap { place >= $0.from ? $0 : nil }
        let block = shared?.from ?? place
        let stride = projection ? stage.stride ?? 1 : 1
        let output = Shape(
          channels: stage.width, height: (shape.height + stride - 1) / stride,
          width: (shape.width + stride - 1) / stride)
        steps.append(
          StepLayout(
            name: StepName(
              step: steps.count + 1, stage: index, block: block, use: place - block, projection: projection),
            input: shape, output: output, stride: stride, sharing: shared))
        shape = output
      }
    }
    return steps
  }

  /// The shape of the last h, which the head reads.
  public var features: Shape {
    steps.last?.output ?? Shape(channels: stem.width, height: input.height, width: input.width)
  }

  /// Whether h enters a stage through a pooling; not where there is no such stage.
  func pools(into stage: Int) -> Bool { stages.indices.contains(stage) && stages[stage].entry.isPooling }

  /// Numbers that the head's fully connected layer reads.
  public var headInputs: Int { features.channels * (features.height / head.pooling) * (features.width / head.pooling) }
}

extension Architecture.Entry {
  /// Whether h is pooled on its way in.
  public var isPooling: Bool { self == .averagePooling || self == .maximumPooling }
}

/// A contradiction in an architecture: the field and the reason.
public struct ArchitectureError: Error, CustomStringConvertible, Equatable {
  /// As in the architecture's file, for instance "stages[1].width".
  public var field: String
  /// Why it cannot be.
  public var problem: String
  public var description: String { "\(field): \(problem)" }
}

extension Architecture {
  /// No machine trains a network of more steps.
  static let mostSteps = 10_000

  /// - Throws: `ArchitectureError` at the first field that cannot be or that contradicts another.
  package func validate() throws(ArchitectureError) {
    func require(_ condition: Bool, _ field: String, _ problem: @autoclosure () -> String) throws(ArchitectureError) {
      if !condition { throw ArchitectureError(field: field, problem: problem()) }
    }
    func requireCount(_ value: Int, _ field: String, upTo limit: Int) throws(ArchitectureError) {
      try require(value >= 1 && value <= limit, field, "\(value) is not between 1 and \(limit)")
    }
    try require(!name.isEmpty, "name", "it is empty")
    try require(name.utf8.count <= 200, "name", "it has more than 200 bytes")
    try require(name.printable() == name && !name.contains(where: \.isNewline), "name", "it holds a control character")
    try requireCount(input.channels, "input.channels", upTo: 1024)
    try requireCount(input.height, "input.height", upTo: 4096)
    try requireCount(input.width, "input.width", upTo: 4096)
    try require(classes >= 2 && classes <= 100_000, "classes", "\(classes) is not between 2 and 100000")
    try requireCount(stem.width, "stem.width", upTo: 65536)
    try require(!stages.isEmpty, "stages", "there are none")
    var (width, count) = (stem.width, 0)
    for (index, stage) in stages.enumerated() {
      let field = "stages[\(index)]"
      try requireCount(stage.width, field + ".width", upTo: 65536)
      try requireCount(stage.blocks, field + ".blocks", upTo: Self.mostSteps)
      count += stage.blocks
      try require(count <= Self.mostSteps, field + ".blocks", "the network has more than \(Self.mostSteps) steps")
      if stage.entry == .projection {
        try requireCount(stage.stride ?? 0, field + ".stride", upTo: 8)
      } else {
        try require(
          stage.stride == nil, field + ".stride",
          "only an entry by projection has a stride, this one is \(stage.entry.rawValue)")
        try require(
          stage.width == width, field + ".width",
          "\(width) channels become \(stage.width), which needs \"entry: projection\"")
      }
      width = stage.width
      try stage.sharing?.validate(for: stage, field: field + ".sharing")
    }
    for step in steps {
      try require(
        step.output.height >= 1 && step.output.width >= 1, "stages[\(step.name.stage)].entry",
        "nothing is left of the image there")
    }
    // Counts stay far from what an Int holds; no machine trains a network of this size.
    let weights = steps.reduce(0.0) {
      $0 + 18 * Double($1.output.channels) * Double(max($1.input.channels, $1.output.channels))
    }
    let pixels = Double(input.height) * Double(input.width)
    try require(weights * pixels < 1e18, "stages", "the network needs over 10¹⁸ multiplications an image")
    try requireCount(head.pooling, "head.pooling", upTo: min(features.height, features.width))
  }
}
