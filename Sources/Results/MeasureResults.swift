import Foundation
import ResLensSupport

/// The results of measuring one network: the contents of `measures.json`, and of one epoch's file during training.
public struct MeasureResults: Codable, Equatable, Sendable {
  /// The version of this layout that this program writes and reads.
  public static let format = 4
  /// The version of the layout that it was read from.
  public var format = Self.format
  /// The run folder's name.
  public var run: String
  /// The architecture's name.
  public var architecture: String
  /// The checkpoint's name, for instance "epoch-00010-step-0000000".
  public var checkpoint: String
  /// The number of whole epochs that the network was trained for.
  public var epoch: Int
  /// The source of the samples, as it was given to `reslens`.
  public var data: String
  /// The statistics by which batch normalisations ran.
  public var batchNorm: BatchNormStatistics
  /// The trained lens that read the states; nil where the network's own readout did.
  public var lens: Lens?
  /// The number of batches on which running statistics were recalibrated behind what a measure altered; nil where the trained
  /// ones stayed.
  public var recalibrationBatches: Int?
  /// The number of samples of a batch where the numbers depend on it, by each batch's own statistics; nil otherwise.
  public var batch: Int?
  /// The network that the numbers are of.
  public var provenance: Provenance
  /// The samples that were measured, one entry for each split and number of samples.
  public var samplings: [Sampling]
  /// The steps of the network, in order.
  public var steps: [StepSpec]
  /// The numbers. The first two keys of every table are `split` and `samples`.
  public var tables: [Table]
  /// The values that were asked for and cannot exist in this network.
  public var absent: [Absence]

  public init(
    run: String, architecture: String, checkpoint: String, epoch: Int, data: String,
    batchNorm: BatchNormStatistics = .running, lens: Lens? = nil, recalibrationBatches: Int? = nil, batch: Int? = nil,
    provenance: Provenance, samplings: [Sampling], steps: [StepSpec], tables: [Table] = [], absent: [Absence] = []
  ) {
    self.run = run
    self.architecture = architecture
    self.checkpoint = checkpoint
    self.epoch = epoch
    self.data = data
    self.batchNorm = batchNorm
    self.lens = lens
    self.recalibrationBatches = recalibrationBatches
    self.batch = batch
    self.provenance = provenance
    self.samplings = samplings
    self.steps = steps
    self.tables = tables
    self.absent = absent
  }

  enum CodingKeys: String, CodingKey {
    case format, run, architecture, checkpoint, epoch, data, lens, batch, provenance, samplings, steps, tables, absent
    case batchNorm = "batch-norm"
    case recalibrationBatches = "recalibration-batches"
  }

  /// The samples of one split that were measured: the first so many in file order.
  public struct Sampling: Codable, Equatable, Sendable {
    /// The split.
    public var split: Split
    /// The number of samples. A measure that looks at fewer says so by its counts.
    public var samples: Int
    /// SHA-256 of their images and labels.
    public var images: String
    /// The version of reslens that measured them last.
    public var program: String
    /// When they were measured last, in ISO 8601.
    public var date: String

    public init(split: Split, samples: Int, images: String, program: String, date: String) {
      self.split = split
      self.samples = samples
      self.images = images
      self.program = program
      self.date = date
    }
  }

  /// A measure, or a part of it, that does not exist for some steps.
  public struct Absence: Codable, Equatable, Hashable, Sendable {
    /// The measure's name.
    public var measure: String
    /// The view of the measure that is meant; nil for all of the measure.
    public var view: String?
    /// The first and the last of the steps, from 1; nil where the whole measure or view is meant.
    public var steps: [Int]?
    /// Why it cannot be, in a clause.
    public var reason: String

    public init(measure: String, view: String? = nil, steps: ClosedRange<Int>? = nil, reason: String) {
      self.measure = measure
      self.view = view
      self.steps = steps.map { [$0.lowerBound, $0.upperBound] }
      self.reason = reason
    }

    /// True if this absence is of the view of a measure, or of a part of it.
    public func concerns(_ view: MeasureView, of measure: MeasureDescription) -> Bool {
      self.measure == measure.name && (self.view == nil || self.view == view.id)
    }
  }
}

/// The statistics by which batch normalisations run while a network is measured.
public enum BatchNormStatistics: String, Codable, Sendable, CaseIterable {
  /// The running statistics.
  case running
  /// Each batch's own statistics, as while training; the running ones stay as they are.
  case batch
}

/// The key of the number of samples.
private let samplesKey = "samples"

extension MeasureResults {
  /// The names of the measures that have results.
  public var names: Set<String> { Set(tables.map(\.measure)) }

