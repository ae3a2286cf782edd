import ArgumentParser
import Foundation
import Host
import ResidualNetworks
import Results
import Training

struct CompareCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "compare",
    abstract: "Makes a table of runs: how they ended, and what their steps do.",
    discussion: """
      A row a run: errors after its last epoch, trainable parameters, seconds of training, and a number or two of \
      most measures in its measures.json, and of what else was recorded after its last epoch, on validation samples.

      For example:
        reslens compare runs/first runs/second
        reslens compare reproduction/small/runs/* --format csv > runs.csv
      """)

  enum Format: String, ExpressibleByArgument, CaseIterable { case text, csv, json }

  @Argument(help: ArgumentHelp("Run folders.", valueName: "run"))
  var runs: [String]

  @Option(help: "text, csv or json.")
  var format = Format.text

  func validate() throws {
    if runs.isEmpty { throw ValidationError("name at least one run folder") }
  }

  func run() throws {
    let rows = try runs.map { try ComparedRun(RunFolder(URL(filePath: $0)), name: $0) }
    switch format {
    case .text: print(text(rows))
    case .csv: print(csv(rows), terminator: "")
    case .json: print(String(decoding: try RunFolder.json(rows), as: UTF8.self))
    }
  }

  /// Columns that no run has a number for are left out.
  private func text(_ rows: [ComparedRun]) -> String {
    let columns = ComparedRun.columns.filter { column in rows.contains { column.value($0) != nil } }
    return table(
      [["run", "seed", "epochs"] + columns.map(\.head)]
        + rows.map { row in
          [row.run, "\(row.seed)", "\(row.epochs)/\(row.ofEpochs)"]
            + columns.map { column in column.value(row).map(column.kind.text) ?? "–" }
        })
  }

  private func csv(_ rows: [ComparedRun]) -> String {
    let columns = ComparedRun.columns
    let lines = rows.map { row in
      ([row.run.csvField, row.architecture.csvField, "\(row.seed)", "\(row.epochs)", "\(row.ofEpochs)"]
        + columns.map { column in column.value(row).map(column.kind.csv) ?? "" }).joined(separator: ",")
    }
    return ((["run,architecture,seed,epochs,of_epochs," + columns.map(\.key).joined(separator: ",")]) + lines)
      .map { $0 + "\n" }.joined()
  }
}

/// One run in a few numbers. Of measures, on validation samples.
struct ComparedRun: Encodable {
  var run: String
  var architecture: String
  var seed: UInt64
  var epochs: Int
  var ofEpochs: Int
  var parameters: Int
  var trainError: Double?
  var validationError: Double?
  var lowestValidationError: Double?
  /// Of all epochs so far.
  var seconds: Double?
  /// Steps with a negative mean cosine loss, as a share.
  var negativeCosineLoss: Double?
  var lastCosineLoss: Double?
  var largestL2Ratio: Double?
  var medianL2Ratio: Double?
  /// Accuracy lost without the step that costs most.
  var worstDrop: Double?
  /// Accuracy of the head after the last stage's first step.
  var firstIntermediate: Double?
  /// Of borderline examples, at the reference and at the end.
  var borderlineAtReference: Double?
  var borderlineAtEnd: Double?
  /// α of the scaled unrolling, and, where the last step is repeated, the change of mean validation loss by it.
  var unrollingScale: Double?
  var unrollingLossChange: Double?
  var gradientNormRatio: Double?

  enum CodingKeys: String, CodingKey {
    case run, architecture, seed, epochs, parameters, seconds
    case ofEpochs = "of-epochs"
    case trainError = "train-error"
    case validationError = "validation-error"
    case lowestValidationError = "lowest-validation-error"
    case negativeCosineLoss = "cosine-loss-negative"
    case lastCosineLoss = "cosine-loss-last"
    case largestL2Ratio = "l2-ratio-largest"
    case medianL2Ratio = "l2-ratio-median"
    case worstDrop = "dropped-step-worst"
    case firstIntermediate = "intermediate-first"
    case borderlineAtReference = "borderline-reference"
    case borderlineAtEnd = "borderline-end"
    case unrollingScale = "unrolling-scale"
    case unrollingLossChange = "unrolling-loss-change"
    case gradientNormRatio = "gradient-norm-ratio"
  }

  struct Column {
    var head: String
    var key: String
    var value: (ComparedRun) -> Double?
    var kind = Kind.number
  }

