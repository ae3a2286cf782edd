import Foundation

extension Figure {
  /// The y range of a panel, shared by all panels with the same y label.
  func yRange(of panel: Panel) -> ClosedRange<Double> {
    let alike = panels.filter { $0.y.label == panel.y.label }
    let logarithmic = panel.y.scale == .logarithmic
    func shown(_ values: [Double]) -> [Double] {
      values.filter { $0.isFinite && (!logarithmic || $0 > 0) }.map { logarithmic ? log10($0) : $0 }
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

    let margin = high > low ? 0.06 * (high - low) : max(0.1 * abs(high), 1e-3)
    let range = (low - margin)...(high + margin)
    return logarithmic ? pow(10, range.lowerBound)...pow(10, range.upperBound) : range
  }

  /// The x range of a panel: its spans, or else its points with half a step on both sides.
  func xRange(of panel: Panel) -> ClosedRange<Double> {
    let edges = panel.spans.flatMap { [$0.range.lowerBound, $0.range.upperBound] }
    let values = panel.series.flatMap(\.points).flatMap { [$0.x - 0.5, $0.x + 0.5] }.filter(\.isFinite)
    let shown = edges.isEmpty ? values : edges
    guard let low = shown.min(), let high = shown.max() else { return 0...1 }
    return low...high
  }
}
