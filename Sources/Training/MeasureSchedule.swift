/// After which epochs a network is measured while it is trained, on how many samples, and what.
public struct MeasureSchedule: Codable, Hashable, Sendable {
  /// After every so many epochs, and after the last one.
  public var every: Int
  /// The first so many samples of each set.
  public var samples: Int
  /// The measures, as they are called in `measures.json`.
  public var names: [String]

  public init(every: Int, samples: Int, names: [String]) {
    self.every = every
    self.samples = samples
    self.names = names
  }

  /// Whether epoch `epoch`, counted from 1, is measured.
  public func includes(_ epoch: Int, of epochs: Int) -> Bool { epoch % every == 0 || epoch == epochs }
}
