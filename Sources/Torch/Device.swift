import CTorch
import ResLensSupport

/// Where tensors lie and are worked on.
public enum Device: Hashable, Sendable {
  /// The processor.
  case cpu
  /// A GPU, by its index among those that CUDA shows.
  case cuda(Int)

  /// The device's number in the C interface.
  /// - Throws: `ArgumentError` for an index that no GPU can have.
  func code() throws(ArgumentError) -> ctorch_device {
    switch self {
    case .cpu: return ctorch_device(CTORCH_CPU)
    case .cuda(let index):
      // libtorch keeps it in a byte.
      try ArgumentError.check("cuda", index, in: 0...127)
      return ctorch_device(index)
    }
  }

  init(code: ctorch_device) { self = code == CTORCH_CPU ? .cpu : .cuda(Int(code)) }

  /// True if it works on by itself while the program prepares what comes next.
  public var isAsynchronous: Bool { self != .cpu }

  /// The 16 bytes that identify a GPU uniquely among all machines; nil for the processor.
  /// - Throws: `TorchError` where this program was built without CUDA's headers.
  public func uuid() throws -> [UInt8]? {
    guard self != .cpu else { return nil }
    var uuid = [UInt8](repeating: 0, count: 16)
    try check(ctorch_cuda_uuid(code(), &uuid))
    return uuid
  }

  /// Makes this the device that the process works on. On CUDA float32 products are exact (no TF32) and the same every time.
  /// Call it once, at the start.
  /// - Throws: `TorchError` where there is no such device.
  public func use() throws { if self != .cpu { try check(ctorch_use_cuda(code())) } }

  /// Waits until a GPU has done all that it was asked for.
  /// - Throws: `TorchError` where it failed.
  public func synchronize() throws { try check(ctorch_synchronize(code())) }

  /// Gives the calling thread a CUDA stream of its own until it ends. A GPU may then do what this thread asks for while it
  /// does what other threads asked for.
  /// - Throws: `TorchError` where there is no such device.
  public func useOwnStream() throws { try check(ctorch_use_own_stream(code())) }
}

extension Device: CustomStringConvertible {
  public var description: String {
    switch self {
    case .cpu: "cpu"
    case .cuda(let index): "cuda:\(index)"
    }
  }
}

/// Numbers that a device is still working out: asking for them later does not stop it.
public final class Reading {
  private var handle: ctorch_reading?
  private let count: Int

  /// Begins to read a float64 tensor of few elements, as it is now; it may be written afterwards.
  public init(_ tensor: Tensor) throws {
    var out: ctorch_reading?
    try check(ctorch_read_start(tensor.handle, &out))
    (handle, count) = (out, tensor.count)
  }

  deinit { if let handle { ctorch_read_abandon(handle) } }

  /// The elements in row-major order, once the device has come to them.
  /// - Throws: `TorchError` where they were taken already, or the device failed.
  public func values() throws -> [Double] {
    guard let reading = handle else { throw TorchError(message: "a reading that was taken already") }
    handle = nil
    var values = [Double](repeating: 0, count: count)
    try check(ctorch_read_finish(reading, &values, count))
    return values
  }
}

/// Work of a CUDA device, captured once and then done as often as asked, each time as one launch.
///
/// Tensors that were made while it was captured belong to the graph and are overwritten by every replay. Tensors that it
/// reads must be kept: write other values into them to work on those.
public final class DeviceGraph {
  private let handle: ctorch_graph

  /// True if work on this device can be captured.
  public static func isPossible(on device: Device) -> Bool { device.isAsynchronous && ctorch_built_with_cuda() }

  /// Captures what `body` asks of the device, without doing it. `body` must not read from the device.
  /// - Throws: `TorchError` where the device cannot capture it, or this program was built without CUDA's headers; what `body`
  ///   throws.
  public init(on device: Device, capturing body: () throws -> Void) throws {
    var out: ctorch_graph?
    try check(ctorch_graph_begin(device.code(), &out))
    guard let out else { throw TorchError.missingResult }
    handle = out
    try body()
    try check(ctorch_graph_end(handle))
  }

  deinit { ctorch_graph_free(handle) }

  /// Does what was captured, once; it is not waited for.
  /// - Throws: `TorchError` where the device does not take it.
  public func replay() throws { try check(ctorch_graph_replay(handle)) }
}
