import CTorch

/// Processes that compute together, each of them the same thing on a part of the data, by libtorch's c10d with Gloo.
///
/// All of them must make the same exchanges in the same order. Where one is lost the exchanges of the others fail.
public final class ProcessGroup {
  let handle: ctorch_group
  /// This process among them, from 0.
  public let rank: Int
  /// How many there are.
  public let size: Int

  /// Where processes meet, and as which of them this one comes.
  public struct Meeting: Sendable, Equatable {
    /// The host of the meeting point: process 0's machine, or that of the program which serves it.
    public var host: String
    /// The TCP port of the meeting point, 1 … 65535.
    public var port: Int
    /// 0 ..< size
    public var rank: Int
    /// How many processes there are.
    public var size: Int
    /// Under what name to meet where another program serves the meeting point; nil where process 0 does.
    public var prefix: String?
    /// How long to wait for the others to come.
    public var joinSeconds = 300.0
    /// How long to wait for the part of another one in an exchange.
    public var timeoutSeconds = 1800.0

    public init(host: String, port: Int, rank: Int, size: Int) {
      (self.host, self.port, self.rank, self.size) = (host, port, rank, size)
    }
  }

  /// True if this build has Gloo: without its headers there are no groups.
  public static var isPossible: Bool { ctorch_has_gloo() }

  /// True if this build has NCCL: without it what lies on GPUs cannot be exchanged.
  public static var isPossibleOnGPUs: Bool { ctorch_has_nccl() }

  /// Waits until all are there.
  /// - Throws: `ProcessError.apart` where they do not come.
  public init(_ meeting: Meeting) throws(ProcessError) {
    var out: ctorch_group?
    let status = meeting.host.withCString { host in
      (meeting.prefix ?? "").withCString { prefix in
        ctorch_group_join(
          ctorch_meeting(
            host: host, port: Int32(clamping: meeting.port), rank: Int32(clamping: meeting.rank),
            size: Int32(clamping: meeting.size), prefix: meeting.prefix == nil ? nil : prefix,
            join_seconds: meeting.joinSeconds,
            timeout_seconds: meeting.timeoutSeconds), &out)
      }
    }
    guard status == 0, let out else {
      throw ProcessError.apart(
        host: meeting.host, port: meeting.port, rank: meeting.rank, size: meeting.size, reason: ProcessError.reason)
    }
    (handle, rank, size) = (out, meeting.rank, meeting.size)
  }

  deinit { ctorch_group_free(handle) }

  // MARK: exchanges

  /// Sums that are on their way.
  public final class Reduction {
    private var handle: ctorch_reduction?
    /// They are written in the end.
    private let tensors: [Tensor]

    fileprivate init(_ handle: ctorch_reduction, _ tensors: [Tensor]) {
      (self.handle, self.tensors) = (handle, tensors)
    }

    deinit { if let handle { ctorch_reduction_abandon(handle) } }

    /// Waits for the sums and puts them into the tensors.
    /// - Throws: `ProcessError.lost` where another process is gone.
    public func finish() throws(ProcessError) {
      guard let reduction = handle else { return }
      handle = nil
      try ProcessError.check(ctorch_reduction_finish(reduction))
    }
  }

  /// Begins to sum tensors of one type over the processes: each of them gets the same bits. Nobody may look at them before
  /// `finish`.
  public func startSum(_ tensors: [Tensor]) throws(ProcessError) -> Reduction {
    var out: ctorch_reduction?
    try ProcessError.check(ctorch_group_sum_start(handle, tensors.map(\.handle), Int32(tensors.count), &out))
    guard let out else { throw .lost(reason: TorchError.missingResult.message) }
    return Reduction(out, tensors)
  }

  /// The sum of every process's tensors, put into them.
  public func sum(_ tensors: [Tensor]) throws(ProcessError) { try startSum(tensors).finish() }

