/// Names of at most `length` characters that differ wherever the given names do. A long name is cut where it differs least
/// from the others: what all names begin with goes first, then what they end with, then the middle. A cut is shown by "…".
/// - Parameter length: at least 8; where names cannot be told apart in so few characters, they are numbered
public func distinctNames(_ names: [String], length: Int) -> [String] {
  let length = max(8, length)
  guard names.contains(where: { $0.count > length }) else { return names }
  let distinct = Set(names)
  let prefix = commonPrefix(of: distinct.map(Array.init))
  // As much of what they share stays as there is room for, from a folder on where that can be.
  var dropped = min(prefix, (names.map(\.count).max() ?? 0) - length + 1)
  if let first = names.first.map(Array.init), dropped > 0, dropped < prefix {
    dropped = first[dropped..<prefix].firstIndex(of: "/") ?? dropped
  }
  let suffix = commonPrefix(of: distinct.map { Array($0.reversed()) })
  var cuts: [String: String] = [:]
  for name in distinct {
    var text = Array(name)
    if text.count > length, distinct.count > 1 {
      if dropped > 1 { text = ["…"] + text.dropFirst(min(dropped, text.count - 1)) }
      if text.count > length, suffix > 1, text.count - suffix > 1 { text = Array(text.dropLast(suffix)) + ["…"] }
    }
    cuts[name] = String(text.count > length ? middleCut(text, length) : text)
  }
  var numbers: [String: Int] = [:]
  let clashing = Dictionary(grouping: distinct) { cuts[$0] ?? $0 }.filter { $0.value.count > 1 }
  for name in names where clashing[cuts[name] ?? name] != nil && numbers[name] == nil {
    numbers[name] = numbers.count + 1
  }
  return names.map { name in
    let cut = cuts[name] ?? name
    return numbers[name].map { number in
      let mark = "…\(number)"
      return String(cut.prefix(length - mark.count)) + mark
    } ?? cut
  }
}

/// The number of characters that all of some texts begin with.
private func commonPrefix(of texts: [[Character]]) -> Int {
  guard let first = texts.first else { return 0 }
  return first.indices.first { index in texts.contains { !($0.indices.contains(index) && $0[index] == first[index]) } }
    ?? first.count
}

/// A text without its middle.
private func middleCut(_ text: [Character], _ length: Int) -> [Character] {
  Array(text.prefix(length / 2)) + ["…"] + text.suffix(length - length / 2 - 1)
}
