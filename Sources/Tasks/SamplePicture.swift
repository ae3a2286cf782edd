import Foundation
import ResLensSupport
import ResLensTorch

extension ImageSet {
  /// A PNG with the first images of every class, a row a class.
  /// - Throws: `ArgumentError` where it would have more than 256 MiB.
  public func picture(classes: Int, columns: Int = 12) throws -> Data {
    let shape = images.shape
    let (channels, height, width) = (shape[1], shape[2], shape[3])
    let gap = 2
    let (rowBytes, rows) = (3 * columns * (width + gap), classes * (height + gap))
    guard Double(rowBytes) * Double(rows) <= Double(256 << 20) else {
      throw ArgumentError("picture", "\(classes) classes of \(height)×\(width) pixels are too many for one picture")
    }
    var canvas = [UInt8](repeating: 255, count: rowBytes * rows)
    var filled = [Int](repeating: 0, count: classes)
    for (index, label) in labels.enumerated() where label < classes && filled[label] < columns {
      let pixels = try images.rows(index..<index + 1).bytes()
      for y in 0..<height {
        for x in 0..<width {
          let target = (label * (height + gap) + y) * rowBytes + 3 * (filled[label] * (width + gap) + x)
          for colour in 0..<3 {
            canvas[target + colour] = pixels[(min(colour, channels - 1) * height + y) * width + x]
          }
        }
      }
      filled[label] += 1
    }
    return PNG.encode(rgb: canvas, width: columns * (width + gap), height: rows)
  }
}

/// Uncompressed PNG, eight bits a colour: all that a page of thumbnails needs.
enum PNG {
  static func encode(rgb: [UInt8], width: Int, height: Int) -> Data {
    func big(_ value: UInt32) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: value >> (24 - 8 * $0)) } }
    var file: [UInt8] = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]
    func chunk(_ name: String, _ body: [UInt8]) {
      let content = Array(name.utf8) + body
      file += big(UInt32(body.count)) + content + big(crc32(content))
    }
    chunk("IHDR", big(UInt32(width)) + big(UInt32(height)) + [8, 2, 0, 0, 0])
    var rows: [UInt8] = []
    for y in 0..<height { rows += [0] + rgb[(y * 3 * width)..<((y + 1) * 3 * width)] }
    // zlib's container with stored blocks.
    var packed: [UInt8] = [0x78, 0x01]
    for start in stride(from: 0, to: rows.count, by: 65535) {
      let block = rows[start..<min(start + 65535, rows.count)]
      let (low, high) = (UInt8(block.count & 255), UInt8(block.count >> 8))
      packed += [block.endIndex == rows.count ? 1 : 0, low, high, ~low, ~high] + block
    }
    chunk("IDAT", packed + big(adler32(rows)))
    chunk("IEND", [])
    return Data(file)
  }

  private static func crc32(_ bytes: [UInt8]) -> UInt32 {
    ~bytes.reduce(~UInt32(0)) { crc, byte in
      (0..<8).reduce(crc ^ UInt32(byte)) { value, _ in (value >> 1) ^ (value & 1 == 1 ? 0xedb8_8320 : 0) }
    }
  }

  private static func adler32(_ bytes: [UInt8]) -> UInt32 {
    let sums = bytes.reduce((a: UInt32(1), b: UInt32(0))) { sums, byte in
      let a = (sums.a + UInt32(byte)) % 65521
      return (a, (sums.b + a) % 65521)
    }
    return sums.b << 16 | sums.a
  }
}
