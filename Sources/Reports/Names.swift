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
