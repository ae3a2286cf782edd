import Foundation
import ResLensSupport

/// CIFAR-10 and CIFAR-100 (Krizhevsky 2009) in their official binary layout.
public enum CIFAR: String, CaseIterable, Sendable {
  case cifar10 = "cifar-10"
  case cifar100 = "cifar-100"

  /// The archive's folder.
  public var folder: String { self == .cifar10 ? "cifar-10-batches-bin" : "cifar-100-binary" }
  /// File names with the records that each has.
  var trainFiles: [(name: String, records: Int)] {
    self == .cifar10 ? (1...5).map { ("data_batch_\($0).bin", 10_000) } : [("train.bin", 50_000)]
  }
  var validationFile: (name: String, records: Int) {
    (self == .cifar10 ? "test_batch.bin" : "test.bin", 10_000)
  }
  var namesFile: String { self == .cifar10 ? "batches.meta.txt" : "fine_label_names.txt" }
  /// The files that are needed, of the archive's.
  var files: [String] { trainFiles.map(\.name) + [validationFile.name, namesFile] }
  /// Label bytes before the pixels; the last is the class (CIFAR-100 has its 20 superclasses before).
  var labelBytes: Int { self == .cifar10 ? 1 : 2 }
  /// 10, or the 100 fine ones.
  public var classes: Int { self == .cifar10 ? 10 : 100 }

  static let pixels = 3 * 32 * 32
  /// Bytes of the largest file.
  var largestFile: Int { (trainFiles.map(\.records).max() ?? 0) * (labelBytes + Self.pixels) }

  /// The folder in the archive of the Python version.
  var pythonFolder: String { self == .cifar10 ? "cifar-10-batches-py" : "cifar-100-python" }
  private var pythonFiles: [String] { self == .cifar10 ? ["data_batch_1", "batches.meta"] : ["train", "meta"] }

  /// The error for the Python version of the data set.
  func isPython(_ path: String) -> FileError {
    FileError(
      path: path, problem: "this is \(rawValue) as Python pickles, and ResLens reads its binary version",
      remedy: "get that one: reslens data fetch \(rawValue.replacing("-", with: "")) data")
  }

  /// True if the folder holds the Python version, or its folder.
  private func holdsPython(_ url: URL) -> Bool {
    [url, url.appending(path: pythonFolder)].contains { folder in
      pythonFiles.allSatisfy { FileManager.default.fileExists(atPath: folder.appending(path: $0).path) }
    }
  }

  /// True if `folder` holds the archive's folder with something of the data set in it.
  public func isInside(_ folder: URL) -> Bool {
    files.contains {
      FileManager.default.fileExists(atPath: folder.appending(path: self.folder).appending(path: $0).path)
    }
  }

  /// The data set in a folder (or its parent) or in the official `.tar.gz`.
  /// - Throws: `FileError` that names the file and what is wrong with it.
  public static func load(_ path: String) throws -> ImageDataset {
    let url = URL(filePath: path)
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: url.path, isDirectory: &isFolder) else {
      throw FileError(
        path: path, problem: "there is nothing here",
        remedy: "name \(ImageDataset.sourceForms) (reslens data fetch gets CIFAR)")
    }
    if !isFolder.boolValue { return try load(archive: url) }
    let found = allCases.flatMap { kind in
      [url, url.appending(path: kind.folder)].filter { folder in
        kind.files.contains { FileManager.default.fileExists(atPath: folder.appending(path: $0).path) }
      }.map { (kind: kind, folder: $0) }
    }
    if found.count > 1 {
      throw FileError(
        path: path, problem: "several data sets are here",
        remedy: "name one: " + found.map { $0.folder.path }.joined(separator: " or "))
    }
    if let only = found.first { return try only.kind.load(folder: only.folder) }
    if let other = allCases.first(where: { $0.holdsPython(url) }) { throw other.isPython(path) }
    throw FileError(
      path: path, problem: "there is no CIFAR-10 or CIFAR-100 in binary form here",
      remedy: "name the folder that holds \(cifar10.trainFiles[0].name) or \(cifar100.trainFiles[0].name)")
  }

  private static func load(archive: URL) throws -> ImageDataset {
    let scratch = FileManager.default.temporaryDirectory.appending(path: "reslens-\(UUID().uuidString)")
    try Files.makeFolder(scratch)
    defer { try? FileManager.default.removeItem(at: scratch) }
    let kind = try CIFARArchive(archive).unpack(into: scratch)
    return try kind.load(folder: scratch.appending(path: kind.folder))
  }

  private func load(folder: URL) throws -> ImageDataset {
    var pixels: [UInt8] = []
    var labels: [Int] = []
    for file in trainFiles { try read(folder.appending(path: file.name), records: file.records, &pixels, &labels) }
    let train = try ImageSet(pixels: pixels, labels: labels, channels: 3, height: 32, width: 32)
    (pixels, labels) = ([], [])
    try read(folder.appending(path: validationFile.name), records: validationFile.records, &pixels, &labels)
    let validation = try ImageSet(pixels: pixels, labels: labels, channels: 3, height: 32, width: 32)
    let names = String(decoding: try Files.read(folder.appending(path: namesFile)), as: UTF8.self)
      .split(whereSeparator: \.isNewline).map { $0.trimmingCharacters(in: .whitespaces) }.filter { !$0.isEmpty }
    guard names.count == classes else {
      throw FileError(
        path: folder.appending(path: namesFile).path, problem: "it names \(names.count) classes instead of \(classes)",
        remedy: "remove the folder and fetch the data set again: reslens data fetch")
    }
    return try ImageDataset(name: rawValue, classNames: names, train: train, validation: validation)
  }

  private func read(_ url: URL, records: Int, _ pixels: inout [UInt8], _ labels: inout [Int]) throws {
    try decode(Files.read(url), path: url.path, records: records, &pixels, &labels)
  }

  /// Adds the records of a file's bytes.
  /// - Throws: `FileError` where there are not as many, or one has a label that is no class.
  package func decode(
    _ data: Data, path: String, records: Int, _ pixels: inout [UInt8], _ labels: inout [Int]
  ) throws {
    let size = labelBytes + Self.pixels
    guard data.count == records * size else {
      throw FileError(
        path: path,
        problem: "it has \(data.count) bytes, and \(records) records of \(size) bytes are \(records * size)",
        remedy: "remove the folder and fetch the data set again: reslens data fetch"
          // An exported set has as many records as its source.
          + (data.count.isMultiple(of: size)
            ? "; in place of what reslens data export wrote, name the source that it was of" : ""))
    }
    pixels.reserveCapacity(pixels.count + records * Self.pixels)
    try data.withUnsafeBytes { bytes in
      for record in 0..<records {
        let start = record * size
        let label = Int(bytes[start + labelBytes - 1])
        guard label < classes else {
          throw FileError(
            path: path, problem: "record \(record) has label \(label), and there are \(classes) classes",
            remedy: "remove the folder and fetch the data set again: reslens data fetch")
        }
        labels.append(label)
        pixels.append(contentsOf: bytes[(start + labelBytes)..<(start + size)])
      }
    }
  }
}
