/// Something that was asked of a measure and cannot be: which option, and why.
public struct MeasureError: Error, CustomStringConvertible, Equatable {
  /// As `reslens measure` calls it, without the dashes.
  public var option: String
  /// Why it cannot be.
  public var problem: String

  public init(option: String, problem: String) {
    self.option = option
    self.problem = problem
  }

  public var description: String { "--\(option): \(problem)" }

  /// - Throws: where a value comes twice, which would count as two.
  static func check<Value: Hashable>(distinct values: [Value], option: String) throws(MeasureError) {
    var seen: Set<Value> = []
    for value in values where !seen.insert(value).inserted {
      throw MeasureError(option: option, problem: "\(value) occurs twice")
    }
  }
}
