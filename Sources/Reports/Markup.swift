/// A piece of a page. What is interpolated as text is escaped; only other markup goes in as it is.
struct Markup: ExpressibleByStringInterpolation, Equatable {
  var text: String

  init(stringLiteral value: String) { text = value }

  /// Takes text that is markup already.
  init(verbatim text: String) { self.text = text }

  /// Text in which the letters and digits behind "_" stand below the line.
  init(subscripted text: String) {
    let escaped: Markup = "\(text)"
    self.text = escaped.text.replacing(/_([A-Za-z0-9]+)/) { "<sub>\($0.output.1)</sub>" }
  }

  init(stringInterpolation: StringInterpolation) { text = stringInterpolation.text }

  static func + (left: Markup, right: Markup) -> Markup { Markup(verbatim: left.text + right.text) }

  struct StringInterpolation: StringInterpolationProtocol {
    var text = ""

    init(literalCapacity: Int, interpolationCount: Int) { text.reserveCapacity(literalCapacity) }

    mutating func appendLiteral(_ literal: String) { text += literal }

    mutating func appendInterpolation(_ value: String) {
      for scalar in value.singleLine.unicodeScalars {
        switch scalar {
        case "&": text += "&amp;"
        case "<": text += "&lt;"
        case ">": text += "&gt;"
        case "\"": text += "&quot;"
        case "'": text += "&#39;"
        case "\u{FFFE}", "\u{FFFF}": text += "\u{FFFD}"  // not characters in XML
        default: text.unicodeScalars.append(scalar)
        }
      }
    }

    mutating func appendInterpolation(_ value: Int) { text += String(value) }

    mutating func appendInterpolation(_ value: Markup) { text += value.text }

    mutating func appendInterpolation(_ values: [Markup]) { text += values.map(\.text).joined(separator: "\n") }
  }
}
