import Foundation
import Results
import Testing

@testable import Reports

@Suite("The summary") struct SummaryTests {
  private func text(_ change: (inout MeasureResults.Measures) -> Void) -> String {
    var run = Samples.run()
    if var results = run.measures {
      change(&results.measures)
      run.measures = results
    }
    return Summary(run: run).sentences.joined(separator: " ").replacing("\u{00A0}", with: " ")
  }

  @Test("counts the steps whose cosine loss is negative, and follows their signs") func signs() {
    #expect(text { _ in }.contains("negative in 9 of 9 steps, in the last stage in 3 of 3."))
    let flipped = text { measures in
      for step in [0, 7, 8] { measures.cosineLoss.backpropagated.validation[step].mean *= -1 }
    }
    #expect(flipped.contains("negative in 6 of 9 steps, in the last stage in 1 of 3."))
  }

  @Test("does not count a cosine loss of zero as negative") func zero() {
    #expect(text { $0.cosineLoss.backpropagated.validation[8].mean = 0 }.contains("negative in 8 of 9 steps"))
  }

  @Test("names the step whose drop costs most; of equals, the lowest") func worst() {
    #expect(text { _ in }.contains("Dropping step 1 costs the most accuracy, from 91.00 % to"))
    let equal = text { measures in
      for step in [5, 3] { measures.droppedStep.validation[step].score.accuracy = 0.1 }
    }
    #expect(equal.contains("Dropping step 4 costs the most accuracy, from 91.00 % to 10.00 %"))
  }

  @Test("says so where no drop costs accuracy") func harmless() {
    let harmless = text { measures in
      for step in measures.droppedStep.validation.indices {
        measures.droppedStep.validation[step].score.accuracy = 0.91
      }
    }
    #expect(harmless.contains("No single step lowers the accuracy when it is dropped."))
    #expect(!harmless.contains("costs the most"))
  }

  @Test("counts the mild drops by less than one point") func mild() {
    let one = text { measures in
      for step in measures.droppedStep.validation.indices { measures.droppedStep.validation[step].score.accuracy = 0.5 }
      measures.droppedStep.validation[4].score.accuracy = 0.9001
      measures.droppedStep.validation[5].score.accuracy = 0.8999
    }
    #expect(one.contains("less than one point is lost at 1 of 9 steps."))
  }

  @Test("names the largest and the smallest ℓ2 ratio") func ratio() {
    let moved = text { $0.l2Ratio.validation[6].mean = 12.345 }
    #expect(moved.contains("largest at step 7 (12.3"))
  }

  @Test("counts the steps of the last stage that raise accuracy") func gradual() {
    #expect(text { _ in }.contains("rising at 2 of 2 steps."))
    #expect(text { $0.intermediate.validation[1].score.accuracy = 0.01 }.contains("rising at 1 of 2 steps."))
  }

  @Test("leaves values out that are not finite, and sentences that have none left") func nonFinite() {
    let some = text { $0.cosineLoss.backpropagated.validation[0].mean = .nan }
    #expect(some.contains("negative in 8 of 8 steps"))
    let none = text { measures in
      for step in measures.l2Ratio.validation.indices { measures.l2Ratio.validation[step].mean = .nan }
    }
    #expect(!none.contains("ratio"))
  }

  @Test("gives the final errors, and the best epoch only where it is not the last") func training() {
    var run = Samples.run()
    run.epochs[9].validationError = 0.0123
    #expect(Summary(run: run).sentences[0].contains("classifies 1.23\u{00A0}% of the validation samples wrongly"))
    #expect(!Summary(run: run).sentences[0].contains("lowest"))
    run.epochs[8].validationError = 0.012
    #expect(Summary(run: run).sentences[0].contains("lowest validation error, 1.20\u{00A0}%, was after epoch 9"))
  }

  @Test("says what is missing") func missing() {
    var run = Samples.run()
    run.measures = nil
    #expect(Summary(run: run).sentences.last == "What its steps do has not been measured.")
    run.epochs = []
    #expect(Summary(run: run).sentences.count == 1)
  }
}
