import ArgumentParser
import ResLensTorch

/// Work that a command does for one run after the other.
struct SeveralRuns {
  /// The names of the runs, as messages call them.
  let names: [String]
  let terminal: Terminal
  /// Processes that do the work together. If it fails in one of them, the others cannot go on without it.
  let group: ProcessGroup?

  /// Does the work for each run. If there are several, one that fails does not keep the others from being done.
  /// - Throws: the error of a single run; `ExitCode.failure` after the last of several, some of which failed, and a line
  ///   that names these; `ExitCode` if the user stopped the work.
  func each(_ work: (Int) throws -> Void) throws {
    guard names.count > 1, group == nil else { return try names.indices.forEach(work) }
    var failed: [String] = []
    for (index, name) in names.enumerated() {
      do {
        try work(index)
      } catch {
        if Interrupt.received { throw error }
        terminal.note("Error: \(name): \((error as? ValidationError)?.message ?? "\(error)")")
        failed.append(name)
      }
    }
    guard failed.isEmpty else {
      terminal.note("failed: \(failed.joined(separator: ", "))")
      throw ExitCode.failure
    }
  }
}
