import Foundation
import Results
import Testing

@testable import Reports

@Suite("The summary") struct SummaryTests {
  private func text(of run: ReportedRun = Samples.run(), _ change: (inout MeasureResults.Measures) -> Void) -> String {
    var run = run
    if var results = run.measures {
      change(&results.measures)
      run.measures = results
    }
    return Summary(run: run).sentences.joined(separator: " ").replacing("\u{00A0}", with: " ")
  }

  @Test("counts the steps whose cosine loss is negative, and follows their signs") func signs() {
    #expect(text { _ in }.contains("negative in 9 of 9 steps, in the last stage in 3 of 3."))
    let flipped = text { measures in
      for step in [0, 7, 8] { measures.cosineLoss?.backpropagated.validation[step].mean *= -1 }
    }
    #expect(flipped.contains("negative in 6 of 9 steps, in the last stage in 1 of 3."))
  }

  @Test("does not count a cosine loss of zero as negative") func zero() {
    let level = text { $0.cosineLoss?.backpropagated.validation[8].mean = 0 }
    #expect(level.contains("negative in 8 of 9 steps"))
  }

  @Test("names the step whose drop costs most; of equals, the lowest") func worst() {
    #expect(text { _ in }.contains("Dropping step 1 costs the most accuracy, from 91.00 % to"))
    let equal = text { measures in
      for step in [5, 3] { measures.droppedStep?.validation[step].score.accuracy = 0.1 }
    }
    #expect(equal.contains("Dropping step 4 costs the most accuracy, from 91.00 % to 10.00 %"))
  }

  @Test("says so where no drop costs accuracy") func harmless() {
    let harmless = text { measures in
      for step in 0..<9 {
        measures.droppedStep?.validation[step].score.accuracy = 0.91
      }
    }
    #expect(harmless.contains("No single step lowers the accuracy when it is dropped."))
    #expect(!harmless.contains("costs the most"))
  }

  @Test("counts the mild drops by less than one point") func mild() {
    let one = text { measures in
      for step in 0..<9 { measures.droppedStep?.validation[step].score.accuracy = 0.5 }
      measures.droppedStep?.validation[4].score.accuracy = 0.9001
      measures.droppedStep?.validation[5].score.accuracy = 0.8999
    }
    #expect(one.contains("less than one point is lost at 1 of 9 steps."))
  }

  @Test("names the largest and the smallest ℓ2 ratio") func ratio() {
    let moved = text { $0.l2Ratio?.validation[6].mean = 12.345 }
    #expect(moved.contains("largest at step 7 (12.3"))
  }

  @Test("counts the steps of the last stage that raise accuracy") func gradual() {
    #expect(text { _ in }.contains("rising at 2 of 2 steps."))
    let falling = text { $0.intermediate?.validation[1].score.accuracy = 0.01 }
    #expect(falling.contains("rising at 1 of 2 steps."))
  }

