import ResLensSupport
import ResLensResults
import ResLensTraining

/// The order in which steps are dropped from a network: greedy, or by a quantity that was measured at each step.
public enum DropOrder: Hashable, Sendable {
  /// Again and again the step without which the loss on train images is the lowest.
  case greedy
  /// By a quantity on train samples: the step with the smallest value first, or the one with the largest.
  case quantity(String, largestFirst: Bool)

  private static let (smallest, largest) = (":smallest", ":largest")

  /// The order by a quantity: `influence` begins with the step that is expected to matter least by it, `influence:smallest`
  /// and `influence:largest` with the smallest and the largest value.
  /// - Parameter measures: the descriptions of the measures whose quantities there are
  /// - Throws: `ArgumentError` where no measure has the quantity.
  public init(_ text: String, among measures: [MeasureDescription]) throws(ArgumentError) {
    let end = [Self.smallest, Self.largest].first { text.hasSuffix($0) }
    let name = String(text.dropLast(end?.count ?? 0))
    let known = measures.flatMap(Self.quantities)
    guard let quantity = known.first(where: { $0.word == name }) else {
      let words = known.map(\.word)
      throw ArgumentError(
        "by",
        "there is no quantity \"\(name.printable(60))\"\(didYouMean(name, among: words)); known are "
          + words.joined(separator: ", "))
    }
    self = .quantity(name, largestFirst: end.map { $0 == Self.largest } ?? quantity.largestMattersLeast)
  }

  /// The name in results.
  public var name: String {
    switch self {
    case .greedy: "greedy"
    case .quantity(let name, let largestFirst): name + (largestFirst ? Self.largest : "")
    }
  }

  /// The quantities of a measure on the depth card, each with the word that stands for it in an order: the measure's name if
  /// it has one quantity, otherwise the quantity's name in lower case and with hyphens.
  public static func quantities(
    of measure: MeasureDescription
  ) -> [(word: String, name: String, largestMattersLeast: Bool)] {
    zip(measure.quantities, measure.columns).map { name, column in
      let word =
        measure.columns.count == 1 ? measure.name : name.lowercased().split(separator: " ").joined(separator: "-")
      return (word, name, column.largestMattersLeast)
    }
  }

  /// The steps that have the quantity, in the order in which they are dropped; nil for the greedy order.
  /// - Parameters:
  ///   - tables: what was measured of the network
  ///   - run: the run that it was measured of
  /// - Throws: `ArgumentError` where the quantity was not measured; `TableError` where a table lacks a column that a
  ///   description names.
  func steps(_ measures: [MeasureDescription], _ tables: MeasuredTables, of run: RunFolder) throws -> [Int]? {
    guard case .quantity(let name, let largestFirst) = self else { return nil }
    let found = measures.lazy.flatMap { measure in Self.quantities(of: measure).map { (measure, $0) } }
      .first { $0.1.word == name }
    let quantity = found?.1.name
    guard let column = try DepthCard(measures, tables, .train)?.columns.first(where: { $0.name == quantity }) else {
      throw ArgumentError(
        "by",
        "\(name) was not measured on train samples; run: reslens measure \(run.url.relativePath.shellQuoted) --measures "
          + (found?.0.name ?? name))
    }
    let values = column.values.filter { $0.key > 0 && $0.value.isFinite }
    return values.sorted { first, second in
      let (a, b) = largestFirst ? (second.value, first.value) : (first.value, second.value)
      return a == b ? first.key < second.key : a < b
    }.map(\.key)
  }
}
