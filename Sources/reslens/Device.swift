import ArgumentParser
import Foundation
import Torch

/// What computes.
enum Device: ExpressibleByArgument {
  case automatic, cpu
  case cuda(index: Int)

  init?(argument: String) {
    switch argument {
    case "auto": self = .automatic
    case "cpu": self = .cpu
    case "cuda": self = .cuda(index: 0)
    default:
      guard argument.hasPrefix("cuda:"), let index = Int(argument.dropFirst("cuda:".count)), index >= 0 else {
        return nil
      }
      self = .cuda(index: index)
    }
  }

  /// Why nothing runs on CUDA here: what this version lacks, and what the machine does.
  static var whyNoCUDA: String {
    let version = "this version of ResLens computes on processors only"
    if !Libtorch.hasCUDA { return "\(version), and libtorch (\(Libtorch.version)) was built without CUDA" }
    if Libtorch.cudaDeviceCount == 0 { return "\(version), and to libtorch's CUDA no GPU answers (see nvidia-smi)" }
    return "\(version), though \(Libtorch.cudaDeviceCount) GPUs answer"
  }
}

struct DeviceOptions: ParsableArguments {
  @Option(help: ArgumentHelp("auto, cpu or cuda[:N].", valueName: "device"))
  var device = Device.automatic

  /// - Throws: `ValidationError` where that device cannot be had.
  func check() throws {
    if case .cuda = device { throw ValidationError("--device cuda cannot be had: \(Device.whyNoCUDA)") }
  }
}

extension Device: CustomStringConvertible {
  var description: String {
    switch self {
    case .automatic: "auto"
    case .cpu: "cpu"
    case .cuda(let index): "cuda:\(index)"
    }
  }
}
