import Foundation
import ResLensSupport
import ResLensResults
import ResLensTraining
import TestSupport
import Testing

/// The files and lines that `reslens train` writes for other programs: event files for TensorBoard, and lines of JSON.
@Suite struct TrainingLogTests {
  private let scratch: Scratch

  init() throws { scratch = try Scratch() }

  /// The curves of a run by name, as TensorBoard's own reader gives them: pairs of step and value.
  private func curves(_ run: URL) throws -> [String: [[Double]]] {
    let script = """
      import json, sys
      from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
      events = EventAccumulator(sys.argv[1], size_guidance={"scalars": 0}).Reload()
      json.dump({tag: [[e.step, e.value] for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}, sys.stdout)
      """
    let outcome = try Tool("env").run(["PYTHONPATH=\(Checkout.tensorBoard.path)", "python3", "-c", script, run.path])
    try #require(outcome.status == 0, Comment(rawValue: outcome.errors))
    return try JSONDecoder().decode([String: [[Double]]].self, from: outcome.output)
  }

  private func eventFiles(_ run: URL) throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: run.path).filter { $0.contains("tfevents") }
  }

  /// The curve that a run's files say: Float32 of each epoch's number.
  private func curve(_ records: [EpochRecord], _ value: KeyPath<EpochRecord, Double>) -> [[Double]] {
    records.map { [Double($0.epoch), Double(Float($0[keyPath: value]))] }
  }

  /// Checks that an event file has the numbers of `epochs.csv` and of the recorded measures, each once.
  private func check(_ run: URL) throws {
    let (curves, records) = (try curves(run), try RunFolder(run).epochs())
    for (tag, value) in [
      ("train/loss", \EpochRecord.trainLoss), ("train/error", \.trainError), ("validation/loss", \.validationLoss),
      ("validation/error", \.validationError), ("learning-rate", \.learningRate),
      ("images-per-second", \.imagesPerSecond),
    ] { #expect(curves[tag] == curve(records, value), "\(tag)") }
    let history = try RunFolder(run).history()
    func measured(_ table: String, _ column: String, step: Double, _ more: [String: Cell] = [:]) throws -> [[Double]] {
      try history.compactMap { results in
        guard let table = try results.widest.table(table, .validation, more.merging(["step": .number(step)]) { $1 })
        else { return nil }
        return try table.presentNumbers(column).first.map { [Double(results.epoch), Double(Float($0))] }
      }
    }
    let expected = try [
      "l2-ratio/validation/step-03": measured("l2-ratio", "mean", step: 3),
      "l2-ratio.std/validation/step-03": measured("l2-ratio", "std", step: 3),
      "cosine-loss/validation/readout/step-06": measured("cosine-loss", "mean", step: 6, ["gradient": "readout"]),
      "intermediate/validation/step-05": measured("intermediate", "accuracy", step: 5),
      "intermediate.loss/validation/step-05": measured("intermediate", "loss", step: 5),
    ]
    for (tag, values) in expected {
      try #require(!values.isEmpty, "\(tag)")
      #expect(curves[tag] == values, "\(tag)")
    }
    #expect(!curves.keys.contains { $0.contains(".count/") })
    #expect(try eventFiles(run).count == 1)
  }

  private static let measures = [
    "--model", "resnet-14", "--measure", "every=1,samples=40,l2-ratio,cosine-loss,intermediate",
  ]

  @Test(
    "TensorBoard reads every number of a run, also of one that was stopped and went on",
    .enabled(if: Checkout.hasTensorBoard, Comment(rawValue: Checkout.tensorBoardIsMissing)))
  func tensorBoard() throws {
    let run = scratch.file("run")
    let trained = try Reslens.train(run, ["--tensorboard", "--epochs", "3"] + Self.measures)
    try #require(trained.status == 0, Comment(rawValue: trained.errors))
    try check(run)
    // A call that finds the run finished writes the file anew.
    let again = try Reslens.run(["train", "--resume", "--out", run.path])
    #expect(again.status == 0, "\(again.errors)")
    try check(run)

    let killed = scratch.file("killed")
    let more = ["--epochs", "4", "--resume", "--tensorboard", "--checkpoint-seconds", "0.05"] + Self.measures
    let (hits, seed) = try Reslens.trainKilled(killed, more, times: 6)
    #expect(hits >= 2, "seed \(seed)")
    let last = try Reslens.train(killed, more)
    try #require(last.status == 0, Comment(rawValue: last.errors))
    try check(killed)
  }

  @Test("--log jsonl prints a line of JSON when a training starts, after every epoch, and when it ends")
  func lines() throws {
    let run = scratch.file("run")
    let trained = try Reslens.train(run, ["--log", "jsonl"])
    try #require(trained.status == 0, Comment(rawValue: trained.errors))
    let texts = trained.output.split(separator: "\n").map { Data($0.utf8) }
    let lines = try texts.map { try #require(try JSONSerialization.jsonObject(with: $0) as? [String: Any]) }
    #expect(lines.map { $0["event"] as? String } == ["start", "epoch", "epoch", "end"])
    #expect(lines.allSatisfy { $0["run"] as? String == run.path })
    #expect(lines.last?["outcome"] as? String == "finished")
    let configuration = try #require(lines.first?["configuration"] as? [String: Any])
    #expect((configuration["architecture"] as? [String: Any])?["name"] as? String == "resnet-8")
    // The words and numbers are those of epochs.csv.
    let words = Set(EpochRecord.csvHeader.split(separator: ",").map(String.init) + ["event", "run"])
    #expect(lines[1...2].allSatisfy { Set($0.keys) == words })
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    #expect(try texts[1...2].map { try decoder.decode(EpochRecord.self, from: $0) } == RunFolder(run).epochs())
    #expect(trained.errors.contains("epoch 2"))
  }
}
