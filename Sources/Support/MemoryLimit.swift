import Foundation

/// The memory that a process may have.
public enum MemoryLimit {
  /// The bytes that this process may have: the smallest of the machine's memory and the limits of the process's control
  /// groups, of version 1 or 2, and of the groups above them.
  public static var bytes: Double {
    let machine = Double(ProcessInfo.processInfo.physicalMemory)
    return groups(below: URL(filePath: "/")).reduce(machine, min)
  }

  /// The limits of the process's control groups.
  /// - Parameter root: the folder in which `proc` and `sys` lie
  package static func groups(below root: URL) -> [Double] {
    guard let list = try? String(contentsOf: root.appending(path: "proc/self/cgroup"), encoding: .utf8) else {
      return []
    }
    return list.split(separator: "\n").flatMap { line -> [Double] in
      // Number, controllers, path; version 2 has no controllers there.
      let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false).map(String.init)
      guard fields.count == 3 else { return [] }
      let controllers = fields[1].split(separator: ",")
      let (mount, file) =
        controllers.isEmpty ? ("sys/fs/cgroup", "memory.max") : ("sys/fs/cgroup/memory", "memory.limit_in_bytes")
      guard controllers.isEmpty || controllers.contains("memory") else { return [] }
      let names = fields[2].split(separator: "/").map(String.init)
      return (0...names.count).compactMap { count in
        let folder = ([mount] + names.prefix(count)).joined(separator: "/")
        let text = try? String(contentsOf: root.appending(path: "\(folder)/\(file)"), encoding: .utf8)
        // Without a limit the file says "max", or a number that no machine has.
        return text.flatMap { Double($0.trimmingCharacters(in: .whitespacesAndNewlines)) }
      }
    }
  }
}
