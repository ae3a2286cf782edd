/// A library call with an argument that cannot be: which one, and why.
public struct ArgumentError: Error, CustomStringConvertible, Equatable {
  /// As the call names it, for instance "batch".
  public var name: String
  /// Why it cannot be, for instance "0 is not at least 1".
  public var problem: String

  public init(_ name: String, _ problem: String) { (self.name, self.problem) = (name, problem) }

  public var description: String { "\(name): \(problem)" }

  /// - Throws: `ArgumentError` unless `value` is in `range`.
  public static func check<Value>(_ name: String, _ value: Value, in range: ClosedRange<Value>) throws(ArgumentError) {
    guard range.contains(value) else {
      throw ArgumentError(name, "\(value) is not between \(range.lowerBound) and \(range.upperBound)")
    }
  }

  /// - Throws: `ArgumentError` unless `value` is at least `least`.
  public static func check<Value: Comparable>(_ name: String, _ value: Value, atLeast least: Value)
    throws(ArgumentError)
  {
    guard value >= least else { throw ArgumentError(name, "\(value) is not at least \(least)") }
  }
}
