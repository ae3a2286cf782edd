import Results
import Studies
import Testing

@Suite struct ClaimTests {
  @Test("Every study of the paper has claims, and each states its rule", arguments: Study.paper)
  func stated(study: Study) {
    #expect(!study.claims.isEmpty)
    for claim in study.claims {
      #expect(claim.rule.count > 20 && claim.statement.hasSuffix(".") && !claim.source.isEmpty)
    }
  }

  @Test("A claim holds on made-up numbers as the paper has them, and not on the contrary", arguments: Study.paper)
  func verdicts(study: Study) {
    for (agrees, verdict) in [(true, Finding.Verdict.holds), (false, .doesNotHold)] {
      let evidence = MadeUpEvidence(agrees: agrees).evidence(for: study)
      for claim in study.claims {
        let finding = claim.finding(in: evidence)
        #expect(finding.verdict == verdict, "\(study.name), \(agrees): \(finding)")
        #expect(!finding.parts.isEmpty && finding.parts.allSatisfy { !$0.numbers.isEmpty })
      }
    }
  }

  @Test("Without numbers nothing is said to hold", arguments: Study.paper)
  func withoutNumbers(study: Study) {
    let full = MadeUpEvidence(agrees: true).evidence(for: study)
    var bare = full
    for index in bare.subjects.indices {
      bare.subjects[index].measures = nil
      bare.subjects[index].runs = []
    }
    for claim in study.claims {
      for evidence in [bare, Evidence(subjects: [])] {
        let finding = claim.finding(in: evidence)
        #expect(finding.verdict == .notChecked && finding.parts.allSatisfy { $0.holds == nil }, "\(finding)")
      }
    }
  }

  @Test("What holds for some networks holds partly; what was not looked at does not count as held")
  func partly() {
    let study = Study.paper.first { $0.name == "figure-4" }
    var evidence = MadeUpEvidence(agrees: true).evidence(for: study!)
    evidence.subjects[2] = MadeUpEvidence(agrees: false).evidence(for: study!).subjects[2]
    let mixed = study!.claims[0].finding(in: evidence)
    #expect(mixed.verdict == .holdsPartly && mixed.parts.map(\.holds) == [true, true, false, true])
    evidence.subjects[2].measures = nil
    #expect(study!.claims[0].finding(in: evidence).verdict == .holdsPartly)
  }

  @Test(
    "Cosine loss in training is that of the plugged head, as appendix C has it", arguments: ["figure-13", "figure-15"])
  func plugged(name: String) throws {
    let study = try #require(Study.paper.first { $0.name == name })
    var evidence = MadeUpEvidence(agrees: true).evidence(for: study)
    func exchange(_ path: WritableKeyPath<MeasureResults.CosineLoss, BySplit<[StepStatistic]>>) {
      for subject in evidence.subjects.indices {
        for epoch in evidence.subjects[subject].runs[0].history.indices {
          for step in 0..<MadeUpEvidence.steps where epoch > 0 {
            evidence.subjects[subject].runs[0].history[epoch].measures.cosineLoss?[keyPath: path].validation[step]
              .mean = 1
          }
        }
      }
    }
    exchange(\.backpropagated)
    #expect(study.claims[0].finding(in: evidence).verdict == .holds)
    exchange(\.plugged)
    #expect(study.claims[0].finding(in: evidence).verdict == .doesNotHold)
  }

  @Test("The paper's own Table 1 bears out what is claimed of it")
  func paperTable() throws {
    let study = try #require(Study.paper.last)
    let evidence = Evidence(
      subjects: Study.table1Errors.flatMap { data, rows in
        rows.map { model, errors in
          let record = EpochRecord(
            epoch: 1, learningRate: 0, trainLoss: 0, trainError: errors.train / 100, validationLoss: 0,
            validationError: errors.test / 100, imagesPerSecond: 1, seconds: 1)
          return Evidence.Subject(
            model: model, data: data, architecture: model, parameters: 1, runs: [.init(epochs: [record], history: [])],
            measures: [])
        }
      })
    for claim in study.claims { #expect(claim.finding(in: evidence).verdict == .holds) }
  }

  @Test("The numbers decide next to a rule's border")
  func borders() {
    let study = Study.paper.first { $0.name == "figure-4" }!
    var evidence = MadeUpEvidence(agrees: true).evidence(for: study)
    // One step of one network that does not move at all.
    evidence.subjects[0].measures?.cosineLoss?.backpropagated.validation[3].mean = 0
    let finding = study.claims[0].finding(in: evidence)
    #expect(finding.parts[0].holds == false && finding.parts[0].numbers.hasPrefix("11 of 12"))
    evidence.subjects[0].measures?.cosineLoss?.backpropagated.validation[3].mean = -1e-9
    #expect(study.claims[0].finding(in: evidence).verdict == .holds)
    // Of train samples nothing is claimed.
    evidence.subjects[0].measures?.cosineLoss?.backpropagated.train[3].mean = 1
    #expect(study.claims[0].finding(in: evidence).verdict == .holds)
  }
}
