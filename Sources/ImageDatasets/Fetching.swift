import Foundation
import Host

extension CIFAR {
  /// Where the data set's author publishes it.
  public var officialAddress: String {
    "https://www.cs.toronto.edu/~kriz/" + (self == .cifar10 ? "cifar-10-binary.tar.gz" : "cifar-100-binary.tar.gz")
  }

  /// The archive's MD5, as published beside it.
  public var officialMD5: String {
    self == .cifar10 ? "c32a1d4ab5d03f1284b67883e8d87530" : "03b5dce01913d631647c71ecec9e9cb8"
  }

  /// Downloads the official archive, checks it and unpacks it into `folder`. What an earlier call had got is not
  /// got again, and a set that is there already is left as it is.
  /// - Parameters:
  ///   - address: another place to get the archive from
  ///   - md5: the sum that the archive must have; another archive has another one
  ///   - note: told what is being done
  /// - Returns: the folder of the data set
  /// - Throws: `FileError` where the download fails, the checksum differs or the archive is damaged.
  public func fetch(
    into folder: URL, from address: String? = nil, md5: String? = nil, note: (String) -> Void
  ) throws -> URL {
    let target = folder.appending(path: self.folder)
    if FileManager.default.fileExists(atPath: target.path) {
      _ = try CIFAR.load(target.path)
      note("\(target.path) is there already and whole")
      return target
    }
    try Files.makeFolder(folder)
    let address = address ?? officialAddress
    let part = folder.appending(path: "\(rawValue).tar.gz.part")
    let archive = folder.appending(path: "\(rawValue).tar.gz")
    let wanted = md5 ?? officialMD5
    // An archive from an earlier call counts only if it is the right one.
    if try !FileManager.default.fileExists(atPath: archive.path) || Self.md5(of: archive) != wanted {
      note("fetching \(address)")
      try download(address, to: part)
      let sum = try Self.md5(of: part)
      guard sum == wanted else {
        try? FileManager.default.removeItem(at: part)
        throw FileError(
          path: part.path, problem: "the download has MD5 \(sum) instead of \(wanted), and was thrown away",
          remedy: "try again, or name another address with --url")
      }
      try Files.move(part, to: archive)
    }
    note("unpacking \(archive.path)")
    let scratch = folder.appending(path: ".unpacking-\(UUID().uuidString)")
    try Files.makeFolder(scratch)
    defer { try? FileManager.default.removeItem(at: scratch) }
    guard try CIFARArchive(archive).unpack(into: scratch) == self else {
      throw FileError(path: archive.path, problem: "this is not \(rawValue)", remedy: "remove it and fetch again")
    }
    try Files.move(scratch.appending(path: self.folder), to: target)
    return target
  }

  /// curl, as it resumes, retries, knows proxies and shows its progress.
  private func download(_ address: String, to part: URL) throws {
    let arguments = [
      "--fail", "--location", "--retry", "3", "--continue-at", "-", "--progress-bar", "--show-error", "--output",
      part.path, address,
    ]
    let curl = { try Tool("curl").run(arguments, passesErrors: true).status }
    var status = try curl()
    // 33: the server cannot continue a download, for instance because nothing is missing.
    if status == 33 {
      try? FileManager.default.removeItem(at: part)
      status = try curl()
    }
    guard status == 0 else { throw failed(address, status) }
  }

  private func failed(_ address: String, _ status: Int32) -> FileError {
    FileError(
      path: address, problem: "the download failed (curl's exit status \(status)); what came is kept",
      remedy: "check the address and the network and call again: it goes on where it stopped")
  }

  private static func md5(of url: URL) throws -> String {
    let outcome = try Tool("md5sum").run([url.path])
    guard outcome.status == 0 else {
      throw FileError(path: url.path, problem: "md5sum failed: \(outcome.errors)", remedy: "check who may read it")
    }
    return String(decoding: outcome.output.prefix(32), as: UTF8.self)
  }
}
