import Foundation
import ResLensSupport

/// The version of ResLens that is running.
public enum ResLensVersion {
  /// The version number.
  public static let number = "0.1.0"

  /// The path of the running program.
  public static var program: String { executable ?? CommandLine.arguments[0] }

  /// nil where the system does not say.
  private static var executable: String? {
    try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
  }

  /// The commit of the checkout of ResLens that the program lies in, with "+" where files were changed since; nil where
  /// it lies in none. A Python environment with the program may lie in the repository of another project.
  public static var commit: String? {
    guard let executable else { return nil }
    var folder = URL(filePath: executable).deletingLastPathComponent()
    while folder.path != "/", !FileManager.default.fileExists(atPath: folder.appending(path: ".git").path) {
      folder.deleteLastPathComponent()
    }
    guard folder.path != "/", FileManager.default.fileExists(atPath: folder.appending(path: "Sources/CTorch").path)
    else { return nil }
    let git = { (arguments: [String]) -> String? in
      guard let outcome = try? Tool("git").run(["-C", folder.path] + arguments), outcome.status == 0 else { return nil }
      return String(decoding: outcome.output, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
    }
    guard let commit = git(["rev-parse", "HEAD"]) else { return nil }
    return commit + (git(["status", "--porcelain", "--untracked-files=no"])?.isEmpty == false ? "+" : "")
  }
}
