import Foundation
import ResLensSupport
import ResLensTasks
import ResLensTorch
import TestSupport
import Testing

/// Image sets in safetensors files.
@Suite struct DatasetFileTests {
  private let scratch: Scratch
  private var file: URL { scratch.file("birds.safetensors") }

  init() throws { scratch = try Scratch() }

  private static let names = ["class_names": #"["wren", "tit", "crow"]"#]

  /// Five train and three validation images of 3×4×6 pixels.
  private func tensors() throws -> [String: Tensor] {
    let pixels = { (count: Int, factor: Int) in
      try Tensor((0..<(count * 72)).map { UInt8(truncatingIfNeeded: factor * $0) }, shape: [count, 3, 4, 6])
    }
    return [
      "train.images": try pixels(5, 7), "train.labels": try Tensor([0, 1, 2, 1, 0] as [Int64], shape: [5]),
      "validation.images": try pixels(3, 11), "validation.labels": try Tensor([2, 2, 0] as [UInt8], shape: [3]),
    ]
  }

  @Test("Images, labels and names are those of the file, and checksums and statistics those of images in memory")
  func reading() throws {
    let written = try tensors()
    try Safetensors(tensors: written, metadata: Self.names).write(to: file)
    let data = try ImageDataset.load(file.path)
    #expect(data.name == "birds" && data.classNames == ["wren", "tit", "crow"] && data.imageShape == [3, 4, 6])
    #expect(data.train.labels == [0, 1, 2, 1, 0] && data.validation.labels == [2, 2, 0])
    for (set, split) in [(data.train, "train"), (data.validation, "validation")] {
      let bytes = try #require(written["\(split).images"]).bytes()
      #expect(try set.images.bytes() == bytes)
      let inMemory = try ImageSet(pixels: bytes, labels: set.labels, channels: 3, height: 4, width: 6)
      #expect(try set.fingerprint(ofFirst: 2) == inMemory.fingerprint(ofFirst: 2))
      #expect(try set.fingerprint(ofFirst: set.count) == inMemory.fingerprint(ofFirst: set.count))
    }
    let pixels = try data.train.images.doubles().map { $0 / 255 }
    for channel in 0..<3 {
      let own = pixels.enumerated().filter { $0.offset / 24 % 3 == channel }.map(\.element)
      let mean = own.reduce(0, +) / Double(own.count)
      let variance = own.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(own.count)
      #expect(abs(try data.statistics.means[channel] - mean) < 1e-12)
      #expect(abs(try data.statistics.deviations[channel] - variance.squareRoot()) < 1e-12)
    }
  }

  @Test("A set that has a name keeps it, and its images outlive the name of the file")
  func outliving() throws {
    try Safetensors(tensors: tensors(), metadata: Self.names.merging(["name": "garden"]) { $1 }).write(to: file)
    let data = try ImageDataset.load(file.path)
    try FileManager.default.removeItem(at: file)
    #expect(data.name == "garden")
    #expect(try data.train.images.rows(4..<5).bytes() == tensors()["train.images"]?.rows(4..<5).bytes())
  }

  @Test("What is no image set is an error that names the entry, and how to write the file")
  func damage() throws {
    func expect(
      _ problem: String, _ metadata: [String: String] = Self.names, _ change: (inout [String: Tensor]) throws -> Void
    ) throws {
      var tensors = try tensors()
      try change(&tensors)
      try Safetensors(tensors: tensors, metadata: metadata).write(to: file)
      let error = try #require(throws: FileError.self) { try ImageDataset.load(file.path) }
      #expect(error.path == file.path && error.problem.contains(problem), "\(error)")
      #expect(error.remedy.contains("reference/dataset.py"))
    }
    try expect("validation.images is missing") { $0["validation.images"] = nil }
    try expect("train.labels is missing") { $0["train.labels"] = nil }
    try expect("train.images is float32 of shape [5, 3, 4, 6], and uint8") {
      $0["train.images"] = try .zeros([5, 3, 4, 6])
    }
    try expect("train.images is uint8 of shape [5, 72]") {
      $0["train.images"] = try $0["train.images"]?.reshaped([5, 72])
    }
    try expect("train.images is uint8 of shape [0, 3, 4, 6]") {
      $0["train.images"] = try Tensor([UInt8](), shape: [0, 3, 4, 6])
    }
    try expect("train.labels has 4 labels for 5 images") { $0["train.labels"] = try .zeros([4], .int64) }
    try expect("train.labels is float32") { $0["train.labels"] = try .zeros([5]) }
    for label in [-1, 3, Int64.max] {
      try expect("and there are 3 classes") { $0["train.labels"] = try Tensor([0, 0, label, 1, 1], shape: [5]) }
    }
    try expect("both must have one shape") {
      $0["validation.images"] = try $0["validation.images"]?.reshaped([3, 3, 6, 4])
    }
    try expect("its metadata has no class_names", [:]) { _ in }
    for names in ["wren", "[1, 2]", #"["wren"]"#, #"["wren", "wren"]"#, #"["wren", ""]"#] {
      try expect("class_names in its metadata is no JSON list", ["class_names": names]) { _ in }
    }
  }

  @Test("A file that is cut off, or whose header lies, is refused as every safetensors file is")
  func lies() throws {
    try Safetensors(tensors: tensors(), metadata: Self.names).write(to: file)
    let whole = try Data(contentsOf: file)
    func expect(_ problem: String, _ data: Data) throws {
      try data.write(to: file)
      let error = try #require(throws: FileError.self) { try ImageDataset.load(file.path) }
      #expect(error.problem.contains("not a whole safetensors file") && error.problem.contains(problem), "\(error)")
    }
    try expect("has offsets", whole.dropLast(100))
    try expect("belong to no tensor", whole + [0])
    try expect("it has 0 bytes", Data())
    var shape = whole
    let range = try #require(shape.range(of: Data("[5,3,4,6]".utf8)))
    shape.replaceSubrange(range, with: Data("[9,3,4,6]".utf8))
    try expect("does not fill its 360 bytes", shape)
    #expect {
      try ImageDataset.load(scratch.file("absent.safetensors").path)
    } throws: { "\($0)".contains("there is no such file") }
  }

