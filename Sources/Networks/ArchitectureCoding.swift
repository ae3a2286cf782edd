import ResLensSupport
import Foundation

// Fields that a user may leave out of an architecture's YAML.

extension Architecture {
  enum CodingKeys: String, CodingKey { case name, input, classes, stem, stages, head }

  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    name = try values.decode(String.self, forKey: .name)
    input = try values.decodeIfPresent(Input.self, forKey: .input) ?? Input()
    classes = try values.decodeIfPresent(Int.self, forKey: .classes) ?? 10
    stem = try values.decode(Stem.self, forKey: .stem)
    stages = try values.decode([Stage].self, forKey: .stages)
    head = try values.decodeIfPresent(Head.self, forKey: .head) ?? Head(pooling: 8)
    do {
      try validate()
    } catch {
      throw DecodingError.dataCorrupted(
        .init(codingPath: decoder.codingPath + [AnyKey(error.field)], debugDescription: error.problem))
    }
  }

  /// An architecture by its name, or from a YAML file where `nameOrPath` looks like one; behind either, `-shared` and so on
  /// share its blocks (`named(_:classes:)`).
  /// - Parameter classes: replaces the file's number of classes where it is given
  /// - Throws: `ArchitectureError` for a name, `FileError` naming file and field for a file.
  public static func find(_ nameOrPath: String, classes: Int? = nil) throws -> Architecture {
    let parsed = try SharedName(nameOrPath)
    return try parsed.one(of: base(parsed.base, classes: classes))
  }

  /// The architectures of a name or file: one, or the eight of Fig. 9 where `-ablation` stands behind it.
  /// - Throws: as `find`.
  public static func findAll(_ nameOrPath: String, classes: Int? = nil) throws -> [Architecture] {
    let parsed = try SharedName(nameOrPath)
    return try parsed.all(of: base(parsed.base, classes: classes))
  }

  private static func base(_ nameOrPath: String, classes: Int?) throws -> Architecture {
    isFile(nameOrPath) ? try read(nameOrPath, classes: classes) : try unshared(nameOrPath, classes: classes ?? 10)
  }

  /// True if `find` takes this for a file and not for a name.
  public static func isFile(_ text: String) -> Bool {
    text.contains(".yaml") || text.contains(".yml") || text.contains("/")
  }

  private static func read(_ path: String, classes: Int?) throws -> Architecture {
    var architecture = try YAML.read(Architecture.self, from: URL(filePath: path))
    if let classes { architecture.classes = classes }
    try architecture.validate()
    return architecture
  }
}

extension Architecture.Input {
  enum CodingKeys: String, CodingKey { case channels, height, width }

  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    channels = try values.decodeIfPresent(Int.self, forKey: .channels) ?? 3
    height = try values.decodeIfPresent(Int.self, forKey: .height) ?? 32
    width = try values.decodeIfPresent(Int.self, forKey: .width) ?? 32
  }
}

extension Architecture.Stage {
  enum CodingKeys: String, CodingKey { case width, blocks, entry, stride, sharing, kind, options }

  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    width = try values.decode(Int.self, forKey: .width)
    blocks = try values.decode(Int.self, forKey: .blocks)
    entry =
      try values.decodeIfPresent(String.self, forKey: .entry).map { try values.named($0, forKey: .entry) } ?? .none
    let stride = try values.decodeIfPresent(Int.self, forKey: .stride)
    self.stride = stride ?? (entry == .projection ? 2 : nil)
    sharing = try values.decodeIfPresent(Architecture.Sharing.self, forKey: .sharing)
    kind = try values.decodeIfPresent(String.self, forKey: .kind)
    options = try values.decodeIfPresent(BlockOptions.self, forKey: .options)
  }
}

extension Architecture.Sharing {
  enum CodingKeys: String, CodingKey {
    case from
    case unsharedStatistics = "unshared-statistics"
    case unsharedAffine = "unshared-affine"
    case initialGamma = "initial-gamma"
  }

  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    from = try values.decode(Int.self, forKey: .from)
    unsharedStatistics = try values.decodeIfPresent(Bool.self, forKey: .unsharedStatistics) ?? false
    unsharedAffine = try values.decodeIfPresent(Bool.self, forKey: .unsharedAffine) ?? false
    initialGamma = try values.decodeIfPresent(Double.self, forKey: .initialGamma) ?? 1
  }
}
