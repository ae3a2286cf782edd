import Foundation
import ResLensSupport
import ResLensResults
import Synchronization
import ResLensTorch

/// A folder that goes when its last user does.
public final class Scratch {
  public let url: URL

  public init() throws {
    url = FileManager.default.temporaryDirectory.appending(path: "reslens-test-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(at: url) }

  public func file(_ name: String) -> URL { url.appending(path: name) }
}

/// Where things lie in the checkout.
public enum Checkout {
  public static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()
  static let python = root.appending(path: ".deps/python")

  /// Whether the PyTorch that set-up installs is here to compare with.
  public static var hasPyTorch: Bool {
    FileManager.default.fileExists(atPath: python.appending(path: "torch").path)
      && FileManager.default.fileExists(atPath: python.appending(path: "safetensors").path)
  }
  public static let pyTorchIsMissing = "no PyTorch in .deps/python: make setup"

  /// TensorBoard, where the tests' set-up has put it.
  public static let tensorBoard = root.appending(path: ".deps/tensorboard")
  public static var hasTensorBoard: Bool { FileManager.default.fileExists(atPath: tensorBoard.path) }
  public static let tensorBoardIsMissing = "no TensorBoard in .deps/tensorboard: scripts/setup-tests"

  static let scikitLearn = root.appending(path: ".deps/scikit-learn")
  /// True if the tests' set-up has put scikit-learn here to compare with.
  public static var hasScikitLearn: Bool { FileManager.default.fileExists(atPath: scikitLearn.path) }
  public static let scikitLearnIsMissing = "no scikit-learn in .deps/scikit-learn: scripts/setup-tests"

  /// Real CIFAR in binary form, named by CIFAR10 or CIFAR100 in the environment.
  public static var realCIFAR10: String? { ProcessInfo.processInfo.environment["CIFAR10"] }
  public static var realCIFAR100: String? { ProcessInfo.processInfo.environment["CIFAR100"] }

  /// Runs a script of `reference/` and returns what it printed.
  public static func reference(_ script: String, _ arguments: [String]) throws -> (status: Int32, text: String) {
    try runPython([root.appending(path: "reference/\(script)").path] + arguments)
  }

  /// Runs Python, which can import PyTorch and the package `reslens`, and returns what it printed.
  public static func runPython(_ arguments: [String]) throws -> (status: Int32, text: String) {
    try Python.shared.run(arguments)
  }
}

/// The largest absolute difference; infinite where they are not as many, or one of them is no number.
public func largestDistance(_ a: [Double], _ b: [Double]) -> Double {
  guard a.count == b.count else { return .infinity }
  return zip(a, b).reduce(0) { largest, pair in
    let apart = abs(pair.0 - pair.1)
    // Swift's max leaves out what is no number.
    return apart.isNaN ? .infinity : max(largest, apart)
  }
}

extension Tensor {
  /// The largest absolute difference of two tensors of one shape; infinite for unlike shapes, and where there is no number.
  public func distance(to other: Tensor) throws -> Double {
    shape == other.shape ? largestDistance(try doubles(), try other.doubles()) : .infinity
  }
}

/// Runs `body` as each of `size` processes would, a thread each, and returns what they found.
public func asProcesses<Value: Sendable>(
  _ size: Int, _ body: @escaping @Sendable (ProcessGroup) throws -> Value
) throws -> [Value] {
  let point = try MeetingPoint()
  let port = point.port
  let found = Mutex<[Int: Result<Value, any Error>]>([:])
  let done = DispatchGroup()
  for rank in 0..<size {
    DispatchQueue.global().async(group: done) {
      let result = Result {
        var meeting = ProcessGroup.Meeting(host: "127.0.0.1", port: port, rank: rank, size: size)
        (meeting.prefix, meeting.joinSeconds) = ("test", 60)
        return try body(ProcessGroup(meeting))
      }
      found.withLock { $0[rank] = result }
    }
  }
  done.wait()
  withExtendedLifetime(point) {}
  return try (0..<size).compactMap { rank in try found.withLock { $0[rank] }?.get() }
}

/// The first and the last of several: of the kernel sets the one that runs, and libtorch's own operations.
public func ends<Element>(_ all: [Element]) -> [Element] { Array(all.prefix(1) + all.dropFirst().suffix(1)) }

/// Numbers that look random and are the same in every run.
public func noise(_ count: Int, seed: UInt64, from low: Double = -1, to high: Double = 1) -> [Double] {
  let stream = RandomStream(seed: seed, name: "test")
  return (0..<count).map { low + (high - low) * stream.uniform($0) }
}

extension Provenance {
  /// The provenance of numbers that were not measured.
  public static let madeUp = Provenance(
    weights: "w", statistics: ChannelStatistics(means: [0.5, 0.5, 0.5], deviations: [0.25, 0.25, 0.25]),
    isOwnData: true)
}

extension MeasureResults {
  /// Results of a ResNet-8 that were not measured: one table of step, mean, std and count for both splits.
  public static func madeUp(_ rows: [[Cell]], samples: Int) throws -> MeasureResults {
    try MeasureResults(
      run: "r", architecture: "resnet-8", checkpoint: "c", epoch: 3, data: "d", provenance: .madeUp,
      samplings: Split.allCases.map {
        .init(split: $0, samples: samples, images: "i", program: "0", date: "2026-01-01T00:00:00Z")
      },
      steps: (1...3).map {
        StepSpec(
          id: StepID(number: $0, path: "stages.\($0 - 1).0"), stage: $0 - 1, block: 0, input: [1, 2, 2],
          output: [1, 2, 2], macs: 1, hasIdentitySkip: true)
      },
      tables: [
        Table(
          "l2-ratio", keys: ["split", "samples", "step"].map { .init($0) },
          values: [.init("mean"), .init("std"), .init("count", unit: Table.Column.samples)],
          rows: Split.allCases.flatMap { split in rows.map { [split.cell, .number(Double(samples))] + $0 } })
      ],
      absent: [.init(measure: "m", steps: 1...2, reason: "why")])
  }
}

/// A value of a test's own that can be made.
public func valid<Value>(_ make: @autoclosure () throws -> Value) -> Value {
  do {
    return try make()
  } catch {
    fatalError("a test's own value cannot be made: \(error)")
  }
}
