import Foundation
import ResLensSupport
import ResLensResults
import ResLensTorch

/// The values that measures have for each sample, as a file: `reslens measure --per-sample`.
public struct PerSampleValues {
  /// The split and the step that a number belongs to.
  private struct Place: Hashable {
    var split: Split
    var step: Int?
  }

  /// The values by quantity and place, in the order of the samples.
  private var values: [String: [Place: [(index: Int, value: Double)]]] = [:]
  /// The number of samples of each split.
  private var counts: [Split: Int] = [:]

  public init() {}

  /// Takes the tables of one sample.
  public mutating func add(_ tables: [Table], of index: Int, _ split: Split) {
    counts[split] = max(counts[split] ?? 0, index + 1)
    // The deviation over one sample says nothing.
    for number in tables.flatMap(\.namedNumbers) where number.column.name.split(separator: "_").last != "std" {
      let name = ([number.quantity] + number.keys).joined(separator: "/")
      values[name, default: [:]][Place(split: split, step: number.step), default: []].append((index, number.value))
    }
  }

  /// A table with a row for each sample and step, and a column for each quantity. Values that do not exist are empty.
  public var csv: String {
    let names = values.keys.sorted()
    let places = Set(values.values.flatMap(\.keys)).sorted {
      ($0.split.rawValue, $0.step ?? -1) < ($1.split.rawValue, $1.step ?? -1)
    }
    var text = "split,sample,step," + names.map(\.csvField).joined(separator: ",") + "\n"
    for split in Split.allCases {
      let columns = places.filter { $0.split == split }.map { place in
        (step: place.step, cells: names.map { vector(of: $0, at: place) })
      }
      for index in 0..<(counts[split] ?? 0) {
        for (step, cells) in columns {
          let numbers = cells.map { cell in cell[index].map { Cell.number($0).csvText } ?? "" }
          text += "\(split.rawValue),\(index),\(step.map { "\($0)" } ?? ""),\(numbers.joined(separator: ","))\n"
        }
      }
    }
    return text
  }

  /// A tensor for each quantity and split, named SPLIT/QUANTITY: float64, a row for each sample and a column for each step
  /// that has the quantity. The metadata name these steps. Values that do not exist are NaN.
  public func tensors() throws -> Safetensors {
    var file = Safetensors(tensors: [:])
    for (name, places) in values {
      for split in Split.allCases {
        let own = places.keys.filter { $0.split == split }.sorted { ($0.step ?? -1) < ($1.step ?? -1) }
        guard !own.isEmpty else { continue }
        let columns = own.map { vector(of: name, at: $0) }
        let count = counts[split] ?? 0
        let numbers = (0..<count).flatMap { index in columns.map { $0[index] ?? .nan } }
        file.tensors["\(split.rawValue)/\(name)"] = try Tensor(numbers, shape: [count, own.count])
        file.metadata["\(split.rawValue)/\(name)"] = own.compactMap(\.step).map(String.init).joined(separator: ",")
      }
    }
    return file
  }

  /// The values of a quantity, one for each sample; nil where a sample has none.
  private func vector(of name: String, at place: Place) -> [Double?] {
    var vector = [Double?](repeating: nil, count: counts[place.split] ?? 0)
    for (index, value) in values[name]?[place] ?? [] { vector[index] = value }
    return vector
  }
}
