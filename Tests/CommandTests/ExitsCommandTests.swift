import Foundation
import ResLensMeasures
import ResLensNetworks
import ResLensResults
import ResLensRuns
import ResLensSupport
import ResLensTraining
import TestSupport
import Testing

/// `reslens exits`.
@Suite(.serialized) struct ExitsCommandTests {
  private let scratch: Scratch
  private let run: URL

  init() throws {
    scratch = try Scratch()
    run = scratch.file("run")
    try call([
      "train", "--model", "resnet-14", "--data", "synthetic", "--recipe", "quick", "--epochs", "2",
      "--train-samples", "600", "--validation-samples", "200", "--out", run.path,
    ])
  }

  @discardableResult
  private func call(_ arguments: [String]) throws -> String {
    let outcome = try Reslens.run(arguments)
    try #require(outcome.status == 0, Comment(rawValue: outcome.errors))
    return outcome.output
  }

  private func refused(_ arguments: [String], _ words: String...) throws {
    let outcome = try Reslens.run(["exits", run.path] + arguments)
    #expect(outcome.status != 0 && outcome.output.isEmpty, "\(arguments)")
    for word in words { #expect(outcome.errors.contains(word), "\(arguments): \(outcome.errors)") }
  }

  @Test("Exits by every lens and rule are what PyTorch finds, and the report draws them")
  func everyWay() throws {
    try call(["lens", run.path, "--kind", "linear", "--samples", "50", "--fit-on", "300"])
    try call(["lens", run.path, "--kind", "affine", "--samples", "50", "--fit-on", "300", "--epochs", "1"])
    for rule in ExitRule.allCases {
      let output = try call(["exits", run.path, "--lens", "linear", "--by", rule.rawValue])
      // No 600 train images are left behind the 300 of the lens.
      #expect(output.contains("fitted on some of these train images"))
      #expect(output.contains("without exits") && output.contains("images/s") && output.contains(rule.rawValue))
    }
    let apart = try call([
      "exits", run.path, "--lens", "affine", "--after", "2,4", "--samples", "150", "--batch", "40", "--choose-on",
      "200",
    ])
    #expect(apart.contains("after steps 2 and 4") && !apart.contains("fitted on some"))
    try call(["exits", run.path, "--threshold", "0.3"])
    // The same call is no loss; one with other settings is.
    try call(["exits", run.path, "--threshold", "0.3", "--batch", "50"])
    try refused(["--threshold", "0.4"], "exits-readout-confidence.json", "--replace")
    let all = try RunFolder(run).exits()
    #expect(all.map(\.settings.lens) == ["readout", "linear", "linear", "linear", "affine"])
    for results in all {
      let points = try results.points.rows(of: ExitResults.Point.self)
      #expect(points.first?.choice == "whole" && points.allSatisfy { $0.imagesPerSecond > 0 })
      let isGiven = results.settings.lens == "readout"
      #expect((results.settings.chosenOn == nil) == isGiven && points.contains { $0.choice == "given" } == isGiven)
      // The network by a chosen threshold is a point of the curve, unless the threshold was given.
      let curve = try results.curve.rows(of: ExitResults.Threshold.self)
      for point in points where point.threshold != nil && !isGiven {
        let same = try #require(curve.first { $0.threshold == point.threshold })
        #expect(abs(same.accuracy - point.accuracy) < 0.01 && abs(same.macs / point.macs - 1) < 0.01)
      }
      let left = try results.left.rows(of: ExitResults.Left.self)
      for point in points {
        #expect(left.filter { $0.choice == point.choice }.reduce(0) { $0 + $1.count } == results.settings.scoredOn)
      }
    }
    #expect(all[4].settings.exits == [2, 4] && all[4].settings.scoredOn == 150)
    #expect(all.map(\.settings.chosenAfter) == [nil, nil, nil, nil, 300])
    #expect(all.map(\.settings.isLensFittedOnThem) == [nil, true, true, true, nil])
    if Checkout.hasPyTorch {
      try call(["data", "export", "synthetic", scratch.file("data").path])
      let arguments = [run.path, "--data", scratch.file("data").path]
      let check = try Checkout.reference("exits.py", arguments)
      #expect(check.status == 0, Comment(rawValue: check.text))
      // A wrong accuracy is found out.
      let file = RunFolder(run).exitsFile("readout", .confidence)
      let text = try String(contentsOf: file, encoding: .utf8)
      let accuracy = try #require(try all[0].points.rows(of: ExitResults.Point.self).first?.accuracy)
      let altered = text.replacingOccurrences(of: "[\"whole\",null,\(accuracy)", with: "[\"whole\",null,0.03125")
      #expect(altered != text)
      try Files.write(altered, to: file)
      #expect(try Checkout.reference("exits.py", arguments).status != 0)
      try Files.write(text, to: file)
    }
    try call(["report", run.path])
    let page = try String(contentsOf: RunFolder(run).reportFile, encoding: .utf8)
    #expect(page.contains("id=\"exits\"") && page.contains("linear, agreement") && page.contains("saves a half"))
    #expect(!page.contains("of another network or lens"))
    // Results by an earlier lens are left out of the page, which says so.
    try call(["lens", run.path, "--kind", "linear", "--samples", "50", "--fit-on", "200", "--replace"])
    try call(["report", run.path])
    let later = try String(contentsOf: RunFolder(run).reportFile, encoding: .utf8)
    #expect(later.contains("exits-linear-agreement.json") && later.contains("of another network or lens"))
    #expect(!later.contains("linear, agreement") && later.contains("affine, confidence"))
  }

  @Test("What cannot be is refused before any work")
  func refusals() throws {
    try refused(["--lens", "linear"], "no such lens", "reslens lens")
    try refused(["--threshold", "1.5"], "--threshold", "no probability is above 1")
    try refused(["--threshold", "0.1"], "--threshold", "at least 1/10")
    try refused(["--by", "agreement", "--after", "5"], "--by", "two exits")
    try refused(["--threshold", "nan"], "--threshold", "finite")
    try refused(["--by", "entropy", "--threshold", "-1"], "no entropy is below 0")
    try refused(["--by", "entropy", "--threshold", "3"], "at most 2.3026")
    try refused(["--by", "agreement", "--threshold", "-0.1"], "no divergence is below 0")
    try refused(["--threshold", "0.5", "--choose-on", "10"], "--choose-on")
    try refused(["--after", "6"], "--after", "not between 1 and 5")
    try refused(["--after", "1"], "--after", "cannot be read")
    try refused(["--after", "5,5"], "--after", "twice")
    try refused(["--after", "x"], "--after", "not the number of a step")
    try refused(["--choose-on", "0"], "at least one")
    try refused(["--choose-on", "100000"], "--choose-on")
    try refused(["--samples", "100000"], "--samples", "validation samples")
    try refused(["--by", "luck"], "luck")
    #expect(try RunFolder(run).exits().isEmpty)
    let file = RunFolder(run).exitsFile("readout", .confidence)
    try Files.write("{}", to: file)
    let outcome = try Reslens.run(["report", run.path])
    #expect(outcome.status != 0 && outcome.errors.contains("exits-readout-confidence.json"))
  }
}
