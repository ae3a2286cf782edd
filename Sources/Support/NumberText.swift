import Foundation

// Numbers as people read them: in pages, in terminal tables and in the findings about claims.

/// A number with a fixed number of decimals and a true minus sign.
public func decimal(_ value: Double, _ digits: Int) -> String {
  guard value.isFinite else { return value.isNaN ? "nan" : value < 0 ? "−∞" : "∞" }
  return String(format: "%.\(digits)f", value).replacing("-", with: "−")
}

/// A share, 0 … 1, in per cent; the sign stays on the number's line.
public func percent(_ share: Double, _ digits: Int = 2) -> String { decimal(100 * share, digits) + "\u{00A0}%" }

/// A number with that many decimals, unless it is so small or so large that they would say nothing: then four
/// significant digits.
public func readable(_ value: Double, _ digits: Int = 4) -> String {
  value == 0 || (abs(value) >= pow(10, Double(2 - digits)) && abs(value) < 1e5)
    ? decimal(value, digits) : significant(value)
}

/// A number of any size with four significant digits; one that is very large or small as a multiple of a power of ten,
/// for instance "1.069·10¹¹".
public func significant(_ value: Double) -> String {
  guard value.isFinite else { return decimal(value, 0) }
  let parts = String(format: "%.4g", value).split(separator: "e")
  let number = parts[0].replacing("-", with: "−")
  guard parts.count == 2, let exponent = Int(parts[1]) else { return String(number) }
  let digits = String(exponent).map { digit in digit.wholeNumberValue.map { superscripts[$0] } ?? "⁻" }
  return number + "·10" + digits.joined()
}

/// A number with two significant digits and an exponent, for differences: "3.1e-07".
public func scientific(_ value: Double) -> String { String(format: "%.1e", value) }

private let superscripts = ["⁰", "¹", "²", "³", "⁴", "⁵", "⁶", "⁷", "⁸", "⁹"]

/// A number of things: "1 step", "3 steps".
public func counted(_ count: Int, _ noun: String) -> String { "\(count) \(noun)\(count == 1 ? "" : "s")" }
