import ArgumentParser
import Foundation
import ResLensRuns
import ResLensSupport
import ResLensReports
import ResLensTorch
import ResLensTraining

struct DoctorCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "doctor",
    abstract: "Checks this machine and says what is missing.",
    discussion: """
      The exit status is 1 if something necessary is missing.

      For example:
        reslens doctor
      """)

  /// One line of the answer.
  private struct Finding {
    var name: String
    var state: String
    /// The problem and its remedy; nil where there is none.
    var trouble: String?
    /// True if nothing works without it.
    var isNeeded = true
  }

  func run() throws {
    let findings = [libtorch, cuda, processes, threads, kernels] + programs
    let width = findings.map(\.name.count).max() ?? 0
    for finding in findings {
      let name = finding.name.padding(toLength: width, withPad: " ", startingAt: 0)
      print("\(finding.trouble == nil ? "✓" : finding.isNeeded ? "✗" : "–") \(name)  \(finding.state)")
      if let trouble = finding.trouble { print("  \(String(repeating: " ", count: width))  → \(trouble)") }
    }
    if findings.contains(where: { $0.isNeeded && $0.trouble != nil }) { throw ExitCode(1) }
  }

  private var libtorch: Finding {
    var finding = Finding(
      name: "libtorch", state: "\(Libtorch.version), \(Libtorch.cpuCapability), \(Libtorch.libraryPath)")
    do {
      // A tiny sum tells a library that loads from one that works.
      let sum = try Tensor([Float(1), 2], shape: [2]).adding(Tensor([Float(3), 4], shape: [2])).doubles()
      if sum != [4, 6] { finding.trouble = "it adds wrongly; install it anew: rm -r .deps && make setup" }
    } catch {
      finding.trouble = "\(error); install it anew: rm -r .deps && make setup"
    }
    return finding
  }

  private var cuda: Finding {
    if let why = DeviceChoice.whyNoCUDA { return Finding(name: "cuda", state: "off: \(why)") }
    let gpus = Libtorch.cudaDeviceCount
    var finding = Finding(name: "cuda", state: "\(gpus) GPU\(gpus == 1 ? "" : "s")")
    do {
      let device = Device.cuda(0)
      try device.use()
      let found = try DeviceComparison(of: device)
      finding.state +=
        "; a small network's outputs are within \(scientific(found.outputs)) of the processor's, its gradients within "
        + scientific(found.gradients)
        + (found.captured.map { ", captured steps within \(scientific($0)) of plain ones" } ?? "")
        + (KernelSet.problem(on: device).map { "; libtorch's operations alone: \($0)" }
          ?? "; gradients by ResLens's kernels within \(scientific(found.kernels)) of libtorch's operations, "
          + "in bfloat16 \(String(format: "%.2f", found.kernelsInHalf)) times as far from float32's as theirs")
      if !found.kernelsAgree {
        finding.trouble =
          "ResLens's kernels and libtorch's operations disagree by more than rounding: train on "
          + "--device cpu, and tell us of this GPU"
      } else if !found.agrees {
        finding.trouble = "that is more than rounding: train on --device cpu, and try another libtorch or driver"
      } else if found.captured == nil {
        finding.isNeeded = false
        finding.trouble =
          "built without CUDA's headers, every operation of a step is a launch of its own: install nvidia-cuda-crt "
          + "and nvidia-cuda-cccl beside torch (pip), then make clean build"
      }
    } catch {
      finding.trouble = "\(error); see nvidia-smi, or use --device cpu"
    }
    return finding
  }

  private var processes: Finding {
    if ProcessGroup.isPossible {
      let way =
        ProcessGroup.isPossibleOnGPUs ? " and, between GPUs, NCCL" : Libtorch.hasCUDA ? ", on processors only" : ""
      return Finding(name: "processes", state: "several, by Gloo\(way)")
    }
    return Finding(
      name: "processes", state: "one, built without Gloo's headers", trouble: LaunchedProcess.installation,
      isNeeded: false)
  }

  private var threads: Finding {
    let (asked, used) = (Libtorch.threads, Libtorch.kernelThreads)
    return Finding(
      name: "threads", state: "\(asked) of \(ProcessInfo.processInfo.activeProcessorCount) processors",
      trouble: used == asked
        ? nil : "ResLens's own kernels run on \(used) of them; is libtorch's OpenMP library (libgomp) loaded?")
  }

  private var kernels: Finding {
    let others = KernelSet.all.filter { $0 != KernelSet.current }.joined(separator: ", ")
    return Finding(name: "kernels", state: "\(KernelSet.current) (here are also \(others))")
  }

  private var programs: [Finding] {
    var pictures = Finding(name: "gnuplot", state: "missing", isNeeded: false)
    if let gnuplot = Gnuplot.find() {
      do {
        pictures.state = "\(gnuplot.executable.path) (\(try gnuplot.version))"
      } catch {
        pictures.trouble = "\(error)"
      }
    } else {
      pictures.trouble = "reports have tables but no pictures until it is there: \(Gnuplot.installation)"
    }
    let uses = [
      ("tar", "archives of images"), ("curl", "data fetch"),
      ("git", "the commit in environment.json"),
    ]
    return [pictures]
      + uses.map { name, use in
        guard let location = Tool(name).location else {
          return Finding(name: name, state: "missing", trouble: "install it for \(use)", isNeeded: false)
        }
        return Finding(name: name, state: "\(location.path) (for \(use))")
      }
  }
}
