/// A row of a table as a value with names and types.
///
/// The columns of the table are the fields of the row, in the order in which they are encoded; a field's coding key is
/// its column's name. Fields are numbers, whole numbers, text, or optionals of these; a field that is itself a row, for
/// instance a `Score`, stands for that row's columns.
public protocol TableRow: Codable, Equatable, Sendable {
  /// The names of the columns that tell rows apart.
  static var keys: [String] { get }
  /// The units of columns that have one, by the columns' names.
  static var units: [String: String] { get }
}

extension TableRow {
  public static var units: [String: String] { [:] }
}

extension Table {
  /// A table of these rows.
  /// - Throws: `TableError` where a row has a field that no cell can hold, or a key is missing.
  public init<Row: TableRow>(
    _ name: String, of measure: String? = nil, _ rows: [Row], parameters: [String: Cell] = [:]
  ) throws {
    let fields = try rows.map { row in
      let encoder = RowEncoder()
      try row.encode(to: encoder)
      return encoder.fields
    }
    // A row leaves out an optional that is nil: the columns are those of all rows.
    var columns: [String] = []
    for field in fields.joined() where !columns.contains(field.name) { columns.append(field.name) }
    if let missing = Row.keys.first(where: { !columns.contains($0) && !rows.isEmpty }) {
      throw TableError(table: name, problem: "its rows have no field \"\(missing)\"")
    }
    func column(_ name: String) -> Column { Column(name, unit: Row.units[name]) }
    let values = columns.filter { !Row.keys.contains($0) }
    let cells = fields.map { fields in
      let byName = Dictionary(fields.map { ($0.name, $0.cell) }, uniquingKeysWith: { first, _ in first })
      return (Row.keys + values).map { byName[$0] ?? .missing }
    }
    try self.init(
      name, of: measure, keys: Row.keys.map(column), values: values.map(column), rows: cells, parameters: parameters)
  }

  /// The rows as values of a type.
  /// - Throws: `TableError` or `DecodingError` where a field has no column, or a cell of another type.
  public func rows<Row: TableRow>(of type: Row.Type) throws -> [Row] {
    let names = columns.map(\.name)
    return try rows.map { row in
      let cells = Dictionary(zip(names, row), uniquingKeysWith: { first, _ in first })
      return try Row(from: RowDecoder(table: name, cells: cells))
    }
  }
}

// MARK: coding

/// Takes the fields of a flat value, in order.
private final class RowEncoder: Encoder {
  var fields: [(name: String, cell: Cell)] = []
  let codingPath: [any CodingKey] = []
  let userInfo: [CodingUserInfoKey: Any] = [:]

  func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
    KeyedEncodingContainer(Fields<Key>(encoder: self))
  }
  func unkeyedContainer() -> any UnkeyedEncodingContainer { fatalError("a row of a table has named fields") }
  func singleValueContainer() -> any SingleValueEncodingContainer { fatalError("a row of a table has named fields") }

  private struct Fields<Key: CodingKey>: KeyedEncodingContainerProtocol {
    let encoder: RowEncoder
    let codingPath: [any CodingKey] = []

    private func add(_ cell: Cell, _ key: Key) { encoder.fields.append((key.stringValue, cell)) }

    mutating func encodeNil(forKey key: Key) { add(.missing, key) }
    mutating func encode(_ value: Double, forKey key: Key) { add(.number(value), key) }
    mutating func encode(_ value: Int, forKey key: Key) { add(.number(Double(value)), key) }
    mutating func encode(_ value: String, forKey key: Key) { add(.text(value), key) }
    mutating func encode<Value: Encodable>(_ value: Value, forKey key: Key) throws {
      if let row = value as? any TableRow {
        try row.encode(to: encoder)
      } else {
        throw EncodingError.invalidValue(
          value, .init(codingPath: [key], debugDescription: "a cell of a table holds a number or text"))
      }
    }
    mutating func encodeIfPresent(_ value: Double?, forKey key: Key) { add(value.map { .number($0) } ?? .missing, key) }
    mutating func encodeIfPresent(_ value: Int?, forKey key: Key) {
      add(value.map { .number(Double($0)) } ?? .missing, key)
    }
    mutating func encodeIfPresent(_ value: String?, forKey key: Key) { add(value.map { .text($0) } ?? .missing, key) }
    mutating func nestedContainer<Nested: CodingKey>(
      keyedBy keyType: Nested.Type, forKey key: Key
    ) -> KeyedEncodingContainer<Nested> { fatalError("a row of a table is flat") }
    mutating func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer {
      fatalError("a row of a table is flat")
    }
    mutating func superEncoder() -> any Encoder { encoder }
    mutating func superEncoder(forKey key: Key) -> any Encoder { encoder }
  }
}

