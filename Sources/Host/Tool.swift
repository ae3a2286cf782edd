import Foundation

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
    /// What it wrote to standard output.
    public var output: Data
    /// What it wrote to standard error.
    public var errors: String
  }

  /// Runs it to its end and collects what it printed.
  /// - Parameter passesErrors: lets its standard error through to the user's (a progress bar, say)
  /// - Throws: `FileError` where there is no such program or it cannot be started.
  public func run(_ arguments: [String], in folder: URL? = nil, passesErrors: Bool = false) throws(FileError) -> Outcome
  {
    guard let location else {
      throw FileError(path: name, problem: "there is no such program on PATH", remedy: "install \(name)")
    }
    let process = Process()
    process.executableURL = location
    process.arguments = arguments
    process.currentDirectoryURL = folder
    process.standardInput = FileHandle.nullDevice
    let output = Pipe()
    process.standardOutput = output
    // A file, so that neither of the two can fill up while the other is read.
    let errors = FileManager.default.temporaryDirectory.appending(path: "reslens-\(UUID().uuidString)")
    defer { if !passesErrors { try? FileManager.default.removeItem(at: errors) } }
    do {
      if !passesErrors {
        _ = FileManager.default.createFile(atPath: errors.path, contents: nil)
        process.standardError = try FileHandle(forWritingTo: errors)
      }
      try process.run()
    } catch {
      throw FileError(
        path: location.path, problem: "it could not be started (\(error.localizedDescription))",
        remedy: "check that it is a program for this machine")
    }
    let data = output.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    let text = passesErrors ? "" : (try? String(contentsOf: errors, encoding: .utf8)) ?? ""
    return Outcome(status: process.terminationStatus, output: data, errors: text)
  }
}
