import ResLensSupport

/// Random numbers that depend on a seed, the stream's name and the place that is asked for, and on nothing else:
/// not on what was drawn before. One user-given seed splits into streams, so that changing one thing
/// (the order of images, say) leaves the others (the initial weights) as they were.
public struct RandomStream: Sendable {
  private let state: UInt64

  public init(seed: UInt64, name: String) {
    // FNV-1a: Swift's own hashing differs from run to run.
    let hash = name.utf8.reduce(UInt64(0xcbf2_9ce4_8422_2325)) { ($0 ^ UInt64($1)) &* 0x0100_0000_01b3 }
    state = Self.mixed(Self.mixed(seed) ^ hash)
  }

  private init(state: UInt64) { self.state = state }

  /// The stream that belongs to `index` of this one.
  public func stream(_ index: Int) -> RandomStream {
    RandomStream(state: Self.mixed(state &+ (UInt64(bitPattern: Int64(index)) &+ 1) &* 0x9e37_79b9_7f4a_7c15))
  }

  /// 64 random bits for `index`.
  public func bits(_ index: Int) -> UInt64 { stream(index).state }

  /// Uniform in 0 ..< 1 for `index`.
  public func uniform(_ index: Int) -> Double { Double(bits(index) >> 11) * 0x1p-53 }

  /// Uniform in 0 ..< bound for `index`; the bias is below bound / 2⁶⁴.
  /// - Throws: `ArgumentError` unless `bound` is at least 1.
  public func integer(_ index: Int, below bound: Int) throws(ArgumentError) -> Int {
    try ArgumentError.check("below", bound, atLeast: 1)
    return Int(bits(index).multipliedFullWidth(by: UInt64(bound)).high)
  }

  /// An element of `all` for `index`, each as likely as the others; nil where there are none.
  public func element<Elements: RandomAccessCollection>(_ index: Int, of all: Elements) -> Elements.Element? {
    guard let place = try? integer(index, below: all.count) else { return nil }
    return all[all.index(all.startIndex, offsetBy: place)]
  }

  /// The finaliser of SplitMix64 (Steele, Lea, Flood 2014).
  private static func mixed(_ value: UInt64) -> UInt64 {
    var z = value
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }
}
