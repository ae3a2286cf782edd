import ResLensSupport
import Testing

@Suite struct TextTableTests {
  private let table = TextTable(columns: [
    .init("run", cells: ["runs/first", "runs/second"]), .init("cosine-loss", "last", cells: ["−0.1", "0.25"], rank: 1),
    .init("cosine-loss", "first", "%", cells: ["12.00", "3.00"], rank: 3), .init("n", cells: ["300", "–"], rank: 2),
  ])

  @Test("Columns stand flush right below heads that they share, and the first column flush left")
  func layout() {
    let lines = [
      "             cosine-loss", "             last  first", "run                    %    n",
      "runs/first   −0.1  12.00  300", "runs/second  0.25   3.00    –",
    ]
    #expect(table.text(width: nil) == lines.joined(separator: "\n"))
    #expect(table.text(width: 29) == table.text(width: nil))
  }

  @Test("Where columns do not fit, those of the highest rank go first and are named")
  func narrow() {
    let lines = [
      "             cosine-loss", "run                 last", "runs/first          −0.1", "runs/second         0.25",
      "Left out to fit 28", "characters: cosine-loss", "first %, n.",
    ]
    #expect(table.text(width: 28) == lines.joined(separator: "\n"))
    // A row that has no value in the columns that stay is left out.
    var few = TextTable(columns: [
      .init("step", cells: ["0", "1"]), .init("a", cells: ["–", "1"]),
      .init("wide and less important", cells: ["2", "3"], rank: 1),
    ])
    #expect(few.text(width: 20).hasPrefix("step  a\n1     1\n"))
    few.keepsEmptyRows = true
    #expect(few.text(width: 20).hasPrefix("step  a\n0     –\n1     1\n"))
  }

  @Test("No line is wider than the terminal, whatever the table", arguments: 0..<200)
  func neverWraps(seed: UInt64) {
    var state = seed &* 0x9E37_79B9_7F4A_7C15 | 1
    func draw(_ count: Int) -> Int {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Int(state >> 33) % count
    }
    let rows = 1 + draw(6)
    func word(_ most: Int) -> String { String((0..<(1 + draw(most))).map { _ in "abcdé–0".randomElement() ?? "a" }) }
    let names = (0..<rows).map { "runs/\(word(60))/seed-\($0)" }
    var table = TextTable(columns: [.init("run", cells: names)])
    for _ in 0..<(1 + draw(9)) {
      var column = TextTable.Column("", cells: (0..<rows).map { _ in word(9) }, rank: draw(3))
      column.head = (0..<(1 + draw(3))).map { _ in word(14) }
      table.columns.append(column)
    }
    for width in [40, 80, 120] {
      // One column besides the names always stays, and here it takes at most 16 characters.
      #expect(
        table.text(width: width).split(separator: "\n").allSatisfy { $0.count <= width }, "\(table.text(width: width))")
    }
  }

  @Test("Words are wrapped between words, and lines stay apart")
  func words() {
    #expect(wrapped("one two three\nfour", width: 8) == "one two\nthree\nfour")
    #expect(wrapped("extraordinarily long", width: 8) == "extraordinarily\nlong")
  }
}

@Suite struct DistinctNamesTests {
  @Test("Names that fit stay, and long ones lose what they share")
  func shared() {
    #expect(distinctNames(["a", "bc"], length: 8) == ["a", "bc"])
    let names = ["/data/studies/depth/runs/resnet-20-seed-0", "/data/studies/depth/runs/resnet-32-seed-0"]
    #expect(distinctNames(names, length: 20) == ["…/resnet-20-seed-0", "…/resnet-32-seed-0"])
    #expect(distinctNames(names, length: 16) == ["…esnet-20-seed-0", "…esnet-32-seed-0"])
    #expect(distinctNames(names, length: 8) == ["…20…", "…32…"])
  }

  @Test("Different names never become the same, and none is too long", arguments: [8, 12, 20])
  func distinct(length: Int) {
    let middles = ["resnet-20", "resnet-110-shared+affine+gamma", "x", ""]
    let names = middles.flatMap { middle in
      (0..<12).map { "runs/a-folder-with-a-long-name/\(middle)-and-more-of-the-same-\($0)-seed-\($0 % 3)" }
    }
    let cut = distinctNames(names, length: length)
    #expect(Set(cut).count == names.count && cut.allSatisfy { $0.count <= length }, "\(cut)")
    #expect(Set(distinctNames(names + names, length: length)).count == names.count)
  }
}

@Suite struct NumberTextTests {
  @Test("Very large and small numbers are multiples of powers of ten")
  func powers() {
    for (value, text) in [
      (1.0694e11, "1.069·10¹¹"), (-2e-7, "−2·10⁻⁷"), (1234, "1234"), (0.00012, "0.00012"), (1e20, "1·10²⁰"),
      (.infinity, "∞"),
    ] {
      #expect(significant(value) == text)
    }
  }
}
