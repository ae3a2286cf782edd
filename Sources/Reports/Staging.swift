import Foundation
import Host

/// A hidden folder in which a report is made before it takes an earlier one's place.
struct Staging {
  static let page = "page.html"
  private let html: URL
  private let folder: URL

  init(beside html: URL) throws(FileError) {
    self.html = html
    folder = html.deletingLastPathComponent().appendingPathComponent(".report-\(UUID().uuidString)")
    var isDirectory: ObjCBool = false
    if FileManager.default.fileExists(atPath: html.path, isDirectory: &isDirectory), isDirectory.boolValue {
      throw FileError(path: html.path, problem: "is a folder", remedy: "name a file, for instance report.html")
    }
    try Files.makeFolder(folder)
  }

  func file(_ name: String) -> URL { folder.appendingPathComponent(name) }

  func write(_ text: String, as name: String) throws(FileError) { try Files.write(text, to: file(name)) }

  /// What gnuplot drew. On a full disk it leaves half a picture and says nothing.
  func picture(_ name: String) throws(FileError) -> String {
    let text = (try? String(contentsOf: file(name), encoding: .utf8)) ?? ""
    guard text.trimmingCharacters(in: .whitespacesAndNewlines).hasSuffix("</svg>") else {
      throw FileError(
        path: name, problem: "gnuplot ended well but left \(text.isEmpty ? "no picture" : "half a picture")",
        remedy: "make room, and check with `gnuplot --version` that GNUPLOT or PATH leads to gnuplot 5.4 or later")
    }
    return text
  }

  /// Moves everything to where it belongs. A picture that was not drawn is removed, so that none is left that shows
  /// other numbers than the `.csv` beside it.
  func publish(figures: [String], pictures: Bool) throws(FileError) {
    let target = html.deletingLastPathComponent().appendingPathComponent("figures")
    if !figures.isEmpty { try Files.makeFolder(target) }
    for name in figures {
      for suffix in [".csv", ".gp"] + (pictures ? [".svg"] : []) {
        try Files.move(file(name + suffix), to: target.appendingPathComponent(name + suffix))
      }
      if !pictures { try? FileManager.default.removeItem(at: target.appendingPathComponent(name + ".svg")) }
    }
    try Files.move(file(Self.page), to: html)
  }

  func discard() { try? FileManager.default.removeItem(at: folder) }
}
