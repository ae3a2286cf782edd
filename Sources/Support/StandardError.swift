import Foundation

/// The program's standard error. What cannot be written there is dropped: a program does not end because nobody listens.
public enum StandardError {
  /// Writes text, after what was printed to standard output before it, so that lines keep their order where both go to
  /// one file.
  public static func write(_ text: String) {
    fflush(nil)
    var bytes = Array(text.utf8)[...]
    while !bytes.isEmpty {
      let count = bytes.withUnsafeBytes { Foundation.write(STDERR_FILENO, $0.baseAddress, $0.count) }
      if count < 0 && errno == EINTR { continue }
      guard count > 0 else { return }
      bytes = bytes.dropFirst(count)
    }
  }
}
