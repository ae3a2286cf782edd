import ResLensSupport
import Synchronization

/// The kinds of blocks that stages can name, by name. Registering a kind does not change existing networks.
public enum BlockKinds {
  private static let own: [any Block.Type] = [
    PreActivation.self, PostActivation.self, Bottleneck.self, PreActivationBottleneck.self,
  ]
  private static let table = Mutex<[String: any Block.Type]>(
    Dictionary(uniqueKeysWithValues: own.map { ($0.kind, $0) }))

  /// Makes a kind known under its name. Registering it again does nothing.
  /// - Throws: `ArgumentError` if its name is not possible (`Block.kind`), or if another kind has it.
  public static func register(_ kind: any Block.Type) throws(ArgumentError) {
    let name = kind.kind
    guard BlockOptions.isWord(name) else {
      throw ArgumentError("kind", "\"\(name)\" is not possible: a name is \(BlockOptions.wordRule)")
    }
    let isFree = table.withLock { table in
      let known = table[name] ?? kind
      table[name] = known
      return known == kind
    }
    guard isFree else { throw ArgumentError("kind", "there is another kind of blocks named \"\(name)\"") }
  }

  /// The kind of that name; nil if none is registered.
  public static func named(_ name: String) -> (any Block.Type)? { table.withLock { $0[name] } }

  /// The names of all kinds, in alphabetical order.
  public static var names: [String] { table.withLock { $0.keys.sorted() } }
}
