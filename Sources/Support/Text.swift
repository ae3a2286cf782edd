import Foundation

extension String {
  /// This as a field of a CSV line (RFC 4180): quoted, as it may hold a comma or a quotation mark.
  public var csvField: String { "\"" + replacing("\"", with: "\"\"") + "\"" }

  /// This as one word of a POSIX shell's command line: as it is where the shell reads it so, else in single quotes.
  public var shellQuoted: String {
    let isPlain = wholeMatch(of: /[A-Za-z0-9_@%+=:,.\/-]+/) != nil
    return isPlain ? self : "'" + replacing("'", with: "'\\''") + "'"
  }

  /// This as a part of a message: at most `length` characters, and no control characters, which a terminal would obey.
  public func printable(_ length: Int = 600) -> String {
    let isShort = utf8.count <= length || count <= length
    let text = isShort ? self : prefix(length - 1) + "…"
    let isClean = text.unicodeScalars.allSatisfy { !$0.isControl }
    return isClean ? text : String(String.UnicodeScalarView(text.unicodeScalars.map { $0.isControl ? "\u{fffd}" : $0 }))
  }
}

extension Unicode.Scalar {
  /// True if a terminal may take it for an order; line breaks and tabs are none.
  fileprivate var isControl: Bool { properties.generalCategory == .control && self != "\n" && self != "\t" }
}
