import Foundation
import ResLensSupport
import Synchronization

/// Python with PyTorch, which is started once in a process of tests and forks for every script (`forking.py`).
final class Python: Sendable {
  static let shared = Python()

  private struct Call: Encodable {
    var arguments: [String]
    var output: String
  }

  private struct Ended: Error, CustomStringConvertible {
    let description = "the tests' Python ended; what it printed before stands above"
  }

  private let pipes = Mutex<(calls: Pipe, answers: Pipe)?>(nil)

  /// Runs a script, or code after "-c", and returns its exit status and everything that it printed.
  func run(_ arguments: [String]) throws -> (status: Int32, text: String) {
    let output = FileManager.default.temporaryDirectory.appending(path: "reslens-python-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: output) }
    let status = try pipes.withLock { pipes in
      let (calls, answers) = try pipes ?? Self.start()
      // After an error the next call starts another Python.
      pipes = nil
      let line = try JSONEncoder().encode(Call(arguments: arguments, output: output.path)) + Data("\n".utf8)
      try calls.fileHandleForWriting.write(contentsOf: line)
      let status = try Self.status(from: answers.fileHandleForReading)
      pipes = (calls, answers)
      return status
    }
    return (status, try String(decoding: Data(contentsOf: output), as: UTF8.self))
  }

  private static func start() throws -> (Pipe, Pipe) {
    // Without this a Python that ended would end the tests when they write to it.
    signal(SIGPIPE, SIG_IGN)
    let (process, calls, answers) = (Process(), Pipe(), Pipe())
    process.executableURL = Tool("env").location
    let paths = [Checkout.python, Checkout.root.appending(path: "python"), Checkout.scikitLearn].map(\.path)
    process.arguments = [
      "PYTHONPATH=\(paths.joined(separator: ":"))", "python3",
      Checkout.root.appending(path: "Tests/TestSupport/forking.py").path,
    ]
    (process.standardInput, process.standardOutput) = (calls, answers)
    try process.run()
    return (calls, answers)
  }

  private static func status(from answers: FileHandle) throws -> Int32 {
    var text = ""
    while !text.hasSuffix("\n") {
      guard let more = try answers.read(upToCount: 1) else { throw Ended() }
      text += String(decoding: more, as: UTF8.self)
    }
    guard let status = Int32(text.dropLast()) else { throw Ended() }
    return status
  }
}
