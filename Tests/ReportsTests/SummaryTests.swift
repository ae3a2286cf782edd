import Foundation
import ResLensResults
import Testing

@testable import ResLensReports

@Suite("The summary") struct SummaryTests {
  private func sentences(of run: ReportedRun, _ measures: [MeasureDescription] = Descriptions.all) throws -> [String] {
    try Summary(run: run, measures: measures).sentences.map { $0.replacing("\u{00A0}", with: " ") }
  }

  @Test("has the sentence of each measure that has one, in the order of the measures") func order() throws {
    let run = try Samples.run()
    let worst = try #require(try run.measures?.numbers("without", "accuracy", .validation).min())
    let (size, without) = (
      "The size is largest at step 1.", "The worst accuracy without a step is \(String(format: "%.2f", 100 * worst)) %."
    )
    let all = try sentences(of: run)
    #expect(all.count == 4 && all.suffix(2) == [size, without])
    #expect(all[1] == "What follows was measured on the first 1000 validation images.")
    #expect(try sentences(of: run, [Descriptions.without, Descriptions.size]).suffix(2) == [without, size])
  }

  @Test("has no sentence of a measure that was not taken, or has nothing to say") func unmeasured() throws {
    var run = try Samples.run()
    run.remove("without")
    try run.changeMeasures { try $0.change("size", "mean", where: ["split": "validation"]) { _ in .number(.nan) } }
    #expect(try sentences(of: run).count == 2)
  }

  @Test("says of a run within the noise of guessing that it has hardly learnt, before anything about its steps")
  func guesses() throws {
    var run = try Samples.run()
    let usual = try sentences(of: run)
    run.hasLearnt = true
    #expect(try sentences(of: run) == usual)
    run.hasLearnt = false
    let all = try sentences(of: run)
    #expect(
      all.count == usual.count + 1 && all[1].hasPrefix("It has hardly learnt: this is within the noise of guessing"))
  }

  @Test("passes on the error of a measure whose table lacks a column") func unknownColumn() throws {
    let broken = MeasureDescription(
      name: "size", views: [],
      sentence: { try $0.table("size", .validation)?.numbers("width").first.map { "\($0 ?? 0)" } }
    )
    let run = try Samples.run()
    let error = try #require(throws: TableError.self) { try sentences(of: run, [broken]) }
    #expect(error.table == "size" && error.problem.contains("width"))
  }

  @Test("gives the final errors, and the best epoch only where it is not the last") func training() throws {
    var run = try Samples.run()
    run.epochs[9].validationError = 0.0123
    #expect(try sentences(of: run)[0].contains("classifies 1.23 % of the validation samples wrongly"))
    #expect(try !sentences(of: run)[0].contains("lowest"))
    run.epochs[8].validationError = 0.012
    #expect(try sentences(of: run)[0].contains("lowest validation error, 1.20 %, was after epoch 9"))
  }

  @Test("says what is missing") func missing() throws {
    var run = try Samples.run()
    run.measures = nil
    #expect(try sentences(of: run).last == "Its steps have not been measured.")
    run.epochs = []
    #expect(try sentences(of: run).count == 1)
  }

  @Test("stands on the page, with the rule that the sentences follow") func page() throws {
    let scratch = try Scratch()
    let runs = [try Samples.run("one"), try Samples.run("two")]
    _ = try Report(title: "A report", runs: runs).write(to: scratch.page, gnuplot: nil)
    let text = try ParsedPage(scratch.page).text
    #expect(text.contains("After 10 epochs it") && text.contains("The size is largest at step 1."))
    #expect(text.contains("They are about means on validation samples"))
  }
}
