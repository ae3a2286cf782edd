import Foundation
import ResLensSupport
import ResLensResults
import ResLensTraining

/// The event file in a run's folder, which TensorBoard reads: the numbers of every epoch, and what was measured after it.
///
/// A call that trains writes the file anew with the epochs that are done, under a new name, and then appends. An epoch
/// is therefore in it once, however an earlier call ended.
struct TensorBoardLog {
  private let folder: RunFolder
  private let file: FileHandle

  private static let (prefix, suffix) = ("events.out.tfevents.", ".reslens")

  /// True if the run has an event file.
  static func exists(in folder: RunFolder) -> Bool { !files(in: folder).isEmpty }

  private static func files(in folder: RunFolder) -> [URL] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.url.path)) ?? []
    return names.filter { $0.hasPrefix(prefix) && $0.hasSuffix(suffix) }.map { folder.url.appending(path: $0) }
  }

  /// - Parameters:
  ///   - records: the epochs that are done
  ///   - hasBegun: whether epoch 0, the network before its first step, is behind the run
  /// - Throws: `FileError` where the file cannot be written, or what was measured cannot be read.
  init(_ folder: RunFolder, _ records: [EpochRecord], hasBegun: Bool) throws {
    self.folder = folder
    let now = Date.now
    // Epochs of earlier calls are placed as if the training had not been interrupted.
    var time = now - records.map(\.seconds).reduce(0, +)
    var data = EventFile.header(time)
    if hasBegun { data += try Self.record(0, nil, in: folder, time) }
    for record in records {
      time += record.seconds
      data += try Self.record(record.epoch, record, in: folder, time)
    }
    let url = folder.url.appending(path: "\(Self.prefix)\(Int(now.timeIntervalSince1970))\(Self.suffix)")
    // There is one file at any moment. A TensorBoard that is running notices it by its new name.
    for earlier in Self.files(in: folder) { try Files.move(earlier, to: url) }
    try Files.write(data, to: url)
    do {
      file = try FileHandle(forWritingTo: url)
      try file.seekToEnd()
    } catch {
      throw Self.unwritable(url.path, error)
    }
  }

  /// Appends an epoch with what was measured after it.
  /// - Parameter record: nil for epoch 0
  /// - Throws: `FileError`
  func add(_ epoch: Int, _ record: EpochRecord?) throws {
    let data = try Self.record(epoch, record, in: folder, .now)
    do {
      try file.write(contentsOf: data)
    } catch {
      throw Self.unwritable("the event file of \(folder.url.path)", error)
    }
  }

  private static func unwritable(_ path: String, _ error: any Error) -> FileError {
    FileError(
      path: path, problem: "it cannot be written: \(error.localizedDescription)",
      remedy: "resume the run, which writes it anew")
  }

  private static func record(
    _ epoch: Int, _ record: EpochRecord?, in folder: RunFolder, _ time: Date
  ) throws -> Data {
    let measured = try folder.history(after: epoch)
    let digits = max(2, "\(measured?.steps.count ?? 0)".count)
    let scalars =
      (record?.scalars ?? []) + (measured?.tables.flatMap(\.namedNumbers) ?? []).map { $0.scalar(digits: digits) }
    return scalars.isEmpty ? Data() : EventFile.record(scalars, step: epoch, time)
  }
}

extension EpochRecord {
  /// The numbers of an epoch with the names of their curves.
  fileprivate var scalars: [EventFile.Scalar] {
    [
      .init(tag: "train/loss", value: trainLoss), .init(tag: "train/error", value: trainError),
      .init(tag: "validation/loss", value: validationLoss), .init(tag: "validation/error", value: validationError),
      .init(tag: "learning-rate", value: learningRate), .init(tag: "images-per-second", value: imagesPerSecond),
    ]
  }
}

extension NamedNumber {
  /// The number with the name of its curve, for instance "intermediate.loss/validation/step-03".
  fileprivate func scalar(digits: Int) -> EventFile.Scalar {
    let step = step.map { "step-" + String(format: "%0\(digits)d", $0) }
    let names = [quantity, split].compactMap { $0 } + keys + [step].compactMap { $0 }
    return .init(tag: names.joined(separator: "/"), value: value)
  }
}