  /// Every table with, for each split, only the rows of its largest number of samples, and without the key `samples`.
  public var widest: MeasuredTables {
    var widest = MeasuredTables(steps: steps)
    for table in tables {
      guard let samples = try? table.numbers(samplesKey), let splits = try? table.cells("split") else { continue }
      var most: [Cell: Double] = [:]
      for (split, count) in zip(splits, samples) { most[split] = max(most[split] ?? 0, count ?? 0) }
      let largest = table.filter { row in row[1].number == most[row[0]] }
      widest.tables.append(largest.keeping { largest.columns[$0].name != samplesKey })
    }
    return widest
  }

  /// The largest number of samples of a split that some measure was taken on; nil where none was.
  public func samples(of split: Split) -> Int? { samplings.filter { $0.split == split }.map(\.samples).max() }

  /// The first thing in which the network or the data differ, in a few words; nil where both are the same.
  public func differenceOfSubject(from other: MeasureResults) -> String? {
    if architecture != other.architecture { return "the architecture" }
    if provenance.weights != other.provenance.weights { return "the weights" }
    if provenance.statistics != other.provenance.statistics { return "the statistics that inputs are normalised by" }
    // The run's own data stay the same wherever they lie.
    if provenance.isOwnData != other.provenance.isOwnData || !provenance.isOwnData && data != other.data {
      return "the data"
    }
    return nil
  }

  /// The first thing in which the network, the data or the way of measuring differ, in a few words; nil where results of
  /// both can stand in one file.
  public func difference(from other: MeasureResults) -> String? {
    if let difference = differenceOfSubject(from: other) { return difference }
    if batchNorm != other.batchNorm { return "the statistics that batch normalisations run by" }
    if recalibrationBatches != other.recalibrationBatches { return "the batches of recalibration" }
    if lens != other.lens { return "the lens that states are read by" }
    for sampling in samplings {
      let same = other.samplings.first { $0.split == sampling.split && $0.samples == sampling.samples }
      if let same, same.images != sampling.images { return "the images" }
    }
    return batch == other.batch ? nil : "the batch"
  }

  /// The measures of these results that a newer call takes away: those that were taken with other settings on another
  /// number of samples.
  /// - Parameters:
  ///   - newer: the newer call's samples
  ///   - parameters: its settings, by the names of its measures
  public func lost(to newer: MeasureResults, with parameters: [String: [String: Cell]]) -> Set<String> {
    let counts = newer.counts
    return Set(
      tables.filter { table in
        parameters[table.measure].map { $0 != table.parameters } ?? false
          && table.rows.contains { !counts.contains(Array($0.prefix(2))) }
      }.map(\.measure))
  }

  /// The cells of `split` and `samples` for every sampling.
  private var counts: Set<[Cell]> { Set(samplings.map { [$0.split.cell, .number(Double($0.samples))] }) }

  /// Adds the results of a newer call on the same network. They take the place of older ones of the same measure on the
  /// same number of samples; others stay beside them.
  /// - Parameter asked: the names of the measures that the newer call was asked for
  public mutating func add(_ newer: MeasureResults, asked: Set<String>) {
    let counts = newer.counts
    tables = tables.compactMap { table in
      guard asked.contains(table.measure) else { return table }
      // Where the measure's settings have changed, its older tables go, even those that the newer call does not have.
      let settings = newer.tables.first { $0.measure == table.measure }?.parameters
      if let settings, settings != table.parameters { return nil }
      if let new = newer.tables.first(where: { $0.name == table.name }), !new.canJoin(table) { return nil }
      let left = table.filter { !counts.contains(Array($0.prefix(2))) }
      return left.rows.isEmpty ? nil : left
    }
    for table in newer.tables {
      if let index = tables.firstIndex(where: { $0.name == table.name }), (try? tables[index].append(table)) != nil {
        continue
      }
      tables.append(table)
    }
    samplings.removeAll { old in newer.samplings.contains { $0.split == old.split && $0.samples == old.samples } }
    samplings += newer.samplings
    absent.removeAll { asked.contains($0.measure) }
    absent += newer.absent
  }

  /// Takes over the measures that are missing here from results of the same network, perhaps on other samples.
  /// - Returns: the names of what was taken over
  public mutating func complete(by other: MeasureResults) -> Set<String> {
    guard difference(from: other) == nil else { return [] }
    let taken = other.names.subtracting(names)
    guard !taken.isEmpty else { return [] }
    var part = other
    part.tables.removeAll { !taken.contains($0.measure) }
    part.absent.removeAll { !taken.contains($0.measure) }
    // Where both have an entry for the same samples, the one here stays.
    part.samplings.removeAll { other in samplings.contains { $0.split == other.split && $0.samples == other.samples } }
    add(part, asked: taken)
    return taken
  }

