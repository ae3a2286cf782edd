import Foundation
import ResLensSupport
import ResLensReports
import ResLensResults
import Testing

@Suite struct StudyReportTests {
  private let scratch: Scratch

  init() throws { scratch = try Scratch() }

  private static let findings = [
    Finding(
      claim: "Negative & below < 0.", source: "Fig. 4", rule: "all are below 0",
      parts: [.init("resnet-20", .holds, "9 of 9"), .init("wide", .doesNotHold, "8 of 9")]),
    Finding(claim: "So it is.", source: "§4", rule: "as said", parts: [.init("resnet-20", .holds, "yes")]),
    Finding(claim: "So it is not.", source: "§4", rule: "as said", parts: [.init("resnet-20", .doesNotHold, "no")]),
    Finding(
      claim: "Nobody knows yet.", source: "§4", rule: "as said",
      parts: [.init("resnet-20", .notDecided, reason: "one seed", "1 and 2")]),
    Finding(
      claim: "Nobody knows.", source: "§4", rule: "as said", parts: [.init("resnet-20", .notChecked, "no numbers")]),
  ]

  private func report() throws -> StudyReport {
    let runs =
      try [0.0, 1].map { seed in
        var run = try Samples.run("resnet-20, seed \(Int(seed))", seed: seed)
        run.group = "resnet-20"
        return run
      } + [try Samples.run("wide", blocks: [2, 2, 2])]
    let errors = ErrorTable(
      datasets: ["cifar-10", "cifar-100"],
      rows: [
        .init(
          model: "resnet-20", parameters: [272_474, 278_324],
          errors: [
            .init(
              train: SeedStatistic([0.01, 0.02]), validation: SeedStatistic([0.07, 0.09]), seeds: 2,
              printed: (0.0022, 0.0613)), nil,
          ])
      ])
    return StudyReport(
      title: "Reproduced", notes: ["Less of everything."], verdictRules: "Noise counts.",
      pages: [
        .init(
          name: "figure-4", title: "Figure 4: slopes", findings: Self.findings, notes: ["wide is narrow here."],
          figures: ["slope", .training], runs: runs),
        .init(
          name: "table-1", title: "Table 1: errors", findings: [], notes: [], figures: [.errors], runs: runs,
          errors: errors),
        .init(name: "empty", title: "Nothing yet", findings: [], notes: [], figures: ["unrolling"], runs: []),
      ], measures: Descriptions.all)
  }

  @Test("The verdict follows from the parts")
  func verdicts() {
    let (yes, no) = (Finding.Verdict.holds, Finding.Verdict.doesNotHold)
    let (open, missing) = (Finding.Verdict.notDecided, Finding.Verdict.notChecked)
    let cases: [([Finding.Verdict], Finding.Verdict)] = [
      ([yes, yes], yes), ([yes, no], .holdsPartly), ([yes, open], .holdsPartly), ([yes, missing], .holdsPartly),
      ([no, open, missing], no), ([open, missing], open), ([missing], missing), ([], missing),
    ]
    for (parts, verdict) in cases {
      let finding = Finding(claim: "", source: "", rule: "", parts: parts.map { .init("a", $0, "") })
      #expect(finding.verdict == verdict && finding.verdictText == verdict.rawValue)
    }
  }

  @Test("A finding that is not decided for one reason says it")
  func reasons() {
    func text(_ reasons: [String?]) -> String {
      Finding(
        claim: "", source: "", rule: "",
        parts: reasons.map { .init("a", $0 == nil ? .notChecked : .notDecided, reason: $0, "") }
      ).verdictText
    }
    #expect(text(["one seed", "one seed", nil]) == "not decided (one seed)")
    #expect(text(["one seed", "within the noise"]) == "not decided")
  }

