import Foundation
import ResLensTorch

/// The Python scripts of this module, which lie in its folder `Python`.
enum PythonScript {
  /// Writes the tensors of a file of `torch.save` as a safetensors file.
  static let readWeights = String(decoding: PackageResources.read_weights_py, as: UTF8.self)
  /// Runs PyTorch's own module of imported weights.
  static let runModule = String(decoding: PackageResources.run_module_py, as: UTF8.self)

  /// The folder that holds the torch of the libtorch in use: torch/lib/libtorch_cpu.so lies in it.
  static var packages: String {
    URL(filePath: Libtorch.libraryPath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().path
  }
}
