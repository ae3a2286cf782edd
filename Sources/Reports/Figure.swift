/// A picture as a value: its gnuplot script, which draws the SVG, and the numbers that it shows.
public struct Figure: Equatable, Sendable {
  /// The stem of the figure's file names.
  public var name: String
  /// The subject of the picture, for readers who do not see it.
  public var title: String
  /// Filled row by row. Panels whose y axes have the same label share one y range, so that they can be compared.
  public var panels: [Panel]
  /// Panels a row.
  public var columns: Int
  /// The height of a panel's plotting area, in pixels; the picture is always 960 wide.
  public var panelHeight: Int
  /// The legend's entries; nil for one entry for every label among the series.
  public var legend: [LegendEntry]?
  /// The legend's name for marked points.
  public var markedLabel: String
  /// The numbers that the picture shows, for its CSV file.
  public var data: FigureData

  public init(
    name: String, title: String, panels: [Panel], columns: Int = 1, panelHeight: Int = 250,
    legend: [LegendEntry]? = nil, markedLabel: String = "projection step", data: FigureData = FigureData()
  ) {
    self.name = name
    self.title = title
    self.panels = panels
    self.columns = max(1, columns)
    self.panelHeight = panelHeight
    self.legend = legend
    self.markedLabel = markedLabel
    self.data = data
  }

  /// One pair of axes.
  public struct Panel: Equatable, Sendable {
    /// The heading above the axes; empty for none.
    public var title: String
    /// The horizontal axis.
    public var x: Axis
    /// The vertical axis.
    public var y: Axis
    /// The series, drawn in this order.
    public var series: [Series]
    /// Coloured cells in place of series; the panel's y range is then theirs.
    public var map: Map?
    /// Heights of horizontal lines across the panel.
    public var rules: [Double]
    /// Places of vertical lines up the panel.
    public var uprights: [Double]
    /// Named stretches of the x axis, divided by vertical lines.
    public var spans: [Span]

    public init(
      title: String = "", x: Axis, y: Axis, series: [Series] = [], map: Map? = nil, rules: [Double] = [],
      uprights: [Double] = [], spans: [Span] = []
    ) {
      self.title = title
      self.x = x
      self.y = y
      self.series = series
      self.map = map
      self.rules = rules
      self.uprights = uprights
      self.spans = spans
    }
  }

  /// An axis of a panel.
  public struct Axis: Equatable, Sendable {
    /// The quantity that the axis shows.
    public var label: String
    /// The spacing of values.
    public var scale: Scale
    /// Values beyond are not shown: a few far ones would hide what the rest do.
    public var bounds: ClosedRange<Double>?
    /// The labels at 1, 2, 3, … in place of numbers; empty for numbers.
    public var names: [String]
    /// True if a horizontal axis shows a quantity; otherwise it counts steps or epochs.
    public var isContinuous: Bool

    public init(
      _ label: String, scale: Scale = .linear, bounds: ClosedRange<Double>? = nil, names: [String] = [],
      isContinuous: Bool = false
    ) {
      self.label = label
      self.scale = scale
      self.bounds = bounds
      self.names = names
      self.isContinuous = isContinuous
    }
  }

  /// The spacing of the values on an axis.
  public enum Scale: Equatable, Sendable { case linear, logarithmic }

  /// A named stretch of an x axis, for instance a stage.
  public struct Span: Equatable, Sendable {
    /// The name above the stretch.
    public var label: String
    /// The values of x that it covers.
    public var range: ClosedRange<Double>

    public init(_ label: String, _ range: ClosedRange<Double>) {
      self.label = label
      self.range = range
    }
  }

  /// Points that belong together.
  public struct Series: Equatable, Sendable {
    /// The name in the legend; empty for none.
    public var label: String
    /// True if the series is a line that others are to be compared with, and not a curve of its own.
    public var isReference = false
    /// The style of the line and of the markers.
    public var style: Style
    /// The points, in the order in which the line joins them.
    public var points: [Point]

    public init(_ label: String, style: Style, points: [Point]) {
      self.label = label
      self.style = style
      self.points = points
    }
  }

  /// One point of a series.
  public struct Point: Equatable, Sendable {
    /// The value on the horizontal axis.
    public var x: Double
    /// The value on the vertical axis.
    public var y: Double
    /// Half the height of the light band around the point; nil for none.
    public var spread: Double?
    /// Drawn as a large diamond.
    public var marked: Bool

    public init(x: Double, y: Double, spread: Double? = nil, marked: Bool = false) {
      self.x = x
      self.y = y
      self.spread = spread
      self.marked = marked
    }
  }

  /// One entry of a legend.
  public struct LegendEntry: Equatable, Sendable {
    /// The name.
    public var label: String
    /// The style of the sample beside the name.
    public var style: Style

    public init(_ label: String, style: Style) {
      self.label = label
      self.style = style
    }
  }

  /// How a series is drawn. Colours are hexadecimal RGB, for instance "#1f83c4".
  public struct Style: Equatable, Sendable {
    /// The colour of the line and of the markers.
    public var colour: String
    /// The line's pattern.
    public var dash: Dash
    /// The shape at each point.
    public var marker: Marker
    /// Draws a marker at one in so many points only.
    public var markerInterval: Int
    /// True if markers are filled.
    public var filled: Bool
    /// True if a line joins the points.
    public var hasLine: Bool
    /// True if the line is thin and pale, so that other lines stand out.
    public var isThin: Bool
    /// True if the points' spread is drawn.
    public var hasBand: Bool

    public init(
      colour: String, dash: Dash = .solid, marker: Marker = .none, markerInterval: Int = 1, filled: Bool = true,
      hasLine: Bool = true, isThin: Bool = false, hasBand: Bool = true
    ) {
      self.colour = colour
      self.dash = dash
      self.marker = marker
      self.markerInterval = markerInterval
      self.filled = filled
      self.hasLine = hasLine
      self.isThin = isThin
      self.hasBand = hasBand
    }
  }

  /// The pattern of a line.
  public enum Dash: Equatable, Sendable { case solid, dashed, dotted }

  /// The shape that is drawn at a point.
  public enum Marker: CaseIterable, Equatable, Sendable { case none, circle, square, triangle, pentagon, diamond }
}

extension Figure {
  /// The colours of the series, chosen by Okabe and Ito to be told apart by colour-blind readers too (a little
  /// lighter here, to be seen on a dark page as well), and more for long lists.
  public static let palette = [
    "#1f83c4", "#dd6310", "#0a9f78", "#c76ba0", "#c98f00", "#5db3e6", "#8069c8", "#7f8a8f", "#a8503f", "#6f9432",
  ]

  /// The colour of text and rules; a page shows it in its own text colour.
  public static let ink = "black"

  var hasMarkedPoints: Bool {
    panels.contains { $0.series.contains { $0.points.contains(where: \.marked) } }
  }

  /// The legend as drawn.
  var legendEntries: [LegendEntry] {
    var entries = legend ?? []
    if legend == nil {
      for series in panels.flatMap(\.series)
      where !series.label.isEmpty && !entries.contains(where: { $0.label == series.label }) {
        entries.append(LegendEntry(series.label, style: series.style))
      }
    }
    if hasMarkedPoints {
      entries.append(
        LegendEntry(markedLabel, style: Style(colour: Self.ink, marker: .diamond, filled: false, hasLine: false)))
    }
    return entries
  }
}
