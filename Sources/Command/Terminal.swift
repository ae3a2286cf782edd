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
  /// Seconds between plain progress lines, and between redraws on a terminal.
  private var interval: Duration { isTerminal ? .milliseconds(100) : .seconds(30) }

  /// A line that stays.
  func note(_ text: String) {
    clear()
    write(text + "\n")
  }

  /// How far something is: a bar and some words. Most calls draw nothing.
  func progress(_ done: Int, of total: Int, _ words: @autoclosure () -> String) {
    guard ContinuousClock.now - last >= interval else { return }
    last = .now
    guard isTerminal else { return write("\(done)/\(total) \(words())\n") }
    let width = 24
    let full = total == 0 ? width : width * done / total
    let bar = String(repeating: "█", count: full) + String(repeating: "░", count: width - full)
    // Cut to the window, as a line that wraps cannot be redrawn.
    write("\r\u{1b}[2K" + String("\(bar) \(done)/\(total) \(words())".prefix(columns - 1)))
    drawn = true
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

/// Lines of columns, the first flush left and the others flush right.
func table(_ rows: [[String]]) -> String {
  let count = rows.map(\.count).max() ?? 0
  let widths = (0..<count).map { column in rows.map { $0.indices.contains(column) ? $0[column].count : 0 }.max() ?? 0 }
  return rows.map { row in
    zip(row, widths).enumerated().map { index, cell in
      let padding = String(repeating: " ", count: cell.1 - cell.0.count)
      return index == 0 ? cell.0 + padding : padding + cell.0
    }.joined(separator: "  ").trimmingCharacters(in: .init(charactersIn: " "))
  }.joined(separator: "\n")
}
