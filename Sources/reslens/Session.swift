import Foundation
import Host
import Torch
import Training

extension RunFolder.Session {
  /// This process.
  static func now(device: Device, processes: DataParallel? = nil) -> Self {
    var session = Self(
      command: CommandLine.arguments, reslens: Program.version, commit: Program.commit,
      libtorch: Libtorch.version,
      cpuCapability: Libtorch.cpuCapability, device: "\(device)", threads: Libtorch.threads,
      processes: processes?.group.size,
      system: ProcessInfo.processInfo.operatingSystemVersionString,
      started: Date.now.formatted(.iso8601))
    session.synchronisesStatistics = processes?.synchronisesStatistics == true ? true : nil
    return session
  }
}
