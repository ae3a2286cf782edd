// Numbers of a table with their uncertainty, which is computed from other columns.

extension Table {
  /// The column with the standard deviation over samples of another column: "std" for "mean", "loss_std" for "loss"; nil
  /// where there is none.
  public func deviationColumn(of column: String) -> String? {
    let name = column == "mean" ? "std" : column + "_std"
    return values.contains { $0.name == name } ? name : nil
  }

  /// The values whose uncertainty over samples is known, in order; the first value where there are none.
  var uncertainValues: [Column] {
    let known = values.filter { deviationColumn(of: $0.name) != nil || $0.unit == Column.share }
    return known.isEmpty ? Array(values.prefix(1)) : known
  }

  /// The name of the column with the standard deviation of another column over runs.
  func spreadColumn(of column: String) -> String {
    uncertainValues.first?.name == column ? Column.spread : "\(column)_\(Column.spread)"
  }

  /// The numbers of one column with their uncertainty, one for each row; nil where a row has no number.
  ///
  /// The error over samples follows from the deviation and the column `count`; that of a share from the share itself. A
  /// number without them has no error over samples. In a mean over runs their spread is added.
  /// - Throws: `TableError` where there is no such column.
  public func estimates(_ column: String) throws(TableError) -> [Estimate?] {
    func optional(_ name: String?) throws(TableError) -> [Double?] {
      guard let name, values.contains(where: { $0.name == name }) else { return rows.map { _ in nil } }
      return try numbers(name)
    }
    let isShare = columns.contains { $0.name == column && $0.unit == Column.share }
    let deviations = try optional(deviationColumn(of: column))
    let (counts, runs) = (try optional("count"), try optional(Column.runs))
    let spreads = try optional(spreadColumn(of: column))
    return zip(try numbers(column), rows.indices).map { value, row in
      guard let value else { return nil }
      let count = Int(counts[row] ?? 0)
      var error = 0.0
      if count > 0 {
        if let deviation = deviations[row] {
          error = errorOfMean(deviation, of: count)
        } else if isShare {
          error = Estimate(share: value, of: count).sampleError
        }
      }
      return Estimate(value, sampleError: error, runs: max(1, Int(runs[row] ?? 1)), spread: spreads[row])
    }
  }
}
