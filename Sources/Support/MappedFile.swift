import Foundation

/// The bytes of a file, of which only those that are looked at are read. The file must not change while it is in use.
public final class MappedFile {
  /// All bytes, valid as long as this object is.
  public let bytes: UnsafeRawBufferPointer

  /// - Throws: `FileError` where there is no such file, or it cannot be read.
  public init(_ url: URL) throws(FileError) {
    try Files.checkIsFile(url)
    let descriptor = open(url.path, O_RDONLY)
    guard descriptor >= 0 else { throw Self.unreadable(url) }
    defer { close(descriptor) }
    let size = lseek(descriptor, 0, SEEK_END)
    guard size >= 0 else { throw Self.unreadable(url) }
    guard size > 0 else {
      bytes = UnsafeRawBufferPointer(start: nil, count: 0)
      return
    }
    guard let start = mmap(nil, Int(size), PROT_READ, MAP_PRIVATE, descriptor, 0), start != MAP_FAILED else {
      throw Self.unreadable(url)
    }
    bytes = UnsafeRawBufferPointer(start: start, count: Int(size))
  }

  private static func unreadable(_ url: URL) -> FileError {
    FileError(
      path: url.path, problem: "cannot be read: \(String(cString: strerror(errno)))", remedy: "check who may read it")
  }

  deinit {
    if let start = bytes.baseAddress { munmap(UnsafeMutableRawPointer(mutating: start), bytes.count) }
  }
}
