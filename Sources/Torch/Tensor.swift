import CTorch

/// The type of a tensor's elements.
public enum ElementType: String, Codable, Sendable, CaseIterable {
  case uint8, int64, bfloat16, float32, float64

  var code: ctorch_dtype {
    switch self {
    case .uint8: CTORCH_UINT8
    case .int64: CTORCH_INT64
    case .bfloat16: CTORCH_BFLOAT16
    case .float32: CTORCH_FLOAT32
    case .float64: CTORCH_FLOAT64
    }
  }

  init(code: ctorch_dtype) {
    self = Self.allCases.first { $0.code == code } ?? .float32
  }

  /// Bytes an element.
  public var size: Int {
    switch self {
    case .uint8: 1
    case .bfloat16: 2
    case .float32: 4
    case .int64, .float64: 8
    }
  }
}

/// An array of numbers in libtorch's memory, freed when the last reference goes.
///
/// Images are N×C×H×W and lie channels-last. Operations return new tensors; the few that write in place say so in
/// their name (`add(into:)`). A tensor belongs to the thread that uses it: it is not Sendable.
public final class Tensor {
  let handle: ctorch_tensor

  init(owning handle: ctorch_tensor) { self.handle = handle }

  deinit { ctorch_tensor_free(handle) }

  /// Calls a C function that hands out one tensor.
  static func make(_ body: (UnsafeMutablePointer<ctorch_tensor?>) -> Int32) throws -> Tensor {
    var out: ctorch_tensor?
    try check(body(&out))
    return try adopt(out)
  }

  /// The owner of a handle that a successful call gave out.
  static func adopt(_ handle: ctorch_tensor?) throws -> Tensor {
    guard let handle else { throw TorchError.missingResult }
    return Tensor(owning: handle)
  }

  // MARK: making

  /// All 0, on the processor.
  public static func zeros(_ shape: [Int], _ type: ElementType = .float32) throws -> Tensor {
    try make { ctorch_zeros(type.code, shape.map(Int64.init), Int32(shape.count), $0) }
  }

  /// Every element `value`.
  public static func full(_ shape: [Int], _ value: Double, _ type: ElementType = .float32) throws -> Tensor {
    let zeros = try Tensor.zeros(shape, .float64)
    return try Tensor(Array(repeating: value, count: zeros.count), shape: shape).converted(to: type)
  }

  /// Normally distributed elements with mean 0. They depend on shape, deviation and seed only.
  public static func normal(
    _ shape: [Int], deviation: Double, seed: UInt64, _ type: ElementType = .float32
  ) throws -> Tensor {
    try make { ctorch_normal(type.code, shape.map(Int64.init), Int32(shape.count), deviation, seed, $0) }
  }

  /// Copies `bytes`, the elements in row-major order and native byte order.
  /// - Throws: `TorchError` if their number does not fit `shape`.
  public convenience init(bytes: UnsafeRawBufferPointer, shape: [Int], type: ElementType) throws {
    try self.init(copying: bytes.baseAddress, byteCount: bytes.count, shape: shape, type: type)
  }

  /// A tensor on memory that `owner` keeps, the elements in row-major order and native byte order. It must never be written.
  /// - Throws: `TorchError` if the number of bytes does not fit `shape`.
  convenience init(sharing bytes: UnsafeRawBufferPointer, of owner: AnyObject, shape: [Int], type: ElementType) throws {
    var out: ctorch_tensor?
    let kept = Unmanaged.passRetained(owner).toOpaque()
    try check(
      ctorch_share(
        type.code, shape.map(Int64.init), Int32(shape.count), bytes.baseAddress, bytes.count, kept,
        { owner in if let owner { Unmanaged<AnyObject>.fromOpaque(owner).release() } }, &out))
    guard let out else { throw TorchError.missingResult }
    self.init(owning: out)
  }

  private convenience init(copying bytes: UnsafeRawPointer?, byteCount: Int, shape: [Int], type: ElementType) throws {
    var out: ctorch_tensor?
    try check(ctorch_from_bytes(type.code, shape.map(Int64.init), Int32(shape.count), bytes, byteCount, &out))
    guard let out else { throw TorchError.missingResult }
    self.init(owning: out)
  }

