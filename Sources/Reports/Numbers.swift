import Foundation

/// A number as it stands in a page: a fixed number of decimals, a true minus sign.
func decimal(_ value: Double, _ digits: Int) -> String {
  guard value.isFinite else { return value.isNaN ? "nan" : value < 0 ? "−∞" : "∞" }
  return String(format: "%.\(digits)f", value).replacing("-", with: "−")
}

/// A share, 0 … 1, in per cent; the sign stays on the number's line.
func percent(_ share: Double, _ digits: Int = 2) -> String { decimal(100 * share, digits) + "\u{00A0}%" }

/// So many decimals, as long as they say something: not of what is far smaller or larger.
func readable(_ value: Double, _ digits: Int) -> String {
  value == 0 || (abs(value) >= pow(10, Double(2 - digits)) && abs(value) < 1e5)
    ? decimal(value, digits) : significant(value)
}

/// A number of any size, four significant digits.
func significant(_ value: Double) -> String {
  value.isFinite ? String(format: "%.4g", value).replacing("-", with: "−") : decimal(value, 0)
}

extension String {
  /// Without line breaks and other control characters, for file formats where they would mean something.
  var singleLine: String {
    String(String.UnicodeScalarView(unicodeScalars.map { $0.properties.generalCategory == .control ? " " : $0 }))
  }

  /// At most `length` characters, the middle left out: runs' names tend to differ at their ends.
  func abbreviated(to length: Int) -> String {
    count <= length ? self : prefix(length / 2) + "…" + suffix(length - length / 2 - 1)
  }
}
