import Foundation
import ResLensSupport
import ResLensTorch
import ResLensTraining

/// Work on several runs at once in one process, for a GPU that one run does not fill.
///
/// Each run has a thread and a CUDA stream of its own. The threads take turns: while one of them works, the others wait, so
/// that they can share data and a terminal. Meanwhile the GPU does what all of them asked for, side by side.
public struct TakingTurns {
  private let device: Device
  private let atOnce: Int

  /// The number of runs at once where nobody says it: 4 on a GPU, and 1 on the processor, which one run fills.
  public static func usual(on device: Device) -> Int { device.isAsynchronous ? 4 : 1 }

  /// - Parameters:
  ///   - device: the device that all runs use
  ///   - atOnce: the largest number of runs at once; nil for the usual one
  public init(on device: Device, atOnce: Int? = nil) {
    self.device = device
    self.atOnce = atOnce ?? Self.usual(on: device)
  }

  /// Does the work for each run, and returns when all is done. After an error no further work is begun.
  /// - Parameters:
  ///   - count: the number of runs
  ///   - work: the work for the run with an index; it is to call its turn's `pass` often, for instance after every step
  /// - Throws: the first error that `work` threw; `TooManyAtOnce` in its place for a lack of memory;
  ///   `TorchError` if the device fails; `POSIXError` if the system gives no thread
  public func each(_ count: Int, _ work: (_ index: Int, _ turn: Turn) throws -> Void) throws {
    let threads = min(count, atOnce)
    guard threads > 1 else {
      for index in 0..<count { try work(index, Turn()) }
      return
    }
    // The other threads read what this one may have asked for, such as weights.
    try device.synchronize()
    let round = Round(of: threads)
    var next = 0
    var failure: (any Error)?
    try round.run { place in
      do {
        try device.useOwnStream()
        while failure == nil, next < count {
          let index = next
          next += 1
          try work(index, Turn(round, place))
        }
      } catch {
        failure = failure ?? TooManyAtOnce(error, threads) ?? error
      }
    }
    if let failure { throw failure }
  }
}

/// The place of one run's work among the work on several runs at once.
public struct Turn {
  fileprivate let round: Round?
  fileprivate let place: Int

  /// The turn of work that is alone.
  public init() { (round, place) = (nil, 0) }
  fileprivate init(_ round: Round, _ place: Int) { (self.round, self.place) = (round, place) }

  /// Lets the others work, each until it passes too, and goes on after them.
  public func pass() { round?.pass(place) }

  /// The number of other runs at work. It is 0 for work that is alone.
  public var others: Int { (round?.working.count ?? 1) - 1 }
  /// True for exactly one of the runs at work, and for work that is alone.
  public var isFirst: Bool { round?.working.first == place || round == nil }
  /// True if the runs are worked on one after the other.
  var isAlone: Bool { round == nil }
}

/// Threads that take turns. `working` and `body` are used only by the thread whose turn it is.
private final class Round: @unchecked Sendable {
  /// The places of the threads that have not ended, in ascending order.
  private(set) var working: [Int] = []
  /// The gates of the threads. A gate is opened when the turn of its thread comes.
  private let gates: [DispatchSemaphore]
  private var body: (Int) -> Void = { _ in }

  init(of count: Int) { gates = (0..<count).map { _ in DispatchSemaphore(value: 0) } }

  private final class Member {
    let round: Round
    let place: Int
    init(_ round: Round, _ place: Int) { (self.round, self.place) = (round, place) }
  }

  /// Runs `body` for each place in a thread, and returns when all threads have ended. Where the system has no more
  /// threads, it runs for fewer places.
  /// - Throws: `POSIXError` where there is no thread at all.
  func run(_ body: (Int) -> Void) throws {
    try withoutActuallyEscaping(body) { body in
      self.body = body
      defer { self.body = { _ in } }
      var threads: [pthread_t] = []
      for place in gates.indices {
        let member = Unmanaged.passRetained(Member(self, place))
        var thread = pthread_t()
        let status = pthread_create(
          &thread, nil,
          { context in
            if let context {
              let member = Unmanaged<Member>.fromOpaque(context).takeRetainedValue()
              member.round.work(member.place)
            }
            return nil
          }, member.toOpaque())
        guard status == 0 else {
          member.release()
          break
        }
        threads.append(thread)
      }
      guard !threads.isEmpty else { throw POSIXError(.EAGAIN) }
      working = Array(threads.indices)
      gates[0].signal()
      // Joined, because what libtorch keeps for a thread is freed when the thread has ended.
      for thread in threads { pthread_join(thread, nil) }
    }
  }

  private func work(_ place: Int) {
    gates[place].wait()
    body(place)
    let next = following(place)
    working.removeAll { $0 == place }
    if next != place { gates[next].signal() }
  }

  func pass(_ place: Int) {
    let next = following(place)
    guard next != place else { return }
    gates[next].signal()
    gates[place].wait()
  }

  private func following(_ place: Int) -> Int { working.first { $0 > place } ?? working[0] }
}

/// A lack of memory in work on several runs at once.
public struct TooManyAtOnce: Error, CustomStringConvertible {
  /// The error that libtorch reported.
  public let cause: TorchError
  /// The number of runs that were at work at once.
  public let runs: Int

  fileprivate init?(_ error: any Error, _ runs: Int) {
    let cause = error as? TorchError ?? (error as? CaptureError)?.cause
    guard let cause, cause.message.contains("out of memory") else { return nil }
    (self.cause, self.runs) = (cause, runs)
  }

  public var description: String {
    "\(cause); \(runs) runs were at work at once, and fewer need less memory: --at-once \(max(1, runs / 2))"
  }
}

/// The log of one of several runs at once. Its notes begin with the run's name. Progress is shown of one run at a time.
public struct TurnLog: RunLog {
  private let log: any RunLog
  private let name: String
  private let turn: Turn

  /// - Parameters:
  ///   - log: the log that all runs share
  ///   - name: the run's name
  public init(_ log: any RunLog, _ name: String, _ turn: Turn) { (self.log, self.name, self.turn) = (log, name, turn) }

  public func note(_ text: String) { log.note(turn.isAlone ? text : "\(name): \(text)") }

  public func progress(_ done: Int, of total: Int, _ words: @autoclosure () -> String) {
    guard turn.isFirst else { return }
    let others = turn.others == 0 ? "" : " and \(counted(turn.others, "other"))"
    log.progress(done, of: total, turn.isAlone ? words() : "\(name)\(others): \(words())")
  }

  public func clear() { log.clear() }
}