  /// The mean over runs of one network that were measured alike; the first's where there is one alone.
  /// - Parameter name: what the runs are called together
  /// - Throws: `TableError` where their tables have different columns.
  public static func mean(of all: [MeasureResults], called name: String) throws(TableError) -> MeasureResults? {
    guard all.count > 1 else { return all.first }
    guard var mean = all.first, let tables = try MeasuredTables.mean(of: all.map(\.widest)) else { return nil }
    mean.run = name
    mean.tables = try tables.tables.map { table throws(TableError) in try table.withSamples(of: mean) }
    return mean
  }
}

extension MeasureResults {
  /// Writes every table as a CSV file of its name into a folder, and `steps.csv`, which describes the steps. The names of
  /// what was measured in another way than the usual one end with that way's suffix.
  /// - Parameter measures: the descriptions of the measures whose columns make up `depth-card.csv`
  /// - Returns: the number of files
  /// - Throws: `FileError` where a file cannot be written, and `TableError` where a table lacks a column that a description
  ///   names; each file is whole or as it was before.
  @discardableResult
  public func writeCSV(to folder: URL, describedBy measures: [MeasureDescription] = []) throws -> Int {
    try Files.makeFolder(folder)
    let all = tables + [try stepTable()] + [try DepthCard.table(measures, widest)].compactMap { $0 }
    for table in all { try Files.write(table.csv, to: folder.appending(path: table.name + way.suffix + ".csv")) }
    return all.count
  }

  /// The steps as a table.
  private func stepTable() throws(TableError) -> Table {
    try Table(
      "steps", keys: [.init("step")],
      values: ["path", "stage", "block", "use", "macs", "identity_skip"].map { .init($0) },
      rows: steps.map { step in
        [
          .number(Double(step.id.number)), .text(step.id.path), .number(Double(step.stage)),
          .number(Double(step.block)),
          .number(Double(step.use)), .number(Double(step.macs)), .number(step.hasIdentitySkip ? 1 : 0),
        ]
      })
  }
}

extension Table {
  /// The table with the key `samples` behind `split`: the largest number of samples of each split.
  fileprivate func withSamples(of results: MeasureResults) throws(TableError) -> Table {
    try Table(
      name, of: measure, keys: [keys[0], Column(samplesKey)] + keys.dropFirst(), values: values,
      rows: rows.map { row in
        let count = row[0].text.flatMap(Split.init).flatMap { results.samples(of: $0) }
        return [row[0], .number(Double(count ?? 0))] + row.dropFirst()
      }, parameters: parameters)
  }

  /// True if rows of both tables can stand in one.
  fileprivate func canJoin(_ other: Table) -> Bool {
    keys == other.keys && values == other.values && parameters == other.parameters
  }
}

extension MeasureResults: Checked {
  /// The first field of a file that cannot be, and why; nil where all can be.
  public var problem: String? {
    if !(0...99_999).contains(epoch) { return "epoch: \(epoch) is not between 0 and 99999" }
    func isCount(_ count: Int) -> Bool { (1...1_000_000_000_000).contains(count) }
    if let count = samplings.map(\.samples).first(where: { !isCount($0) }) {
      return "samplings: \(count) is not a number of samples"
    }
    if let batch, !isCount(batch) { return "batch: \(batch) is not a number of samples" }
    if let batches = recalibrationBatches, !isCount(batches) {
      return "recalibration-batches: \(batches) is not a number of batches"
    }
    if let problem = provenance.statistics.problem { return "provenance.statistics.\(problem)" }
    if steps.map(\.id.number) != steps.indices.map({ $0 + 1 }) { return "steps: they are not numbered 1, 2, 3, …" }
    for absence in absent {
      guard let range = absence.steps else { continue }
      if range.count != 2 || range[0] > range[1] || range[0] < 1 || range[1] > StepSpec.most {
        return "absent: steps \(range) are not a first and a last step"
      }
    }
    if Set(tables.map(\.name)).count < tables.count { return "tables: one of them occurs twice" }
    for table in tables {
      if let problem = table.problem { return "tables.\(table.name): \(problem)" }
      if let problem = table.measuredProblem(steps: steps.count) { return "tables.\(table.name): \(problem)" }
    }
    return nil
  }
}

extension Table {
  /// The first thing that no table of a measured network has; nil where there is nothing.
  fileprivate func measuredProblem(steps: Int) -> String? {
    guard keys.prefix(2).map(\.name) == ["split", samplesKey] else {
      return "its keys do not begin with split, samples"
    }
    if let row = rows.first(where: { $0[0].text.flatMap(Split.init) == nil }) {
      return "\(row[0].csvText) is neither train nor validation"
    }
    if let row = rows.first(where: { $0[1].integer.map { $0 < 1 } ?? true }) {
      return "\(row[1].csvText) is not a number of samples"
    }
    guard let index = keys.firstIndex(where: { $0.name == "step" }) else { return nil }
    return rows.first { !($0[index].integer.map((0...steps).contains) ?? false) }.map {
      "step \($0[index].csvText) is not one of the network's \(steps) steps"
    }
  }
}
