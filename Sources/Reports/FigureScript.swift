import Foundation
import ResLensSupport

extension Figure {
  /// A gnuplot script that draws `NAME.svg`, or `NAME.png` or `NAME.pdf` where `format` says so. It holds the places of all
  /// points; the numbers that they were made of stand in `NAME.csv`.
  public var script: String {
    let layout = Layout(self)
    var script = [
      "# Draws \(name).svg:  gnuplot \(name).gp    (\(name).csv has the numbers as a table)",
      "# Other formats:  gnuplot -e \"format = 'pdf'\" \(name).gp    (or 'png')",
      "if (!exists('format')) format = 'svg'",
      "if (format eq 'svg') set terminal svg size \(Layout.width),\(layout.height) dynamic font 'sans-serif,13' linewidth 1.2",
      "if (format eq 'png') set terminal pngcairo size \(2 * Layout.width),\(2 * layout.height) "
        + "font 'sans-serif,10' fontscale 2 linewidth 2.4 pointscale 2",
      "if (format eq 'pdf') set terminal pdfcairo size \(Double(Layout.width) / 96)in,\(Double(layout.height) / 96)in "
        + "font 'sans-serif,10' linewidth 1.2",
      "set encoding utf8",
      "set output \(literal(name + ".")).format",
      "set datafile separator ','",
    ]
    script += ["$points << END"] + points + ["END"]
    script += [
      "x(n) = column(1) == n ? column(2) : NaN             # x where the line belongs to curve n",
      "marked(n) = column(6) == 1 ? x(n) : NaN",
      "plain(n) = column(6) == 0 ? x(n) : NaN",
      hasMaps ? "cell(n) = abs(column(7)) < 1e150 ? x(n) : NaN      # where a cell has no value, it is empty" : nil,
      "unset key",
      "set border 3 linewidth 0.8",
      "set tics nomirror out scale 0.5",
      "set grid ytics linecolor rgb '#a0808080' linewidth 0.6",
      "set multiplot",
    ].compactMap { $0 }
    let titles = distinctNames(panels.map(\.title), length: 90 / columns)
    var curve = 1
    for (index, panel) in panels.enumerated() {
      script += ["", "# panel \(index + 1)"]
      script += layout.margins(of: index)
      script += axes(of: panel, title: titles[index])
      script += index == 0 ? legend(layout) : []
      let series = panel.series.enumerated()
      var parts = [bands, lines].flatMap { part in series.flatMap { part($1, curve + $0) } }
      curve += panel.series.count
      if let map = panel.map {
        // Maps of one quantity share their colours, so one bar a row is enough.
        let next = panels.indices.contains(index + 1) && (index + 1) % columns != 0 ? panels[index + 1].map : nil
        let isRepeated = next?.colour.label == map.colour.label
        script += colours(of: map) + [isRepeated ? "unset colorbox" : layout.bar(of: index)]
        parts.append(cells(curve: curve))
        curve += 1
      }
      script.append("plot \\\n  " + (parts.isEmpty ? ["NaN notitle"] : parts).joined(separator: ", \\\n  "))
    }
    return (script + ["", "unset multiplot"]).map { $0 + "\n" }.joined()
  }

  /// The places of all points and cells, a line each: the curve's number, counted from 1 through the series and maps of
  /// the whole figure; x; y; the lower and the upper edge of the band, empty where there is none; 1 for a marked point
  /// and else 0. A cell goes on with its value and its left, right, lower and upper edges.
  var points: [String] {
    var lines: [String] = []
    var curve = 0
    func add(_ numbers: [Double?], marked: Bool, _ cell: [Double] = []) {
      let fields = ["\(curve)"] + numbers.map { $0.map { "\($0)" } ?? "" } + [marked ? "1" : "0"]
      lines.append((fields + cell.map { "\($0)" }).joined(separator: ","))
    }
    for panel in panels {
      for series in panel.series {
        curve += 1
        for point in series.points {
          let edges = point.spread.map { [lowEdge(point.y, $0, of: panel), point.y + $0] } ?? [nil, nil]
          add([point.x, point.y] + edges, marked: point.marked)
        }
      }
      guard let map = panel.map else { continue }
      curve += 1
      for cell in map.cells {
        add(
          [cell.x, cell.y, nil, nil], marked: false,
          [cell.value, cell.width.lowerBound, cell.width.upperBound, cell.height.lowerBound, cell.height.upperBound])
      }
    }
    return lines
  }

