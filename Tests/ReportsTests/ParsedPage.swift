import Foundation
import ResLensReports

#if canImport(FoundationXML)
  import FoundationXML
#endif

/// A page as an XML reader sees it.
final class ParsedPage: NSObject, XMLParserDelegate {
  private(set) var elements: [String: Int] = [:]
  private(set) var ids: [String] = []
  private(set) var references: [String] = []
  private(set) var text = ""
  private(set) var problem: String?

  init(_ file: URL) throws {
    super.init()
    let parser = XMLParser(data: try Data(contentsOf: file))
    parser.delegate = self
    if !parser.parse() {
      problem = "line \(parser.lineNumber): \(parser.parserError.map(String.init(describing:)) ?? "")"
    }
  }

  func parser(
    _ parser: XMLParser, didStartElement name: String, namespaceURI: String?, qualifiedName: String?,
    attributes: [String: String]
  ) {
    elements[name, default: 0] += 1
    ids += attributes["id"].map { [$0] } ?? []
    references += ["href", "src", "xlink:href"].compactMap { attributes[$0] }
  }

  func parser(_ parser: XMLParser, foundCharacters string: String) { text += string }
}

/// A folder of its own for a test, removed at its end.
final class Scratch {
  let url = FileManager.default.temporaryDirectory.appendingPathComponent("reports-\(UUID().uuidString)")

  init() throws { try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true) }

  deinit { try? FileManager.default.removeItem(at: url) }

  var page: URL { url.appendingPathComponent("report.html") }

  func names(in folder: String = "") throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: url.appendingPathComponent(folder).path).sorted()
  }

  func text(_ path: String) throws -> String {
    try String(contentsOf: url.appendingPathComponent(path), encoding: .utf8)
  }

  /// A shell script that stands in for gnuplot.
  func gnuplot(_ script: String) throws -> Gnuplot {
    let file = url.appendingPathComponent("fake-gnuplot")
    try Data("#!/bin/sh\n\(script)\n".utf8).write(to: file)
    try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: file.path)
    return Gnuplot(executable: file)
  }
}
