import Foundation
import ResLensSupport
import ResLensRuns
import ResLensTasks
import ResLensMeasures
import ResLensResults
import ResLensStudies
import TestSupport
import Testing
import ResLensTorch
import ResLensTraining

private let quick = """
  name: mine
  models: [resnet-8]
  data: [synthetic]
  figures: [cosine-loss]
  """

private func study(_ more: String = "", replacing: (String, String)? = nil) throws -> Study {
  let text = replacing.map { quick.replacing($0.0, with: $0.1) } ?? quick
  return try YAML.decode(Study.self, from: text + "\n" + more, path: "mine.yaml")
}

private func plan(
  _ studies: [Study], _ scale: ResLensStudies.Scale = .smoke, registry: Registry = .standard
) throws -> Reproduction {
  try Reproduction(studies, scale: scale, data: DataSources(["synthetic"]), registry: registry)
}

@Suite struct ReproductionTests {
  @Test("Every figure from 2 to 20 and Table 1 is a study, and runs that several need are planned once")
  func paper() throws {
    #expect(Study.paper.map(\.name) == (2...20).map { "figure-\($0)" } + ["table-1"])
    let all = try plan(Study.paper)
    #expect(Set(all.runs.map(\.folderName)).count == all.runs.count)
    #expect(Set(all.runs.map(\.configuration)).count == all.runs.count)
    // Figures 2, 3, 4, 5, 13 and 14 look at the same four.
    let four = all.studies.filter {
      ["figure-2", "figure-3", "figure-4", "figure-5", "figure-13", "figure-14"].contains($0.study.name)
    }
    #expect(Set(four.map(\.runs)).count == 1 && four[0].runs.count == 4)
    // Everything that each of them needs is measured in that run.
    let first = all.runs[four[0].runs[0]]
    #expect(first.measurement.names == ["borderline", "cosine-loss", "dropped-step", "l2-ratio", "unrolling"])
    // First seeds come first.
    let seeds = all.runs.map(\.configuration.seed)
    #expect(seeds == seeds.sorted() && Set(seeds) == [0, 1])
    for planned in all.studies {
      for subject in planned.subjects {
        for index in subject.runs { #expect(all.runs[index].configuration.architecture == subject.architecture) }
      }
    }
  }

  @Test("The paper's scale is the paper's own work")
  func paperScale() throws {
    let table = try Reproduction(
      [#require(Study.paper.last)], scale: .paper, data: DataSources(["synthetic"]))
    #expect(table.runs.count == 7 * 2 * 4)
    #expect(table.runs.allSatisfy { $0.configuration.recipe.name == "paper" && $0.configuration.recipe.epochs == 300 })
    #expect(Set(table.runs.map(\.configuration.seed)) == [0, 1, 2, 3])
  }

  @Test("A run is found by what its numbers depend on, wherever its data lie")
  func identity() throws {
    let run = try plan([study()]).runs[0]
    #expect(try plan([study()]).runs[0].folderName == run.folderName)
    var moved = run
    moved.configuration.data = "/elsewhere"
    #expect(moved.folderName == run.folderName)
    moved.measurement.names = []
    #expect(moved.folderName == run.folderName)
    var others: [PlannedRun] = []
    func change(_ edit: (inout PlannedRun) -> Void) {
      var other = run
      edit(&other)
      others.append(other)
    }
    change { $0.configuration.seed = 1 }
    change { $0.configuration.recipe.epochs += 1 }
    change { $0.configuration.recipe.weightDecay *= 2 }
    change { $0.configuration.architecture.stages[1].blocks += 1 }
    change { $0.configuration.trainSamples = 100 }
    change { $0.configuration.statistics?.means[0] += 0.01 }
    change { $0.configuration.precision = .bf16 }
    change { $0.configuration.measure?.samples += 1 }
    #expect(Set(others.map(\.folderName) + [run.folderName]).count == others.count + 1)
  }

  @Test("A study's file says what is trained, and what its figures need is measured")
  func file() throws {
    let mine = try study(
      """
      seeds: [3, 4]
      recipes: [quick, paper]
      epochs: 2
      train-samples: 300
      validation-samples: 100
      precision: bfloat16
      record: {every: 2, samples: 50}
      measure: {samples: 60, measures: [lesions], unroll: 3}
      """, replacing: ("[cosine-loss]", "[cosine-loss-readout, unrolling, history-dropped-step]"))
    // The last step of a ResNet-8 changes the shape.
    var fitting = mine
    fitting.models = ["resnet-14", "single-representation"]
    let planned = try plan([fitting], .paper)
    #expect(planned.runs.count == 8 && planned.studies[0].subjects.map(\.recipe).prefix(2) == ["quick", "paper"])
    for run in planned.runs {
      #expect(run.measurement.names == ["cosine-loss", "lesions", "unrolling"] && run.measurement.samples == 60)
      #expect(run.measurement.options.unrolling.times == 3 && run.configuration.recipe.epochs == 2)
      #expect(run.configuration.trainSamples == 300 && run.configuration.precision == .bf16)
      #expect(run.configuration.measure?.samples == 50 && run.configuration.measure?.every == 2)
      #expect(run.configuration.measure?.names.contains("dropped-step") == true)
    }
    #expect(try YAML.decode(Study.self, from: YAML.encode(mine), path: "x") == mine)
  }

  @Test(
    "A study that cannot be is one clear error before any work",
    arguments: [
      ("resnet-8", "[unrolling]", "", "there is no unrolling of resnet-8"),
      ("resnet-8", "[borderline]", "", "there is no borderline of resnet-8"),
      (
        "single-representation", "[gradient-norm-ratio]", "",
        "figures: there is no gradient-norm-ratio of single-representation: there is one stage"
      ),
      (
        "resnet-8", "[errors]", "measure: {measures: [borderline]}",
        "measure.measures: there is no borderline of resnet-8"
      ),
      ("resnet-9", "[errors]", "", "resnet-9"), ("resnet-8", "[errors]", "seeds: []", "seeds: there are none"),
      ("resnet-8", "[errors]", "seeds: [1, 1]", "twice"), ("resnet-8", "[errors]", "epochs: 0", "epochs: 0"),
      ("resnet-8", "[errors]", "train-samples: 60000000", "60000000"),
      ("resnet-8", "[errors]", "measure: {measures: [cosine]}", "no measure \"cosine\""),
      ("resnet-14", "[unrolling]", "measure: {scale: 0}", "measure.scale: 0.0 is not a finite number"),
      ("resnet-14", "[unrolling]", "measure: {scale: .nan}", "measure.scale: nan is not a finite number"),
      ("resnet-14", "[unrolling]", "measure: {recalibrate: 5000}", "recalibrate"),
      ("resnet-8", "[errors, errors]", "", "figures: one of them occurs twice"),
      // Two images more than sixteen batches have, of which fewer are trained on.
      (
        "resnet-14", "[unrolling]", "measure: {recalibrate: 16}\ntrain-samples: 2000",
        "is not between 1 and 15, the batches"
      ),
      ("resnet-8", "[errors]", "precision: int64", "int64 is neither fp32 nor bf16"),
      ("resnet-8, resnet-8-shared@1, resnet-8-shared@1", "[errors]", "", "twice"),
      ("resnet-8", "[errors]", "recipes: [slow]", "slow"), ("resnet-8", "[errors]", "data: [cifar-100]", "cifar-100"),
    ])
  func impossible(model: String, figures: String, more: String, message: String) throws {
    let text = quick.replacing("resnet-8", with: model).replacing("[cosine-loss]", with: figures)
      .replacing("data: [synthetic]", with: more.hasPrefix("data") ? "" : "data: [synthetic]")
    #expect {
      let study = try YAML.decode(Study.self, from: text + "\n" + more, path: "mine.yaml")
      // Nothing stands for CIFAR-100 where only a folder of CIFAR-10 was given.
      _ = try Reproduction([study], scale: .paper, data: DataSources([]))
    } throws: { "\($0)".contains(message) }
  }

  @Test("Two networks of one name are refused, as is a name that is no folder's")
  func names() throws {
    let scratch = try Scratch()
    func file(_ name: String, calling network: String, width: Int) throws -> String {
      let text = "name: \(network)\nstem: {width: \(width)}\nstages: [{width: \(width), blocks: 2}]\n"
      try Files.write(text, to: scratch.file(name))
      return scratch.file(name).path
    }
    var mine = try study(replacing: ("[cosine-loss]", "[errors]"))
    for (second, message) in [("same", "models: same occurs twice"), ("../up", "cannot be the name of a folder")] {
      mine.models = [try file("a.yaml", calling: "same", width: 4), try file("b.yaml", calling: second, width: 6)]
      #expect { try plan([mine]) } throws: { "\($0)".contains(message) }
    }
  }

  @Test("Unknown figures and measures are refused with the study, the field and the known names")
  func unknownNames() throws {
    for (figure, more, messages) in [
      (
        "cosinus", "",
        [
          "mine: figures: there is no \"cosinus\"; known are errors, training, ", ", cosine-loss-readout, ",
          ", history-",
        ]
      ),
      // The name that this figure had in version 0.1.0, and histories of what is not recorded.
      ("cosine-loss-plugged", "", ["figures: there is no \"cosine-loss-plugged\""]),
      ("history-borderline", "", ["figures: there is no \"history-borderline\""]),
      ("history-errors", "", ["figures: there is no \"history-errors\""]), ("", "", ["figures: there is no \"\""]),
      (
        "errors", "measure: {measures: [l2-ratio, cosine]}",
        [
          "mine: measure.measures: there is no measure \"cosine\" (did you mean cosine-loss?); known are l2-ratio, dropped-step, cosine-loss, "
        ]
      ),
    ] {
      let mine = try study(more, replacing: ("[cosine-loss]", "[\"\(figure)\"]"))
      #expect(mine.problem == nil && mine.problem(in: .standard) != nil)
      #expect {
        try plan([mine])
      } throws: { error in messages.allSatisfy { "\(error)".contains($0) } }
    }
  }

  @Test("Every kind of figure that is known is one that a study of a fitting network can show")
  func everyFigure() throws {
    var mine = try study(replacing: ("resnet-8", "resnet-14"))
    mine.figures = FigureKind.all(of: Registry.standard.descriptions)
    #expect(mine.figures.count > 20 && Set(mine.figures).count == mine.figures.count)
    let run = try plan([mine], .paper).runs[0]
    #expect(Set(run.measurement.names).isSuperset(of: ["borderline", "unrolling", "lesions", "dropped-step"]))
    #expect(run.configuration.measure?.names.contains("dropped-step") == true)
  }

  @Test("Lesions of a network in which no steps can be exchanged are taken, those that scale a step")
  func someLesions() throws {
    let run = try plan([study(replacing: ("[cosine-loss]", "[lesions]"))]).runs[0]
    #expect(run.measurement.names == ["lesions"])
  }

  @Test("Figures of a measure that was registered are accepted in a file, and what they need is measured and recorded")
  func foreignMeasure() throws {
    let mine = try study(
      "measure: {measures: [partial]}",
      replacing: ("[cosine-loss]", "[state-squares, history-state-squares, partial-first, errors]"))
    let planned = try plan([mine], registry: .withForeign)
    let run = planned.runs[0]
    #expect(planned.studies[0].study.figures.map(\.rawValue).prefix(2) == ["state-squares", "history-state-squares"])
    #expect(run.measurement.names == ["partial", "state-squares"])
    #expect(run.measurement.options.names == ["partial", "state-squares"])
    #expect(run.configuration.measure?.names.contains("state-squares") == true)
    // Without a figure that needs it, it is not recorded: it is not one that is recorded by default.
    let other = try plan([study()], registry: .withForeign).runs[0]
    #expect(other.configuration.measure?.names == Registry.standard.names(where: \.whileTraining).sorted())
    // Without the registry it is not known.
    #expect { try plan([mine]) } throws: { "\($0)".contains("there is no \"state-squares\"") }
  }

  @Test(
    "What a registered measure says cannot exist in a network at all is refused, where the study asks for it",
    arguments: [
      ("[impossible]", "", "figures: there is no impossible of resnet-8: it cannot be"),
      ("[errors]", "measure: {measures: [impossible]}", "measure.measures: there is no impossible of resnet-8"),
      ("[partial-second]", "", "figures: there is no partial-second of resnet-8: it cannot be"),
      ("[history-partial-second]", "", "figures: there is no partial-second of resnet-8: it cannot be"),
      ("[partial-first, history-partial-first]", "measure: {measures: [partial]}", nil), ("[errors]", "", nil),
    ])
  func foreignAbsences(figures: String, more: String, message: String?) throws {
    let mine = try study(more, replacing: ("[cosine-loss]", figures))
    let make = { _ = try plan([mine], registry: .withForeign) }
    if let message {
      #expect { try make() } throws: { "\($0)".contains(message) }
    } else {
      #expect(throws: Never.self) { try make() }
    }
  }

  @Test("The hash in a run's name is ten of sixteen digits of the first random bits of its configuration")
  func nameFormula() throws {
    let run = try plan([study()]).runs[0]
    var identity = run.configuration
    identity.data = run.dataset
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    // Version 0.1.0 called the precision by its element type.
    let text = String(decoding: try encoder.encode(identity), as: UTF8.self)
      .replacing("\"precision\":\"fp32\"", with: "\"precision\":\"float32\"")
    try #require(text.contains("\"precision\":\"float32\""))
    let bits = RandomStream(seed: 0, name: text).bits(0)
    // Two digits a byte, from the highest.
    let digits = (0..<8).map { String(format: "%02x", Int(bits >> (56 - 8 * UInt64($0)) & 255)) }.joined()
    #expect(run.folderName == "\(run.configuration.architecture.name)-\(run.dataset)-seed-0-\(digits.prefix(10))")
    let scratch = try Scratch()
    let plan = StudyFolder.Plan(runs: [run])
    let file = try StudyFolder(scratch.url).write(plan)
    let all = RandomStream(seed: 0, name: String(decoding: try JSON.encode(plan), as: UTF8.self)).bits(0)
    #expect(UInt64(file.deletingPathExtension().lastPathComponent, radix: 16) == all)
    #expect(try StudyFolder.read(file).plan == plan)
  }

  @Test("A field that means nothing is named")
  func unknown() {
    for (text, message) in [
      (quick + "\nmodel: x", "model means nothing"),
      (quick + "\nprecision: fp8", "fp8 is neither fp32 nor bf16"),
      (quick.replacing("models: [resnet-8]", with: ""), "models is missing"),
    ] {
      #expect { try YAML.decode(Study.self, from: text, path: "mine.yaml") } throws: { "\($0)".contains(message) }
    }
  }

  @Test("A run is whole once it is trained and measured in everything, and one that diverged is not tried again")
  func states() throws {
    let scratch = try Scratch()
    let folder = StudyFolder(scratch.url)
    var mine = try study(replacing: ("resnet-8", "resnet-14"))
    (mine.epochs, mine.trainSamples, mine.validationSamples) = (1, 64, 32)
    mine.measure = .init(samples: 16)
    let run = try plan([mine], .paper).runs[0]
    let place = folder.folder(of: run)
    #expect(try run.state(in: place) == .training)
    try Files.makeFolder(place.url)
    try Files.write(YAML.encode(run.configuration), to: place.configurationFile)
    let data = try Synthetic.dataset(train: 6000, validation: 2000)
    #expect(try Trainer(run.configuration, dataset: data, folder: place).run() == .finished)
    #expect(try run.state(in: place) == .measuring)
    let checkpoint = try #require(place.latestCheckpoint()).url.lastPathComponent
    var tables = MeasuredTables(steps: StepSpec.madeUp(6))
    try tables.add("l2-ratio", [StepStatistic(step: 1, Statistic(mean: 1, std: 0, count: 16))])
    try place.write(.madeUp(of: "resnet-14", checkpoint: checkpoint, epoch: 1, tables, samples: 16))
    #expect(try run.missingMeasures(in: place) == ["cosine-loss"])
    try tables.add("cosine-loss", [StepStatistic(step: 1, Statistic(mean: 1, std: 0, count: 16))])
    var results = try MeasureResults.madeUp(of: "resnet-14", checkpoint: checkpoint, epoch: 1, tables, samples: 16)
    try place.write(results)
    #expect(try run.state(in: place) == .whole)
    // Where the run's data lie elsewhere now, what was measured on them counts; what was measured on others does not.
    var moved = run
    moved.configuration.data = "/elsewhere"
    #expect(try moved.state(in: place) == .whole)
    results.provenance.isOwnData = false
    try place.write(results)
    #expect(try run.state(in: place) == .measuring)
    results.provenance.isOwnData = true
    try place.write(results)
    var more = run
    more.measurement.names.append("dropped-step")
    #expect(try more.state(in: place) == .measuring)
    more = run
    more.measurement.samples = 17
    #expect(try more.state(in: place) == .measuring)
    try Files.write("the loss is not finite\n", to: place.divergenceFile)
    #expect(try run.state(in: place) == .diverged("the loss is not finite"))
    try FileManager.default.removeItem(at: place.divergenceFile)
    var other = run
    other.configuration.seed = 9
    #expect { try other.state(in: place) } throws: { "\($0)".contains("the seed") }
  }

  @Test("Runs that did not come to their end say nothing about how it is")
  func unfinished() throws {
    let scratch = try Scratch()
    let folder = StudyFolder(scratch.url)
    var mine = try study(replacing: ("[cosine-loss]", "[errors]"))
    (mine.epochs, mine.trainSamples, mine.validationSamples, mine.seeds) = (2, 64, 32, [0, 1])
    let planned = try plan([mine], .paper)
    let data = try Synthetic.dataset(train: 6000, validation: 2000)
    for (index, run) in planned.runs.enumerated() {
      let place = folder.folder(of: run)
      try Files.makeFolder(place.url)
      try Files.write(YAML.encode(run.configuration), to: place.configurationFile)
      let trainer = try Trainer(run.configuration, dataset: data, folder: place)
      // The second is stopped in its second epoch.
      _ = try trainer.run(shouldStop: { index == 1 && trainer.records.count == 1 })
    }
    let found = try folder.evidence(for: planned.studies[0], planned.runs)
    #expect(found.subjects[0].runs.count == 1 && found.subjects[0].runs[0].epochs.count == 2)
    try Files.write("gone", to: folder.folder(of: planned.runs[0]).divergenceFile)
    #expect(try folder.evidence(for: planned.studies[0], planned.runs).subjects[0].runs.isEmpty)
  }

  @Test("Sources of data are taken for what they are, and two for one set are refused")
  func sources() throws {
    let scratch = try Scratch()
    try FileManager.default.createDirectory(at: scratch.file("synthetic-cifar"), withIntermediateDirectories: true)
    for (given, message) in [
      ([scratch.file("synthetic-cifar").path], "there is no CIFAR-10"), (["synthetic:x"], "is not a seed"),
      (["synthetic", "synthetic:4"], "both to be cifar-10"),
    ] {
      #expect { try DataSources(given) } throws: { "\($0)".contains(message) }
    }
    let last = try DataSources(["synthetic:\(UInt64.max)"])
    #expect(try last.source(of: "cifar-100") == "synthetic:0" && last.source(of: "synthetic:7") == "synthetic:7")
    #expect(last.substitutions == ["The embedded data set (synthetic:0, ten classes) is used in place of cifar-100."])
    // A page's title names the data that it shows.
    let title = try last.naming("Figure 2 on CIFAR-10, CIFAR-100 and CIFAR-1000")
    #expect(title == "Figure 2 on synthetic, synthetic and CIFAR-1000")
    #expect(try DataSources([]).naming("CIFAR-10") == "CIFAR-10")
  }

  @Test("A file's own numbers are kept at the paper's scale, and limited at the others")
  func limits() throws {
    let mine = try study("measure: {samples: 1900}\nrecord: {every: 3, samples: 1950}")
    let (whole, less) = (try plan([mine], .paper).runs[0], try plan([mine], .smoke).runs[0])
    #expect(whole.measurement.samples == 1900 && whole.configuration.measure?.samples == 1950)
    #expect(less.measurement.samples == 200 && less.configuration.measure?.samples == 64)
    #expect(less.configuration.measure?.every == 3)
  }

  @Test("Runs that would not fit on the disk are refused with the space they need")
  func space() throws {
    let scratch = try Scratch()
    var run = try plan([study()]).runs[0]
    run.configuration.architecture.stages[2].width = 60_000
    #expect { try StudyFolder(scratch.url).check(for: [run]) } throws: {
      "\($0)".contains("there is no space") && "\($0)".contains("GB")
    }
  }
}
