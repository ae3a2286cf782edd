import Foundation
import ResLensSupport

/// The gnuplot that draws the figures.
public struct Gnuplot: Equatable, Sendable {
  /// The program.
  public var executable: URL

  public init(executable: URL) { self.executable = executable }

  /// How to install gnuplot.
  public static let installation =
    "install gnuplot (Debian and Ubuntu: sudo apt-get install gnuplot-nox; Fedora: sudo dnf install gnuplot; "
    + "macOS: brew install gnuplot) or name it in the environment variable GNUPLOT"

  /// The gnuplot named by `GNUPLOT`, or else the first on `PATH`; nil where there is none.
  ///
  /// A path in `GNUPLOT` is taken at its word: where nothing is there, drawing says so instead of using another one.
  public static func find(in environment: [String: String] = ProcessInfo.processInfo.environment) -> Gnuplot? {
    let named = environment["GNUPLOT"].flatMap { $0.isEmpty ? nil : $0 } ?? "gnuplot"
    if named.contains("/") { return Gnuplot(executable: URL(fileURLWithPath: named)) }
    return Tool(named).location(in: environment["PATH"]).map(Gnuplot.init)
  }

  /// For instance "gnuplot 5.4 patchlevel 4".
  public var version: String {
    get throws(FileError) {
      let (status, output) = try run(["--version"], in: nil)
      guard status == 0 else {
        throw FileError(
          path: executable.path, problem: "--version failed with \(status): \(output)", remedy: Self.installation)
      }
      return output
    }
  }

  /// Runs a script in its own folder, and nothing from the user's own set-up before it.
  public func draw(_ script: URL, as format: Presentation.Format = .svg) throws(FileError) {
    let folder = script.deletingLastPathComponent()
    let choice = format == .svg ? [] : ["-e", "format = '\(format.rawValue)'"]
    let (status, output) = try run(["--default-settings"] + choice + [script.lastPathComponent], in: folder)
    guard status == 0 else {
      throw FileError(
        path: script.lastPathComponent,
        problem: "gnuplot (\(executable.path)) failed with \(status): \(output.isEmpty ? "no message" : output)",
        remedy: "gnuplot 5.4 or later is needed; GNUPLOT names another one")
    }
  }

  /// The exit status, and what was written to standard output and standard error.
  private func run(_ arguments: [String], in folder: URL?) throws(FileError) -> (status: Int32, output: String) {
    guard FileManager.default.isExecutableFile(atPath: executable.path) else {
      throw FileError(path: executable.path, problem: "there is no such program", remedy: Self.installation)
    }
    let outcome = try Tool(executable.path).run(arguments, in: folder)
    let text = String(decoding: outcome.output, as: UTF8.self) + outcome.errors
    return (outcome.status, text.trimmingCharacters(in: .whitespacesAndNewlines))
  }
}
