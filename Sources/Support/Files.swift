import Foundation

/// A file or folder that could not be used: which, why, and what to do about it.
public struct FileError: Error, CustomStringConvertible, Equatable {
  /// The file or other thing that could not be used, as the user would name it.
  public var path: String
  /// The problem, as a clause.
  public var problem: String
  /// The remedy, as a clause.
  public var remedy: String

  /// - Parameters:
  ///   - problem: text that it quotes from a file is cut short
  public init(path: String, problem: String, remedy: String) {
    self.path = path
    self.problem = problem.printable()
    self.remedy = remedy
  }

  public var description: String { "\(path): \(problem); \(remedy)" }

  /// The error of a failed system call, from `errno`.
  static func system(_ path: String, doing: String, code: Int32 = errno) -> FileError {
    let remedy =
      switch code {
      case ENOSPC, EDQUOT, EFBIG: "make room there and run again: what was written before is whole"
      case EACCES, EPERM, EROFS: "check who may write there, or choose another place"
      case ENOENT: "check the path"
      default: "check the path and the disk"
      }
    return FileError(path: path, problem: "cannot \(doing): \(String(cString: strerror(code)))", remedy: remedy)
  }
}

/// Files that are either whole or not there.
public enum Files {
  /// Writes `data` beside `url`, flushes it to the disk and renames it: a reader, a crash or a full disk sees the
  /// old contents or the new ones, never a part. What a killed process left half written of the same file is removed.
  public static func write(_ data: Data, to url: URL) throws(FileError) {
    let target = url.path
    let prefix = url.lastPathComponent + ".writing"
    Leftovers.sweep(url.deletingLastPathComponent(), prefix: prefix)
    let beside = url.deletingLastPathComponent().appending(path: Leftovers.name(prefix)).path
    let descriptor = open(beside, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
    guard descriptor >= 0 else { throw .system(target, doing: "write") }
    var failure: FileError?
    data.withUnsafeBytes { bytes in
      var written = 0
      while written < bytes.count {
        let count = Foundation.write(descriptor, bytes.baseAddress.map { $0 + written }, bytes.count - written)
        if count < 0 && errno == EINTR { continue }
        if count <= 0 {
          failure = .system(target, doing: "write")
          return
        }
        written += count
      }
      if fsync(descriptor) != 0 { failure = .system(target, doing: "write") }
    }
    if close(descriptor) != 0, failure == nil { failure = .system(target, doing: "write") }
    defer { unlink(beside) }
    if let failure { throw failure }
    try move(URL(filePath: beside), to: url)
  }

  /// Gives a file or folder another name, in one go; what had that name before is replaced, if it is not a folder
  /// with something in it.
  public static func move(_ source: URL, to target: URL) throws(FileError) {
    guard rename(source.path, target.path) == 0 else { throw .system(target.path, doing: "write") }
  }

  /// Writes text, in UTF-8, as data are written.
  public static func write(_ text: String, to url: URL) throws(FileError) { try write(Data(text.utf8), to: url) }

  /// The whole file, mapped where it can be.
  public static func read(_ url: URL) throws(FileError) -> Data {
    try checkIsFile(url)
    do {
      return try Data(contentsOf: url, options: .mappedIfSafe)
    } catch {
      throw FileError(
        path: url.path, problem: "cannot be read: \(error.localizedDescription)", remedy: "check who may read it")
    }
  }

  /// - Throws: `FileError` where there is no such file, or a folder.
  static func checkIsFile(_ url: URL) throws(FileError) {
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: url.path, isDirectory: &isFolder) else {
      throw FileError(path: url.path, problem: "there is no such file", remedy: "check the path")
    }
    guard !isFolder.boolValue else {
      throw FileError(path: url.path, problem: "this is a folder, not a file", remedy: "name a file in it")
    }
  }

  /// The path of a file that has the name of a folder or of one above it; nil where there is none.
  private static func firstFile(on folder: URL) -> String? {
    var url = folder.standardizedFileURL
    while url.path != "/", url.path != url.deletingLastPathComponent().path {
      var isFolder: ObjCBool = false
      if FileManager.default.fileExists(atPath: url.path, isDirectory: &isFolder) {
        return isFolder.boolValue ? nil : url.path
      }
      url.deleteLastPathComponent()
    }
    return nil
  }

  /// Makes a folder and those above it where they are missing.
  public static func makeFolder(_ url: URL) throws(FileError) {
    if let file = firstFile(on: url) {
      throw FileError(
        path: url.path, problem: "the folder cannot be made, as \(file) is a file",
        remedy: "name another folder, or move that file away")
    }
    do {
      try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    } catch {
      throw FileError(
        path: url.path, problem: "the folder cannot be made: \(error.localizedDescription)",
        remedy: "check the path and who may write there")
    }
  }
}

/// Holds a folder for one process until it ends or lets go.
public final class FolderLock {
  private let descriptor: Int32

  /// - Parameter waiting: for so many seconds another process may still let go of the folder
  /// - Throws: `FileError` where another process holds it.
  public init(_ folder: URL, waiting seconds: Double = 0) throws(FileError) {
    let path = folder.appending(path: ".lock").path
    descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { throw .system(path, doing: "open") }
    // The kernel lets go of it however the process ends, so a killed run blocks nobody.
    let began = Date.now
    var isHeld = flock(descriptor, LOCK_EX | LOCK_NB) == 0
    while !isHeld, errno == EWOULDBLOCK, Date.now.timeIntervalSince(began) < seconds {
      Thread.sleep(forTimeInterval: 0.2)
      isHeld = flock(descriptor, LOCK_EX | LOCK_NB) == 0
    }
    guard isHeld else {
      let code = errno
      close(descriptor)
      guard code == EWOULDBLOCK else { throw .system(path, doing: "lock", code: code) }
      throw FileError(
        path: folder.path, problem: "another process is using this run folder",
        remedy: "wait for it, stop it, or choose another folder with --out")
    }
  }

  deinit { close(descriptor) }
}
