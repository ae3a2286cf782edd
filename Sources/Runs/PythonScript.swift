import Foundation
import ResLensSupport
import ResLensTorch

/// The Python scripts of this module, which lie in its folder `Python`.
enum PythonScript {
  /// Writes the tensors of a file of `torch.save` as a safetensors file.
  static let readWeights = String(decoding: PackageResources.read_weights_py, as: UTF8.self)
  /// Runs PyTorch's own module of imported weights.
  static let runModule = String(decoding: PackageResources.run_module_py, as: UTF8.self)

  /// The folder that holds the torch of the libtorch in use: torch/lib/libtorch_cpu.so lies in it.
  private static var packages: String {
    URL(filePath: Libtorch.libraryPath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().path
  }

  /// Runs a script by `python3` in a folder of its own, which is removed afterwards.
  /// - Parameters:
  ///   - arguments: makes the script's arguments of a function that names files in the folder
  ///   - error: makes the error of the last line that the script wrote to stderr
  ///   - read: reads what the script has made
  static func run<Value>(
    _ script: String, _ arguments: ((String) -> URL) throws -> [String], error: (String) -> FileError,
    read: ((String) -> URL) throws -> Value
  ) throws -> Value {
    let folder = FileManager.default.temporaryDirectory.appending(path: "reslens-python-\(UUID().uuidString)")
    try Files.makeFolder(folder)
    defer { try? FileManager.default.removeItem(at: folder) }
    let file = { (name: String) in folder.appending(path: name) }
    let outcome = try Tool("python3").run(["-c", script] + arguments(file) + [packages])
    guard outcome.status == 0 else {
      throw error(
        outcome.errors.split(separator: "\n").last.map(String.init) ?? "python3 ended with \(outcome.status)")
    }
    return try read(file)
  }
}
