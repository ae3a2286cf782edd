import Foundation
import ResLensSupport
import ResLensTorch

/// An image set in a safetensors file, as `reference/dataset.py` writes it: `train.images`, `train.labels`,
/// `validation.images` and `validation.labels`. Images are N×C×H×W uint8, labels are N numbers of classes, int64 or uint8.
/// The metadata's `class_names` is a JSON list of the classes' names, and its `name`, which may be missing, the set's.
///
/// The images stay in the file and are read as they are used.
struct DatasetFile {
  private let url: URL
  private let file: MappedSafetensors

  /// - Throws: `FileError` where the file is damaged or is none.
  init(_ url: URL) throws {
    (self.url, file) = (url, try MappedSafetensors(contentsOf: url))
  }

  private func wrong(_ problem: String) -> FileError {
    FileError(path: url.path, problem: problem, remedy: "write it again with reference/dataset.py")
  }

  /// The set in the file.
  /// - Throws: `FileError` that names the first entry that is missing or is no part of an image set.
  func dataset() throws -> ImageDataset {
    let names = try classNames()
    let (train, validation) = (try set("train", names.count), try set("validation", names.count))
    let shapes = [train, validation].map { Array($0.images.shape.dropFirst()) }
    guard shapes[0] == shapes[1] else {
      throw wrong("train.images are \(shapes[0]) and validation.images \(shapes[1]), and both must have one shape")
    }
    let name = file.metadata["name"]?.printable(60) ?? ""
    return try ImageDataset(
      name: name.isEmpty ? url.deletingPathExtension().lastPathComponent : name, classNames: names, train: train,
      validation: validation)
  }

  private func classNames() throws -> [String] {
    guard let text = file.metadata["class_names"] else { throw wrong("its metadata has no class_names") }
    guard let names = try? JSONDecoder().decode([String].self, from: Data(text.utf8)), names.count >= 2,
      !names.contains(""), Set(names).count == names.count
    else { throw wrong("class_names in its metadata is no JSON list of at least two different names") }
    return names.map { $0.printable(100) }
  }

  private func set(_ split: String, _ classes: Int) throws -> ImageSet {
    func entry(_ name: String, _ types: [ElementType], rank: Int, _ what: String) throws -> Tensor {
      guard let tensor = try file.tensor(name) else { throw wrong("\(name) is missing") }
      guard types.contains(tensor.elementType), tensor.shape.count == rank, !tensor.shape.contains(0) else {
        throw wrong("\(name) is \(tensor.elementType.rawValue) of shape \(tensor.shape), and \(what) are expected")
      }
      return tensor
    }
    let images = try entry("\(split).images", [.uint8], rank: 4, "uint8 images N×C×H×W")
    let numbers = try entry("\(split).labels", [.int64, .uint8], rank: 1, "N labels of int64 or uint8")
    guard numbers.count == images.shape[0] else {
      throw wrong("\(split).labels has \(numbers.count) labels for \(images.shape[0]) images")
    }
    // A float64 holds every number that can be a label.
    let labels = try numbers.doubles()
    if let index = labels.firstIndex(where: { !(0..<Double(classes)).contains($0) }) {
      throw wrong(
        "\(split).labels has \(Int(exactly: labels[index]).map(String.init) ?? "\(labels[index])") at \(index), and there are \(classes) classes"
      )
    }
    return try ImageSet(images: images, labels: labels.map { Int($0) })
  }
}