  enum Kind {
    case number, count
    /// Shown in per cent.
    case share

    func text(_ value: Double) -> String {
      switch self {
      case .number: significant(value)
      case .count: fixed(value, 0)
      case .share: percent(value)
      }
    }

    func csv(_ value: Double) -> String { self == .count ? fixed(value, 0) : "\(value)" }
  }

  static var columns: [Column] {
    [
      Column(head: "train error", key: "train_error", value: { $0.trainError }, kind: .share),
      Column(head: "validation error", key: "validation_error", value: { $0.validationError }, kind: .share),
      Column(head: "lowest", key: "lowest_validation_error", value: { $0.lowestValidationError }, kind: .share),
      Column(head: "parameters", key: "parameters", value: { Double($0.parameters) }, kind: .count),
      Column(head: "seconds", key: "seconds", value: { $0.seconds }, kind: .count),
      Column(head: "cosine < 0", key: "cosine_loss_negative", value: { $0.negativeCosineLoss }, kind: .share),
      Column(head: "last cosine", key: "cosine_loss_last", value: { $0.lastCosineLoss }),
      Column(head: "largest ℓ2", key: "l2_ratio_largest", value: { $0.largestL2Ratio }),
      Column(head: "median ℓ2", key: "l2_ratio_median", value: { $0.medianL2Ratio }),
      Column(head: "worst drop", key: "dropped_step_worst", value: { $0.worstDrop }, kind: .share),
      Column(head: "first exit", key: "intermediate_first", value: { $0.firstIntermediate }, kind: .share),
      Column(head: "borderline", key: "borderline_reference", value: { $0.borderlineAtReference }, kind: .share),
      Column(head: "at the end", key: "borderline_end", value: { $0.borderlineAtEnd }, kind: .share),
      Column(head: "unroll α", key: "unrolling_scale", value: { $0.unrollingScale }),
      Column(head: "its Δ loss", key: "unrolling_loss_change", value: { $0.unrollingLossChange }),
      Column(head: "gradient ratio", key: "gradient_norm_ratio", value: { $0.gradientNormRatio }),
    ]
  }

  /// - Throws: `FileError` where there is no run, or its files cannot be read.
  init(_ folder: RunFolder, name: String) throws {
    let configuration = try folder.configuration()
    let records = try folder.epochs()
    run = name
    architecture = configuration.architecture.name
    seed = configuration.seed
    epochs = records.count
    ofEpochs = configuration.recipe.epochs
    parameters = configuration.architecture.trainableParameters
    trainError = records.last?.trainError
    validationError = records.last?.validationError
    lowestValidationError = records.map(\.validationError).filter(\.isFinite).min()
    seconds = records.isEmpty ? nil : records.map(\.seconds).reduce(0, +)
    guard let measures = try folder.lastMeasures().known?.measures else { return }
    if let cosines = measures.cosineLoss?.backpropagated.validation.map(\.mean), !cosines.isEmpty {
      negativeCosineLoss = Double(cosines.count { $0 < 0 }) / Double(cosines.count)
      lastCosineLoss = cosines.last
    }
    let ratios = measures.l2Ratio?.validation.map(\.mean).sorted() ?? []
    largestL2Ratio = ratios.last
    medianL2Ratio = ratios.isEmpty ? nil : (ratios[(ratios.count - 1) / 2] + ratios[ratios.count / 2]) / 2
    if let dropped = measures.droppedStep, let lowest = dropped.validation.map(\.score.accuracy).min() {
      worstDrop = dropped.baseline.validation.accuracy - lowest
    }
    firstIntermediate = measures.intermediate?.validation.first?.score.accuracy
    let states = measures.borderline?.states.validation
    borderlineAtReference = states?.first?.groups.borderline?.accuracy
    borderlineAtEnd = states?.last?.groups.borderline?.accuracy
    if let unrolling = measures.unrolling, let scaled = unrolling.trajectories.last {
      unrollingScale = scaled.scale
      let steps = scaled.steps.validation
      // Behind another step than the last the head's answer is not the trained network's.
      if unrolling.repeatsLastStep, let before = steps.last(where: { $0.repetition == 0 })?.groups,
        let after = steps.last?.groups
      {
        unrollingLossChange = after.all.loss - before.all.loss
      }
    }
    gradientNormRatio = measures.gradientNorm?.validation.ratio?.mean
  }
}
