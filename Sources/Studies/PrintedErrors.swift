/// The errors that a publication prints of a study's networks, to be shown beside our own.
public struct PrintedErrors: Hashable, Sendable {
  /// By data set and network, as the study names them.
  public var errors: [String: [String: Entry]]

  /// The errors of one network on one data set, in per cent.
  public struct Entry: Hashable, Sendable {
    /// The share of train samples that are classified wrongly, in per cent.
    public var train: Double
    /// The share of test samples that are classified wrongly, in per cent.
    public var test: Double

    public init(train: Double, test: Double) { (self.train, self.test) = (train, test) }
  }

  /// - Parameter errors: by data set and network, as the study names them
  public init(_ errors: [String: [String: Entry]]) { self.errors = errors }

  /// The errors of a network on a data set; nil where none are printed.
  public func entry(_ model: String, on data: String) -> Entry? { errors[data]?[model] }
}