  @Test(
    "reference/dataset.py writes an image folder, its classes by name, its images resized and cut",
    .enabled(if: Checkout.hasPyTorch, Comment(rawValue: Checkout.pyTorchIsMissing)),
    .enabled(if: Checkout.hasTensorBoard, "no Pillow, which is beside TensorBoard: scripts/setup-tests"))
  func imageFolder() throws {
    // A class is one colour; images are wider than high or higher than wide, with another colour at both ends.
    let script = """
      import os, sys
      sys.path.append("\(Checkout.tensorBoard.path)")
      from PIL import Image
      for split, count in (("train", 3), ("val", 2)):
          for name, colour in (("blue", (0, 0, 255)), ("amber", (255, 191, 0))):
              os.makedirs(f"{sys.argv[1]}/{split}/{name}")
              for index in range(count):
                  size = (40, 20) if index % 2 else (20, 40)
                  image = Image.new("RGB", size, (9, 9, 9))
                  image.paste(colour, ((size[0] - 20) // 2, (size[1] - 20) // 2, (size[0] + 20) // 2, (size[1] + 20) // 2))
                  image.save(f"{sys.argv[1]}/{split}/{name}/{index}.png")
      open(f"{sys.argv[1]}/train/blue/notes.txt", "w").close()
      """
    let folder = scratch.file("colours")
    let made = try Checkout.runPython(["-c", script, folder.path])
    try #require(made.status == 0, Comment(rawValue: made.text))
    let outcome = try dataset([folder.path, file.path, "--size", "10", "--resize", "10"])
    try #require(outcome.status == 0, Comment(rawValue: outcome.text))
    let data = try ImageDataset.load(file.path)
    #expect(data.name == "colours" && data.classNames == ["amber", "blue"] && data.imageShape == [3, 10, 10])
    #expect(data.train.labels == [0, 0, 0, 1, 1, 1] && data.validation.labels == [0, 0, 1, 1])
    let colours: [[UInt8]] = [[255, 191, 0], [0, 0, 255]]
    for (index, label) in data.train.labels.enumerated() {
      // Resizing mixes the colours of an edge.
      let pixels = try data.train.images.rows(index..<index + 1).bytes()
      for channel in 0..<3 { #expect(pixels[channel * 100 + 55] == colours[label][channel]) }
    }
    let limited = try dataset([folder.path, file.path, "--size", "10", "--limit", "2"])
    try #require(limited.status == 0, Comment(rawValue: limited.text))
    #expect(try ImageDataset.load(file.path).train.count == 2)
    try FileManager.default.removeItem(at: folder.appending(path: "val/blue"))
    try FileManager.default.moveItem(at: folder.appending(path: "val/amber"), to: folder.appending(path: "val/teal"))
    let before = try Data(contentsOf: file)
    let unknown = try dataset([folder.path, file.path])
    #expect(unknown.status == 1 && unknown.text.contains("the class teal is not among those of"), "\(unknown.text)")
    let broken = folder.appending(path: "train/amber/0.png")
    try Data("no picture".utf8).write(to: broken)
    try FileManager.default.moveItem(at: folder.appending(path: "val/teal"), to: folder.appending(path: "val/amber"))
    let damaged = try dataset([folder.path, file.path])
    #expect(damaged.status == 1 && damaged.text.contains("train/amber/0.png"), "\(damaged.text)")
    #expect(try Data(contentsOf: file) == before)
    #expect(
      try FileManager.default.contentsOfDirectory(atPath: scratch.url.path).sorted() == [
        "birds.safetensors", "colours",
      ])
  }

  private func dataset(_ arguments: [String]) throws -> (status: Int32, text: String) {
    let script = Checkout.root.appending(path: "reference/dataset.py").path
    let start = "import runpy, sys; sys.path.append(\"\(Checkout.tensorBoard.path)\"); sys.argv.pop(0); "
    return try Checkout.runPython(
      ["-c", start + "runpy.run_path(sys.argv[0], run_name='__main__')", script] + arguments)
  }
}
