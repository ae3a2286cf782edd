import ResLensSupport

/// A receiver of what work on runs has to say while it goes on: lines that stay, and how far something is.
public protocol RunLog {
  /// Takes a line that stays.
  func note(_ text: String)
  /// Takes how far something is, for instance 3 of 10 batches. It is called often; most calls need not show anything.
  func progress(_ done: Int, of total: Int, _ words: @autoclosure () -> String)
  /// Ends what `progress` showed.
  func clear()
}

/// A log that shows nothing.
public struct SilentLog: RunLog {
  public init() {}
  public func note(_ text: String) {}
  public func progress(_ done: Int, of total: Int, _ words: @autoclosure () -> String) {}
  public func clear() {}
}

/// Seconds as a person says them: 42 s, 3 min 10 s, 2 h 5 min.
public func spoken(seconds: Double) -> String {
  guard seconds.isFinite, abs(seconds) < 1e12 else { return "?" }
  let whole = Int(seconds.rounded())
  if whole < 60 { return "\(whole) s" }
  if whole < 3600 { return "\(whole / 60) min \(whole % 60) s" }
  return "\(whole / 3600) h \(whole % 3600 / 60) min"
}
