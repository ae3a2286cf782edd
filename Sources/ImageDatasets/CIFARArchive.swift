import Foundation
import Host

/// An official `.tar.gz` of CIFAR. Only the files that are needed are taken out, each by its full name and each
/// checked to be a plain file: nothing else in an archive can reach the disk.
struct CIFARArchive {
  let url: URL
  private let tar = Tool("tar")

  init(_ url: URL) { self.url = url }

  private func damaged(_ problem: String) -> FileError {
    FileError(path: url.path, problem: problem, remedy: "remove it and fetch it again: reslens data fetch")
  }

  /// Unpacks into `folder`, below the archive's own folder name.
  /// - Throws: `FileError` where it is no such archive, is damaged, or lacks a file.
  func unpack(into folder: URL) throws -> CIFAR {
    let listing = try tar.run(["-tzf", url.path])
    guard listing.status == 0 else {
      throw damaged("not a whole .tar.gz archive (\(listing.errors.split(separator: "\n").first ?? "tar failed"))")
    }
    let names = Set(String(decoding: listing.output, as: UTF8.self).split(separator: "\n").map(String.init))
    guard let kind = CIFAR.allCases.first(where: { names.contains("\($0.folder)/\($0.trainFiles[0].name)") }) else {
      throw damaged("no CIFAR-10 or CIFAR-100 in binary form is in this archive")
    }
    let members = kind.files.map { "\(kind.folder)/\($0)" }
    if let missing = members.first(where: { !names.contains($0) }) { throw damaged("\(missing) is missing in it") }
    let outcome = try tar.run(["-xzf", url.path, "--no-same-owner", "--"] + members, in: folder)
    guard outcome.status == 0 else {
      let said = outcome.errors.split(separator: "\n").first ?? "tar failed"
      throw FileError(
        path: url.path, problem: "it cannot be unpacked into \(folder.path) (\(said))",
        remedy: "make room there, or fetch the archive again")
    }
    for member in members {
      let path = folder.appending(path: member).path
      let type = try? FileManager.default.attributesOfItem(atPath: path)[.type] as? FileAttributeType
      guard type == .typeRegular else { throw damaged("\(member) is not a plain file in it") }
    }
    return kind
  }
}