  /// The lower edge of a band. A deviation above its mean has none on a logarithmic axis: the band then goes down out of
  /// the picture.
  private func lowEdge(_ y: Double, _ spread: Double, of panel: Panel) -> Double {
    panel.y.scale == .logarithmic && y > 0 ? max(y - spread, y / 1000) : y - spread
  }

  private func axes(of panel: Panel, title: String) -> [String] {
    let x = xRange(of: panel)
    let y = yRange(of: panel)
    var lines = [
      "unset arrow; unset label; unset logscale",
      // Beside a panel with names of stages above it, titles are as high in the others.
      "set title \(literal(title)) noenhanced offset 0, \(panels.contains { $0.spans.count > 1 } ? 0.6 : -0.4)",
      "set xlabel \(subscripted(panel.x.label)) offset 0, 0.4",
      "set ylabel \(subscripted(panel.y.label)) offset 0.8, 0",
      "set xrange [\(x.lowerBound):\(x.upperBound)]",
      "set yrange [\(y.lowerBound):\(y.upperBound)]",
      panel.x.isContinuous
        ? "set xtics \(niceStep(atLeast: (x.upperBound - x.lowerBound) / 4))"
        : ticks("x", over: x, atMost: columns > 1 && panel.map != nil || columns > 2 ? 6 : 12),
      yTicks(of: panel, over: y),
    ]
    if panel.y.scale == .logarithmic { lines.append("set logscale y") }
    for rule in panel.rules {
      lines.append("set arrow from graph 0, first \(rule) to graph 1, first \(rule) nohead linewidth 0.9 back")
    }
    for place in panel.uprights {
      lines.append(
        "set arrow from first \(place), graph 0 to first \(place), graph 1 nohead linewidth 0.85 dashtype (8,4) back")
    }
    for span in panel.spans.dropFirst() {
      let edge = span.range.lowerBound
      lines.append(
        "set arrow from first \(edge), graph 0 to first \(edge), graph 1.07 nohead linewidth 0.7 "
          + "linecolor rgb '#808080' dashtype 3 back")
    }
    for span in panel.spans where panel.spans.count > 1 {
      let middle = (span.range.lowerBound + span.range.upperBound) / 2
      lines.append("set label \(literal(span.label)) at first \(middle), graph 1.045 center noenhanced font ',11'")
    }
    let values = panel.series.flatMap(\.points).map(\.y) + (panel.map?.cells.map(\.value) ?? [])
    if !values.contains(where: \.isFinite) {
      lines.append("set label 'no finite values' at graph 0.5, graph 0.5 center")
    }
    return lines
  }

  /// The band, which must lie below all lines of its panel.
  private func bands(of series: Series, curve: Int) -> [String] {
    guard series.style.hasBand, series.points.contains(where: { $0.spread != nil }) else { return [] }
    return [
      "$points using (x(\(curve))):4:5 with filledcurves "
        + "fillcolor rgb '\(series.style.colour)' fillstyle transparent solid 0.16 noborder notitle"
    ]
  }

  /// The line and its markers.
  private func lines(of series: Series, curve: Int) -> [String] {
    let style = series.style
    let isDense = series.points.count > 24
    var parts: [String] = []
    if style.hasLine {
      let width = style.isThin ? 0.6 : isDense ? 1.3 : 1.6
      parts.append("$points using (x(\(curve))):3 with lines \(style.line(width: width)) notitle")
    }
    if style.marker != .none {
      let every = style.markerInterval > 1 ? " every \(style.markerInterval)" : ""
      let size = isDense && every.isEmpty ? 0.38 : 0.62
      parts.append("$points\(every) using (plain(\(curve))):3 with points \(style.points(size: size)) notitle")
    }
    if !style.isThin, series.points.contains(where: \.marked) {
      var diamond = style
      diamond.marker = .diamond
      parts.append("$points using (marked(\(curve))):3 with points \(diamond.points(size: 1.05)) notitle")
    }
    return parts
  }

  /// gnuplot's own key keeps to one panel; this one is for all of them.
  private func legend(_ layout: Layout) -> [String] {
    layout.legend.flatMap { entry, x, y in
      let height = layout.vertical(y)
      let at = { (pixels: Int) in "screen \(layout.horizontal(x + pixels)), screen \(height)" }
      var lines = ["set label \(literal(entry.label)) at \(at(Layout.sample + 7)) left noenhanced"]
      if entry.style.hasLine {
        lines.append("set arrow from \(at(0)) to \(at(Layout.sample)) nohead \(entry.style.line(width: 1.6))")
      }
      if entry.style.marker != .none {
        let size = entry.style.hasLine ? 0.55 : 1
        lines.append("set label '' at \(at(Layout.sample / 2)) point \(entry.style.points(size: size))")
      }
      return lines
    }
  }

