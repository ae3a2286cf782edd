import ResLensSupport

/// The name of one step of a network.
public struct StepID: Codable, Hashable, Sendable {
  /// Counted from 1 through the whole network, as in the paper.
  public var number: Int
  /// The step's block as a checkpoint calls it, and which of the block's steps it is where several share the block:
  /// "stages.2.5", "stages.2.5.uses.3".
  public var path: String

  public init(number: Int, path: String) { (self.number, self.path) = (number, path) }
}

/// The description of one step of a network: its name, its place and what it does to the shape of h.
public struct StepSpec: Codable, Hashable, Sendable {
  /// The step's name.
  public var id: StepID
  /// The stage, counted from 0.
  public var stage: Int
  /// The block's index in its stage, counted from 0.
  public var block: Int
  /// The number of the use of its block, counted from 0; 0 where the block is its own.
  public var use: Int
  /// The shape of one sample's h before the step, after the pooling where the stage begins with one: channels, height,
  /// width.
  public var input: [Int]
  /// The shape of one sample's h after the step.
  public var output: [Int]
  /// Multiply-accumulates of the step for one sample.
  public var macs: Int
  /// True if the skip is the identity. Where it is not (a projection), h may change its shape, and gradients are those
  /// with respect to what the skip makes.
  public var hasIdentitySkip: Bool

  /// The largest number of steps that a network may have.
  public static let most = 10_000

  public init(
    id: StepID, stage: Int, block: Int, use: Int = 0, input: [Int], output: [Int], macs: Int, hasIdentitySkip: Bool
  ) {
    self.id = id
    self.stage = stage
    self.block = block
    self.use = use
    self.input = input
    self.output = output
    self.macs = macs
    self.hasIdentitySkip = hasIdentitySkip
  }

  enum CodingKeys: String, CodingKey {
    case step, path, stage, block, use, input, output, macs
    case hasIdentitySkip = "identity-skip"
  }

  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    func number(_ key: CodingKeys) throws -> Int { try values.decode(Int.self, forKey: key) }
    self.init(
      id: StepID(number: try number(.step), path: try values.decode(String.self, forKey: .path)),
      stage: try number(.stage), block: try number(.block), use: try number(.use),
      input: try values.decode([Int].self, forKey: .input), output: try values.decode([Int].self, forKey: .output),
      macs: try number(.macs), hasIdentitySkip: try values.decode(Bool.self, forKey: .hasIdentitySkip))
    try decoder.require((1...Self.most).contains(id.number), "step \(id.number) is not between 1 and \(Self.most)")
    for value in [stage, block, use] {
      try decoder.require(
        (0..<id.number).contains(value), "a stage, block or use of \(value) is not possible at step \(id.number)")
    }
  }

  public func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encode(id.number, forKey: .step)
    try values.encode(id.path, forKey: .path)
    try values.encode(stage, forKey: .stage)
    try values.encode(block, forKey: .block)
    try values.encode(use, forKey: .use)
    try values.encode(input, forKey: .input)
    try values.encode(output, forKey: .output)
    try values.encode(macs, forKey: .macs)
    try values.encode(hasIdentitySkip, forKey: .hasIdentitySkip)
  }
}
