import Foundation

/// Files and folders that a process makes beside the one it writes, and that stay behind where it is killed. Each name
/// ends with the number of its process, so that the next process knows which of them nobody works on.
public enum Leftovers {
  /// A name for this process's own file or folder; every call gives another one.
  public static func name(_ prefix: String) -> String { "\(prefix)-\(UUID().uuidString.prefix(8))-\(getpid())" }

  /// Removes what processes that are gone have left in `folder` under names that begin with `prefix`. What was changed
  /// within the last minute stays, as its process may run on another machine.
  public static func sweep(_ folder: URL, prefix: String) {
    let keys: [URLResourceKey] = [.contentModificationDateKey]
    let all = (try? FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: keys)) ?? []
    for item in all where item.lastPathComponent.hasPrefix(prefix + "-") && isAbandoned(item.lastPathComponent) {
      let changed = try? item.resourceValues(forKeys: Set(keys)).contentModificationDate
      if let changed, -changed.timeIntervalSinceNow > 60 { try? FileManager.default.removeItem(at: item) }
    }
  }

  /// True if the process that a name ends with is gone.
  private static func isAbandoned(_ name: String) -> Bool {
    guard let process = name.split(separator: "-").last.flatMap({ pid_t($0) }), process > 0 else { return false }
    return kill(process, 0) != 0 && errno == ESRCH
  }
}
