/// The end of a message about a name that is not known: " (did you mean resnet-20?)", or nothing if no known name is
/// similar to it.
public func didYouMean(_ name: String, among known: [String]) -> String {
  let mistakes = known.map { (name: $0, count: $0.editDistance(to: name)) }
  let nearest = mistakes.min { $0.count < $1.count }.flatMap { 3 * $0.count <= name.count ? $0.name : nil }
  // A name that breaks off is far from its whole.
  let whole = name.count < 3 ? nil : known.first { $0.hasPrefix(name) }
  return (nearest ?? whole).map { " (did you mean \($0)?)" } ?? ""
}

extension String {
  /// The number of characters that have to be inserted, removed, replaced or exchanged with their neighbour to make
  /// `other` of this text, each character at most once (the optimal string alignment distance).
  func editDistance(to other: String) -> Int {
    let (own, others) = (Array(self), Array(other))
    // Names are short, and so is what is worth comparing with them.
    guard own.count < 100, others.count < 100 else { return .max / 3 }
    var rows = [Array(0...others.count)]
    for i in own.indices {
      var row = [i + 1]
      for j in others.indices {
        let replaced = rows[i][j] + (own[i] == others[j] ? 0 : 1)
        var least = Swift.min(rows[i][j + 1] + 1, row[j] + 1, replaced)
        if i > 0, j > 0, own[i] == others[j - 1], own[i - 1] == others[j] {
          least = Swift.min(least, rows[i - 1][j - 1] + 1)
        }
        row.append(least)
      }
      rows.append(row)
    }
    return rows[own.count][others.count]
  }
}
