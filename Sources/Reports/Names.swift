extension String {
  /// Without line breaks and other control characters, for file formats where they would mean something.
  var singleLine: String {
    String(String.UnicodeScalarView(unicodeScalars.map { $0.properties.generalCategory == .control ? " " : $0 }))
  }
}
