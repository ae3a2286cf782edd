/// A property that takes no part in comparing and hashing the value that holds it, for instance because it holds
/// closures. A property that has no coding key takes no part in coding either.
@propertyWrapper
public struct Uncompared<Value: Sendable>: Hashable, Sendable {
  /// The value itself.
  public var wrappedValue: Value

  public init(wrappedValue: Value) { self.wrappedValue = wrappedValue }

  public static func == (left: Self, right: Self) -> Bool { true }
  public func hash(into hasher: inout Hasher) {}
}
