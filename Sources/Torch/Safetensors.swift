import CTorch
import ResLensSupport
import Foundation

/// Named tensors and a little text in one file, in the safetensors layout: the header's length (8 bytes,
/// little-endian), a JSON header, then the tensors' bytes, row-major and without gaps.
public struct Safetensors {
  /// By name.
  public var tensors: [String: Tensor]
  /// Text by name.
  public var metadata: [String: String]

  public init(tensors: [String: Tensor], metadata: [String: String] = [:]) {
    self.tensors = tensors
    self.metadata = metadata
  }

  // MARK: writing

  /// Writes the file beside and renames it.
  /// - Throws: `FileError` where there is no room or no right; an earlier file then stays as it was.
  public func write(to url: URL) throws {
    try Files.write(encoded(), to: url)
  }

  /// The bytes of the file.
  package func encoded() throws -> Data {
    var header: [String: SafetensorsHeader.Value] = [:]
    if !metadata.isEmpty { header[SafetensorsHeader.metadataKey] = .metadata(metadata) }
    var body = Data()
    for (name, tensor) in tensors.sorted(by: { $0.key < $1.key }) {
      let bytes = try tensor.bytes()
      let entry = SafetensorsHeader.Entry(
        dtype: SafetensorsHeader.code(of: tensor.elementType), shape: tensor.shape,
        data_offsets: [body.count, body.count + bytes.count])
      header[name] = .tensor(entry)
      body.append(contentsOf: bytes)
    }
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    var text = try encoder.encode(header)
    // Readers map the file: the tensors begin at a multiple of eight.
    text.append(contentsOf: repeatElement(UInt8(ascii: " "), count: (8 - text.count % 8) % 8))
    var file = Data()
    withUnsafeBytes(of: UInt64(text.count).littleEndian) { file.append(contentsOf: $0) }
    file.append(text)
    file.append(body)
    return file
  }

  // MARK: reading

  /// - Throws: `FileError` naming the file and the entry where the file is damaged or is none.
  public init(contentsOf url: URL) throws {
    try self.init(decoding: Files.read(url), path: url.path)
  }

  /// Reads the bytes of a file.
  /// - Parameter path: names the file in errors
  package init(decoding file: Data, path: String) throws {
    let header = try SafetensorsHeader(of: file, path: path)
    metadata = header.metadata
    tensors = try header.entries.mapValues { entry in
      try file.dropFirst(entry.bytes.lowerBound).prefix(entry.bytes.count).withUnsafeBytes {
        try Tensor(bytes: $0, shape: entry.shape, type: entry.type)
      }
    }
  }
}

/// A safetensors file whose tensors stay in the file and are read where they are used. The file must not change while it
/// is in use.
public struct MappedSafetensors {
  private let file: MappedFile
  private let header: SafetensorsHeader

  /// - Throws: `FileError` naming the file and the entry where the file is damaged or is none.
  public init(contentsOf url: URL) throws {
    file = try MappedFile(url)
    let bytes = file.bytes
    let data = bytes.baseAddress.map {
      Data(bytesNoCopy: UnsafeMutableRawPointer(mutating: $0), count: bytes.count, deallocator: .none)
    }
    header = try withExtendedLifetime(file) { try SafetensorsHeader(of: data ?? Data(), path: url.path) }
  }

  /// Text by name.
  public var metadata: [String: String] { header.metadata }

  /// A tensor; nil if there is none of that name. One of bytes is on the memory of the file, and must never be written.
  public func tensor(_ name: String) throws -> Tensor? {
    guard let entry = header.entries[name] else { return nil }
    guard entry.type == .uint8 else {
      // Larger elements may begin anywhere in the file.
      return try Tensor(
        bytes: UnsafeRawBufferPointer(rebasing: file.bytes[entry.bytes]), shape: entry.shape, type: entry.type)
    }
    return try Tensor(
      sharing: UnsafeRawBufferPointer(rebasing: file.bytes[entry.bytes]), of: file, shape: entry.shape, type: entry.type
    )
  }
}

/// The header of a safetensors file.
struct SafetensorsHeader {
  let metadata: [String: String]
  /// By name.
  let entries: [String: (shape: [Int], type: ElementType, bytes: Range<Int>)]

