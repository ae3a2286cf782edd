import Foundation
import ResLensSupport

extension ImageDataset {
  /// Writes the set in CIFAR-10's binary layout (a label byte and 3072 pixel bytes a record, the train set in one file)
  /// for programs that read that; the number of records is the set's own.
  /// - Returns: the folder, `cifar-10-batches-bin` in `folder`
  /// - Throws: `FileError` where it cannot be written, the images are not 3×32×32 of ten classes, or a set is
  ///   there already.
  public func export(to folder: URL) throws -> URL {
    guard imageShape == [3, 32, 32], classNames.count == CIFAR.cifar10.classes else {
      throw FileError(
        path: name, problem: "its images are \(imageShape) of \(classNames.count) classes",
        remedy: "only 3×32×32 and ten classes have this layout")
    }
    let target = folder.appending(path: CIFAR.cifar10.folder)
    guard !FileManager.default.fileExists(atPath: target.path) else {
      throw FileError(
        path: target.path, problem: "there is a data set already", remedy: "remove it, or name another folder")
    }
    // Beside it and renamed: what a full disk or a kill leaves does not look like a data set.
    try Files.makeFolder(folder)
    Leftovers.sweep(folder, prefix: Self.unfinished)
    let beside = folder.appending(path: Leftovers.name(Self.unfinished))
    try Files.makeFolder(beside)
    defer { try? FileManager.default.removeItem(at: beside) }
    for (set, file) in [(train, "data_batch_1.bin"), (validation, CIFAR.cifar10.validationFile.name)] {
      let pixels = try set.images.bytes()
      var records = Data(capacity: pixels.count + set.count)
      for (index, label) in set.labels.enumerated() {
        records.append(UInt8(label))
        records.append(contentsOf: pixels[(index * CIFAR.pixels)..<((index + 1) * CIFAR.pixels)])
      }
      try Files.write(records, to: beside.appending(path: file))
    }
    try Files.write(classNames.map { $0 + "\n" }.joined(), to: beside.appending(path: CIFAR.cifar10.namesFile))
    try Files.move(beside, to: target)
    return target
  }

  private static let unfinished = ".exporting"
}
