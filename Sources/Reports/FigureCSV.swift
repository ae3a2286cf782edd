extension Figure {
  public static let csvHeader = "curve,x,y,low,high,marked,quantity,panel,series"

  /// Every point of the figure, a line each. `curve` numbers the series through the whole figure, from 1;
  /// `low` and `high` are the band's edges, empty where there is none. Names come last and are quoted.
  public var csv: String {
    var lines = [Self.csvHeader]
    var curve = 0
    for panel in panels {
      for series in panel.series {
        curve += 1
        let names = [panel.y.label, panel.title, series.label].map(quoted).joined(separator: ",")
        for point in series.points {
          let edges = point.spread.map { [point.y - $0, point.y + $0].map { String($0) } } ?? ["", ""]
          let numbers = [String(curve), String(point.x), String(point.y)] + edges + [point.marked ? "1" : "0"]
          lines.append(numbers.joined(separator: ",") + "," + names)
        }
      }
    }
    return lines.map { $0 + "\n" }.joined()
  }

  private func quoted(_ text: String) -> String {
    "\"" + text.singleLine.replacing("\"", with: "\"\"") + "\""
  }
}
