import ResLensSupport

/// A measure as people read it: its name, its formula, what the paper found, and how it is printed, compared and drawn.
///
/// Each measure has its description in its own file. Commands and reports show every measure by its description alone.
public struct MeasureDescription: Sendable {
  /// The name on the command line and in result files, for instance "dropped-step".
  public var name: String
  /// The sections of a report that show the measure, in order.
  public var views: [MeasureView]
  /// The measure's columns of the depth card, which has a row for each step.
  public var columns: [StepColumn]
  /// The tables that `reslens measure` prints by themselves, because they are not one number for each step.
  public var printed: [PrintedTable]
  /// A remark about the validation samples that `reslens measure` prints below its table; nil for none.
  public var remark: (@Sendable (MeasuredTables) throws -> String?)?
  /// The measure's numbers in `reslens compare`.
  public var compared: [ComparedNumber]
  /// A sentence about a run for the top of its report; nil where there is nothing to say.
  public var sentence: (@Sendable (MeasuredTables) throws -> String?)?
  /// The cost of doing without each step, by the step's number, which the quantities of other measures may predict
  /// (`DropCost`); nil where the measure has none.
  public var stepCost: (@Sendable (MeasuredTables) throws -> [Int: Double])?
  /// The figures of their own kind that show the measure, besides `views`.
  public var figures: [FigureKind]
  /// When the measure is taken.
  public var use: Use

  /// When a measure is taken without being asked for, and where it can be taken.
  public struct Use: Sendable {
    /// `reslens measure` takes it by default.
    public var byDefault: Bool
    /// It is recorded during training by default.
    public var whileTraining: Bool
    /// It can be recorded during training: it has numbers for each step.
    public var canBeRecorded: Bool
    /// It can be taken with batch normalisation by each batch's own statistics.
    public var withBatchStatistics: Bool
    /// It alters the network by plans, so that it can be taken with running statistics that are recalibrated for them.
    public var withRecalibration: Bool
    /// It is about what a lens reads, so that it can be taken with a trained lens.
    public var withTrainedLens: Bool

    public init(
      byDefault: Bool = true, whileTraining: Bool = false, canBeRecorded: Bool = true,
      withBatchStatistics: Bool = false,
      withRecalibration: Bool = false, withTrainedLens: Bool = false
    ) {
      self.byDefault = byDefault
      self.whileTraining = whileTraining
      self.canBeRecorded = canBeRecorded
      self.withBatchStatistics = withBatchStatistics
      self.withRecalibration = withRecalibration
      self.withTrainedLens = withTrainedLens
    }

    /// True if the measure can be taken in this way.
    public func isPossible(_ way: MeasuringWay) -> Bool {
      switch way {
      case .usual: true
      case .batchStatistics: withBatchStatistics
      case .recalibrated: withRecalibration
      case .lens: withTrainedLens
      }
    }
  }

  public init(
    name: String, views: [MeasureView], columns: [StepColumn] = [], printed: [PrintedTable] = [],
    compared: [ComparedNumber] = [], figures: [FigureKind] = [], use: Use = Use(),
    remark: (@Sendable (MeasuredTables) throws -> String?)? = nil,
    sentence: (@Sendable (MeasuredTables) throws -> String?)? = nil,
    stepCost: (@Sendable (MeasuredTables) throws -> [Int: Double])? = nil
  ) {
    self.name = name
    self.views = views
    self.columns = columns
    self.printed = printed
    self.compared = compared
    self.figures = figures
    self.use = use
    self.remark = remark
    self.sentence = sentence
    self.stepCost = stepCost
  }

  /// The names of the measure's quantities on the depth card, for instance "cosine-loss readout".
  public var quantities: [String] { columns.map { DepthCard.Column.name(name, $0.quantity) } }
}

/// One section of a report: a table of a measure with its explanation and its figures.
public struct MeasureView: Sendable {
  /// The section's name in links, and the name of its figure in a study's YAML file, for instance "first-order".
  public var id: String
  /// The name of the table that is shown.
  public var table: String
  /// The keys besides `split` and `step` that have one value in this section, for instance `["gradient": "readout"]`.
  public var selection: [String: Cell]
  /// The section's title: the quantity, a colon, and the question that it answers.
  public var title: String
  /// The formula and how to read it, in HTML.
  public var definition: String
  /// The author of the finding, for instance "The paper".
  public var source: String
  /// The place of the finding in the source's text, for instance "Fig. 2"; empty where there is no source.
  public var place: String
  /// The source's finding, in HTML; empty where there is no source.
  public var finding: String
  /// True if a report says so where no run has the measure, instead of leaving the section out.
  public var isAlwaysShown: Bool
  /// The figures over the steps. A measure with a page of its own in `Reports` has none here.
  public var figures: [StepFigure]
  /// The map that shows the table over the steps and one more key; nil where curves over the steps show it.
  public var map: StepMap?
  /// The columns of the section's table of numbers.
  public var columns: [ViewColumn]
  /// A remark about one run, in HTML; nil where there is none.
  public var remark: (@Sendable (MeasuredTables) throws -> String?)?
  /// How the measure is shown over the epochs of training; nil where it is not.
  public var history: MeasureHistory?

