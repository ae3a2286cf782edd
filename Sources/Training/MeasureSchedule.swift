import Host
import Results

/// After which epochs a network is measured while it is trained, besides as it was initialised, on how many samples, and
/// what. `Trainer.measureEpoch` does it; without that nothing is measured. Training itself does not depend on it.
public struct MeasureSchedule: Codable, Hashable, Sendable, Checked {
  /// After every so many epochs, and after the last one.
  public var every: Int
  /// The first so many samples of each set.
  public var samples: Int
  /// The measures, as they are called in `measures.json`.
  public var names: [String]
  /// By which statistics the normalisations run after an epoch; nil for the running ones. At initialisation it is always
  /// each batch's own.
  public var mode: MeasureMode?

  public init(every: Int, samples: Int, names: [String], mode: MeasureMode? = nil) {
    self.every = every
    self.samples = samples
    self.names = names
    self.mode = mode
  }

  /// The first value that cannot be, and why; nil where all can be.
  public var problem: String? {
    if !(1...99_999).contains(every) { return "every: \(every) is not between 1 and 99999" }
    if samples < 1 { return "samples: \(samples) is not at least 1" }
    return names.isEmpty ? "names: there are none" : nil
  }

  /// Whether epoch `epoch` is measured, 0 being the network as it was initialised; none where there is a `problem`.
  public func includes(_ epoch: Int, of epochs: Int) -> Bool {
    problem == nil && (epoch % every == 0 || epoch == epochs)
  }
}
