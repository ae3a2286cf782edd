import ResLensSupport
import ResLensResults

/// The structure of a residual network, as a value: everything else (parameter names and shapes, counts, the
/// network itself, its plans) follows from it. One that contradicts itself cannot be made.
///
/// The stem is one convolution or several, perhaps with BatchNorm, ReLU and a pooling. Blocks are of the kind that each
/// stage names, or the paper's (`PreActivation`). The head is BatchNorm and ReLU, which can be left out, average pooling and
/// a fully connected layer.
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

  /// The convolutions that make h_0 of the images, and what follows them.
  public struct Stem: Codable, Hashable, Sendable {
    /// The channels of h_0, which the stem's last convolution makes.
    public var width: Int
    /// True if BatchNorm and ReLU follow the convolution; nil for false.
    public var norm: Bool?
    /// False if the stem's convolutions have no biases; nil for true.
    public var bias: Bool?
    /// The edge of the convolutions' kernels, an odd number; nil for 3. Their padding is half of that.
    public var kernel: Int?
    /// The stem's stride; nil for 1.
    public var stride: Int?
    /// The channels of convolutions that come before the stem's own, each followed by BatchNorm and ReLU; nil for none. The
    /// first of all convolutions has the stride.
    public var before: [Int]?
    /// True if a maximum pooling of 3×3 windows follows, with stride 2 and padding 1; nil for false.
    public var pool: Bool?

    public init(
      width: Int, norm: Bool? = nil, bias: Bool? = nil, kernel: Int? = nil, stride: Int? = nil, before: [Int]? = nil,
      pool: Bool? = nil
    ) {
      (self.width, self.norm, self.bias) = (width, norm, bias)
      (self.kernel, self.stride, self.before, self.pool) = (kernel, stride, before, pool)
    }

    /// The edge of an image behind the stem, from that of the image before it.
    func edge(of image: Int) -> Int {
      let convolved = (image - 1) / (stride ?? 1) + 1
      return pool == true ? (convolved - 1) / 2 + 1 : convolved
    }
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
    /// The steps that run one block together; nil where none do.
    public var sharing: Sharing?
    /// The kind of the blocks by its name (`BlockKinds`); nil for the paper's, pre-activation.
    public var kind: String?
    /// The options of the blocks, which their kind reads; nil for none.
    public var options: BlockOptions?

    public init(
      width: Int, blocks: Int, entry: Entry, stride: Int? = nil, sharing: Sharing? = nil, kind: String? = nil,
      options: BlockOptions? = nil
    ) {
      self.width = width
      self.blocks = blocks
      self.entry = entry
      self.stride = stride
      self.sharing = sharing
      self.kind = kind
      self.options = options
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
    /// False if the head has no BatchNorm and ReLU before the pooling; nil for true.
    public var norm: Bool?

    public init(pooling: Int, norm: Bool? = nil) { (self.pooling, self.norm) = (pooling, norm) }
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

extension Architecture {
  /// The shape of one sample's h_0: channels, height, width.
  public var h0: [Int] { [stem.width, stem.edge(of: input.height), stem.edge(of: input.width)] }

  /// True if h enters a stage through a pooling; false if there is no such stage.
  public func pools(into stage: Int) -> Bool { stages.indices.contains(stage) && stages[stage].entry.isPooling }
}

extension Architecture.Entry {
  /// True if h is pooled on its way in.
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
    let kernel = stem.kernel ?? 3
    try require(kernel % 2 == 1 && (1...31).contains(kernel), "stem.kernel", "\(kernel) is not an odd number up to 31")
    try requireCount(stem.stride ?? 1, "stem.stride", upTo: 8)
    let before = stem.before ?? []
    try require(before.count <= 8, "stem.before", "there are \(before.count) convolutions, and at most 8 are possible")
    for (index, width) in before.enumerated() { try requireCount(width, "stem.before[\(index)]", upTo: 65536) }
    try require(!stages.isEmpty, "stages", "there are none")
    var (width, count) = (stem.width, 0)
    for (index, stage) in stages.enumerated() {
      let field = "stages[\(index)]"
      try requireCount(stage.width, field + ".width", upTo: 65536)
      try requireCount(stage.blocks, field + ".blocks", upTo: StepSpec.most)
      count += stage.blocks
      try require(count <= StepSpec.most, field + ".blocks", "the network has more than \(StepSpec.most) steps")
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
      try stage.options?.validate(field: field + ".options")
    }
    // The rest shows where the network is built.
    _ = try NetworkLayout.of(self)
  }
}
