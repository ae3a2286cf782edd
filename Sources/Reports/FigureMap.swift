extension Figure {
  /// Cells whose colours are numbers: a heat map.
  public struct Map: Equatable, Sendable {
    /// The quantity that the colours show. Maps whose colours have the same label share one range, so that they can be
    /// compared.
    public var colour: Axis
    /// The value of the palette's neutral middle, from where blue goes down and red up; nil for a palette that only
    /// goes from dark to bright.
    public var centre: Double?
    /// The cells, in any order.
    public var cells: [Cell]

    public init(colour: Axis, centre: Double? = nil, cells: [Cell]) {
      self.colour = colour
      self.centre = centre
      self.cells = cells
    }

    /// A cell for every value of a grid whose columns and rows need not lie evenly; nil leaves the page to be seen.
    public init(
      colour: Axis, centre: Double? = nil, columns: [Double], rows: [Double], value: (Int, Int) -> Double?
    ) {
      let widths = Self.stretches(around: columns)
      let heights = Self.stretches(around: rows)
      let cells = columns.indices.flatMap { column in
        rows.indices.compactMap { row in
          value(column, row).map {
            Cell(x: columns[column], y: rows[row], width: widths[column], height: heights[row], value: $0)
          }
        }
      }
      self.init(colour: colour, centre: centre, cells: cells)
    }

    /// To both sides up to the middle between neighbours. The first goes as far out as in, but not below 0 where it
    /// lies above; the last only by a half, as nothing is behind it.
    private static func stretches(around places: [Double]) -> [ClosedRange<Double>] {
      places.indices.map { index in
        let place = places[index]
        let before = index > 0 ? (place - places[index - 1]) / 2 : nil
        let after = index + 1 < places.count ? (places[index + 1] - place) / 2 : nil
        let low = place - (before ?? after ?? 0.5)
        return
          (index == 0 && place > 0 ? max(low, min(0.5, place - 0.5)) : low)...(place
          + (after ?? min(0.5, before ?? 0.5)))
      }
    }
  }

  /// One coloured cell of a map.
  public struct Cell: Equatable, Sendable {
    /// The x at which the value was taken.
    public var x: Double
    /// The y at which the value was taken.
    public var y: Double
    /// The range of x that the cell covers.
    public var width: ClosedRange<Double>
    /// The range of y that the cell covers.
    public var height: ClosedRange<Double>
    /// A cell without a finite value stays empty.
    public var value: Double

    public init(x: Double, y: Double, width: ClosedRange<Double>, height: ClosedRange<Double>, value: Double) {
      self.x = x
      self.y = y
      self.width = width
      self.height = height
      self.value = value
    }
  }

  var hasMaps: Bool { panels.contains { $0.map != nil } }

  /// The palette and its range. Both palettes keep off white and black, so that a cell differs from an empty one on a
  /// light and on a dark page.
  func colours(of map: Map) -> [String] {
    let range = colourRange(of: map)
    let palette =
      map.centre == nil
      ? ["#46327e", "#365c8d", "#277f8e", "#1fa187", "#4ac16d", "#a0da39", "#f2dc23"]
      : ["#1b4f9c", "#4f8fd0", "#9fbfdc", "#cfcfcf", "#e3a78f", "#d4604a", "#a3172b"]
    let stops = palette.enumerated().map { "\($0) '\($1)'" }.joined(separator: ", ")
    return [
      "set palette maxcolors 48 defined (\(stops))",
      "set cbrange [\(range.lowerBound):\(range.upperBound)]",
      "set cblabel \(literal(map.colour.label)) offset 0.3, 0",
      map.colour.scale == .logarithmic ? "set logscale cb" : "unset logscale cb",
      "set cbtics " + (map.colour.scale == .logarithmic ? decadeTicks(over: range) : "autofreq"),
    ]
  }

  /// Without borders: gnuplot fills with hard edges, so that no seams show.
  func cells(curve: Int) -> String {
    "$points using (cell(\(curve))):3:8:9:10:11:7 with boxxyerror linecolor palette "
      + "fillstyle solid 1 noborder notitle"
  }
}
