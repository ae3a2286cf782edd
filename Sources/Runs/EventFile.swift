import Foundation

/// The bytes of an event file of TensorBoard: TFRecords, each of which holds a message `Event`
/// (`tensorboard/compat/proto/event.proto`).
enum EventFile {
  /// A number of a curve.
  struct Scalar {
    /// The curve's name. TensorBoard groups curves by what comes before the first "/".
    var tag: String
    /// The number, which TensorBoard's files hold as a Float.
    var value: Double
  }

  /// The first record of a file, which names the format's version.
  static func header(_ time: Date) -> Data {
    var event = Message()
    event.add(1, time.timeIntervalSince1970)
    event.add(3, "brain.Event:2")
    return record(event.bytes)
  }

  /// The record of the numbers of one step.
  static func record(_ scalars: [Scalar], step: Int, _ time: Date) -> Data {
    var summary = Message()
    for scalar in scalars {
      var value = Message()
      value.add(1, scalar.tag)
      value.add(2, Float(scalar.value))
      summary.add(1, value.bytes)
    }
    var event = Message()
    event.add(1, time.timeIntervalSince1970)
    event.add(2, UInt64(step))
    event.add(5, summary.bytes)
    return record(event.bytes)
  }

  /// A TFRecord: the length, the data, and a checksum of each.
  private static func record(_ data: Data) -> Data {
    let length = littleEndian(UInt64(data.count))
    return length + littleEndian(maskedChecksum(length)) + data + littleEndian(maskedChecksum(data))
  }

  /// The CRC-32C of the bytes, masked as TFRecords have it.
  private static func maskedChecksum(_ bytes: Data) -> UInt32 {
    let checksum = ~bytes.reduce(UInt32.max) { table[Int(UInt8(truncatingIfNeeded: $0) ^ $1)] ^ ($0 >> 8) }
    return (checksum >> 15 | checksum << 17) &+ 0xa282_ead8
  }

  /// The CRC-32C of each byte.
  private static let table: [UInt32] = (0..<256).map { byte in
    (0..<8).reduce(UInt32(byte)) { remainder, _ in remainder >> 1 ^ (remainder & 1 == 1 ? 0x82f6_3b78 : 0) }
  }

  /// A message in the encoding of protocol buffers: a key before each field, then its value.
  private struct Message {
    private(set) var bytes = Data()

    mutating func add(_ field: Int, _ value: UInt64) { bytes += Self.varint(UInt64(field << 3)) + Self.varint(value) }

    mutating func add(_ field: Int, _ value: Double) {
      bytes += Self.varint(UInt64(field << 3 | 1)) + littleEndian(value.bitPattern)
    }

    mutating func add(_ field: Int, _ value: Float) {
      bytes += Self.varint(UInt64(field << 3 | 5)) + littleEndian(value.bitPattern)
    }

    mutating func add(_ field: Int, _ value: String) { add(field, Data(value.utf8)) }

    mutating func add(_ field: Int, _ value: Data) {
      bytes += Self.varint(UInt64(field << 3 | 2)) + Self.varint(UInt64(value.count)) + value
    }

    /// Seven bits in each byte, the lowest first; the highest bit says that more follow.
    private static func varint(_ value: UInt64) -> Data {
      var (rest, bytes) = (value, Data())
      while rest > 0x7f {
        bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
        rest >>= 7
      }
      return bytes + [UInt8(rest)]
    }
  }
}

/// The bytes of a whole number, the lowest first.
private func littleEndian(_ value: some FixedWidthInteger) -> Data {
  withUnsafeBytes(of: value.littleEndian) { Data($0) }
}