  @Test("leaves values out that are not finite, and sentences that have none left") func nonFinite() {
    let some = text { $0.cosineLoss?.backpropagated.validation[0].mean = .nan }
    #expect(some.contains("negative in 8 of 8 steps"))
    let none = text { measures in
      for step in 0..<9 { measures.l2Ratio?.validation[step].mean = .nan }
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

  private func deeper(_ change: (inout MeasureResults.Measures) -> Void) -> String { text(of: Samples.full(), change) }

  @Test("says how much of the last step's change the first-order term is, or that its sign is wrong") func explained() {
    let term = FirstOrderTerm(
      name: Samples.names([9])[8], change: .init(mean: -0.2, std: 1, count: 9),
      term: .init(mean: -0.15, std: 1, count: 9), ratio: 0.75, correlation: nil)
    let part = deeper { $0.firstOrder?.validation.append(term) }
    #expect(part.contains("At step 9 the mean change of loss is −0.2; the first-order term is 75 % of it."))
    let opposite = deeper { measures in
      measures.firstOrder?.validation.append(term)
      measures.firstOrder?.validation[3].term.mean = 0.1
      measures.firstOrder?.validation[3].ratio = -0.5
    }
    #expect(opposite.contains("the first-order term (0.1) has the opposite sign."))
    let none = deeper { measures in
      measures.firstOrder?.validation.append(term)
      measures.firstOrder?.validation[3].change.mean = 0
      measures.firstOrder?.validation[3].ratio = nil
    }
    #expect(none.contains("At step 9 the mean change of loss is 0.") && !none.contains("first-order term"))
  }

  @Test("names the step that mends the most borderline examples; of equals, the lowest") func mending() {
    let first = deeper { _ in }
    #expect(first.contains("step 7, the very next one, corrects the most (39.2 %, and breaks 11.8 %)"))
    #expect(first.contains("goes from 40.0 % to 68.5 % after step 9."))
    let later = deeper { measures in
      for step in 1...2 { measures.borderline?.turns.validation[step].corrected = 51 }
      measures.borderline?.states.validation[3].groups.borderline?.accuracy = 0.2
    }
    #expect(
      later.contains("step 8 corrects the most (100.0 %") && later.contains("from 40.0 % to 20.0 % after step 9."))
    let nothing = deeper { for step in 0...2 { $0.borderline?.turns.validation[step].corrected = 0 } }
    #expect(nothing.contains("no step corrects any;"))
    let empty = deeper { $0.borderline?.states.validation[0].groups.borderline = nil }
    #expect(empty.contains("No validation example is borderline after step 6."))
  }

  @Test("compares unrolling with and without scaling, either way") func unrolling() {
    func set(_ loss: Double, _ trajectory: Int, _ measures: inout MeasureResults.Measures) {
      measures.unrolling?.trajectories[trajectory].steps.train[12].groups?.all.loss = loss
      measures.unrolling?.trajectories[trajectory].steps.validation[12].groups?.all.loss = loss
    }
    let better = deeper { _ in }
    #expect(
      better.contains("With step 9 run 10 more times, the train loss goes from 0.086 to ∞ unscaled and to 0.064 "))
    #expect(better.contains("scaled by 0.3; scaling is better on both. "))
    #expect(better.contains("Validation accuracy with scaling goes from 91.00 % to 92.00 %."))
    let worse = deeper {
      set(0.1, 0, &$0); set(0.4, 1, &$0)
    }
    #expect(worse.contains("scaling is better on neither."))
    let undefined = deeper {
      set(.nan, 0, &$0); set(.infinity, 1, &$0)
    }
    #expect(undefined.contains("scaling is better on both."))
    let mixed = deeper {
      set(0.1, 0, &$0); set(0.4, 1, &$0); $0.unrolling?.trajectories[1].steps.train[12].groups?.all.loss = 0
    }
    #expect(mixed.contains("scaling is better on train data only."))
    let alone = deeper { $0.unrolling?.trajectories.removeLast() }
    #expect(alone.contains("to ∞ unscaled. Validation accuracy goes from 91.00 % to 10.00 %."))
    let level = deeper { $0.unrolling?.trajectories[1].steps.validation[12].groups?.all.accuracy = 0.91 }
    #expect(level.contains("Validation accuracy with scaling stays at 91.00 %."))
  }

  @Test("takes the trained network's numbers only from where they are: behind a last step") func inner() {
    let inner = deeper { $0.unrolling?.repeated.step = 7 }
    #expect(inner.contains("the train loss goes to ∞ unscaled and to 0.064") && !inner.contains("Validation accuracy"))
  }

  @Test("gives the error at the largest lesion that was measured") func lesions() {
    let text = deeper { measures in
      measures.lesions?.dropped.insert(.init(size: 5, error: .init(mean: 0.5, std: 0, count: 2), trials: []), at: 0)
      measures.lesions?.dropped.append(.init(size: 6, error: .init(mean: .nan, std: 0, count: 0), trials: []))
      measures.lesions?.shuffled = [.init(size: 1, error: .init(mean: 0.125, std: 0, count: 2), trials: [])]
    }
    #expect(
      text.contains("of the whole network is 9.00 %; with 5 random steps dropped it is 50.00 %, with 1 random pair"))
    #expect(text.contains("pair exchanged it is 12.50 %."))
  }

  @Test("has no sentence on what was not measured") func unmeasured() {
    let text = deeper { $0 = .init() }
    #expect(!text.contains("step") && text.contains("After 10 epochs"))
  }
}
