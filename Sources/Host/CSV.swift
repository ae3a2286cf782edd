extension String {
  /// This as a field of a CSV line (RFC 4180): quoted, as it may hold a comma or a quotation mark.
  public var csvField: String { "\"" + replacing("\"", with: "\"\"") + "\"" }
}
