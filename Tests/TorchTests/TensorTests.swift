import Foundation
import ResLensSupport
import TestSupport
import Testing
import ResLensTorch

func exponential(_ x: Double) -> Double { exp(x) }
func logarithm(_ x: Double) -> Double { log(x) }

@Suite struct TensorTests {
  @Test("libtorch's own words reach the Swift error")
  func errors() throws {
    let a = try Tensor.zeros([2, 3])
    let b = try Tensor.zeros([4, 5])
    #expect { try a.adding(b) } throws: { "\($0)".contains("must match the size") }
    #expect { try Convolution.forward(a, weight: b, bias: b, padding: 1) } throws: { $0 is TorchError }
    #expect(throws: TorchError.self) { try a.rows(1..<4) }
    #expect(throws: TorchError.self) { try Tensor([Float(1)], shape: [2]) }
    #expect(throws: TorchError.self) { try Libtorch.setThreads(0) }
    #expect(throws: TorchError.self) {
      try Predictions(logits: Tensor([0.0, 0], shape: [1, 2]), labels: Tensor([Int64(2)], shape: [1]))
    }
    #expect(throws: TorchError.self) {
      try Tensor([UInt8(0)], shape: [1, 1, 1, 1]).gatherImages(
        Tensor([Int64(1), 0, 0, 0], shape: [1, 4]), scale: Tensor([Float(1)], shape: [1]),
        offset: Tensor([Float(0)], shape: [1]), type: .float32)
    }
    #expect(throws: TorchError.self) {
      try Tensor([UInt8(0)], shape: [1, 1, 1, 1]).gatherImages(
        Tensor([Int64(0)], shape: [1]), scale: Tensor([Float(1)], shape: [1]), offset: Tensor([Float(0)], shape: [1]),
        type: .float32)
    }
  }

  @Test("Elements come back as they went in, whatever the layout")
  func roundTrip() throws {
    let values = noise(2 * 3 * 4 * 5, seed: 1)
    #expect(try Tensor(values, shape: [2, 3, 4, 5]).doubles() == values)
    #expect(try Tensor(values, shape: [2, 3, 4, 5]).rows(1..<2).doubles() == Array(values[60...]))
    #expect(try Tensor([UInt8(3), 250], shape: [2]).bytes() == [3, 250])
  }

  @Test("A kernel of ResLens's own runs on all of libtorch's threads")
  func threads() throws {
    try Libtorch.setThreads(2)
    #expect(Libtorch.kernelThreads == 2)
    try Libtorch.setThreads(1)
    #expect(Libtorch.kernelThreads == 1)
    try Libtorch.setThreads(ProcessInfo.processInfo.activeProcessorCount)
  }

  @Test("Normal values have their deviation and depend on the seed alone")
  func normal() throws {
    let a = try Tensor.normal([100, 100], deviation: 0.5, seed: 7)
    let values = try a.doubles()
    let deviation = (values.reduce(0) { $0 + $1 * $1 } / 10000).squareRoot()
    // Five standard errors.
    #expect(abs(deviation - 0.5) < 5 * 0.5 / (2 * 10000.0).squareRoot())
    #expect(try a.equals(.normal([100, 100], deviation: 0.5, seed: 7)))
    #expect(try !a.equals(.normal([100, 100], deviation: 0.5, seed: 8)))
  }

  @Test("Streams of one seed differ, and each is uniform")
  func streams() throws {
    let order = RandomStream(seed: 1, name: "order")
    let augmentation = RandomStream(seed: 1, name: "augmentation")
    #expect(order.bits(3) == RandomStream(seed: 1, name: "order").bits(3))
    #expect(order.bits(3) != augmentation.bits(3))
    #expect(order.bits(3) != RandomStream(seed: 2, name: "order").bits(3))
    #expect(order.stream(0).bits(1) != order.stream(1).bits(0))
    var counts = [Int](repeating: 0, count: 10)
    for index in 0..<100_000 { counts[try order.integer(index, below: 10)] += 1 }
    // Five standard deviations of a binomial count.
    #expect(counts.allSatisfy { abs($0 - 10_000) < 475 })
  }

  @Test(
    "Images are gathered, mirrored, moved and normalised pixel by pixel, by our loop and by libtorch's operations",
    arguments: [0, 1], ends(KernelSet.all))
  func gather(flip: Int, set: String) throws {
    let (height, width) = (3, 4)
    let bytes = (0..<(2 * 2 * height * width)).map { UInt8(5 * $0) }
    let images = try Tensor(bytes, shape: [2, 2, height, width])
    let (dy, dx) = (1, -2)
    let selection = try Tensor([1, flip, dy, dx].map(Int64.init), shape: [1, 4])
    let (scale, offset) = (try Tensor([Float(0.5), 2], shape: [2]), try Tensor([Float(1), -1], shape: [2]))
    let found = try KernelSet.using(set) {
      try images.gatherImages(selection, scale: scale, offset: offset, type: .float32).doubles()
    }
    for channel in 0..<2 {
      for y in 0..<height {
        for x in 0..<width {
          let (fromY, moved) = (y - dy, x - dx)
          let inside = (0..<height).contains(fromY) && (0..<width).contains(moved)
          let fromX = flip == 1 ? width - 1 - moved : moved
          let wanted =
            inside
            ? Double(bytes[((2 + channel) * height + fromY) * width + fromX]) * [0.5, 2][channel] + [1, -1][channel] : 0
          #expect(found[(channel * height + y) * width + x] == wanted)
        }
      }
    }
  }
}

