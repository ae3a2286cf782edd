import ResLensResults
import Testing

@Suite struct SharedAbsenceTests {
  @Test("What is absent for one reason at the same steps is named together, in order")
  func together() {
    func absence(_ measure: String, _ view: String? = nil, _ steps: ClosedRange<Int>? = nil, _ reason: String)
      -> MeasureResults.Absence
    { .init(measure: measure, view: view, steps: steps, reason: reason) }
    let found = SharedAbsence.all(of: [
      absence("b", "b-readout", 1...6, "no lens"), absence("a", nil, 4...4, "a projection"),
      absence("a", nil, 7...9, "a projection"), absence("a", nil, 12...12, "a projection"),
      absence("c", nil, nil, "one"),
      absence("d", nil, 1...6, "no lens"), absence("e", nil, 4...4, "a projection"),
    ])
    #expect(
      found == [
        .init(names: ["b-readout", "d"], steps: "steps 1 to 6", reason: "no lens"),
        .init(names: ["a"], steps: "steps 4, 7 to 9 and 12", reason: "a projection"),
        .init(names: ["c"], steps: nil, reason: "one"), .init(names: ["e"], steps: "step 4", reason: "a projection"),
      ])
    #expect(SharedAbsence.all(of: []).isEmpty)
  }
}