  /// A whole number of steps or epochs between ticks, so that about ten fit a panel.
  private func ticks(_ axis: String, over range: ClosedRange<Double>, atMost count: Double) -> String {
    let step = niceStep(atLeast: max(1, (range.upperBound - range.lowerBound) / count))
    return "set \(axis)tics 0, \(step)"
      + (step > 2 && range.contains(1) && !range.contains(0) ? "; set \(axis)tics add ('1' 1)" : "")
  }

  /// 1, 2 or 5 times a power of ten.
  private func niceStep(atLeast least: Double) -> Double {
    let decade = pow(10, log10(least).rounded(.down))
    return [1, 2, 5].map { $0 * decade }.first { $0 >= least } ?? 10 * decade
  }

  private func yTicks(of panel: Panel, over range: ClosedRange<Double>) -> String {
    if !panel.y.names.isEmpty {
      return "set ytics (" + panel.y.names.enumerated().map { "\(literal($1)) \($0 + 1)" }.joined(separator: ", ") + ")"
        + " noenhanced"
    }
    if panel.map != nil { return ticks("y", over: range, atMost: 12) }
    return "set ytics " + (panel.y.scale == .logarithmic ? decadeTicks(over: range) : "\(evenStep(over: range))")
  }

  /// The largest step of 1, 2 or 5 times a power of ten that puts four ticks or more on an axis.
  func evenStep(over range: ClosedRange<Double>) -> Double {
    func count(_ step: Double) -> Double {
      (range.upperBound / step).rounded(.down) - (range.lowerBound / step).rounded(.up) + 1
    }
    let length = range.upperBound - range.lowerBound
    guard length > 0, length.isFinite else { return 1 }
    let decade = pow(10, log10(length).rounded(.down))
    return [5, 2, 1, 0.5, 0.2, 0.1].map { $0 * decade }.first { count($0) >= Double(Self.leastTicks) } ?? length / 4
  }

  private static let leastTicks = 4

  /// Ticks of a logarithmic axis: 1, 2 and 5 times the powers of ten where gnuplot's own would be few, and even steps
  /// where those would be.
  func decadeTicks(over range: ClosedRange<Double>) -> String {
    guard range.upperBound < 1e4 * range.lowerBound else { return "autofreq" }
    let lowest = Int(log10(range.lowerBound).rounded(.down))
    let values = (lowest...lowest + 5).flatMap { decade in [1.0, 2, 5].map { $0 * pow(10, Double(decade)) } }
    var shown = values.filter { range.contains($0) }
    if shown.count < Self.leastTicks {
      // So little of a decade that even steps fit.
      let step = evenStep(over: range)
      shown = stride(from: (range.lowerBound / step).rounded(.up) * step, through: range.upperBound, by: step).map {
        $0
      }
    }
    return "(\(shown.map { String(format: "%.3g", $0) }.joined(separator: ", ")))"
  }

  /// A label in which the letters and digits behind "_" stand below the line.
  private func subscripted(_ label: String) -> String {
    let escaped = label.replacing(/[\\{}^@&~]/) { "\\" + $0.output }
    return literal(escaped.replacing(/_([A-Za-z0-9]+)/) { "_{\($0.output.1)}" })
  }

  /// gnuplot writes `]]>` into an SVG as it stands, where XML does not allow it.
  func literal(_ text: String) -> String {
    "'" + text.singleLine.replacing("'", with: "''").replacing("]]>", with: "]] >") + "'"
  }
}

extension Figure.Style {
  fileprivate func line(width: Double) -> String {
    let type =
      switch dash {
      case .solid: "1"
      case .dashed: "(6,4)"
      case .dotted: "(2,4)"
      }
    // gnuplot's SVG driver joins lines that differ in nothing but the dash into one path: they differ in width too.
    let shade = isThin ? "#70" + colour.dropFirst() : colour
    return "linecolor rgb '\(shade)' linewidth \(dash == .solid ? width : width - 0.05) dashtype \(type)"
  }

  fileprivate func points(size: Double) -> String {
    "linecolor rgb '\(colour)' linewidth 1.2 pointtype \(pointType) pointsize \(size)"
  }

  /// gnuplot's number of the marker: the filled shape comes after the open one.
  fileprivate var pointType: Int {
    let open =
      switch marker {
      case .none: 0
      case .square: 4
      case .circle: 6
      case .triangle: 8
      case .diamond: 12
      case .pentagon: 14
      }
    return marker == .none || !filled ? open : open + 1
  }
}
