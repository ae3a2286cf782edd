import ResLensSupport
import ResLensResults
import ResLensStudies
import Testing

private func study(_ name: String) throws -> Study { try #require(Study.paper.first { $0.name == name }) }

@Suite struct ClaimTests {
  @Test(
    "Every study of the paper has claims, and each states its rule and its place in the paper", arguments: Study.paper)
  func stated(study: Study) {
    #expect(!study.claims.isEmpty)
    for claim in study.claims {
      #expect(claim.rule.count > 20 && claim.statement.hasSuffix(".") && !claim.source.isEmpty)
    }
    // The claims are about the figure that the study is of, and about no other one.
    let own = study.name == "table-1" ? "Table 1" : "Fig. \(study.name.drop { !$0.isNumber })"
    let named = study.claims.flatMap { $0.source.matches(of: /(Fig\.|Table) [0-9]+/).map { String($0.output.0) } }
    #expect(Set(named) == [own])
  }

  @Test(
    "A claim holds on numbers beyond the noise as the paper has them, does not hold on the contrary, and is not decided within the noise",
    arguments: Study.paper)
  func verdicts(study: Study) throws {
    let cases: [(agrees: Bool, isNoisy: Bool, verdict: Finding.Verdict)] = [
      (true, false, .holds), (false, false, .doesNotHold), (true, true, .notDecided), (false, true, .notDecided),
    ]
    for (agrees, isNoisy, verdict) in cases {
      let evidence = try MadeUpEvidence(agrees: agrees, isNoisy: isNoisy).evidence(for: study)
      for claim in study.claims {
        let finding = try claim.finding(in: evidence)
        #expect(finding.verdict == verdict, "\(study.name), \(agrees), \(isNoisy): \(finding)")
        #expect(!finding.parts.isEmpty && finding.parts.allSatisfy { !$0.numbers.isEmpty })
        #expect(finding.parts.allSatisfy { ($0.reason == "within the noise") == isNoisy })
      }
    }
  }

  @Test("A claim that compares trained networks is not decided with one seed, and others are", arguments: Study.paper)
  func oneSeed(study: Study) throws {
    let evidence = try MadeUpEvidence(agrees: true, seeds: 1).evidence(for: study)
    let betweenNetworks = [
      "figure-8": ["overfits", "underfits"], "figure-9": ["important", "crucial"],
      "table-1": ["slightly better", "err less"],
    ]
    for claim in study.claims {
      let finding = try claim.finding(in: evidence)
      if betweenNetworks[study.name]?.contains(where: claim.statement.contains) == true {
        #expect(finding.verdictText == "not decided (one seed)", "\(finding)")
      } else if claim.statement.contains("gradient norm ratio") {
        // At initialisation nothing is trained.
        #expect(finding.parts.map(\.verdictText) == ["holds", "not decided (one seed)"])
      } else {
        #expect(finding.verdict == .holds, "\(finding)")
      }
    }
  }

  @Test("Networks that do no better than guessing decide nothing about trained networks", arguments: Study.paper)
  func hardlyTrained(study: Study) throws {
    for agrees in [true, false] {
      let evidence = try MadeUpEvidence(agrees: agrees, haveLearnt: false).evidence(for: study)
      for claim in study.claims {
        for part in try claim.finding(in: evidence).parts {
          let isAtStart = claim.source.contains("Fig. 8") || claim.source.contains("Fig. 9")
          if isAtStart, claim.rule.contains("as initialised") || part.subject.contains("at initialisation") {
            #expect(part.verdict == (agrees ? .holds : .doesNotHold), "\(part)")
          } else {
            #expect(part.verdictText == "not decided (hardly trained)", "\(claim.statement) \(part)")
          }
        }
      }
    }
  }

  @Test("A network has learnt where its accuracy is more than three standard errors of guessing above chance")
  func chance() throws {
    let study = try study("figure-4")
    // Guessing is right for 10 % of 10,000 images in ten classes, with a standard error of 0.3 %.
    for (accuracy, verdict) in [(0.1088, Finding.Verdict.notDecided), (0.1092, .holds), (0.05, .notDecided)] {
      var evidence = try MadeUpEvidence(agrees: true, seeds: 1).evidence(for: study)
      for subject in evidence.subjects.indices {
        evidence.subjects[subject].runs[0].epochs[2].validationError = 1 - accuracy
      }
      #expect(try study.claims[0].finding(in: evidence).verdict == verdict)
    }
  }

  @Test("Without numbers nothing is said to hold", arguments: Study.paper)
  func withoutNumbers(study: Study) throws {
    let full = try MadeUpEvidence(agrees: true).evidence(for: study)
    var bare = full
    for index in bare.subjects.indices {
      bare.subjects[index].measures = []
      bare.subjects[index].runs = []
    }
    // Networks that were measured in something else.
    var other = bare
    for index in other.subjects.indices { other.subjects[index].measures = [MeasuredTables()] }
    for claim in study.claims {
      for evidence in [bare, other, Evidence(subjects: [])] {
        let finding = try claim.finding(in: evidence)
        #expect(finding.verdict == .notChecked && finding.parts.allSatisfy { $0.verdict == .notChecked }, "\(finding)")
      }
    }
  }

  @Test("A table without a column that a rule reads is an error, and not a missing number", arguments: Study.paper)
  func unknownColumns(study: Study) throws {
    let full = try MadeUpEvidence(agrees: true).evidence(for: study)
    for column in ["mean", "became_wrong", "gradient", "group", "corrected", "repetition"] {
      var damaged = full
      var isRead = false
      for index in damaged.subjects.indices {
        damaged.subjects[index].changeTables { $0.renaming(column, to: "other") }
      }
      for claim in study.claims {
        // Either the column is no concern of the claim, or the claim says which one is missing.
        do {
          #expect(try claim.finding(in: damaged).verdict == .holds)
        } catch {
          isRead = true
          #expect("\(error)".contains("there is no column \"\(column)\""))
        }
      }
      let readers = [
        "mean": ["figure-2", "figure-4", "figure-10", "figure-11", "figure-6", "figure-7", "figure-20"],
        "became_wrong": ["figure-3", "figure-12", "figure-6", "figure-7"],
        "gradient": ["figure-4", "figure-10", "figure-6"], "group": ["figure-6", "figure-7"],
        "corrected": ["figure-6"], "repetition": ["figure-7", "figure-20"],
      ]
      #expect(isRead == readers[column]?.contains(study.name), "\(study.name): \(column)")
    }
  }

  @Test("What holds for some networks holds partly; what was not looked at does not count as held")
  func partly() throws {
    let study = try study("figure-4")
    var evidence = try MadeUpEvidence(agrees: true).evidence(for: study)
    evidence.subjects[2] = try MadeUpEvidence(agrees: false).evidence(for: study).subjects[2]
    let mixed = try study.claims[0].finding(in: evidence)
    #expect(mixed.verdict == .holdsPartly && mixed.parts.map(\.verdict) == [.holds, .holds, .doesNotHold, .holds])
    evidence.subjects[2].measures = []
    #expect(try study.claims[0].finding(in: evidence).verdict == .holdsPartly)
  }

  @Test("Cosine loss in training is that of the readout, as appendix C has it", arguments: ["figure-13", "figure-15"])
  func readout(name: String) throws {
    let study = try study(name)
    var evidence = try MadeUpEvidence(agrees: true).evidence(for: study)
    func exchange(_ gradient: Cell) throws {
      for subject in evidence.subjects.indices {
        for run in evidence.subjects[subject].runs.indices {
          for epoch in evidence.subjects[subject].runs[run].history.indices {
            let tables = evidence.subjects[subject].runs[run].history[epoch].tables
            for (index, table) in tables.enumerated() where table.name == "cosine-loss" {
              evidence.subjects[subject].runs[run].history[epoch].tables[index] = try table.setting(
                "mean", to: 1, where: ["gradient": gradient, "split": "validation"])
            }
          }
        }
      }
    }
    try exchange("backpropagated")
    #expect(try study.claims[0].finding(in: evidence).verdict == .holds)
    try exchange("readout")
    #expect(try study.claims[0].finding(in: evidence).verdict == .doesNotHold)
  }

  @Test("The paper's own Table 1 bears out what is claimed of it")
  func paperTable() throws {
    let study = try study("table-1")
    let printed = try #require(study.printed)
    #expect(Set(printed.errors.keys) == Set(study.data))
    let evidence = Evidence(
      subjects: try study.data.flatMap { data in
        try study.models.map { model in
          let errors = try #require(printed.entry(model, on: data))
          // The table has the means of four runs; their spread, which it does not have, is made up.
          let runs = [-0.0002, -0.0001, 0.0001, 0.0002].map { deviation in
            let record = EpochRecord(
              epoch: 1, learningRate: 0, trainLoss: 0, trainError: errors.train / 100, validationLoss: 0,
              validationError: errors.test / 100 + deviation, imagesPerSecond: 1, seconds: 1)
            return Evidence.Subject.Run(epochs: [record], history: [])
          }
          return Evidence.Subject(
            model: model, data: data, architecture: model, parameters: 1, classes: data == "cifar-10" ? 10 : 100,
            validationSamples: 10_000, runs: runs, measures: [])
        }
      })
    for claim in study.claims { #expect(try claim.finding(in: evidence).verdict == .holds) }
    #expect(printed.entry("resnet-110", on: "svhn") == nil && printed.entry("resnet-8", on: "cifar-10") == nil)
    #expect(Study.paper.filter { $0.printed != nil }.map(\.name) == ["table-1"])
  }

  @Test("The numbers decide next to a rule's border")
  func borders() throws {
    let study = try study("figure-4")
    var evidence = try MadeUpEvidence(agrees: true).evidence(for: study)
    func set(_ split: Split, _ value: Double) throws {
      try evidence.subjects[0].set(
        "mean", to: value, in: "cosine-loss", where: ["gradient": "backpropagated", "split": split.cell, "step": 4])
    }
    // Two standard errors of a deviation of 0.1 over 10,000 samples.
    let border = 2 * 0.1 / 9999.0.squareRoot()
    let cases: [(Double, Finding.Verdict, String)] = [
      (0, .notDecided, "11 of 12 steps below 0, 0 above"),
      (-0.99 * border, .notDecided, "11 of 12 steps below 0, 0 above"),
      (1.01 * border, .doesNotHold, "11 of 12 steps below 0, 1 above"),
      (-1.01 * border, .holds, "12 of 12 steps below 0, 0 above"),
    ]
    for (value, verdict, text) in cases {
      try set(.validation, value)
      let part = try study.claims[0].finding(in: evidence).parts[0]
      #expect(part.verdict == verdict && part.numbers.hasPrefix(text), "\(part)")
    }
    // Nothing is claimed about train samples.
    try set(.train, 1)
    #expect(try study.claims[0].finding(in: evidence).verdict == .holds)
  }

  @Test("Steps are compared in their order, in whatever order the rows of a table are")
  func order() throws {
    for study in Study.paper {
      var evidence = try MadeUpEvidence(agrees: true).evidence(for: study)
      for subject in evidence.subjects.indices {
        try evidence.subjects[subject].changeTables { table in
          try Table(
            table.name, of: table.measure, keys: table.keys, values: table.values, rows: table.rows.reversed(),
            parameters: table.parameters)
        }
      }
      for claim in study.claims { #expect(try claim.finding(in: evidence).verdict == .holds) }
    }
  }

  @Test("A step with a projection is left out where the claim is about the others")
  func projections() throws {
    let ratios = try study("figure-2").claims[1]
    let drops = try study("figure-3").claims[1]
    var evidence = try MadeUpEvidence(agrees: true).evidence(for: try study("figure-2"))
    func verdict(_ claim: Claim) throws -> Finding.Verdict { try claim.finding(in: evidence).verdict }
    for (step, expected) in [(5, Finding.Verdict.holds), (6, .holdsPartly)] {
      let keys: [String: Cell] = ["split": "validation", "step": .number(Double(step))]
      try evidence.subjects[0].set("mean", to: 3, in: "l2-ratio", where: keys)
      try evidence.subjects[0].set("became_wrong", to: 8000, in: "dropped-step", where: keys)
      #expect(try verdict(ratios) == expected && verdict(drops) == expected)
    }
  }

  @Test("A study of one's own has claims of its own, which its file does not hold")
  func ownClaims() throws {
    let claim = Claim("The first step moves h.", "a talk", rule: "its mean ratio is above 0", of: ["resnet-110"]) {
      try $0.measures.statistics("l2-ratio").first.map { Outcome($0.estimate.isAbove(0), "\($0.estimate.value)") }
    }
    let mine = Study(
      name: "mine", title: "Mine", models: ["resnet-110"], figures: ["l2-ratio"], claims: [claim],
      printed: PrintedErrors(["cifar-10": ["resnet-110": .init(train: 1, test: 2)]]))
    let finding = try #require(mine.claims.first).finding(in: try MadeUpEvidence(agrees: true).evidence(for: mine))
    #expect(finding.verdict == .holds && finding.claim == "The first step moves h." && finding.source == "a talk")
    // Neither claims nor printed errors take part in comparing and coding; a name has no claims.
    let read = try YAML.decode(Study.self, from: YAML.encode(mine), path: "mine.yaml")
    #expect(read == mine && Set([read, mine]).count == 1 && read.claims.isEmpty && read.printed == nil)
    let figure = try study("figure-4")
    #expect(try YAML.decode(Study.self, from: YAML.encode(figure), path: "x").claims.isEmpty)
    #expect(try !YAML.encode(mine).contains("claims") && !YAML.encode(mine).contains("printed"))
  }
}
