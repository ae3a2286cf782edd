import Foundation

extension Figure {
  /// The y range of a panel, shared by all panels with the same y label.
  func yRange(of panel: Panel) -> ClosedRange<Double> {
    if let map = panel.map { return hull(of: map.cells.flatMap { [$0.height.lowerBound, $0.height.upperBound] }) }
    let alike = panels.filter { $0.y.label == panel.y.label }
    let logarithmic = panel.y.scale == .logarithmic
    func shown(_ values: [Double]) -> [Double] {
      values.filter { isDrawable($0, on: panel.y.scale) }.map { logarithmic ? log10($0) : $0 }
    }
    let series = alike.flatMap(\.series)
    let points = series.flatMap(\.points)
    let values = shown(points.map(\.y) + alike.flatMap(\.rules))
    guard var low = values.min(), var high = values.max() else { return logarithmic ? 0.1...1 : 0...1 }

    // A deviation over samples can be many times what the means do. The means are the message: a band may take
    // half as much room above and below as they do, and is cut off at the frame beyond that.
    let room = 0.5 * (high - low)
    let banded = series.filter(\.style.hasBand).flatMap(\.points)
    let edges = shown(banded.flatMap { point in point.spread.map { [point.y - $0, point.y + $0] } ?? [] })
    low = max(low - room, min(low, edges.min() ?? low))
    high = min(high + room, max(high, edges.max() ?? high))

    if let bounds = panel.y.bounds.map({ logarithmic ? log10($0.lowerBound)...log10($0.upperBound) : $0 }) {
      guard low < bounds.upperBound, high > bounds.lowerBound else { return panel.y.bounds ?? 0...1 }
      low = max(low, bounds.lowerBound)
      high = min(high, bounds.upperBound)
    }
    let margin = high > low ? 0.06 * (high - low) : max(0.1 * abs(high), 1e-3)
    let range = (low - margin)...(high + margin)
    return logarithmic ? pow(10, range.lowerBound)...pow(10, range.upperBound) : range
  }

  /// The x range of a panel: its spans, or else its points with some room on both sides. The room is half a step, or, where
  /// the axis shows a quantity, a twentieth of the range of the points.
  func xRange(of panel: Panel) -> ClosedRange<Double> {
    if let map = panel.map { return hull(of: map.cells.flatMap { [$0.width.lowerBound, $0.width.upperBound] }) }
    let edges = panel.spans.flatMap { [$0.range.lowerBound, $0.range.upperBound] }
    let places = panel.series.flatMap(\.points).map(\.x).filter { $0.isFinite && isDrawable($0, on: .linear) }
    var room = 0.5
    if panel.x.isContinuous, let low = places.min(), let high = places.max() {
      room = high > low ? 0.05 * (high - low) : max(0.1 * abs(high), 1e-3)
    }
    let values = places.flatMap { [$0 - room, $0 + room] }
    return hull(of: edges.isEmpty ? values : edges)
  }

  /// The values that a map's colours go over, shared by all maps of one quantity; the same to both sides of a centre.
  func colourRange(of map: Map) -> ClosedRange<Double> {
    let alike = panels.compactMap(\.map).filter { $0.colour.label == map.colour.label }
    let values = alike.flatMap(\.cells).map(\.value).filter { isDrawable($0, on: map.colour.scale) }
    let bounds = map.colour.bounds ?? -.infinity ... .infinity
    let shown = values.map { min(max($0, bounds.lowerBound), bounds.upperBound) }
    guard let low = shown.min(), let high = shown.max() else {
      return map.colour.scale == .logarithmic ? 0.1...1 : 0...1
    }
    if let centre = map.centre {
      let reach = max(high - centre, centre - low)
      return reach > 0 ? (centre - reach)...(centre + reach) : (centre - 1)...(centre + 1)
    }
    guard high == low else { return low...high }
    return high == 0
      ? 0...1 : map.colour.scale == .logarithmic ? high / 2...2 * high : (high - abs(high) / 2)...(high + abs(high) / 2)
  }

  /// True if a value has a place on an axis. gnuplot cannot tell numbers near the largest from infinite ones.
  func isDrawable(_ value: Double, on scale: Scale) -> Bool {
    abs(value) < 1e150 && (scale == .linear || value > 0)
  }

  private func hull(of values: [Double]) -> ClosedRange<Double> {
    guard let low = values.min(), let high = values.max(), low < high else { return 0...1 }
    return low...high
  }
}