/// Gives the cells of a row to a flat value.
private struct RowDecoder: Decoder {
  let table: String
  let cells: [String: Cell]
  let codingPath: [any CodingKey] = []
  let userInfo: [CodingUserInfoKey: Any] = [:]

  func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedDecodingContainer<Key> {
    KeyedDecodingContainer(Fields<Key>(decoder: self))
  }
  func unkeyedContainer() throws -> any UnkeyedDecodingContainer { throw flat }
  func singleValueContainer() throws -> any SingleValueDecodingContainer { throw flat }

  private var flat: TableError { TableError(table: table, problem: "its rows have named fields") }

  private struct Fields<Key: CodingKey>: KeyedDecodingContainerProtocol {
    let decoder: RowDecoder
    let codingPath: [any CodingKey] = []
    var allKeys: [Key] { decoder.cells.keys.compactMap { Key(stringValue: $0) } }

    private func cell(_ key: Key) throws -> Cell {
      guard let cell = decoder.cells[key.stringValue] else {
        throw TableError(table: decoder.table, problem: "there is no column \"\(key.stringValue)\"")
      }
      return cell
    }

    private func value<Value>(_ key: Key, _ read: (Cell) -> Value?) throws -> Value {
      guard let value = try read(cell(key)) else {
        throw TableError(table: decoder.table, problem: "\(key.stringValue) is not of type \(Value.self) in some row")
      }
      return value
    }

    func contains(_ key: Key) -> Bool { decoder.cells[key.stringValue] != nil }
    func decodeNil(forKey key: Key) throws -> Bool { try cell(key) == .missing }
    func decode(_ type: Double.Type, forKey key: Key) throws -> Double { try value(key, \.number) }
    func decode(_ type: Int.Type, forKey key: Key) throws -> Int { try value(key, \.integer) }
    func decode(_ type: String.Type, forKey key: Key) throws -> String { try value(key, \.text) }
    func decode<Value: Decodable>(_ type: Value.Type, forKey key: Key) throws -> Value {
      if let row = type as? any TableRow.Type, let value = try row.init(from: decoder) as? Value { return value }
      throw TableError(table: decoder.table, problem: "\(key.stringValue): a cell holds a number or text")
    }
    /// An optional needs its column too: an unknown column is an error, and not a missing value.
    func decodeIfPresent(_ type: Double.Type, forKey key: Key) throws -> Double? {
      try decodeNil(forKey: key) ? nil : decode(type, forKey: key)
    }
    func decodeIfPresent(_ type: Int.Type, forKey key: Key) throws -> Int? {
      try decodeNil(forKey: key) ? nil : decode(type, forKey: key)
    }
    func decodeIfPresent(_ type: String.Type, forKey key: Key) throws -> String? {
      try decodeNil(forKey: key) ? nil : decode(type, forKey: key)
    }
    func nestedContainer<Nested: CodingKey>(
      keyedBy type: Nested.Type, forKey key: Key
    ) throws -> KeyedDecodingContainer<Nested> { throw decoder.flat }
    func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer { throw decoder.flat }
    func superDecoder() throws -> any Decoder { throw decoder.flat }
    func superDecoder(forKey key: Key) throws -> any Decoder { throw decoder.flat }
  }
}
