import Foundation
import ResLensSupport

extension Architecture {
  /// The names that `named(_:classes:)` knows besides `resnet-N`, the paper's four first (§4).
  public static let paperNames = ["resnet-110", "single-representation", "avg-pooling", "wide"]

  /// An architecture by its name: one of the paper's, or `resnet-N` for any N = 6k + 2; with `-shared` behind it, and
  /// `+statistics`, `+affine`, `+gamma` for parts of unshared batch normalization, or `-ubn` for all of them; and `@F` for
  /// the block from which a stage shares (`sharing(_:from:)`).
  /// - Throws: `ArchitectureError` with what there is instead.
  public static func named(_ name: String, classes: Int = 10) throws(ArchitectureError) -> Architecture {
    let parsed = try SharedName(name)
    return try parsed.one(of: unshared(parsed.base, classes: classes))
  }

  /// The architectures of a name: one, or the eight of Fig. 9 for `NAME-ablation`.
  /// - Throws: as `named(_:classes:)`.
  public static func list(named name: String, classes: Int = 10) throws(ArchitectureError) -> [Architecture] {
    let parsed = try SharedName(name)
    return try parsed.all(of: unshared(parsed.base, classes: classes))
  }

  /// Why networks cannot stand side by side, each with a folder and a curve of its name; nil where they can.
  public static func namingProblem(of all: [Architecture]) -> String? {
    for (index, architecture) in all.enumerated() {
      let name = architecture.name
      if all[..<index].contains(where: { $0.name == name }) {
        return "\(name) occurs twice: every network needs a name of its own"
      }
      if name.contains("/") || name.hasPrefix(".") {
        return "\"\(name)\" cannot be the name of a folder: give the network another one in its file"
      }
    }
    return nil
  }

  /// The name of the architecture that this one is a shared form of, by its name; its own where it is none.
  public var baseName: String { (try? SharedName(name).base) ?? name }

  /// The names that `name` can be a misspelling of. A ResNet is among them if `name` has a number.
  private static func similar(to name: String) -> [String] {
    let layers = name.split { !"0123456789".contains($0) }.first.map { ["resnet-\($0)"] } ?? []
    let bases = paperNames + ["max-pooling"] + layers
    return bases + ["shared", "ubn", "ablation"].flatMap { suffix in bases.map { "\($0)-\(suffix)" } }
  }

  static func unshared(_ name: String, classes: Int) throws(ArchitectureError) -> Architecture {
    let architecture: Architecture
    switch name {
    case "single-representation":
      architecture = try Architecture(
        name: name, classes: classes, stem: Stem(width: 100), stages: [Stage(width: 100, blocks: 10, entry: .none)])
    case "avg-pooling", "max-pooling":
      let pooling = name == "avg-pooling" ? Entry.averagePooling : .maximumPooling
      architecture = try Architecture(
        name: name, classes: classes, stem: Stem(width: 150),
        stages: [
          Stage(width: 150, blocks: 10, entry: .none), Stage(width: 150, blocks: 10, entry: pooling),
          Stage(width: 150, blocks: 10, entry: pooling),
        ])
    case "wide":
      architecture = try Architecture(
        name: name, classes: classes, stem: Stem(width: 16),
        stages: [
          Stage(width: 160, blocks: 4, entry: .projection, stride: 1),
          Stage(width: 320, blocks: 5, entry: .projection, stride: 2),
          Stage(width: 640, blocks: 5, entry: .projection, stride: 2),
        ])
    default:
      architecture = try resnet(name, classes: classes)
    }
    return architecture
  }

