import Foundation
import ResLensSupport

/// An official `.tar.gz` of CIFAR. Only the files that are needed are taken out, each by its full name, none larger than
/// CIFAR's are, and each checked to be a plain file: nothing else in an archive can reach the disk.
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
      if let other = CIFAR.allCases.first(where: { kind in names.contains { $0.hasPrefix(kind.pythonFolder + "/") } }) {
        throw other.isPython(url.path)
      }
      throw damaged("no CIFAR-10 or CIFAR-100 in binary form is in this archive")
    }
    let members = kind.files.map { "\(kind.folder)/\($0)" }
    if let missing = members.first(where: { !names.contains($0) }) { throw damaged("\(missing) is missing in it") }
    // The limit is in blocks of 512 bytes or of 1024, as the shell has it: a file of endless zeros ends there.
    let limited = "trap '' XFSZ; ulimit -f \(kind.largestFile / 512 + 1000) && exec tar \"$@\""
    let outcome = try Tool("sh").run(
      ["-c", limited, "tar", "-xzf", url.path, "--no-same-owner", "--no-same-permissions", "--"] + members, in: folder)
    guard outcome.status == 0 else {
      let said = outcome.errors.split(separator: "\n").first ?? "tar failed"
      let isTooLarge = members.contains { member in
        let attributes = try? FileManager.default.attributesOfItem(atPath: folder.appending(path: member).path)
        return (attributes?[.size] as? NSNumber)?.intValue ?? 0 > kind.largestFile
      }
      if isTooLarge { throw damaged("it holds larger files than CIFAR's") }
      throw FileError(
        path: url.path, problem: "it cannot be unpacked into \(folder.path) (\(said))",
        remedy: "make room there, or fetch the archive again")
    }
    for member in members {
      let path = folder.appending(path: member).path
      let type = try? FileManager.default.attributesOfItem(atPath: path)[.type] as? FileAttributeType
      guard type == .typeRegular else { throw damaged("\(member) is not a plain file in it") }
      // An archive's set-uid bits are nothing that images need.
      guard chmod(path, 0o644) == 0 else { throw damaged("\(member) cannot be given plain permissions") }
    }
    return kind
  }
}
