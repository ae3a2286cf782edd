/// Everything that is absent for one reason at the same steps, so that it can be named in one sentence.
public struct SharedAbsence: Equatable, Sendable {
  /// The names of views, or of measures where all of the measure is absent.
  public var names: [String]
  /// The steps, for instance "step 4" or "steps 1 to 3 and 7"; nil where no steps are meant.
  public var steps: String?
  /// The reason, in a clause.
  public var reason: String

  public init(names: [String], steps: String?, reason: String) {
    (self.names, self.steps, self.reason) = (names, steps, reason)
  }

  /// The absences, put together where their reasons and steps are the same, in their order.
  public static func all(of absences: [MeasureResults.Absence]) -> [SharedAbsence] {
    let byName = grouped(absences) { [$0.reason, $0.view ?? $0.measure] }.map { key, members in
      (name: key[1], steps: text(of: members.compactMap(\.steps)), reason: key[0])
    }
    return grouped(byName) { [$0.reason, $0.steps ?? ""] }.map { _, members in
      SharedAbsence(names: members.map(\.name), steps: members[0].steps, reason: members[0].reason)
    }
  }

  /// Elements with the same key, in the order in which the keys first come.
  private static func grouped<Element, Key: Hashable>(
    _ elements: [Element], by key: (Element) -> Key
  ) -> [(key: Key, members: [Element])] {
    let groups = Dictionary(grouping: elements.enumerated()) { key($0.element) }
    return groups.sorted { $0.value[0].offset < $1.value[0].offset }.map { ($0.key, $0.value.map(\.element)) }
  }

  /// Some steps in words, for instance "steps 1 to 3 and 7".
  /// - Parameter steps: their numbers, ascending, at least one
  public static func words(for steps: [Int]) -> String {
    let ranges = steps.reduce(into: [[Int]]()) { ranges, step in
      if let last = ranges.last, last[1] == step - 1 {
        ranges[ranges.count - 1][1] = step
      } else {
        ranges.append([step, step])
      }
    }
    return text(of: ranges) ?? ""
  }

  /// - Parameter ranges: the first and the last step of each range
  private static func text(of ranges: [[Int]]) -> String? {
    let texts = ranges.map { Set($0).count == 1 ? "\($0[0])" : $0.map { "\($0)" }.joined(separator: " to ") }
    guard let last = texts.last else { return nil }
    let isOne = ranges.count == 1 && Set(ranges[0]).count == 1
    let others = texts.dropLast().joined(separator: ", ")
    return "\(isOne ? "step" : "steps") \(others)\(others.isEmpty ? "" : " and ")\(last)"
  }
}