@Suite struct SafetensorsTests {
  private func sample() throws -> Safetensors {
    Safetensors(
      tensors: [
        "a": try Tensor([Float(1), 2, 3, 4, 5, 6], shape: [2, 3]), "b.c": try Tensor([Int64(-7)], shape: [1]),
        "d": try .zeros([0, 4]), "e": try Tensor(noise(16, seed: 1), shape: [1, 4, 2, 2]).converted(to: .bfloat16),
      ], metadata: ["note": "ä \"quoted\""])
  }

  @Test("A file gives back its tensors and text")
  func roundTrip() throws {
    let scratch = try Scratch()
    let file = scratch.file("x.safetensors")
    try sample().write(to: file)
    let back = try Safetensors(contentsOf: file)
    #expect(back.metadata == ["note": "ä \"quoted\""])
    #expect(Set(back.tensors.keys) == ["a", "b.c", "d", "e"])
    for (name, tensor) in try sample().tensors { #expect(try tensor.equals(#require(back.tensors[name]))) }
  }

  @Test("Every damage to a file is an error that names it, and no crash")
  func damage() throws {
    let scratch = try Scratch()
    let file = scratch.file("x.safetensors")
    try sample().write(to: file)
    let whole = [UInt8](try Data(contentsOf: file))
    let stream = RandomStream(seed: 3, name: "damage")
    var refused = 0
    for trial in 0..<400 {
      var bytes = whole
      let own = stream.stream(trial)
      if trial % 2 == 0 {
        bytes.removeLast(try 1 + own.integer(0, below: bytes.count - 1))
      } else {
        // In the length or the header, where a lie would be believed.
        bytes[try own.integer(0, below: 200)] = UInt8(try own.integer(1, below: 256))
      }
      try Data(bytes).write(to: file)
      do {
        _ = try Safetensors(contentsOf: file)
      } catch let error as FileError {
        refused += 1
        #expect(error.path == file.path && !error.remedy.isEmpty)
      }
    }
    // All truncations are refused; a changed byte may fall into a name or a text.
    #expect(refused >= 200)
  }

  @Test(
    "A header that lies about sizes or offsets is refused",
    arguments: [
      #"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}"#,
      #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#,
      #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,400]}}"#,
      #"{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,8]}}"#,
      #"{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,8]}}"#,
      #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0]}}"#,
      #"{"a":{"dtype":"F7","shape":[1],"data_offsets":[0,8]}}"#,
      #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#,
      #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#, "[]", "{", "",
    ])
  func lies(header: String) throws {
    let scratch = try Scratch()
    let file = scratch.file("x.safetensors")
    let text = Data(header.utf8)
    try (withUnsafeBytes(of: UInt64(text.count).littleEndian) { Data($0) } + text + Data(count: 8)).write(to: file)
    #expect(throws: FileError.self) { try Safetensors(contentsOf: file) }
    try (Data(repeating: 255, count: 8) + text).write(to: file)
    #expect(throws: FileError.self) { try Safetensors(contentsOf: file) }
  }
}
