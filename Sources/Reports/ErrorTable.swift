import ResLensSupport
import ResLensResults

/// How networks did, a row each: train and validation errors over seeds, beside what was printed elsewhere (Table 1).
public struct ErrorTable: Sendable {
  /// Columns.
  public var datasets: [String]
  /// The networks, one row each.
  public var rows: [Row]

  /// One network.
  public struct Row: Sendable {
    /// The name of the network.
    public var model: String
    /// Trainable parameters, of each data set's network.
    public var parameters: [Int]
    /// An entry a data set; nil where the study has none.
    public var errors: [Entry?]

    public init(model: String, parameters: [Int], errors: [Entry?]) {
      (self.model, self.parameters, self.errors) = (model, parameters, errors)
    }

    fileprivate func parameters(ofDataset index: Int) -> Int {
      parameters.indices.contains(index) ? parameters[index] : parameters.first ?? 0
    }
  }

  /// Errors as shares, 0 … 1, after the last epoch.
  public struct Entry: Sendable {
    /// The error on the train split over seeds.
    public var train: SeedStatistic
    /// The error on the validation split over seeds.
    public var validation: SeedStatistic
    /// Seeds that came to their end.
    public var seeds: Int
    /// The paper's, as shares too.
    public var printed: (train: Double, validation: Double)?

    public init(
      train: SeedStatistic, validation: SeedStatistic, seeds: Int, printed: (train: Double, validation: Double)?
    ) {
      (self.train, self.validation, self.seeds, self.printed) = (train, validation, seeds, printed)
    }
  }

  public init(datasets: [String], rows: [Row]) { (self.datasets, self.rows) = (datasets, rows) }

  /// A table a data set: beside one another they would not fit the page.
  var markup: Markup { "\(datasets.indices.map(markup))" }

  private func markup(ofDataset index: Int) -> Markup {
    let entries = rows.compactMap { row in row.errors[index].map { (row, $0) } }
    let hasPrinted = entries.contains { $0.1.printed != nil }
    return table(
      ["network", "parameters", "train error", "validation error", "seeds"]
        + (hasPrinted ? ["the paper’s, train / test"] : []),
      rows: entries.map { row, entry in
        let printed = entry.printed.map { "\(percent($0.train)) / \(percent($0.validation))" }
        return [
          row.model, "\(row.parameters(ofDataset: index))", entry.train.percentage, entry.validation.percentage,
          "\(entry.seeds)",
        ] + (hasPrinted ? [printed ?? "–"] : [])
      },
      caption:
        "\(datasets[index]): after the last epoch, train as seen while training; ± one standard deviation over seeds (n − 1)"
    )
  }

  /// A line a network and data set.
  var csv: String {
    func text(_ value: Double?) -> String { value.map { "\($0)" } ?? "" }
    let lines = rows.flatMap { row in
      zip(datasets.indices, row.errors).compactMap { index, entry -> String? in
        guard let entry else { return nil }
        return [
          row.model.csvField, datasets[index].csvField, "\(row.parameters(ofDataset: index))", text(entry.train.mean),
          text(entry.train.deviation), text(entry.validation.mean), text(entry.validation.deviation), "\(entry.seeds)",
          text(entry.printed?.train), text(entry.printed?.validation),
        ].joined(separator: ",")
      }
    }
    return
      ([
        "network,data,parameters,train_error,train_error_std,validation_error,validation_error_std,seeds,"
          + "paper_train_error,paper_test_error"
      ] + lines).map { $0 + "\n" }.joined()
  }
}