  public convenience init(_ values: [Float], shape: [Int]) throws {
    try self.init(copying: values, byteCount: values.count * ElementType.float32.size, shape: shape, type: .float32)
  }
  public convenience init(_ values: [Double], shape: [Int]) throws {
    try self.init(copying: values, byteCount: values.count * ElementType.float64.size, shape: shape, type: .float64)
  }
  public convenience init(_ values: [Int64], shape: [Int]) throws {
    try self.init(copying: values, byteCount: values.count * ElementType.int64.size, shape: shape, type: .int64)
  }
  public convenience init(_ values: [UInt8], shape: [Int]) throws {
    try self.init(copying: values, byteCount: values.count * ElementType.uint8.size, shape: shape, type: .uint8)
  }

  // MARK: reading

  /// Its sizes, the outermost dimension first.
  public var shape: [Int] { (0..<ctorch_rank(handle)).map { Int(ctorch_size(handle, $0)) } }
  /// The type of the tensor's elements.
  public var elementType: ElementType { ElementType(code: ctorch_dtype_of(handle)) }
  /// Where it lies.
  public var device: Device { Device(code: ctorch_device_of(handle)) }
  /// The number of elements.
  public var count: Int { shape.reduce(1, *) }

  /// The elements in row-major order.
  public func bytes() throws -> [UInt8] {
    let size = count * elementType.size
    var bytes = [UInt8](repeating: 0, count: size)
    try check(ctorch_to_bytes(handle, &bytes, size))
    return bytes
  }

  /// The elements in row-major order, converted to float64.
  public func doubles() throws -> [Double] {
    let source = try converted(to: .float64)
    var values = [Double](repeating: 0, count: source.count)
    try check(ctorch_to_bytes(source.handle, &values, values.count * MemoryLayout<Double>.size))
    return values
  }

  // MARK: copies and views

  /// The tensor converted to another element type; the tensor itself where it has that type already.
  public func converted(to type: ElementType) throws -> Tensor {
    type == elementType ? self : try .make { ctorch_convert(handle, type.code, $0) }
  }

  /// The elements in row-major order as a tensor of another shape, on the processor; the tensor itself where it has that
  /// shape already.
  /// - Throws: `TorchError` where the shape has another number of elements.
  public func reshaped(_ shape: [Int]) throws -> Tensor {
    guard shape != self.shape else { return self }
    return try bytes().withUnsafeBytes { try Tensor(bytes: $0, shape: shape, type: elementType) }
  }

  /// The tensor on another device; the tensor itself where it is there already. A device is not waited for.
  public func moved(to device: Device) throws -> Tensor {
    guard device != self.device else { return self }
    let code = try device.code()
    return try .make { ctorch_to_device(handle, code, $0) }
  }

  /// The rows of dimension 0 that `indices` (N, int64) names, in that order.
  public func rows(at indices: Tensor) throws -> Tensor { try .make { ctorch_select_rows(handle, indices.handle, $0) } }

  /// A column of a matrix, on the same memory.
  public func column(_ index: Int) throws -> Tensor { try .make { ctorch_column(handle, Int64(index), $0) } }

  /// The rows of `range` along dimension 0, on the same memory.
  public func rows(_ range: Range<Int>) throws -> Tensor {
    try .make { ctorch_rows(handle, Int64(range.lowerBound), Int64(range.upperBound), $0) }
  }

  /// Overwrites the elements with those of `source`, of the same shape. A device is not waited for.
  public func copy(from source: Tensor) throws { try check(ctorch_copy_into(handle, source.handle)) }

  /// True if shapes and all elements are equal.
  public func equals(_ other: Tensor) throws -> Bool {
    guard shape == other.shape, elementType == other.elementType else { return false }
    var answer = false
    try check(ctorch_equal(handle, other.handle, &answer))
    return answer
  }

  /// True if every element is a finite number.
  public func isFinite() throws -> Bool {
    var answer = false
    try check(ctorch_is_finite(handle, &answer))
    return answer
  }

  // MARK: arithmetic

  /// self + scale·other
  public func adding(_ other: Tensor, scale: Double = 1) throws -> Tensor {
    try .make { ctorch_add(handle, other.handle, scale, $0) }
  }

  /// target ← target + scale·self
  public func add(into target: Tensor, scale: Double = 1) throws {
    try check(ctorch_add_into(target.handle, handle, scale))
  }

  /// A new tensor, every element times `scale`.
  public func scaled(by scale: Double) throws -> Tensor { try .make { ctorch_scaled(handle, scale, $0) } }

  /// A new tensor, every sample (dimension 0) times a scale of its own.
  /// - Throws: `TorchError` where there are not as many scales as samples.
  public func scaled(bySample scales: [Double]) throws -> Tensor {
    guard shape.first == scales.count else { throw TorchError(message: "\(scales.count) scales of a \(shape) tensor") }
    return try .make { ctorch_scaled_samples(handle, scales, $0) }
  }
}