  public init(
    id: String, table: String, selection: [String: Cell] = [:], title: String, definition: String,
    source: String = "The paper", place: String = "", finding: String = "", isAlwaysShown: Bool = false,
    figures: [StepFigure] = [], map: StepMap? = nil, columns: [ViewColumn] = [], history: MeasureHistory? = nil,
    remark: (@Sendable (MeasuredTables) throws -> String?)? = nil
  ) {
    self.id = id
    self.table = table
    self.selection = selection
    self.title = title
    self.definition = definition
    self.source = source
    self.place = place
    self.finding = finding
    self.isAlwaysShown = isAlwaysShown
    self.figures = figures
    self.map = map
    self.columns = columns
    self.history = history
    self.remark = remark
  }
}

/// A figure with one curve for each split over the steps, and one panel for each quantity.
public struct StepFigure: Sendable {
  /// The stem of the figure's file names.
  public var name: String
  /// The subject of the picture, for readers who do not see it.
  public var title: String
  /// The label of the step axis.
  public var axis: String
  /// The quantities, a panel each.
  public var quantities: [Quantity]
  /// The text below the picture, in HTML.
  public var caption: String
  /// The text that is added to it where a step with a projection is marked, in HTML.
  public var markedCaption: String

  public init(
    name: String, title: String, axis: String = "step", quantities: [Quantity], caption: String = "Means over samples.",
    markedCaption: String = "Diamonds: steps whose skip is a projection instead of the identity."
  ) {
    self.name = name
    self.title = title
    self.axis = axis
    self.quantities = quantities
    self.caption = caption
    self.markedCaption = markedCaption
  }

  /// The caption of marked steps where gradients are shown.
  public static let gradientOfProjection =
    "Diamonds: steps with a projection, where the gradient is the one with respect to the projection’s output."
}

/// A map of a quantity over the steps and another key of its table, for validation samples.
public struct StepMap: Sendable {
  /// The stem of the figure's file names.
  public var name: String
  /// The subject of the picture, for readers who do not see it.
  public var title: String
  /// The label of the step axis.
  public var axis: String
  /// The table's other key, whose values are numbers.
  public var key: String
  /// The label of that key's axis.
  public var label: String
  /// The quantity that the colours show.
  public var quantity: Quantity

  public init(name: String, title: String, axis: String = "step", key: String, label: String, quantity: Quantity) {
    self.name = name
    self.title = title
    self.axis = axis
    self.key = key
    self.label = label
    self.quantity = quantity
  }
}

/// One quantity as an axis of a figure.
public struct Quantity: Sendable {
  /// The axis label, with the unit.
  public var label: String
  /// The column of the values.
  public var column: String
  /// The factor by which the values are multiplied: 100 shows a share in per cent.
  public var factor: Double
  /// True if the axis is logarithmic.
  public var isLogarithmic: Bool
  /// The range that the axis shows at most; nil for all.
  public var bounds: ClosedRange<Double>?
  /// The heights of horizontal lines across the panel.
  public var rules: [Double]
  /// A table with one row a split, whose value in `column` is drawn as a dotted line; nil for none.
  public var reference: Reference?

  /// A value that the curves are to be compared with.
  public struct Reference: Sendable {
    /// The table of the value; it has one row each split.
    public var table: String
    /// The legend's name for the line, behind the split's.
    public var label: String

    public init(table: String, label: String) { (self.table, self.label) = (table, label) }
  }

  public init(
    _ label: String, column: String = "mean", factor: Double = 1, isLogarithmic: Bool = false,
    bounds: ClosedRange<Double>? = nil, rules: [Double] = [], reference: Reference? = nil
  ) {
    self.label = label
    self.column = column
    self.factor = factor
    self.isLogarithmic = isLogarithmic
    self.bounds = bounds
    self.rules = rules
    self.reference = reference
  }
}

/// How a measure is shown over the epochs of training: curves and a map over steps and epochs.
public struct MeasureHistory: Sendable {
  /// The section's title.
  public var title: String
  /// How to read the figure, in HTML.
  public var explanation: String
  /// The quantity that is shown.
  public var quantity: Quantity
  /// The value where a map's colours turn from blue to red; nil for colours that go from dark to bright.
  public var centre: Double?

  public init(title: String, explanation: String, quantity: Quantity, centre: Double? = nil) {
    self.title = title
    self.explanation = explanation
    self.quantity = quantity
    self.centre = centre
  }
}