  private static func resnet(_ name: String, classes: Int) throws(ArchitectureError) -> Architecture {
    let known =
      "known are \((paperNames + ["max-pooling"]).joined(separator: ", ")) and resnet-N, each also with -shared "
      + "or -ubn behind it, or a YAML file"
    guard name.hasPrefix("resnet-"), let layers = Int(name.dropFirst(7)) else {
      throw ArchitectureError(
        field: "model",
        problem: "there is none named \"\(name)\"\(didYouMean(name, among: similar(to: name))); \(known)")
    }
    let blocks = (min(max(layers, 8), 6002) - 2) / 6
    guard layers == 6 * blocks + 2 else {
      throw ArchitectureError(
        field: "model",
        problem: "resnet-\(layers) cannot be: N is 6k + 2 for 1 to 1000 blocks in each of three stages, such as "
          + "resnet-\(6 * blocks + 2)")
    }
    return try Architecture(
      name: name, classes: classes, stem: Stem(width: 16),
      stages: [
        Stage(width: 16, blocks: blocks, entry: .none),
        Stage(width: 32, blocks: blocks, entry: .projection, stride: 2),
        Stage(width: 64, blocks: blocks, entry: .projection, stride: 2),
      ])
  }
}

/// `BASE[-shared[+part…]|-ubn|-ablation][@F]`, taken apart. Of a file's name only what stands behind `.yaml` says how to
/// share.
struct SharedName {
  private enum Variant {
    case none, ablation
    case sharing(Set<Architecture.SharingPart>)
  }

  private let name: String
  private(set) var base: String
  private var variant = Variant.none
  private var from: Int?

  /// The architectures that are meant, `architecture` being that of the base.
  func all(of architecture: Architecture) throws(ArchitectureError) -> [Architecture] {
    switch variant {
    case .none: [architecture]
    case .sharing(let parts): [try architecture.sharing(parts, from: from)]
    case .ablation: try architecture.sharingAblation(from: from)
    }
  }

  /// The single architecture that the name stands for.
  func one(of architecture: Architecture) throws(ArchitectureError) -> Architecture {
    if case .ablation = variant {
      throw ArchitectureError(
        field: "model", problem: "\"\(name)\" is a list of eight models, and one is needed here, such as \(base)-ubn")
    }
    return try all(of: architecture)[0]
  }

  init(_ name: String) throws(ArchitectureError) {
    self.name = name
    let file = [".yaml", ".yml"].compactMap { name.range(of: $0, options: .backwards)?.upperBound }.max()
    if file == nil, Architecture.isFile(name) {
      base = name
      return
    }
    let path = file.map { String(name[..<$0]) } ?? ""
    let name = String(name[(file ?? name.startIndex)...])
    func wrong(_ problem: String) -> ArchitectureError {
      ArchitectureError(field: "model", problem: "\"\(name)\": \(problem)")
    }
    let sides = name.split(separator: "@", maxSplits: 1, omittingEmptySubsequences: false)
    let words = sides[0].split(separator: "+", omittingEmptySubsequences: false)
    base = path + words[0]
    var parts: Set<Architecture.SharingPart> = []
    for word in words.dropFirst() {
      guard let part = Architecture.SharingPart(rawValue: String(word)) else {
        let known = Architecture.SharingPart.allCases.map { "+\($0.rawValue)" }.joined(separator: ", ")
        throw wrong("there is no part \"\(word)\" of unshared batch normalization; there are \(known)")
      }
      parts.insert(part)
    }
    for (suffix, named) in [
      ("-shared", Variant.sharing(parts)), ("-ubn", .sharing(Set(Architecture.SharingPart.allCases))),
      ("-ablation", .ablation),
    ] where base.hasSuffix(suffix) {
      base.removeLast(suffix.count)
      variant = named
      if suffix != "-shared" && words.count > 1 { throw wrong("+\(words[1]) goes with -shared") }
      break
    }
    if case .none = variant, words.count + sides.count > 2 {
      throw wrong("it needs -shared, -ubn or -ablation before \(words.count > 1 ? "+\(words[1])" : "@\(sides[1])")")
    }
    if sides.count > 1 {
      guard let block = Int(sides[1]) else { throw wrong("\"\(sides[1])\" is not the number of a block") }
      from = block
    }
  }
}
