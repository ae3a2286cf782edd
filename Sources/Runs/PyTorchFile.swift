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
    let folder = FileManager.default.temporaryDirectory.appending(path: "reslens-import-\(UUID().uuidString)")
    try Files.makeFolder(folder)
    defer { try? FileManager.default.removeItem(at: folder) }
    let converted = folder.appending(path: "weights.safetensors")
    let outcome = try Tool("python3").run(["-c", script, file.path, converted.path, packages])
    guard outcome.status == 0 else {
      let last = outcome.errors.split(separator: "\n").last.map(String.init) ?? "python3 ended with \(outcome.status)"
      throw FileError(
        path: file.path, problem: last,
        remedy: "save its state dict again: torch.save(model.state_dict(), …), or as safetensors")
    }
    return try Safetensors(contentsOf: converted).tensors
  }

  /// The folder that holds the torch of the libtorch in use: torch/lib/libtorch_cpu.so lies in it.
  private static var packages: String {
    URL(filePath: Libtorch.libraryPath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().path
  }

  /// Writes the tensors of the first file as a safetensors file to the second. Numbers with a fraction become float32,
  /// others int64.
  private static let script = #"""
    import ctypes, json, re, struct, sys
    source, target, packages = sys.argv[1:]
    sys.path.insert(0, packages)

    def refuse(problem):
        print(problem, file=sys.stderr)
        sys.exit(1)

    try:
        import torch
    except Exception as error:
        refuse(f"python3 cannot import torch to read it ({error})")
    try:
        found = torch.load(source, map_location="cpu", weights_only=True)
    except Exception as error:
        text = str(error)
        if "weights_only" in text or "Weights only" in text:
            asked = re.search(r"GLOBAL ([\w.]+)", text)
            what = f" ({asked[1]})" if asked else ""
            refuse(f"it holds more than tensors{what}, which reading would have to run")
        refuse("it cannot be read: " + (text.splitlines() or [type(error).__name__])[0][:200])

    def state(of):
        if not isinstance(of, dict):
            return None
        if any(isinstance(value, torch.Tensor) for value in of.values()):
            return of
        for key in ("state_dict", "model_state_dict", "model", "net", "params", "state_dict_ema"):
            if found := state(of.get(key)):
                return found
        return None

    tensors = state(found)
    if not tensors:
        refuse("there is no state dict in it")
    header, parts, end = {}, [], 0
    for name, tensor in tensors.items():
        if not isinstance(tensor, torch.Tensor):
            continue
        wide = torch.float32 if tensor.is_floating_point() else torch.int64
        tensor = tensor.detach().to(wide).contiguous()
        size = tensor.numel() * tensor.element_size()
        header[str(name)] = {"dtype": "F32" if wide == torch.float32 else "I64", "shape": list(tensor.shape),
                             "data_offsets": [end, end + size]}
        parts.append(tensor)
        end += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(target, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for tensor in parts:
            file.write(ctypes.string_at(tensor.data_ptr(), tensor.numel() * tensor.element_size()))
    """#
}
