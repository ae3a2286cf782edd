import Foundation
import ResLensTorch
import ResLensTraining

extension RunFolder.Session {
  /// The session of this process.
  /// - Parameters:
  ///   - device: the device that computes
  ///   - processes: the processes that share the work; nil where this one is alone
  public static func now(device: Device, processes: DataParallel? = nil) -> Self {
    var session = Self(
      command: CommandLine.arguments, reslens: ResLensVersion.number, commit: ResLensVersion.commit,
      libtorch: Libtorch.version, cpuCapability: Libtorch.cpuCapability, device: "\(device)", threads: Libtorch.threads,
      processes: processes?.group.size, system: ProcessInfo.processInfo.operatingSystemVersionString,
      started: Date.now.formatted(.iso8601))
    session.synchronisesStatistics = processes?.synchronisesStatistics == true ? true : nil
    return session
  }
}
