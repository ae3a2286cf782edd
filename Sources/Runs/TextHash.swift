import ResLensTorch

/// A hash of a text that is the same in every process and on every machine; names of files are made of it.
enum TextHash {
  /// The 64 bits as hexadecimal digits, without leading zeros.
  static func digits(of text: String) -> String {
    String(RandomStream(seed: 0, name: text).bits(0), radix: 16)
  }
}
