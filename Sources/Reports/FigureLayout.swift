import ResLensSupport

/// Where a figure's legend and panels lie. gnuplot measures in fractions of the picture from its lower left corner.
struct Layout {
  static let width = 960
  /// The length of a legend entry's line.
  static let sample = 30
  let height: Int
  /// A legend entry and the left end of its sample, in pixels from the picture's lower left corner.
  private(set) var legend: [(entry: Figure.LegendEntry, x: Int, y: Int)] = []
  private let figure: Figure
  private let legendHeight: Int
  private let top: Int
  private let rowHeight: Int
  private static let (left, right, bottom) = (86, 14, 54)
  /// The space of a colour bar at a panel's right: its distance, its width, and the rest for its numbers and label.
  private static let (barGap, barWidth, barText) = (10, 13, 70)

  init(_ figure: Figure) {
    self.figure = figure
    let rows = Self.rows(of: Self.shortened(figure.legendEntries))
    legendHeight = 6 + 20 * rows.count
    let isTitled = figure.panels.contains { !$0.title.isEmpty }
    let isDivided = figure.panels.contains { $0.spans.count > 1 }
    let rowGap = isTitled && figure.panels.count > figure.columns ? 12 : 0
    top = 10 + rowGap + (isTitled ? 22 : 0) + (isDivided ? 20 : 0)
    rowHeight = top + figure.panelHeight + Self.bottom
    height = legendHeight + rowHeight * ((figure.panels.count + figure.columns - 1) / figure.columns)
    for (number, row) in rows.enumerated() {
      var x = (Self.width - row.map(Self.width).reduce(0, +)) / 2
      for entry in row {
        legend.append((entry, x, height - 14 - 20 * number))
        x += Self.width(of: entry)
      }
    }
  }

  /// The commands that set a panel's plotting area.
  func margins(of index: Int) -> [String] {
    let upper = upper(of: index)
    return [
      "set lmargin at screen \(horizontal(index % figure.columns * columnWidth + Self.left))",
      "set rmargin at screen \(horizontal(rightEdge(of: index)))",
      "set tmargin at screen \(vertical(upper))",
      "set bmargin at screen \(vertical(upper - figure.panelHeight))",
    ]
  }

  /// The commands that set the colour bar beside a panel's plotting area.
  func bar(of index: Int) -> String {
    let left = horizontal(rightEdge(of: index) + Self.barGap)
    let lower = vertical(upper(of: index) - figure.panelHeight)
    return "set colorbox vertical user origin screen \(left), screen \(lower) "
      + "size screen \(horizontal(Self.barWidth)), screen \(vertical(figure.panelHeight))"
  }

  private var columnWidth: Int { Self.width / figure.columns }

  private func rightEdge(of index: Int) -> Int {
    let bar = figure.panels[index].map == nil ? 0 : Self.barGap + Self.barWidth + Self.barText
    return (index % figure.columns + 1) * columnWidth - Self.right - bar
  }

  private func upper(of index: Int) -> Int { height - legendHeight - index / figure.columns * rowHeight - top }

  func horizontal(_ pixels: Int) -> Double { Self.fraction(pixels, of: Self.width) }

  func vertical(_ pixels: Int) -> Double { Self.fraction(pixels, of: height) }

  private static func fraction(_ part: Int, of whole: Int) -> Double {
    (Double(part) / Double(whole) * 10_000).rounded() / 10_000
  }

  /// The entries in as few rows as fit, about equally full. How wide a text is, only the reader's fonts know: a
  /// generous guess.
  private static func rows(of entries: [Figure.LegendEntry]) -> [[Figure.LegendEntry]] {
    let total = entries.map(width).reduce(0, +)
    let count = (total + width - 1) / width
    let target = count > 1 ? min(width, total / count + 120) : width
    var rows: [[Figure.LegendEntry]] = []
    var room = 0
    for entry in entries {
      let needed = width(of: entry)
      if needed > room {
        rows.append([])
        room = target
      }
      rows[rows.count - 1].append(entry)
      room -= needed
    }
    return rows
  }

  private static func width(of entry: Figure.LegendEntry) -> Int { sample + 36 + Int(6.6 * Double(entry.label.count)) }

  /// The entries with labels that fit, and that differ where they differed.
  private static func shortened(_ entries: [Figure.LegendEntry]) -> [Figure.LegendEntry] {
    zip(entries, distinctNames(entries.map(\.label), length: 48)).map { .init($1, style: $0.style) }
  }
}
