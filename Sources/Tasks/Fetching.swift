import Foundation
import ResLensSupport

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
  ///   - shouldStop: asked several times a second; once it says so the download is ended, and what came is kept
  ///   - note: told what is being done
  /// - Returns: the folder of the data set
  /// - Throws: `FileError` where the download fails, the checksum differs or the archive is damaged.
  public func fetch(
    into folder: URL, from address: String? = nil, md5: String? = nil, shouldStop: @escaping () -> Bool = { false },
    note: (String) -> Void
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
    if try !FileManager.default.fileExists(atPath: archive.path) || Fingerprint.md5(of: archive) != wanted {
      note("fetching \(address)")
      try Download(address: address, target: part).run(shouldStop: shouldStop)
      let sum = try Fingerprint.md5(of: part)
      guard sum == wanted else {
        try? FileManager.default.removeItem(at: part)
        throw FileError(
          path: part.path, problem: "the download has MD5 \(sum) instead of \(wanted), and was thrown away",
          remedy: "try again, or name another address with --url")
      }
      try Files.move(part, to: archive)
    }
    note("unpacking \(archive.path)")
    Leftovers.sweep(folder, prefix: Self.unfinished)
    let scratch = folder.appending(path: Leftovers.name(Self.unfinished))
    try Files.makeFolder(scratch)
    defer { try? FileManager.default.removeItem(at: scratch) }
    guard try CIFARArchive(archive).unpack(into: scratch) == self else {
      throw FileError(path: archive.path, problem: "this is not \(rawValue)", remedy: "remove it and fetch again")
    }
    try Files.move(scratch.appending(path: self.folder), to: target)
    return target
  }

  private static let unfinished = ".unpacking"
}

/// A file that is fetched from an address. What an earlier call had got is not got again.
package struct Download {
  package var address: String
  /// The file.
  package var target: URL
  /// How long a server may send next to nothing.
  package var stallSeconds = 60
  /// No archive of CIFAR has as many.
  package var mostBytes = 1_000_000_000

  package init(address: String, target: URL) { (self.address, self.target) = (address, target) }

  private static let schemes = ["https://", "http://", "ftp://", "file://"]

  /// Fetches it by curl, which resumes, retries, knows proxies and shows its progress.
  /// - Throws: `FileError` where the address is none, or the download fails, stalls, is too large or is stopped.
  package func run(shouldStop: @escaping () -> Bool) throws {
    guard Self.schemes.contains(where: { address.lowercased().hasPrefix($0) }) else {
      throw FileError(
        path: address, problem: "this is no address", remedy: "begin it with \(Self.schemes.joined(separator: ", "))")
    }
    var status = try curl(shouldStop)
    // 33: the server cannot continue a download, for instance because nothing is missing.
    if status == 33 {
      try? FileManager.default.removeItem(at: target)
      status = try curl(shouldStop)
    }
    if size > mostBytes {
      try? FileManager.default.removeItem(at: target)
      throw FileError(
        path: address,
        problem: "it sent more than \(mostBytes) bytes, which no archive of CIFAR has; they were thrown away",
        remedy: "name another address with --url")
    }
    guard status == 0 else {
      let why = status == 28 ? "the server sent nothing for \(stallSeconds) s" : "curl's exit status \(status)"
      throw FileError(
        path: address, problem: "the download failed (\(why)); the part that arrived is kept",
        remedy: "check the address and the network, and run the command again: it continues where it stopped")
    }
  }

  private func curl(_ shouldStop: @escaping () -> Bool) throws(FileError) -> Int32 {
    // The address is the value of an option, so that it cannot be one itself.
    let arguments = [
      "--fail", "--location", "--globoff", "--retry", "3", "--continue-at", "-", "--connect-timeout", "\(stallSeconds)",
      "--speed-limit", "1000", "--speed-time", "\(stallSeconds)", "--max-filesize", "\(mostBytes)", "--progress-bar",
      "--show-error", "--output", target.path, "--url", address,
    ]
    return try Tool("curl").run(arguments, passesErrors: true) { shouldStop() || size > mostBytes }.status
  }

  /// Bytes that have come so far.
  private var size: Int {
    let attributes = try? FileManager.default.attributesOfItem(atPath: target.path)
    return (attributes?[.size] as? NSNumber)?.intValue ?? 0
  }
}
