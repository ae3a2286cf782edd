import Foundation
import ResLensSupport
import ResLensResults
import Testing

@Suite struct TableTests {
  private static let seeds = 0..<60

  private func table(_ rows: [[Cell]], values: [Table.Column] = [.init("mean")]) throws(TableError) -> Table {
    try Table("t", keys: [.init("split"), .init("step")], values: values, rows: rows)
  }

  // MARK: what a table refuses

  @Test("Rows that contradict their columns or one another are refused")
  func contradictions() throws {
    func refused(_ words: String, _ make: () throws -> Table) {
      #expect {
        try make()
      } throws: { error in
        (error as? TableError)?.table == "t" && "\(error)".contains(words)
      }
    }
    refused("row 2 has 2 cells, and there are 3 columns") {
      try table([["train", 1, 0.5], ["train", 2]])
    }
    refused("two rows have the same keys") { try table([["train", 1, 0.5], ["train", 1, 0.6]]) }
    // Zeros of both signs are one number.
    refused("two rows have the same keys") {
      try table([["train", 0, 0.5], ["train", .number(-0.0), 0.6]])
    }
    refused("two rows have the same keys") {
      try table([["train", .missing, 0.5], ["train", .missing, 0.6]])
    }
    for number in [Double.nan, .infinity, -.infinity] {
      refused("the key step is not a finite number") {
        try table([["train", .number(number), 0.5]])
      }
    }
    refused("the column \"mean\" occurs twice") { try table([], values: [.init("mean"), .init("mean")]) }
    refused("the column \"step\" occurs twice") { try table([], values: [.init("step")]) }
    for count in [-1, 0.5, .nan, .infinity, 1e13] {
      refused("is not a number of samples") {
        try table([["train", 1, .number(count)]], values: [.init("n", unit: Table.Column.samples)])
      }
    }
    for share in [-0.1, 1.1, .nan] {
      refused("is not between 0 and 1") {
        try table([["train", 1, .number(share)]], values: [.init("accuracy", unit: Table.Column.share)])
      }
    }
    for name in ["std", "loss_std"] {
      refused("\(name) -0.5 is less than 0") {
        try table([["train", 1, -0.5]], values: [.init(name)])
      }
    }
    // A text that JSON has in place of a number would read back as that number.
    for word in ["NaN", "Infinity", "-Infinity"] {
      refused("the text \"\(word)\"") { try table([["train", .text(word), 1]]) }
      refused("the text \"\(word)\"") { try table([["train", 1, .text(word)]]) }
      refused("the text \"\(word)\"") {
        try Table("t", keys: [], values: [], parameters: ["how": .text(word)])
      }
    }
    let rows: [[Cell]] = [["train", 1, .number(.nan)], ["train", 2, .missing], ["train", .missing, 1]]
    #expect(try table(rows).rows == rows)
    #expect(try table([["train", 1, .number(.nan)]], values: [.init("std")]).rows.count == 1)
  }

  @Test("An unknown column is an error that names the table and its columns")
  func unknownColumns() throws {
    let table = try table([["train", 1, 0.5]])
    for request in [
      { _ = try table.cells("steps") }, { _ = try table.numbers("steps") },
      { _ = try table.presentNumbers("steps") },
      { _ = try table.selecting(["steps": 1]) },
      { _ = try table.selecting(["split": "train", "steps": 1]) },
      { _ = try table.mean(over: "steps") },
      { _ = try table.pivoted(by: "steps", values: ["mean"]) },
      { _ = try table.pivoted(by: "step", values: ["mean", "steps"]) },
      { _ = try MeasuredTables(tables: [table]).table("t", .train, ["steps": 1]) },
    ] as [() throws -> Void] {
      let problem = "there is no column \"steps\"; the columns are split, step, mean"
      #expect(throws: TableError(table: "t", problem: problem)) { try request() }
    }
    for request in [
      { _ = try table.mean(over: "mean") },
      { _ = try table.pivoted(by: "mean", values: ["mean"]) },
    ] as [() throws -> Void] {
      #expect(throws: TableError(table: "t", problem: "\"mean\" is a value and not a key")) { try request() }
    }
    #expect(table.hasKey("step") && !table.hasKey("mean") && !table.hasKey("steps"))
  }

  // MARK: tables out of tables

  @Test("Selecting gives the rows that have the keys' values, without these keys", arguments: seeds)
  func selecting(seed: Int) throws {
    var draws = Draws(seed: seed)
    let table = try draws.table()
    #expect(try table.selecting([:]) == table)
    for names in [["split"], ["label"], ["step", "split"], ["label", "step"], ["split", "step", "label"]] {
      // A row of the table, or values that may not be there together.
      let model = table.rows.randomElement(using: &draws) ?? ["train", 0, "a"]
      let other = table.rows.randomElement(using: &draws) ?? ["train", 0, "a"]
      var selection: [String: Cell] = [:]
      for name in names {
        let index = try #require(table.columns.firstIndex { $0.name == name })
        selection[name] = (draws.flag() ? model : other)[index]
      }
      let found = try table.selecting(selection)
      let left = table.columns.indices.filter { selection[table.columns[$0].name] == nil }
      let wanted = table.rows.filter { row in
        zip(table.columns, row).allSatisfy { column, cell in selection[column.name].map { $0 == cell } ?? true }
      }.map { row in left.map { row[$0].bits } }
      #expect(found.rows.map { $0.map(\.bits) } == wanted)
      #expect(found.keys == table.keys.filter { selection[$0.name] == nil } && found.values == table.values)
      #expect(found.name == table.name && found.measure == "measure" && found.parameters == table.parameters)
      #expect(found.problem == nil)
      // One key after the other gives the same.
      var step = table
      for (key, value) in selection { step = try step.selecting([key: value]) }
      #expect(step == found)
    }
    #expect(try table.selecting(["label": "no such label"]).rows.isEmpty)
  }

  @Test("The mean over a key follows its formula for every value", arguments: seeds)
  func mean(seed: Int) throws {
    var draws = Draws(seed: seed)
    let table = try draws.table { draws in
      Int.random(in: 0..<20, using: &draws) == 0
        ? draws.element(of: [.nan, .infinity, -0.0]) : Double.random(in: -10...10, using: &draws)
    }
    for (index, key) in table.keys.enumerated() {
      let found = try table.mean(over: key.name)
      #expect(found.keys == table.keys.filter { $0 != key })
      // `mean` has a deviation, and `accuracy` is a share: the uncertainty of both is known.
      #expect(found.values.map(\.name) == table.values.map(\.name) + ["runs", "spread", "accuracy_spread"])
      #expect(found.values.map(\.unit) == table.values.map(\.unit) + [nil, nil, "share"])
      var groups: [[Cell]] = []
      for row in table.rows {
        let group = (0..<3).filter { $0 != index }.map { row[$0] }
        if !groups.contains(group) { groups.append(group) }
      }
      #expect(found.rows.map { Array($0.prefix(2)) } == groups)
      for row in found.rows {
        let members = table.rows.filter { member in
          (0..<3).filter { $0 != index }.map { member[$0] } == Array(row.prefix(2))
        }
        for (column, value) in table.values.enumerated() {
          let numbers = members.compactMap { $0[3 + column].number }
          guard !numbers.isEmpty else {
            #expect(row[2 + column] == .missing)
            continue
          }
          let sum = numbers.reduce(0, +) / Double(numbers.count)
          let wanted = value.unit == Table.Column.samples ? (sum + 0.5).rounded(.down) : sum
          #expect(row[2 + column] == .number(wanted))
        }
        #expect(row[8] == .number(Double(members.count)))
        let firsts = members.compactMap { $0[3].number }
        guard firsts.count > 1 else {
          #expect(row[9] == .missing)
          continue
        }
        let mean = firsts.reduce(0, +) / Double(firsts.count)
        let squares = firsts.map { $0 * $0 }.reduce(0, +)
        let variance = (squares - Double(firsts.count) * mean * mean) / Double(firsts.count - 1)
        let spread = try #require(row[9].number)
        if firsts.allSatisfy(\.isFinite) {
          #expect(abs(spread - max(0, variance).squareRoot()) < 1e-6)
        } else {
          #expect(!spread.isFinite)
        }
      }
      // A second mean would have its columns twice.
      #expect(throws: TableError(table: "drawn", problem: "the column \"runs\" occurs twice")) {
        try found.mean(over: found.keys[0].name)
      }
    }
  }

  @Test("Joined tables come apart again by the new key", arguments: seeds)
  func joining(seed: Int) throws {
    var draws = Draws(seed: seed)
    let parts = try (0..<3).map { (value: Cell.number(Double($0)), table: try draws.table()) }
    let joined = try #require(try Table.joined(parts, by: .init("seed", unit: "none")))
    #expect(joined.keys == [.init("seed", unit: "none")] + parts[0].table.keys)
    #expect(joined.values == parts[0].table.values)
    #expect(joined.rows.count == parts.map(\.table.rows.count).reduce(0, +) && joined.problem == nil)
    for (value, table) in parts {
      #expect(try joined.selecting(["seed": value]).rows.map { $0.map(\.bits) } == table.rows.map { $0.map(\.bits) })
    }
    #expect(try Table.joined([], by: .init("seed")) == nil)
    #expect(try Table.joined(Array(parts.prefix(1)), by: .init("seed"))?.selecting(["seed": 0]) == parts[0].table)
  }

  @Test("Tables with other columns, or with the same keys, are neither joined nor appended")
  func impossibleJoins() throws {
    let table = try table([["train", 1, 0.5], ["train", 2, 0.5]])
    let unlike = [
      try self.table([["train", 3, 0.5]], values: [.init("median")]),
      try self.table([["train", 3, 0.5]], values: [.init("mean", unit: "nats")]),
      try Table("t", keys: [.init("split")], values: [.init("step"), .init("mean")], rows: [["train", 3, 0.5]]),
    ]
    for other in unlike {
      #expect(throws: TableError.self) { try Table.joined([(0, table), (1, other)], by: .init("seed")) }
      var longer = table
      #expect(throws: TableError.self) { try longer.append(other) }
      #expect(longer == table)
    }
    #expect(throws: TableError(table: "t", problem: "two rows have the same keys")) {
      try Table.joined([(0, table), (0, table)], by: .init("seed"))
    }
    #expect(throws: TableError(table: "t", problem: "the column \"step\" occurs twice")) {
      try Table.joined([(0, table)], by: .init("step"))
    }
    var longer = table
    #expect(throws: TableError(table: "t", problem: "two rows have the same keys")) {
      try longer.append(self.table([["train", 3, 0.5], ["train", 2, 0.7]]))
    }
    #expect(longer == table)
    try longer.append(self.table([["train", 3, 0.7], ["validation", 1, 0.7]]))
    #expect(longer.rows == table.rows + [["train", 3, 0.7], ["validation", 1, 0.7]])
  }

  @Test("A pivoted table has every value in the column of its key's value", arguments: seeds)
  func pivoting(seed: Int) throws {
    var draws = Draws(seed: seed)
    let table = try draws.table()
    for (index, key) in table.keys.enumerated() {
      for wanted in [["mean"], ["loss", "count"]] {
        let found = try table.pivoted(by: key.name, values: wanted)
        var heads: [Cell] = []
        for row in table.rows where !heads.contains(row[index]) { heads.append(row[index]) }
        #expect(
          found.values.map(\.name)
            == heads.flatMap { head in wanted.map { head.plainText + (wanted.count > 1 ? " " + $0 : "") } })
        let groups = Set(table.rows.map { row in (0..<3).filter { $0 != index }.map { row[$0] } })
        #expect(Set(found.rows.map { Array($0.prefix(2)) }) == groups && found.rows.count == groups.count)
        #expect(found.keys == table.keys.filter { $0 != key } && found.parameters == table.parameters)
        for row in found.rows {
          for (place, head) in heads.enumerated() {
            let source = table.rows.first { member in
              member[index] == head && (0..<3).filter { $0 != index }.map { member[$0] } == Array(row.prefix(2))
            }
            for (offset, name) in wanted.enumerated() {
              let column = try #require(table.columns.firstIndex { $0.name == name })
              #expect(row[2 + place * wanted.count + offset].bits == (source?[column] ?? .missing).bits)
            }
          }
        }
      }
    }
  }

  @Test("Values of one key that look alike as columns are an error of the pivot")
  func ambiguousPivot() throws {
    let table = try Table("t", keys: [.init("key")], values: [.init("mean")], rows: [[1, 0.5], ["1", 0.6]])
    #expect(throws: TableError(table: "t", problem: "the column \"1\" occurs twice")) {
      try table.pivoted(by: "key", values: ["mean"])
    }
  }

  // MARK: text

  /// The fields of CSV text (RFC 4180), and whether each stands in quotes.
  private func fields(csv: String) -> [[(text: String, isQuoted: Bool)]] {
    var lines: [[(text: String, isQuoted: Bool)]] = [[]]
    var field: (text: String.UnicodeScalarView, isQuoted: Bool) = (.init(), false)
    var isInside = false
    var rest = ArraySlice(csv.unicodeScalars)
    while let scalar = rest.popFirst() {
      switch (scalar, isInside) {
      case ("\"", true):
        if rest.first == "\"" { field.text.append(rest.removeFirst()) } else { isInside = false }
      case ("\"", false): (isInside, field.isQuoted) = (true, true)
      case (",", false), ("\n", false):
        lines[lines.count - 1].append((String(field.text), field.isQuoted))
        field = (.init(), false)
        if scalar == "\n" { lines.append([]) }
      default: field.text.append(scalar)
      }
    }
    return lines.dropLast()
  }

  @Test("Every cell reads back from the CSV", arguments: seeds)
  func csv(seed: Int) throws {
    var draws = Draws(seed: seed)
    let table = try draws.table()
    for table in [table, try table.pivoted(by: "label", values: ["mean", "comment"])] {
      let lines = fields(csv: table.csv)
      func scalars(_ text: String) -> [Unicode.Scalar] { Array(text.unicodeScalars) }
      #expect(lines.first.map { $0.map { scalars($0.text) } } == table.columns.map { scalars($0.name) })
      #expect(lines.count == table.rows.count + 1)
      for (line, row) in zip(lines.dropFirst(), table.rows) {
        try #require(line.count == row.count)
        for (field, cell) in zip(line, row) {
          switch cell {
          case .missing: #expect(field.text.isEmpty && !field.isQuoted)
          case .text(let text): #expect(scalars(field.text) == scalars(text) && (!text.isEmpty || field.isQuoted))
          case .number: #expect(Double(field.text).map { Cell.number($0).bits } == cell.bits && !field.isQuoted)
          }
        }
      }
    }
  }

  @Test("CSV has whole numbers without a point, and nan, inf and -inf")
  func csvText() throws {
    let table = try Table(
      "t", keys: [.init("step"), .init("a,b")], values: [.init("mean")],
      rows: [
        [1, "x", .number(.nan)], [2, "a \"b\", c\nd", .number(.infinity)], [3, "y", .number(-.infinity)],
        [4, "z", .missing], [5, "z", .number(1.0 / 3)], [6, "z", .number(-0.0)], [7, "", 1e-308],
      ])
    #expect(
      table.csv
        == """
        step,"a,b",mean
        1,x,nan
        2,"a ""b"", c
        d",inf
        3,y,-inf
        4,z,
        5,z,0.3333333333333333
        6,z,-0.0
        7,"",1e-308

        """)
    #expect(Cell.number(3).plainText == "3" && Cell.number(-0.0).plainText == "0" && Cell.missing.plainText.isEmpty)
  }

  @Test("A table reads back from JSON to the bit", arguments: seeds)
  func json(seed: Int) throws {
    var draws = Draws(seed: seed)
    let table = try draws.table()
    let read = try JSON.decode(Table.self, from: JSON.encode(table), path: "t.json", remedy: "none")
    #expect(read.bits == table.bits && read == table)
  }

  @Test("JSON has the layout that the documentation states")
  func layout() throws {
    let table = try Table(
      "first-order", of: "measure", keys: [.init("step")], values: [.init("loss", unit: "nats"), .init("note")],
      rows: [[1, .number(.nan), "a"], [2, .number(-.infinity), .missing], [3, 0.5, "b"]], parameters: ["times": 20])
    let text = String(decoding: try JSON.encode(table), as: UTF8.self)
    #expect(
      text == """
        {"keys":[{"name":"step"}],"measure":"measure","name":"first-order","parameters":{"times":20},\
        "rows":[[1,"NaN","a"],[2,"-Infinity",null],[3,0.5,"b"]],\
        "values":[{"name":"loss","unit":"nats"},{"name":"note"}]}
        """)
    func refused(_ old: String, _ new: String, _ words: String) {
      #expect(text.contains(old))
      #expect {
        try JSON.decode(Table.self, from: Data(text.replacing(old, with: new).utf8), path: "t.json", remedy: "none")
      } throws: { "\($0)".contains(words) && "\($0)".contains("t.json") }
    }
    refused("[2,", "[1,", "two rows have the same keys")
    refused("[2,", "[\"NaN\",", "the key step is not a finite number")
    refused("[3,0.5,\"b\"]", "[3,0.5]", "row 3 has 2 cells")
    refused("0.5", "true", "rows[2][1]")
    refused("0.5", "[]", "rows[2][1]")
    refused("\"note\"", "\"loss\"", "the column \"loss\" occurs twice")
  }

  @Test("Cells that look the same in a file are equal, and no others")
  func equality() {
    let cells: [Cell] = [.missing, 0, 1, .number(.nan), .number(.infinity), "", "0", "nan"]
    for (index, cell) in cells.enumerated() {
      for (other, another) in cells.enumerated() { #expect((cell == another) == (index == other)) }
    }
    #expect(Set(cells + cells + [.number(-.nan), .number(-0.0)]).count == cells.count)
    #expect(Cell.number(2).integer == 2 && Cell.number(2.5).integer == nil && Cell.number(.nan).integer == nil)
    #expect(Cell.text("2").number == nil && Cell.number(2).text == nil)
  }
}
