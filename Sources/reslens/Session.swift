import Foundation
import Host
import Torch
import Training

extension RunFolder.Session {
  /// This process.
  static func now(device: Device, processes: Int? = nil) -> Self {
    Self(
      command: CommandLine.arguments, reslens: Program.version, commit: Program.commit,
      libtorch: Libtorch.version,
      cpuCapability: Libtorch.cpuCapability, device: "\(device)", threads: Libtorch.threads, processes: processes,
      system: ProcessInfo.processInfo.operatingSystemVersionString,
      started: Date.now.formatted(.iso8601))
  }
}