  /// Overwrites tensors of one type with those of process 0.
  public func broadcast(_ tensors: [Tensor]) throws(ProcessError) {
    try ProcessError.check(ctorch_group_broadcast(handle, tensors.map(\.handle), Int32(tensors.count)))
  }

  /// Gathers the bytes of all processes, in the order of the processes.
  public func gather(_ bytes: [UInt8]) throws -> [[UInt8]] {
    let counts = try gathered(Tensor([Int64(bytes.count)], shape: [1])).doubles().map { Int($0) }
    let most = max(1, counts.max() ?? 0)
    let padded = bytes + [UInt8](repeating: 0, count: most - bytes.count)
    let all = try gathered(Tensor(padded, shape: [most])).bytes()
    return counts.enumerated().map { Array(all[($0.offset * most)..<($0.offset * most + $0.element)]) }
  }

  /// Gathers the numbers of all processes, in the order of the processes. Every number keeps its bits.
  public func gather(_ values: [Double]) throws -> [[Double]] {
    try gather(values.withUnsafeBytes { Array($0) }).map { bytes in
      bytes.withUnsafeBytes { Array($0.bindMemory(to: Double.self)) }
    }
  }

  private func gathered(_ tensor: Tensor) throws -> Tensor {
    var out: ctorch_tensor?
    try ProcessError.check(ctorch_group_gather(handle, tensor.handle, &out))
    return try .adopt(out)
  }

  /// True if any process says so: the same answer for all.
  public func any(_ own: Bool) throws -> Bool { try any([own])[0] }

  /// For each of several questions whether any process says so.
  public func any(_ own: [Bool]) throws -> [Bool] {
    let votes = try Tensor(own.map { $0 ? 1.0 : 0 }, shape: [own.count])
    try sum([votes])
    return try votes.doubles().map { $0 > 0 }
  }

  /// This process's part of `range`, in equal pieces as far as may be.
  public func share(of range: Range<Int>) -> Range<Int> {
    let (count, start) = (range.count, range.lowerBound)
    return (start + count * rank / size)..<(start + count * (rank + 1) / size)
  }
}

extension ProcessGroup? {
  /// True if this process is the one that reads, writes and speaks: alone, or the first of several.
  public var isFirst: Bool { map { $0.rank == 0 } ?? true }
}

/// A point where processes meet that this one starts and is none of.
public final class MeetingPoint {
  private let handle: ctorch_store
  /// On this machine.
  public let port: Int

  /// - Throws: `TorchError` where no port can be had.
  public init() throws {
    var (port, out): (Int32, ctorch_store?) = (0, nil)
    try check(ctorch_store_serve(&port, &out))
    guard let out else { throw TorchError.missingResult }
    (handle, self.port) = (out, Int(port))
  }

  deinit { ctorch_store_free(handle) }
}

/// Processes that do not get on with each other.
public enum ProcessError: Error, CustomStringConvertible, Equatable {
  /// They did not meet.
  case apart(host: String, port: Int, rank: Int, size: Int, reason: String)
  /// One was lost while they worked.
  case lost(reason: String)

  public var description: String {
    switch self {
    case .apart(let host, let port, let rank, let size, let reason):
      "process \(rank) of \(size) did not meet the others at \(host):\(port): \(reason). All of them must be started, and "
        + "reach that port"
    case .lost(let reason):
      "another process of this run was lost (\(reason)); a training goes on from its last checkpoint by --resume"
    }
  }

  fileprivate static var reason: String {
    // c10d adds where in its sources it failed.
    String(cString: ctorch_last_error()).split(separator: "\n").first.map { $0.trimmingSuffix(".") }
      ?? "no reason given"
  }

  fileprivate static func check(_ status: Int32) throws(ProcessError) {
    if status != 0 { throw .lost(reason: reason) }
  }
}

extension Substring {
  fileprivate func trimmingSuffix(_ suffix: String) -> String {
    String(hasSuffix(suffix) ? dropLast(suffix.count) : self)
  }
}
