extension Figure {
  /// A colour from blue to red for a share of the way, 0 … 1, of a middle brightness throughout: to be read on a light
  /// and on a dark page.
  public static func ramp(_ share: Double) -> String {
    let stops = [(0x25, 0x78, 0xe0), (0x9b, 0x5f, 0xc0), (0xe2, 0x40, 0x36)]
    let place = min(max(share.isFinite ? share : 0, 0), 1) * Double(stops.count - 1)
    let low = min(Int(place), stops.count - 2)
    let part = place - Double(low)
    func mixed(_ channel: KeyPath<(Int, Int, Int), Int>) -> String {
      let (from, to) = (Double(stops[low][keyPath: channel]), Double(stops[low + 1][keyPath: channel]))
      let value = String(Int((from + part * (to - from)).rounded()), radix: 16)
      return value.count < 2 ? "0" + value : value
    }
    return "#" + mixed(\.0) + mixed(\.1) + mixed(\.2)
  }

  /// The colour of one of several steps, the lowest blue and the highest red.
  static func ramp(_ step: Int, in steps: [Int]) -> String {
    guard let first = steps.min(), let last = steps.max(), last > first else { return ramp(0) }
    return ramp(Double(step - first) / Double(last - first))
  }

  /// The first, a middle and the last of the steps instead of an entry for each; without numbers where runs differ.
  static func rampLegend(_ runs: [[Int]]) -> [LegendEntry] {
    let ends = Set(runs.compactMap { steps in steps.min().flatMap { low in steps.max().map { [low, $0] } } })
    guard let steps = ends.first, steps[1] > steps[0] || ends.count > 1 else {
      return ends.first.map { [LegendEntry("step \($0[0])", style: Style(colour: ramp(0)))] } ?? []
    }
    guard ends.count == 1 else {
      return zip(["first step", "middle step", "last step"], [0, 0.5, 1]).map {
        LegendEntry($0, style: Style(colour: ramp($1)))
      }
    }
    let shown = Set([steps[0], (steps[0] + steps[1]) / 2, steps[1]]).sorted()
    return shown.map { LegendEntry("step \($0)", style: Style(colour: ramp($0, in: steps))) }
  }
}
