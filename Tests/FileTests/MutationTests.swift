import Foundation
import ResLensSupport
import ResLensResults
import Synchronization
import TestSupport
import Testing

/// Damaged files: each is refused by an error that names it, or what is read of it reads back.
///
/// `make fuzz` runs the same with a million inputs a reader (MUTATIONS), and with another seed where MUTATION_SEED names one. Where
/// a reader traps, the test says at which input, and MUTATION_START begins there. MUTATION_READER names one reader.
@Suite struct MutationTests {
  private static let environment = ProcessInfo.processInfo.environment
  private static let count = environment["MUTATIONS"].flatMap { Int($0) } ?? 2000
  private static let start = environment["MUTATION_START"].flatMap { Int($0) } ?? 0
  private static let seed = environment["MUTATION_SEED"].flatMap { UInt64($0) } ?? 1
  private static let chosen = Reader.all.filter { [$0.name, nil].contains(environment["MUTATION_READER"]) }
  private static let mostSeconds = 2.0
  private static let mostBytes = 1_000_000_000

  @Test(
    "A reader refuses a damaged file, or what it accepts reads back; it neither traps nor hangs", arguments: chosen)
  func mutations(_ reader: Reader) throws {
    let originals = try reader.originals()
    for original in originals { #expect(try reader.problem(original) == nil, "an original of \(reader.name)") }
    let before = Self.peakBytes
    let watch = Watch(reader.name)
    defer { watch.end() }
    var (accepted, slowest) = (0, 0.0)
    for input in Self.start..<max(Self.start, Self.count) {
      var mutator = Mutator(originals, seed: Self.seed, input: input)
      let bytes = mutator.next()
      watch.begin(input)
      let began = ContinuousClock.now
      do {
        if let problem = try reader.problem(bytes) {
          Issue.record("input \(input) of seed \(Self.seed): \(problem)")
        }
        accepted += 1
      } catch let error as FileError {
        let isUseful = !error.problem.isEmpty && !error.remedy.isEmpty && "\(error)".utf8.count < 4000
        #expect(isUseful, "input \(input) of seed \(Self.seed): \(error)")
      } catch let error as MalformedResult {
        #expect(!error.problem.isEmpty)
      } catch {
        Issue.record("input \(input) of seed \(Self.seed): an error that names no file: \(error)")
      }
      slowest = max(slowest, (ContinuousClock.now - began) / .seconds(1))
    }
    #expect(slowest < Self.mostSeconds, "an input of \(reader.name) took \(slowest) s")
    #expect(Self.peakBytes - before < Self.mostBytes, "\(reader.name) took \(Self.peakBytes - before) bytes")
    // Mutations that are all refused, or all accepted, would test nothing.
    #expect(Self.start > 0 || accepted > 0 && accepted < Self.count)
    if Self.count > 10_000 {
      print("\(reader.name): \(Self.count) inputs, \(accepted) accepted, slowest \(slowest) s, seed \(Self.seed)")
    }
  }

  private static var peakBytes: Int {
    var usage = rusage()
    getrusage(.init(RUSAGE_SELF.rawValue), &usage)
    return usage.ru_maxrss * 1024
  }
}

/// Says which input a reader is at where it traps, or takes so long that it must be a hang.
private final class Watch: Sendable {
  private static let inputs = Mutex<[String: (input: Int, since: ContinuousClock.Instant)]>([:])
  private static let started: Void = {
    Thread.detachNewThread {
      while true {
        Thread.sleep(forTimeInterval: 5)
        inputs.withLock { all in
          for entry in all where (ContinuousClock.now - entry.value.since) / .seconds(1) > 60 {
            StandardError.write("\(entry.key) has been at input \(entry.value.input) for a minute\n")
            exit(1)
          }
        }
      }
    }
    for number in [SIGILL, SIGTRAP, SIGSEGV] {
      signal(number) { number in
        signal(number, SIG_DFL)
        // Nothing here is safe in a handler, but the process is lost anyway.
        for entry in Watch.inputs.withLockIfAvailable({ $0 }) ?? [:] {
          StandardError.write("\(entry.key) was at input \(entry.value.input)\n")
        }
        raise(number)
      }
    }
  }()

  private let name: String

  init(_ name: String) {
    self.name = name
    Self.started
  }

  func begin(_ input: Int) { Self.inputs.withLock { $0[name] = (input, .now) } }
  func end() { Self.inputs.withLock { $0[name] = nil } }
}
