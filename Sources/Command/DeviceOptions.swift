import ArgumentParser
import Foundation
import ResLensRuns
import ResLensTorch

/// The device that was asked for.
enum DeviceChoice: ExpressibleByArgument {
  /// A GPU where there is one.
  case automatic
  case cpu
  /// A GPU. Without an index, each of several processes on a machine takes the GPU with its local rank.
  case cuda(index: Int?)

  init?(argument: String) {
    switch argument {
    case "auto": self = .automatic
    case "cpu": self = .cpu
    case "cuda": self = .cuda(index: nil)
    default:
      guard argument.hasPrefix("cuda:"), let index = Int(argument.dropFirst("cuda:".count)), index >= 0 else {
        return nil
      }
      self = .cuda(index: index)
    }
  }

  /// Why nothing runs on CUDA here, and what to do; nil where something does.
  static var whyNoCUDA: String? {
    if !Libtorch.hasCUDA {
      return
        "libtorch (\(Libtorch.version)) was built without CUDA; on a machine with a GPU, make setup fetches one with "
        + "it, or LIBTORCH names one"
    }
    return Libtorch.cudaDeviceCount == 0 ? "no GPU answers to libtorch's CUDA (see nvidia-smi)" : nil
  }

  /// The device that is meant.
  /// - Parameters:
  ///   - gpus: how many there are
  ///   - why: why there is none
  ///   - place: this process's number among those on this machine
  /// - Throws: `ValidationError` where it cannot be had.
  func device(gpus: Int, why: String?, place: Int = 0) throws -> Device {
    guard case .cuda(let named) = self else {
      return if case .automatic = self, place < gpus { .cuda(place) } else { .cpu }
    }
    if let why { throw ValidationError("--device \(self) cannot be had: \(why)") }
    let index = named ?? place
    guard index < gpus else {
      throw ValidationError(
        "--device cuda:\(index) cannot be had: "
          + (gpus == 1 ? "there is one GPU, cuda:0" : "there are \(gpus) GPUs, cuda:0 to cuda:\(gpus - 1)"))
    }
    return .cuda(index)
  }
}

extension DeviceChoice: CustomStringConvertible {
  var description: String {
    switch self {
    case .automatic: "auto"
    case .cpu: "cpu"
    case .cuda(let index): index.map { "cuda:\($0)" } ?? "cuda"
    }
  }
}

struct DeviceOptions: ParsableArguments {
  @Option(help: ArgumentHelp("auto (a GPU if there is one), cpu, or cuda[:N].", valueName: "device"))
  var device = DeviceChoice.automatic

  /// The device of the worker in one of several places, which know nothing of each other: the GPUs in turn.
  /// - Throws: `ValidationError` where it cannot be had.
  func find(worker: Int) throws -> Device { try find(place: Self.gpus > 0 ? worker % Self.gpus : worker) }

  private static var gpus: Int { DeviceChoice.whyNoCUDA == nil ? Libtorch.cudaDeviceCount : 0 }

  private func find(place: Int) throws -> Device {
    try device.device(gpus: Self.gpus, why: DeviceChoice.whyNoCUDA, place: place)
  }

  /// Makes the device that is meant the one that this process works on.
  /// - Parameters:
  ///   - group: processes that work together
  ///   - exchangesTensors: whether they exchange what lies on their devices: each then has a GPU of its own, or, where that was
  ///     left to us, none has
  /// - Throws: `ValidationError` where it cannot be had; `FileError` where the environment contradicts itself.
  func use(by group: ProcessGroup? = nil, exchangesTensors: Bool = true) throws -> Device {
    var place = try LaunchedProcess.numberOnMachine()
    // A launcher may show each process no GPU but its own.
    if group != nil, Self.gpus == 1 { place = 0 }
    var found = try find(place: place)
    if let group, exchangesTensors {
      let why = try whyNotTogether(found, group)
      // All come to the same answer, as what they are told is the same.
      if let why {
        guard case .automatic = device else {
          throw ValidationError("--device \(device) cannot be had by several processes: \(why)")
        }
        if found != .cpu { Terminal().note("note: working on the processor: \(why)") }
        found = .cpu
      }
    }
    try found.use()
    if found.isAsynchronous, let why = KernelSet.problem(on: found) {
      Terminal().note("note: \(found) runs all by libtorch's operations, which is slower: \(why)")
    }
    return found
  }

  /// Why the processes cannot each work on the device found for them; nil where they can.
  private func whyNotTogether(_ found: Device, _ group: ProcessGroup) throws -> String? {
    let lacksNCCL = try group.any(found.isAsynchronous && !ProcessGroup.isPossibleOnGPUs)
    if lacksNCCL { return "this program was built without NCCL's headers (see docs/cuda.md)" }
    let all = try group.gather(found.uuid() ?? [])
    let gpus = all.filter { !$0.isEmpty }
    if gpus.isEmpty { return nil }
    if gpus.count < all.count { return "not every process has a GPU" }
    return Set(gpus).count < gpus.count ? "two processes would have the same GPU" : nil
  }
}
