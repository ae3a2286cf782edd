import ArgumentParser
import ResLensRuns
import ResLensTorch

/// Work that a command does for one run after the other.
struct SeveralRuns {
  /// The names of the runs, as messages call them.
  let names: [String]
  let terminal: Terminal
  /// Processes that do the work together. If it fails in one of them, the others cannot go on without it.
  let group: ProcessGroup?
  /// The work on several runs at once, where they are not done one after the other.
  var turns = TakingTurns(on: .cpu)

  /// Does the work for each run. If there are several, one that fails does not keep the others from being done.
  /// - Parameter work: the work for the run with an index, which is told its turn
  /// - Throws: the error of a single run; `ExitCode.failure` after the last of several, some of which failed, and a line
  ///   that names these; `ExitCode` if the user stopped the work.
  func each(_ work: (Int, Turn) throws -> Void) throws {
    guard names.count > 1, group == nil else { return try names.indices.forEach { try work($0, Turn()) } }
    var failed: [String] = []
    try turns.each(names.count) { index, turn in
      do {
        try work(index, turn)
      } catch {
        if Interrupt.received { throw error }
        terminal.note("Error: \(names[index]): \((error as? ValidationError)?.message ?? "\(error)")")
        failed.append(names[index])
      }
    }
    guard failed.isEmpty else {
      terminal.note("failed: \(failed.joined(separator: ", "))")
      throw ExitCode.failure
    }
  }
}