/// How numbers of one kind are written.
public enum NumberFormat: Sendable {
  /// With a fixed number of decimals.
  case decimal(Int)
  /// With four significant digits.
  case significant
  /// A share, in per cent.
  case percent
  /// A whole number.
  case count

  /// The number as text, with its unit.
  public func text(_ value: Double) -> String {
    if case .percent = self { return ResLensSupport.percent(value) }
    return bareText(value)
  }

  /// The number as text without its unit, for a column whose head has it.
  public func bareText(_ value: Double) -> String {
    switch self {
    case .decimal(let digits): readable(value, digits)
    case .significant: ResLensSupport.significant(value)
    case .percent: ResLensSupport.decimal(100 * value, 2)
    case .count: ResLensSupport.decimal(value, 0)
    }
  }

  /// The number with two standard errors, for instance "0.1234 ± 0.0021"; without them where they are not known.
  public func text(_ estimate: Estimate) -> String {
    guard estimate.standardError > 0, estimate.margin.isFinite else { return text(estimate.value) }
    return bareText(estimate.value) + " ± " + text(estimate.margin)
  }

  /// The unit that the format itself gives to a number; nil for none.
  public var unit: String? { if case .percent = self { "%" } else { nil } }
}

/// A column of a report's table of numbers. Where the uncertainty of the numbers is known, two standard errors stand behind
/// them as "± …".
public struct ViewColumn: Sendable {
  /// The head of the column.
  public var head: String
  /// The column of the table that holds the numbers.
  public var column: String
  /// How the numbers are written.
  public var format: NumberFormat

  public init(_ head: String, column: String, format: NumberFormat = .decimal(4)) {
    self.head = head
    self.column = column
    self.format = format
  }

  /// The columns of a table of `StepStatistic`.
  public static func statistic(_ format: NumberFormat = .decimal(4)) -> [ViewColumn] {
    [
      ViewColumn("mean", column: "mean", format: format),
      ViewColumn("std", column: "std", format: format),
      ViewColumn("n", column: "count", format: .count),
    ]
  }
}

/// A column of the depth card: one number for each step. `reslens measure` prints the card of validation samples under the
/// measures' names.
public struct StepColumn: Sendable {
  /// The quantity in a word or two, below the measure's name; empty where that says it.
  public var quantity: String
  /// The table of the numbers.
  public var table: String
  /// The keys besides `split` and `step`, and their values.
  public var selection: [String: Cell]
  /// The column of the table that holds the numbers.
  public var column: String
  /// How the numbers are written.
  public var format: NumberFormat
  /// True if the step with the largest number is expected to matter least, and is dropped first where steps are dropped by
  /// this quantity; false if that is the step with the smallest.
  public var largestMattersLeast: Bool

  public init(
    _ quantity: String = "", table: String, selection: [String: Cell] = [:], column: String = "mean",
    format: NumberFormat = .decimal(4), largestMattersLeast: Bool = false
  ) {
    self.largestMattersLeast = largestMattersLeast
    self.quantity = quantity
    self.table = table
    self.selection = selection
    self.column = column
    self.format = format
  }
}

/// A table that `reslens measure` prints by itself, on validation samples.
public struct PrintedTable: Sendable {
  /// The name of the table.
  public var table: String
  /// The table's contents, in a few words.
  public var title: String
  /// The key whose values become columns; nil for a table that is printed as it is.
  public var pivot: String?
  /// The columns that are printed, with the format of their numbers.
  public var values: [(column: String, format: NumberFormat)]

  public init(
    _ table: String, title: String, pivot: String? = nil, values: [(column: String, format: NumberFormat)]
  ) {
    self.table = table
    self.title = title
    self.pivot = pivot
    self.values = values
  }
}

/// One number about a run in `reslens compare`. Its column's head is the measure's name.
public struct ComparedNumber: Sendable {
  /// The quantity in a word or two, below the measure's name.
  public var quantity: String
  /// The name of the number in JSON and CSV.
  public var key: String
  /// How the number is written.
  public var format: NumberFormat
  /// The number; nil where the run has none.
  public var value: @Sendable (MeasuredTables) throws -> Double?

  public init(
    _ quantity: String, key: String, format: NumberFormat = .significant,
    value: @escaping @Sendable (MeasuredTables) throws -> Double?
  ) {
    self.quantity = quantity
    self.key = key
    self.format = format
    self.value = value
  }
}

extension ViewColumn {
  /// The columns of a table of `StepScore`.
  public static let score = [
    ViewColumn("accuracy", column: "accuracy", format: .percent),
    ViewColumn("loss", column: "loss"),
    ViewColumn("entropy", column: "entropy"),
    ViewColumn("n", column: "count", format: .count),
  ]
}
