import Foundation
import ResLensNetworks
import ResLensTorch

/// How several processes train one network: each has all of it, runs its part of every batch, and learns from the sum of
/// all gradients.
public struct DataParallel {
  /// The processes, each with a whole network.
  public let group: ProcessGroup
  /// True if the normalisations run by the statistics of the whole batch. Else each process's run by those of its part, as
  /// is usual, and the running ones move by the mean of theirs.
  public let synchronisesStatistics: Bool

  public init(_ group: ProcessGroup, synchronisesStatistics: Bool) {
    (self.group, self.synchronisesStatistics) = (group, synchronisesStatistics)
  }
}

extension ProcessGroup {
  /// The first process's value, for all of them.
  public func first<Value: Codable>(_ own: Value) throws -> Value {
    let bytes = try gather(rank == 0 ? Array(JSONEncoder().encode([own])) : [])[0]
    return try JSONDecoder().decode([Value].self, from: Data(bytes))[0]
  }

  /// Overwrites tensors of one type with the first process's; all have the same names.
  public func broadcastByName(_ tensors: [String: Tensor]) throws {
    try broadcast(tensors.sorted { $0.key < $1.key }.map(\.value))
  }
}

/// Sums what the steps of several processes have found, the gradients in buckets while the way back is still being gone.
///
/// After a step all processes have the same parameters and running statistics, bit for bit: a checkpoint of one is that of
/// all, and any number of processes can go on from it.
final class GradientExchange {
  private let processes: DataParallel
  private let running: [Tensor]
  private let parts: [String: Int]
  /// Large enough that the exchange of one is not all latency, small enough that there are several.
  private static let bucketBytes = 1 << 20

  // The gradients of the current step.
  private var gradients = Gradients()
  private var missing: [String: Int] = [:]
  private var bucket: [Tensor] = []
  private var filled = 0
  private var reductions: [ProcessGroup.Reduction] = []
  private var moved: [Tensor] = []

  init(_ processes: DataParallel, _ network: ResidualNetwork) {
    self.processes = processes
    let architecture = network.architecture
    parts = architecture.gradientParts
    running = architecture.parameters.filter { !$0.isTrainable }.compactMap { network.parameters[$0.path] }
  }

  /// By what a step's normalisations run.
  var mode: NormMode { .batchUpdating(over: processes.synchronisesStatistics ? processes.group : nil) }

  /// This process's part of a batch.
  func share(of indices: [Int]) -> [Int] { Array(indices[processes.group.share(of: indices.indices)]) }

  /// Begins with a step that was run forward.
  /// - Parameters:
  ///   - share: this process's of the batch, 0 … 1
  ///   - sums: what came of it, which `finish` makes that of the whole batch
  /// - Returns: where its way back puts the gradients
  func begin(share: Double, sums: Tensor) throws -> Gradients {
    reductions = [try processes.group.startSum([sums])]
    if !processes.synchronisesStatistics {
      moved = try running.map { try $0.scaled(by: share) }
      reductions.append(try processes.group.startSum(moved))
    }
    missing = parts
    gradients = Gradients { [unowned self] in try added($0) }
    return gradients
  }

  /// A parameter's gradient goes on its way once all steps that use it have added to it.
  private func added(_ path: String) throws {
    missing[path, default: 0] -= 1
    guard missing[path] == 0, let gradient = gradients.byPath[path] else { return }
    bucket.append(gradient)
    filled += gradient.count * gradient.elementType.size
    if filled >= Self.bucketBytes { try send() }
  }

  private func send() throws {
    guard !bucket.isEmpty else { return }
    reductions.append(try processes.group.startSum(bucket))
    (bucket, filled) = ([], 0)
  }

  /// Waits until all gradients are sums over the processes.
  /// - Throws: `ParameterError` where a gradient is not of all the steps that it should be of, and so was not summed;
  ///   `ProcessError.lost`
  func finish() throws {
    try send()
    for reduction in reductions { try reduction.finish() }
    if let path = missing.filter({ $0.value != 0 }).keys.min() {
      throw ParameterError(path: path, problem: "its gradient is not of every step that uses it")
    }
    for (statistic, sum) in zip(running, moved) { try statistic.copy(from: sum) }
    // The gradients' memory goes with the step.
    (reductions, moved, gradients) = ([], [], Gradients())
  }
}
