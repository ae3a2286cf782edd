import Host

extension Figure {
  public static let csvHeader = "curve,x,y,low,high,marked,quantity,panel,series"
  /// The header for figures with maps. A cell has a value and four edges, and its `quantity` is the value's.
  public static let mapHeader = "curve,x,y,low,high,marked,value,left,right,bottom,top,quantity,panel,series"

  /// Every point or cell of the figure, a line each. `curve` numbers series and maps through the whole figure, from 1;
  /// `low` and `high` are the band's edges, empty where there is none. Names come last and are quoted.
  public var csv: String {
    var lines = [hasMaps ? Self.mapHeader : Self.csvHeader]
    var curve = 0
    for panel in panels {
      for series in panel.series {
        curve += 1
        let names = [panel.y.label, panel.title, series.label].map(quoted).joined(separator: ",")
        for point in series.points {
          let edges =
            point.spread.map { [lowEdge(point.y, $0, of: panel), point.y + $0].map { String($0) } } ?? ["", ""]
          let numbers = [String(curve), String(point.x), String(point.y)] + edges + [point.marked ? "1" : "0"]
          let cell = hasMaps ? ["", "", "", "", ""] : []
          lines.append((numbers + cell).joined(separator: ",") + "," + names)
        }
      }
      guard let map = panel.map else { continue }
      curve += 1
      let names = [map.colour.label, panel.title, ""].map(quoted).joined(separator: ",")
      for cell in map.cells {
        let numbers = [
          cell.value, cell.width.lowerBound, cell.width.upperBound, cell.height.lowerBound, cell.height.upperBound,
        ]
        let fields = [String(curve), String(cell.x), String(cell.y), "", "", "0"] + numbers.map { String($0) }
        lines.append(fields.joined(separator: ",") + "," + names)
      }
    }
    return lines.map { $0 + "\n" }.joined()
  }

  /// A deviation above its mean has no lower edge on a logarithmic axis: the band then goes down out of the picture.
  private func lowEdge(_ y: Double, _ spread: Double, of panel: Panel) -> Double {
    panel.y.scale == .logarithmic && y > 0 ? max(y - spread, y / 1000) : y - spread
  }

  private func quoted(_ text: String) -> String {
    text.singleLine.csvField
  }
}
