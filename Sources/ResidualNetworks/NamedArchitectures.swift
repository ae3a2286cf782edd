extension Architecture {
  /// The names that `named(_:classes:)` knows besides `resnet-N`, the paper's four first (§4).
  public static let paperNames = ["resnet-110", "single-representation", "avg-pooling", "wide"]

  /// An architecture by its name: one of the paper's, or `resnet-N` for any N = 6k + 2.
  /// - Throws: `ArchitectureError` with what there is instead.
  public static func named(_ name: String, classes: Int = 10) throws(ArchitectureError) -> Architecture {
    let architecture: Architecture
    switch name {
    case "single-representation":
      architecture = Architecture(
        name: name, classes: classes, stem: Stem(width: 100), stages: [Stage(width: 100, blocks: 10, entry: .none)])
    case "avg-pooling", "max-pooling":
      let pooling = name == "avg-pooling" ? Entry.averagePooling : .maximumPooling
      architecture = Architecture(
        name: name, classes: classes, stem: Stem(width: 150),
        stages: [
          Stage(width: 150, blocks: 10, entry: .none), Stage(width: 150, blocks: 10, entry: pooling),
          Stage(width: 150, blocks: 10, entry: pooling),
        ])
    case "wide":
      architecture = Architecture(
        name: name, classes: classes, stem: Stem(width: 16),
        stages: [
          Stage(width: 160, blocks: 4, entry: .projection, stride: 1),
          Stage(width: 320, blocks: 5, entry: .projection, stride: 2),
          Stage(width: 640, blocks: 5, entry: .projection, stride: 2),
        ])
    default:
      architecture = try resnet(name, classes: classes)
    }
    try architecture.validate()
    return architecture
  }

  private static func resnet(_ name: String, classes: Int) throws(ArchitectureError) -> Architecture {
    let known = "known are \((paperNames + ["max-pooling"]).joined(separator: ", ")) and resnet-N, or a YAML file"
    guard name.hasPrefix("resnet-"), let layers = Int(name.dropFirst(7)) else {
      throw ArchitectureError(field: "model", problem: "there is none named \"\(name)\"; \(known)")
    }
    let blocks = (min(max(layers, 8), 6002) - 2) / 6
    guard layers == 6 * blocks + 2 else {
      throw ArchitectureError(
        field: "model",
        problem: "resnet-\(layers) cannot be: N is 6k + 2 for 1 to 1000 blocks in each of three stages, such as "
          + "resnet-\(6 * blocks + 2)")
    }
    return Architecture(
      name: name, classes: classes, stem: Stem(width: 16),
      stages: [
        Stage(width: 16, blocks: blocks, entry: .none),
        Stage(width: 32, blocks: blocks, entry: .projection, stride: 2),
        Stage(width: 64, blocks: blocks, entry: .projection, stride: 2),
      ])
  }
}
