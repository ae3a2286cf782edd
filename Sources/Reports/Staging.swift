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
    try create(folder)
  }

  func file(_ name: String) -> URL { folder.appendingPathComponent(name) }

  func write(_ text: String, as name: String) throws(FileError) {
    do {
      try Data(text.utf8).write(to: file(name))
    } catch {
      throw FileError(
        path: html.deletingLastPathComponent().path, problem: "\(name) cannot be written (\(reason(error)))",
        remedy: "make room and check the folder's permissions, or name another file")
    }
  }

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
    if !figures.isEmpty { try create(target) }
    for name in figures {
      for suffix in [".csv", ".gp"] + (pictures ? [".svg"] : []) {
        try move(name + suffix, to: target.appendingPathComponent(name + suffix))
      }
      if !pictures { try? FileManager.default.removeItem(at: target.appendingPathComponent(name + ".svg")) }
    }
    try move(Self.page, to: html)
  }

  func discard() { try? FileManager.default.removeItem(at: folder) }

  private func create(_ folder: URL) throws(FileError) {
    do {
      try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    } catch {
      throw FileError(
        path: folder.path, problem: "the folder cannot be made (\(reason(error)))",
        remedy: "check permissions and free space, or name another file for the report")
    }
  }

  /// rename(2) replaces a file in one go, which Foundation's own move does not.
  private func move(_ name: String, to target: URL) throws(FileError) {
    guard rename(file(name).path, target.path) == 0 else {
      throw FileError(
        path: target.path, problem: "cannot be replaced (\(String(cString: strerror(errno))))",
        remedy: "check the permissions of the file and its folder")
    }
  }

  private func reason(_ error: any Error) -> String {
    let cause = (error as NSError).userInfo[NSUnderlyingErrorKey] as? NSError
    return (cause ?? error as NSError).localizedDescription
  }
}
