import Foundation
import Host
import Torch
import Training

extension RunFolder.Session {
  /// This process.
  static func now(device: Device, processes: Int? = nil) -> Self {
    Self(
      command: CommandLine.arguments, reslens: Version.current, commit: SourceCheckout.commit,
      libtorch: Libtorch.version,
      cpuCapability: Libtorch.cpuCapability, device: "\(device)", threads: Libtorch.threads, processes: processes,
      system: ProcessInfo.processInfo.operatingSystemVersionString,
      started: Date.now.formatted(.iso8601))
  }
}

/// The checkout that this program was built in.
enum SourceCheckout {
  /// Its commit, with "+" where files were changed since; nil where the program lies in no checkout.
  static var commit: String? {
    guard let program = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe") else { return nil }
    var folder = URL(filePath: program).deletingLastPathComponent()
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
