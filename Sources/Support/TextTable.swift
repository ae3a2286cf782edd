import Foundation

/// A table for a terminal: the first column flush left, the others flush right, and no line wider than the terminal.
public struct TextTable: Sendable {
  /// The first column names the rows and always stays.
  public var columns: [Column]
  /// True if rows stay that have no value in the shown columns.
  public var keepsEmptyRows = false

  public init(columns: [Column]) { self.columns = columns }

  /// One column.
  public struct Column: Sendable {
    /// The lines of the head, from top to bottom. The first of several stands once above all columns beside each other that
    /// have it.
    public var head: [String]
    /// The cells, a row each; "–" for a missing value.
    public var cells: [String]
    /// Where columns do not fit, those of the highest rank are left out first, and of one rank the last ones.
    public var rank = 0

    public init(_ head: String..., cells: [String], rank: Int = 0) {
      (self.head, self.cells, self.rank) = (head, cells, rank)
    }
  }

  /// The table, and below it the columns that were left out. A row without a value in the columns that stay is left out too,
  /// unless `keepsEmptyRows`.
  /// - Parameter width: the number of characters of a line; nil for as many as are needed
  public func text(width: Int? = Self.terminalWidth) -> String {
    guard !columns.isEmpty else { return "" }
    var layout = Layout(columns, keepsEmptyRows)
    if let width { layout.fit(width) }
    let left = columns.indices.filter { !layout.shown.contains($0) }.map {
      columns[$0].head.filter { !$0.isEmpty }.joined(separator: " ")
    }
    guard let width, !left.isEmpty else { return layout.text }
    return layout.text + "\n"
      + wrapped("Left out to fit \(width) characters: \(left.joined(separator: ", ")).", width: width)
  }

  /// The columns that are shown, with their widths.
  private struct Layout {
    /// The columns, the first with its names perhaps cut.
    private var columns: [Column]
    private(set) var shown: [Int]
    private let keepsEmptyRows: Bool

    init(_ columns: [Column], _ keepsEmptyRows: Bool) {
      (self.columns, self.keepsEmptyRows) = (columns, keepsEmptyRows)
      shown = Array(columns.indices)
    }

    /// Cuts names and leaves columns out until no line is longer than `width`.
    mutating func fit(_ width: Int) {
      let names = columns[0].cells
      // Names may take a third of the line before a column is left out for them.
      func cut(to length: Int) { columns[0].cells = distinctNames(names, length: max(leastName, length)) }
      if total > width, widths[0] > width / 3 { cut(to: max(width / 3, width - total + widths[0])) }
      while total > width, shown.count > 2,
        let least = shown.dropFirst().max(by: { (columns[$0].rank, $0) < (columns[$1].rank, $1) })
      {
        shown.removeAll { $0 == least }
      }
      if columns[0].cells != names || total > width { cut(to: width - total + widths[0]) }
    }

    /// The shown columns that stand beside each other and have the same first line of two or more: it stands once above all
    /// of them.
    private var groups: [(name: String?, columns: [Int])] {
      var groups: [(name: String?, columns: [Int])] = []
      for column in shown {
        let name = columns[column].head.count > 1 ? columns[column].head[0] : nil
        if let name, groups.last?.name == name {
          groups[groups.count - 1].columns.append(column)
        } else {
          groups.append((name, [column]))
        }
      }
      return groups
    }

    /// The width of each shown column.
    private var widths: [Int] {
      groups.flatMap { name, members in
        var widths = members.map { column in
          (columns[column].head.dropFirst(name == nil ? 0 : 1) + columns[column].cells).map(\.count).max() ?? 0
        }
        let own = widths.reduce(0, +) + gap * (members.count - 1)
        widths[0] += max(0, (name?.count ?? 0) - own)
        return widths
      }
    }

    private var total: Int { widths.reduce(0, +) + gap * (shown.count - 1) }

    var text: String {
      let (widths, depth) = (widths, shown.map { columns[$0].head.count }.max() ?? 0)
      func line(_ cell: (Int) -> String) -> String {
        zip(shown, widths).enumerated().map { index, column in
          let (text, padding) = (cell(column.0), max(0, column.1 - cell(column.0).count))
          return index == 0 ? text + spaces(padding) : spaces(padding) + text
        }.joined(separator: spaces(gap))
      }
      var lines: [String] = []
      if depth > 1 {
        var (top, end, index) = ("", 0, 0)
        for (name, members) in groups {
          let span = widths[index..<(index + members.count)].reduce(0, +) + gap * (members.count - 1)
          end += span + (index == 0 ? 0 : gap)
          index += members.count
          guard let name else { continue }
          top += spaces(end - (span - name.count) / 2 - name.count - top.count) + name
        }
        lines.append(top)
      }
      for row in (depth > 1 ? 1 : 0)..<depth {
        lines.append(
          line { column in
            // The first lines of longer heads stand side by side, and so do the last lines of heads of one line.
            let head = columns[column].head
            let index = head.count > 1 ? row : row - (depth - head.count)
            return head.indices.contains(index) ? head[index] : ""
          })
      }
      for row in columns[0].cells.indices
      where keepsEmptyRows || shown.count == 1
        || shown.dropFirst().contains(where: { columns[$0].cells[row] != missing })
      {
        lines.append(line { columns[$0].cells[row] })
      }
      return lines.map { $0.trimmingEnd() }.joined(separator: "\n")
    }

    private func spaces(_ count: Int) -> String { String(repeating: " ", count: max(0, count)) }
    private let gap = 2
    private let missing = "–"
    /// A row's name stays at least as long, however narrow the terminal is.
    private let leastName = 12
  }

  /// The width of lines on standard output: COLUMNS where it is set, else the terminal's, else 80.
  public static var terminalWidth: Int {
    if let given = ProcessInfo.processInfo.environment["COLUMNS"].flatMap(Int.init), (20...10_000).contains(given) {
      return given
    }
    var size = winsize()
    return ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col >= 20 ? Int(size.ws_col) : 80
  }
}

/// Words in lines of at most `width` characters; a longer word has a line of its own.
public func wrapped(_ text: String, width: Int = TextTable.terminalWidth) -> String {
  text.split(separator: "\n", omittingEmptySubsequences: false).map { paragraph in
    var lines: [String] = []
    for word in paragraph.split(separator: " ") {
      if let last = lines.last, last.count + 1 + word.count <= width {
        lines[lines.count - 1] = "\(last) \(word)"
      } else {
        lines.append(String(word))
      }
    }
    return lines.joined(separator: "\n")
  }.joined(separator: "\n")
}

extension String {
  fileprivate func trimmingEnd() -> String {
    var text = self
    while text.last == " " { text.removeLast() }
    return text
  }
}