  /// Reads it as strictly as the format's own reader does: no key comes twice, and sizes are whole numbers.
  /// - Parameters:
  ///   - file: the whole file
  ///   - path: names the file in errors
  /// - Throws: `FileError` naming the entry where the file is damaged or is none.
  init(of file: Data, path: String) throws {
    func damaged(_ problem: String) -> FileError {
      FileError(
        path: path, problem: "not a whole safetensors file: \(problem)",
        remedy: "copy it again or use another file")
    }
    guard file.count >= 8 else { throw damaged("it has \(file.count) bytes") }
    let length = file.prefix(8).enumerated().reduce(UInt64(0)) { $0 | UInt64($1.element) << (8 * UInt64($1.offset)) }
    guard length <= UInt64(file.count - 8) else {
      throw damaged("its header claims \(length) bytes and the file has \(file.count)")
    }
    guard length <= Self.mostBytes else { throw damaged("its header claims \(length) bytes") }
    let end = 8 + Int(length)
    if let problem = JSON.leniency(in: file[(file.startIndex + 8)..<(file.startIndex + end)]) {
      throw damaged("its header is not plain JSON: \(problem)")
    }
    let header: [String: Value]
    do {
      header = try JSONDecoder().decode([String: Value].self, from: file.dropFirst(8).prefix(Int(length)))
    } catch {
      throw damaged("its header cannot be read")
    }
    var metadata: [String: String] = [:]
    let room = file.count - end
    var named: [(name: String, entry: Entry)] = []
    for (name, value) in header {
      switch value {
      case .metadata(let text): metadata = text
      case .tensor(let entry): named.append((name, entry))
      }
    }
    named.sort { $0.entry.start < $1.entry.start || ($0.entry.start == $1.entry.start && $0.name < $1.name) }
    var (expected, entries): (Int, [String: (shape: [Int], type: ElementType, bytes: Range<Int>)]) = (0, [:])
    for (name, entry) in named {
      guard entry.data_offsets.count == 2, entry.start == expected, entry.end >= entry.start, entry.end <= room else {
        throw damaged("tensor \(name) has offsets \(entry.data_offsets) where \(expected) … \(room) is left")
      }
      guard let type = Self.type(of: entry.dtype) else {
        throw FileError(
          path: path, problem: "tensor \(name) has element type \(entry.dtype), which ResLens does not read",
          remedy: "save weights as float32 (F32), and images as uint8 (U8)")
      }
      guard let size = entry.size(of: type), size == entry.end - entry.start else {
        throw damaged("tensor \(name) of shape \(entry.shape) does not fill its \(entry.end - entry.start) bytes")
      }
      expected = entry.end
      entries[name] = (entry.shape, type, (end + entry.start)..<(end + entry.end))
    }
    guard expected == room else { throw damaged("\(room - expected) bytes belong to no tensor") }
    (self.metadata, self.entries) = (metadata, entries)
  }

  static let metadataKey = "__metadata__"
  /// As the format's own reader has it.
  private static let mostBytes: UInt64 = 100_000_000

  static func code(of type: ElementType) -> String {
    switch type {
    case .uint8: "U8"
    case .int64: "I64"
    case .bfloat16: "BF16"
    case .float32: "F32"
    case .float64: "F64"
    }
  }

  private static func type(of code: String) -> ElementType? {
    ElementType.allCases.first { Self.code(of: $0) == code }
  }

  struct Entry: Codable {
    var dtype: String
    var shape: [Int]
    var data_offsets: [Int]

    var start: Int { data_offsets.first ?? -1 }
    var end: Int { data_offsets.last ?? -1 }

    /// Bytes the shape needs; nil where that overflows or a size is negative.
    func size(of type: ElementType) -> Int? {
      var total = type.size
      for size in shape {
        let (product, overflow) = total.multipliedReportingOverflow(by: size)
        guard !overflow, size >= 0 else { return nil }
        total = product
      }
      return total
    }
  }

  enum Value: Codable {
    case metadata([String: String])
    case tensor(Entry)

    init(from decoder: any Decoder) throws {
      let container = try decoder.singleValueContainer()
      if decoder.codingPath.last?.stringValue == SafetensorsHeader.metadataKey {
        self = .metadata(try container.decode([String: String].self))
      } else {
        self = .tensor(try container.decode(Entry.self))
      }
    }

    func encode(to encoder: any Encoder) throws {
      var container = encoder.singleValueContainer()
      switch self {
      case .metadata(let text): try container.encode(text)
      case .tensor(let entry): try container.encode(entry)
      }
    }
  }
}
