import CTorch

/// A failure inside libtorch, in its own words.
public struct TorchError: Error, CustomStringConvertible, Equatable {
  /// The description of the error, mostly in libtorch's own words.
  public let message: String
  public var description: String { "libtorch: \(message)" }

  public init(message: String) { self.message = message }

  /// The error of a call that reported success and did not give what it was asked for.
  public static let missingResult = TorchError(message: "a call succeeded without its result")
}

/// Turns a status of the C interface into a Swift error.
func check(_ status: Int32) throws {
  guard status == 0 else { throw TorchError(message: String(cString: ctorch_last_error())) }
}

/// The libtorch that this process runs on.
public enum Libtorch {
  /// For instance "2.13.0".
  public static var version: String { String(cString: ctorch_version()) }
  /// The instruction set its kernels chose, for instance "AVX512".
  public static var cpuCapability: String { String(cString: ctorch_cpu_capability()) }
  /// The path of the library that is loaded; empty where it cannot be told.
  public static var libraryPath: String { String(cString: ctorch_library_path()) }
  /// True if this libtorch was compiled with CUDA.
  public static var hasCUDA: Bool { ctorch_has_cuda() }
  /// CUDA devices that answer; 0 without CUDA.
  public static var cudaDeviceCount: Int { Int(ctorch_cuda_device_count()) }

  /// Threads that an operation may use. It is the process's, as libtorch has one pool: set it once, at the start.
  public static var threads: Int { Int(ctorch_threads()) }

  /// - Throws: `TorchError` unless `count` is positive.
  public static func setThreads(_ count: Int) throws { try check(ctorch_set_threads(Int32(clamping: count))) }

  /// How many threads one of ResLens's own kernels really ran on when it asked for all.
  public static var kernelThreads: Int { Int(ctorch_kernel_threads()) }

  /// Lets the C library keep freed activations for the next step instead of giving the memory back at once.
  /// Call it before the first tensor is made. Returns whether the C library took the setting.
  @discardableResult
  public static func keepFreedMemory() -> Bool { ctorch_keep_freed_memory() }

  /// Tensor handles now alive in the process.
  public static var liveTensors: Int { Int(ctorch_live_tensors()) }
}
