import Foundation
import ResLensSupport
import ResLensTasks
import ResLensTraining
import TestSupport
import Testing

/// The estimate of the memory that a training needs.
@Suite struct MemoryTests {
  private let scratch: Scratch

  init() throws { scratch = try Scratch() }

  /// How far a measured peak may be from the estimate, up or down (docs/performance.md).
  private static let factor = 1.25

  /// The largest resident memory of a child process, in bytes.
  private func peak(_ arguments: [String]) throws -> Double {
    // The children of this process are many; the interpreter has this one alone.
    let script = """
      import resource, subprocess, sys
      done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL)
      print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)
      sys.exit(done.returncode)
      """
    let outcome = try Tool("python3").run(["-c", script, Reslens.program] + arguments)
    try #require(outcome.status == 0, Comment(rawValue: outcome.errors))
    return try #require(
      Double(String(decoding: outcome.output, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)))
  }

  @Test(
    "The estimate is near the peak that a training has",
    arguments: [
      ("resnet-20", 128, ["--precision", "fp32"]), ("resnet-20", 128, ["--precision", "bf16"]),
      ("resnet-110", 128, ["--precision", "fp32"]), ("wide", 8, ["--precision", "fp32"]),
      ("avg-pooling", 16, ["--precision", "fp32"]),
      ("resnet-56", 32, ["--measure", "every=1,samples=128,l2-ratio,cosine-loss"]),
    ])
  func estimate(model: String, batch: Int, more: [String]) throws {
    let run = scratch.file("run")
    let bytes = try peak(
      [
        "train", "--model", model, "--data", "synthetic", "--batch", "\(batch)", "--train-samples",
        "\(max(128, batch))",
        "--validation-samples", "128", "--epochs", "1", "--threads", "2", "--out", run.path,
      ] + more)
    let estimate = MemoryEstimate(
      try RunFolder(run).configuration(), try ImageDataset.load("synthetic"), threads: 2)
    let ratio = bytes / estimate.total
    print("\(model), batch \(batch) \(more): \(Int(bytes) >> 20) MiB, \(ratio) times the estimate")
    #expect((1 / Self.factor...Self.factor).contains(ratio))
  }

  @Test("A training that needs more than half of the memory says so before it begins, and a small one does not")
  func note() throws {
    let process = Process()
    process.executableURL = URL(filePath: Reslens.program)
    process.arguments = [
      "train", "--model", "resnet-6002", "--data", "synthetic", "--batch", "6000", "--out", scratch.file("run").path,
    ]
    let errors = Pipe()
    (process.standardError, process.standardOutput) = (errors, FileHandle.nullDevice)
    try process.run()
    // It is not to come as far as that.
    let text = String(decoding: errors.fileHandleForReading.availableData, as: UTF8.self)
    kill(process.processIdentifier, SIGKILL)
    process.waitUntilExit()
    #expect(text.contains("note: training needs about ") && text.contains("--batch"), "\(text)")
    let small = try Reslens.train(scratch.file("small"), ["--epochs", "1"])
    #expect(small.status == 0 && !small.errors.contains("memory"), "\(small.errors)")
  }

  @Test("The limit of a process is the smallest of its control groups', of either version")
  func limits() throws {
    func write(_ files: [String: String]) throws {
      for (path, text) in files {
        let file = scratch.file(path)
        try Files.makeFolder(file.deletingLastPathComponent())
        try Files.write(text, to: file)
      }
    }
    try write([
      "2/proc/self/cgroup": "0::/a/b\n", "2/sys/fs/cgroup/a/memory.max": "1000\n",
      "2/sys/fs/cgroup/a/b/memory.max": "max\n",
      "1/proc/self/cgroup": "5:cpu:/x\n4:memory,other:/c\n0::/\n",
      "1/sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
      "1/sys/fs/cgroup/memory/c/memory.limit_in_bytes": "2000\n",
    ])
    #expect(MemoryLimit.groups(below: scratch.file("2")) == [1000])
    #expect(MemoryLimit.groups(below: scratch.file("1")) == [9_223_372_036_854_771_712, 2000])
    #expect(MemoryLimit.groups(below: scratch.file("none")).isEmpty)
    #expect(MemoryLimit.bytes > 1e8)
  }
}