  @Test(
    "Pages and index are well-formed, lead to one another, and say what was found", arguments: [nil, Gnuplot.find()])
  func pages(gnuplot: Gnuplot?) throws {
    _ = try report().write(to: scratch.url, gnuplot: gnuplot)
    let index = try ParsedPage(scratch.url.appendingPathComponent("index.html"))
    #expect(index.problem == nil && Set(index.ids).isSuperset(of: ["figure-4", "table-1", "empty"]))
    for text in [
      "holds partly 1", "holds 1", "does not hold 1", "not decided 1", "not decided (one seed)", "not checked 1",
      "Less of everything.", "8.00 ± 1.41",
      "0.22 % / 6.13 %",
    ] {
      #expect(index.text.replacing("\u{A0}", with: " ").contains(text), "\(text)")
    }
    #expect(!index.text.contains("Markup("))
    #expect(index.elements["img"] == (gnuplot == nil ? nil : 2))
    for reference in index.references where !reference.hasPrefix("#") {
      #expect(
        FileManager.default.fileExists(atPath: scratch.url.appendingPathComponent(reference).path), "\(reference)")
    }
    let page = try ParsedPage(scratch.url.appendingPathComponent("figure-4.html"))
    #expect(page.problem == nil && page.references.contains("index.html"))
    for text in ["Rule: all are below 0.", "8 of 9", "wide is narrow here.", "resnet-20 (2 seeds)", "Noise counts."] {
      #expect(page.text.contains(text), "\(text)")
    }
    #expect(!page.text.contains("Markup("))
    #expect(page.elements["svg"] == (gnuplot == nil ? nil : 3))
    #expect(try scratch.text("table-1.csv").split(separator: "\n").count == 2)
    let all = try JSONDecoder().decode([String: [Finding]].self, from: Data(scratch.text("findings.json").utf8))
    #expect(all["figure-4"] == Self.findings && all["table-1"] == [])
    #expect(try scratch.names(in: "figures").contains("figure-4-slope.csv"))
    #expect(try !scratch.names().contains { $0.hasPrefix(".") })
  }

  @Test("Several seeds are drawn as their mean")
  func means() throws {
    _ = try report().write(to: scratch.url, gnuplot: nil)
    let csv = try scratch.text("figures/figure-4-slope.csv")
    let seeds = try [0.0, 1].map {
      try Samples.measures(blocks: [3, 3, 3], seed: $0).numbers(
        "slope", "mean", .train, where: ["gradient": "backpropagated"])[0]
    }
    #expect(seeds[0] != seeds[1] && csv.contains("\((seeds[0] + seeds[1]) / 2)"))
  }

  @Test("A picture of the same numbers is not drawn again, one of others is")
  func redrawing() throws {
    let counter = try scratch.gnuplot("echo x >> \(scratch.url.path)/calls; echo '<svg></svg>' > \"${2%.gp}.svg\"")
    var report = try report()
    _ = try report.write(to: scratch.url, gnuplot: counter)
    let drawn = try scratch.text("calls").count
    _ = try report.write(to: scratch.url, gnuplot: counter)
    #expect(try scratch.text("calls").count == drawn)
    try report.pages[0].runs[2].changeMeasures {
      try $0.change("slope", "mean", where: ["split": "train", "gradient": "backpropagated", "step": 1]) {
        .number($0 + 0.5)
      }
    }
    _ = try report.write(to: scratch.url, gnuplot: counter)
    #expect(try scratch.text("calls").count == drawn + 2)
    // Half a picture is none.
    try Data("<svg>".utf8).write(to: scratch.url.appendingPathComponent("figures/figure-4-training.svg"))
    _ = try report.write(to: scratch.url, gnuplot: counter)
    #expect(try scratch.text("calls").count == drawn + 4)
  }

  @Test(
    "In a browser every picture is there and no text cut off, offline, light and dark, on a narrow window, and on paper",
    .enabled(
      if: Browser.isInstalled && Gnuplot.find() != nil,
      "no chromium or no gnuplot here: apt-get install chromium gnuplot-nox"))
  func browser() throws {
    _ = try report().write(to: scratch.url, gnuplot: .find())
    for (name, pictures) in [("index.html", 2), ("figure-4.html", 3), ("table-1.html", 0)] {
      let page = scratch.url.appendingPathComponent(name)
      var backgrounds: Set<String> = []
      for (width, scheme) in [(1280, Browser.Scheme.light), (1280, .dark), (520, .light)] {
        let (found, log) = try Browser.open(page, width: width, scheme)
        let findings = try #require(found, Comment(rawValue: log))
        #expect(findings.problems == [], "\(name), \(width), \(scheme)")
        #expect(findings.pictures == pictures, "\(name)")
        #expect(!log.contains("CONSOLE"), Comment(rawValue: log))
        backgrounds.insert(findings.background)
      }
      #expect(backgrounds.count == 2, "\(name): \(backgrounds)")
      let pdf = try Browser.print(page)
      #expect(pdf.starts(with: Data("%PDF".utf8)) && pdf.count > 5000)
    }
  }

  @Test(
    "The browser's test sees what is wrong",
    .enabled(if: Browser.isInstalled, "no chromium here: apt-get install chromium"))
  func browserSees() throws {
    let page = scratch.url.appendingPathComponent("bad.html")
    try """
    <!DOCTYPE html><html><body><img src="missing.svg" alt="gone" width="300" height="200"/>
    <svg role="img" aria-label="clipped" width="200" height="100"><text x="190" y="50">too long to be seen</text></svg>
    <p style="width: 4000px">wide</p></body></html>
    """.write(to: page, atomically: true, encoding: .utf8)
    let findings = try #require(try Browser.open(page, width: 1280, .light).findings)
    for problem in ["not loaded: gone", "cut off in clipped", "wider than the window"] {
      #expect(findings.problems.contains { $0.contains(problem) }, "\(problem): \(findings.problems)")
    }
  }
}
