import Foundation
import ResLensSupport
import ResLensTasks
import ResLensResults
import TestSupport
import Testing
import ResLensTorch

@Suite struct BatchTests {
  private let dataset: ImageDataset

  init() throws { dataset = try Synthetic.dataset(seed: 1, train: 60, validation: 20) }

  @Test("An epoch's order has every index once and depends on seed and epoch only")
  func order() throws {
    let maker = try BatchMaker(statistics: dataset.statistics, seed: 4)
    let order = try maker.order(count: 1000, epoch: 3)
    #expect(order.sorted() == Array(0..<1000))
    #expect(try order == BatchMaker(statistics: dataset.statistics, seed: 4).order(count: 1000, epoch: 3))
    #expect(try order != maker.order(count: 1000, epoch: 4))
    #expect(try order != BatchMaker(statistics: dataset.statistics, seed: 5).order(count: 1000, epoch: 3))
  }

  @Test("An image is augmented alike in whatever batch it comes")
  func augmentation() throws {
    let maker = try BatchMaker(statistics: dataset.statistics, seed: 4)
    let augmentation = Augmentation(flip: true, translate: 4)
    let together = try maker.batch(dataset.train, [7, 3, 9], augmentation: augmentation, epoch: 2)
    for (place, index) in [7, 3, 9].enumerated() {
      let alone = try maker.batch(dataset.train, [index], augmentation: augmentation, epoch: 2)
      let row = try together.images.rows(place..<place + 1)
      #expect(try alone.images.equals(row))
      #expect(try together.labels.doubles()[place] == Double(dataset.train.labels[index]))
    }
    let later = try maker.batch(dataset.train, [7, 3, 9], augmentation: augmentation, epoch: 3)
    #expect(try !later.images.equals(together.images))
  }

  @Test("Flips are half of the images and shifts reach every place")
  func distribution() throws {
    // One lit pixel in the middle of a 9×9 image tells where it went.
    var pixels = [UInt8](repeating: 0, count: 2000 * 81)
    for image in 0..<2000 { pixels[image * 81 + 4 * 9 + 3] = 255 }
    let set = try ImageSet(pixels: pixels, labels: Array(repeating: 0, count: 2000), channels: 1, height: 9, width: 9)
    let maker = try BatchMaker(statistics: try ChannelStatistics(of: set.images), seed: 1)
    let images = try maker.batch(set, 0..<2000, augmentation: .init(flip: true, translate: 0), epoch: 0).images
      .doubles()
    let flipped = (0..<2000).count { images[$0 * 81 + 4 * 9 + 5] > 1 }
    // Five standard deviations of a binomial count.
    #expect(abs(flipped - 1000) < 112)
    let moved = try maker.batch(set, 0..<2000, augmentation: .init(flip: false, translate: 2), epoch: 0).images
      .doubles()
    let places = Set((0..<2000).compactMap { image in (0..<81).first { moved[image * 81 + $0] > 1 } })
    #expect(places.count == 25)
  }

  @Test("A normalised train set has mean 0 and deviation 1 in each channel")
  func statistics() throws {
    let maker = try BatchMaker(statistics: dataset.statistics, type: .float64)
    let values = try maker.batch(dataset.train, 0..<60).images.doubles()
    for channel in 0..<3 {
      let own = values.indices.filter { $0 / 1024 % 3 == channel }.map { values[$0] }
      let mean = own.reduce(0, +) / Double(own.count)
      let variance = own.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(own.count)
      #expect(abs(mean) < 1e-5)
      #expect(abs(variance - 1) < 1e-5)
    }
  }

  @Test("The embedded set depends on its seed, and its splits differ")
  func synthetic() throws {
    let again = try Synthetic.dataset(seed: 1, train: 60, validation: 20)
    #expect(try again.train.images.equals(dataset.train.images))
    #expect(again.train.labels == dataset.train.labels)
    let other = try Synthetic.dataset(seed: 2, train: 60, validation: 20)
    #expect(try !other.train.images.equals(dataset.train.images))
    let first = try dataset.train.images.rows(0..<20)
    #expect(try !first.equals(dataset.validation.images))
    #expect(throws: FileError.self) { try ImageDataset.load("synthetic:x") }
  }

  @Test("A picture of samples is a PNG that other programs read")
  func picture() throws {
    let png = try dataset.train.picture(classes: 10, columns: 4)
    let scratch = try Scratch()
    try Files.write(png, to: scratch.file("x.png"))
    // Python's zlib checks the stream's own sum; the chunk sums are checked here.
    let script = """
      import struct, sys, zlib
      data = open(sys.argv[1], "rb").read()
      assert data[:8] == b"\\x89PNG\\r\\n\\x1a\\n"
      at, body = 8, b""
      while at < len(data):
          size, name = struct.unpack(">I4s", data[at:at + 8])
          content = data[at + 8:at + 8 + size]
          assert zlib.crc32(name + content) == struct.unpack(">I", data[at + 8 + size:at + 12 + size])[0]
          if name == b"IHDR": width, height = struct.unpack(">II", content[:8])
          if name == b"IDAT": body += content
          at += 12 + size
      assert len(zlib.decompress(body)) == height * (1 + 3 * width)
      print(width, height)
      """
    let outcome = try Tool("python3").run(["-c", script, scratch.file("x.png").path])
    #expect(String(decoding: outcome.output, as: UTF8.self) == "136 340\n", Comment(rawValue: outcome.errors))
  }
}
