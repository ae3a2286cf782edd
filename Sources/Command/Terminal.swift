import Foundation
import ResLensSupport
import ResLensRuns

/// Progress and notes on standard error: one line that is redrawn on a terminal, plain lines elsewhere.
final class Terminal: RunLog {
  /// Only one of several processes writes to the terminal.
  var isQuiet = false
  private let isTerminal = isatty(STDERR_FILENO) == 1
  private var drawn = false
  private var last = ContinuousClock.now
  /// When the work that the bar shows began, and how much of it was done by then.
  private var start: (time: ContinuousClock.Instant, done: Int, total: Int)?
  /// How much was done at the last call. Less than that is the beginning of other work, such as another set of samples.
  private var reached = 0
  /// Seconds between plain progress lines, and between redraws on a terminal.
  private var interval: Duration { isTerminal ? .milliseconds(100) : .seconds(30) }

  /// A line that stays.
  func note(_ text: String) {
    clear()
    write(text + "\n")
  }

  /// How far something is: a bar, some words, and the time left unless the words tell it. Most calls draw nothing.
  func progress(_ done: Int, of total: Int, _ words: @autoclosure () -> String) {
    let isNew = start.map { $0.total != total || reached > done } ?? true
    if isNew { start = (.now, done, total) }
    reached = done
    // A terminal is told at once of new work, whose first part may take long.
    guard isNew && isTerminal || ContinuousClock.now - last >= interval else { return }
    last = .now
    let line = ProgressLine(done: done, total: total, words: words(), secondsLeft: secondsLeft(done, of: total))
    guard isTerminal else { return write(line.plain + "\n") }
    // A line that wraps cannot be redrawn.
    write("\r\u{1b}[2K" + line.drawn(columns: columns - 1))
    drawn = true
  }

  /// The seconds until all is done at the pace so far; nil in the first seconds, which say little.
  private func secondsLeft(_ done: Int, of total: Int) -> Double? {
    guard let start, done > start.done, total > done else { return nil }
    let passed = (ContinuousClock.now - start.time) / .seconds(1)
    return passed < 2 ? nil : passed * Double(total - done) / Double(done - start.done)
  }

  /// Takes the progress line away.
  func clear() {
    if drawn { write("\r\u{1b}[2K") }
    drawn = false
  }

  private var columns: Int {
    var size = winsize()
    return ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 20 ? Int(size.ws_col) : 80
  }

  private func write(_ text: String) {
    if isQuiet { return }
    StandardError.write(text)
  }
}
