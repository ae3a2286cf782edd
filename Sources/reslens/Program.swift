import Foundation
import Host

/// This program: its version, where it lies, and what it was built from.
enum Program {
  static let version = "0.1.0"

  static var path: String { executable ?? CommandLine.arguments[0] }

  /// nil where the system does not say.
  private static var executable: String? {
    try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
  }

  /// The commit of the checkout that it lies in, with "+" where files were changed since; nil where it lies in none.
  static var commit: String? {
    guard let executable else { return nil }
    var folder = URL(filePath: executable).deletingLastPathComponent()
    while folder.path != "/", !FileManager.default.fileExists(atPath: folder.appending(path: ".git").path) {
      folder.deleteLastPathComponent()
    }
    guard folder.path != "/" else { return nil }
    let git = { (arguments: [String]) -> String? in
      guard let outcome = try? Tool("git").run(["-C", folder.path] + arguments), outcome.status == 0 else { return nil }
      return String(decoding: outcome.output, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
    }
    guard let commit = git(["rev-parse", "HEAD"]) else { return nil }
    return commit + (git(["status", "--porcelain", "--untracked-files=no"])?.isEmpty == false ? "+" : "")
  }
}
