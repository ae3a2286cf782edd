import Foundation
import Synchronization

/// Another program, by its name on PATH.
public struct Tool: Sendable {
  /// As it is called; a path where there is a slash in it.
  public let name: String

  public init(_ name: String) { self.name = name }

  /// Where it is; nil where PATH has none.
  public var location: URL? { location(in: ProcessInfo.processInfo.environment["PATH"]) }

  /// Where it is on a PATH; a name with a slash is a path itself.
  public func location(in path: String?) -> URL? {
    let places = name.contains("/") ? [name] : (path ?? "").split(separator: ":").map { "\($0)/\(name)" }
    return places.first { FileManager.default.isExecutableFile(atPath: $0) }.map { URL(filePath: $0) }
  }

  /// How a call ended.
  public struct Outcome: Sendable {
    /// The exit status.
    public var status: Int32
    /// Everything that the program wrote to standard output.
    public var output: Data
    /// Everything that the program wrote to standard error.
    public var errors: String
  }

  /// Runs it to its end and collects what it printed. No file is written for it.
  /// - Parameters:
  ///   - passesErrors: lets its standard error through to the user's (a progress bar, say)
  ///   - shouldStop: asked several times a second; once it says so the program is ended
  /// - Throws: `FileError` where there is no such program or it cannot be started.
  public func run(
    _ arguments: [String], in folder: URL? = nil, passesErrors: Bool = false,
    shouldStop: (() -> Bool)? = nil
  ) throws(FileError) -> Outcome {
    guard let location else {
      throw FileError(path: name, problem: "there is no such program on PATH", remedy: "install \(name)")
    }
    // Foundation's own Pipe and Process trap where no descriptor is left, or say nothing of the cause.
    try Descriptors.check(free: 12, for: location.path)
    let process = Process()
    process.executableURL = location
    process.arguments = arguments
    process.currentDirectoryURL = folder
    process.standardInput = FileHandle.nullDevice
    let (output, errors) = (Pipe(), Pipe())
    process.standardOutput = output
    if !passesErrors { process.standardError = errors }
    do {
      try process.run()
    } catch {
      throw FileError(
        path: location.path, problem: "it could not be started (\(error.localizedDescription))",
        remedy: "check that it is a program for this machine, and that its folder \(folder?.path ?? ".") is there")
    }
    // Both at once: neither of the two can fill up while the other is read.
    let readers = DispatchGroup()
    let printed = PipeReader(output, of: process, in: readers)
    let said = passesErrors ? nil : PipeReader(errors, of: process, in: readers)
    if let shouldStop {
      while process.isRunning {
        if shouldStop() { process.end() }
        Thread.sleep(forTimeInterval: 0.05)
      }
    }
    process.waitUntilExit()
    // Something that the program has left running may keep the pipes open: what it says later is not waited for.
    _ = readers.wait(timeout: .now() + 2)
    let (data, text) = (printed.data, String(decoding: said?.data ?? Data(), as: UTF8.self))
    guard data.count <= PipeReader.most, text.utf8.count <= PipeReader.most else {
      throw FileError(
        path: location.path, problem: "it printed more than \(PipeReader.most) bytes, and was ended",
        remedy: "look at what it was to read")
    }
    return Outcome(status: process.terminationStatus, output: data, errors: text)
  }
}

extension Process {
  /// Ends the program in a way that it cannot put off: it may have been started with other signals blocked.
  fileprivate func end() { kill(processIdentifier, SIGKILL) }
}

/// Collects what a program writes into a pipe.
private final class PipeReader: Sendable {
  /// No program that is used here has as many bytes to say; one that goes on and on is ended.
  static let most = 64 << 20
  private let collected = Mutex(Data())

  init(_ pipe: Pipe, of process: Process, in group: DispatchGroup) {
    DispatchQueue.global().async(group: group) { [self] in
      while let part = try? pipe.fileHandleForReading.read(upToCount: 1 << 16), !part.isEmpty {
        if data.count <= Self.most { collected.withLock { $0 += part } } else { process.end() }
      }
    }
  }

  /// The bytes that have come so far.
  var data: Data { collected.withLock { $0 } }
}

/// The process's open files.
enum Descriptors {
  /// - Throws: `FileError` where fewer than `count` more can be opened.
  static func check(free count: Int, for path: String) throws(FileError) {
    var opened: [Int32] = []
    defer { for descriptor in opened { close(descriptor) } }
    for _ in 0..<count {
      let descriptor = open("/dev/null", O_RDONLY | O_CLOEXEC)
      guard descriptor >= 0 else {
        throw FileError(
          path: path, problem: "it cannot be started: \(String(cString: strerror(errno)))",
          remedy: "allow this process more open files (ulimit -n 256)")
      }
      opened.append(descriptor)
    }
  }
}
