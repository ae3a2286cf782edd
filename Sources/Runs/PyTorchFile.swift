import Foundation
import ResLensSupport
import ResLensTorch

/// A file of weights that PyTorch or a program on it wrote.
public enum PyTorchFile {
  /// The tensors of a file by their names: of a safetensors file, or of one that `torch.save` wrote. The latter is read by
  /// Python and the torch whose libtorch this process runs on, and nothing in it is run (`weights_only`). Where it holds
  /// more than a state dict, the state dict in it is taken.
  /// - Throws: `FileError` where it is damaged, holds no state dict, or needs more than tensors to be read.
  public static func tensors(of file: URL) throws -> [String: Tensor] {
    if file.pathExtension.lowercased() == "safetensors" { return try Safetensors(contentsOf: file).tensors }
    // Its absence is told in our words.
    _ = try Files.read(file)
    return try PythonScript.run(
      PythonScript.readWeights, { [file.path, $0("weights.safetensors").path] },
      error: { problem in
        FileError(
          path: file.path, problem: problem,
          remedy: "save its state dict again: torch.save(model.state_dict(), …), or as safetensors")
      }, read: { try Safetensors(contentsOf: $0("weights.safetensors")).tensors })
  }
}
