/// A line that says how far work is: a bar, how much is done, some words, and the time left.
public struct ProgressLine {
  private let done: Int
  private let total: Int
  private let words: String
  private let left: String?

  /// - Parameters:
  ///   - words: parts of them, the most important first, are separated by two spaces; the last may be the time left
  ///   - secondsLeft: the time left, if the words do not tell it
  public init(done: Int, total: Int, words: String, secondsLeft: Double? = nil) {
    (self.done, self.total) = (done, total)
    let parts = words.components(separatedBy: "  ")
    if let last = parts.last, last.hasSuffix(" left") {
      (self.words, left) = (parts.dropLast().joined(separator: "  "), last)
    } else {
      (self.words, left) = (words, secondsLeft.map { "\(spoken(seconds: $0)) left" })
    }
  }

  /// The line without a bar.
  public var plain: String { text(words) }

  /// The line with a bar, in at most so many columns. Where they are few, the bar is shorter, and then words are left out
  /// from their end; the time left stays.
  public func drawn(columns: Int) -> String {
    let width = min(24, max(8, columns - plain.count - 1))
    let full = total <= 0 ? width : width * min(done, total) / total
    let bar = String(repeating: "█", count: full) + String(repeating: "░", count: width - full) + " "
    var words = words
    while bar.count + text(words).count > columns, let end = words.range(of: "  ", options: .backwards) {
      words = String(words[..<end.lowerBound])
    }
    return String((bar + text(words)).prefix(columns))
  }

  private func text(_ words: String) -> String {
    (["\(done)/\(total) \(words)"] + [left].compactMap { $0 }).joined(separator: "  ")
  }
}
