import Foundation
import ResLensSupport

/// A hidden folder in which pages and their figures are made before they take earlier ones' places.
struct Staging {
  /// Where the pages go.
  private let target: URL
  private let folder: URL
  /// The name of the figures' folder beside the pages.
  let figureFolder: String
  /// The formats of the pictures besides SVG, which the pages show.
  private let otherFormats: [Presentation.Format]

  init(in target: URL, figureFolder: String, formats: Set<Presentation.Format>) throws(FileError) {
    self.target = target
    self.figureFolder = figureFolder
    otherFormats = formats.subtracting([.svg]).sorted { $0.rawValue < $1.rawValue }
    Leftovers.sweep(target, prefix: Self.prefix)
    folder = target.appendingPathComponent(Leftovers.name(Self.prefix))
    try Files.makeFolder(folder)
  }

  private static let prefix = ".report"

  func write(_ text: String, as name: String) throws(FileError) {
    try Files.write(text, to: folder.appendingPathComponent(name))
  }

  /// Writes the figure's numbers and script, and draws it where there is gnuplot. A picture that was drawn before by the
  /// same script is taken as it is: the script holds all that is drawn.
  /// - Returns: the SVG; nil without gnuplot
  func draw(_ figure: Figure, _ gnuplot: Gnuplot?) throws(FileError) -> String? {
    let script = figure.script
    try write(figure.data.csv, as: figure.name + ".csv")
    try write(script, as: figure.name + ".gp")
    guard let gnuplot else { return nil }
    for format in otherFormats {
      try gnuplot.draw(folder.appendingPathComponent(figure.name + ".gp"), as: format)
      try check(figure.name + "." + format.rawValue)
    }
    if let drawn = earlier(figure.name, script: script) {
      try write(drawn, as: figure.name + ".svg")
      return drawn
    }
    try gnuplot.draw(folder.appendingPathComponent(figure.name + ".gp"), as: .svg)
    return try picture(figure.name + ".svg")
  }

  private var figures: URL { target.appendingPathComponent(figureFolder) }

  /// The picture of an earlier report; nil where it shows something else.
  private func earlier(_ name: String, script: String) -> String? {
    let text = { (suffix: String) in
      try? String(contentsOf: figures.appendingPathComponent(name + suffix), encoding: .utf8)
    }
    guard text(".gp") == script, let picture = text(".svg"), Self.isWhole(picture) else { return nil }
    return picture
  }

  private static func isWhole(_ svg: String) -> Bool {
    svg.trimmingCharacters(in: .whitespacesAndNewlines).hasSuffix("</svg>")
  }

  /// - Throws: `FileError` where gnuplot left no picture, for instance because it cannot draw the format.
  private func check(_ name: String) throws(FileError) {
    let bytes =
      try? FileManager.default.attributesOfItem(atPath: folder.appendingPathComponent(name).path)[.size] as? Int
    guard bytes ?? 0 > 0 else {
      throw FileError(
        path: name, problem: "gnuplot drew no picture",
        remedy: "use a gnuplot with the terminals pngcairo and pdfcairo, or leave this format out")
    }
  }

  /// Reads the picture that gnuplot drew. On a full disk gnuplot leaves half a picture and reports no error.
  private func picture(_ name: String) throws(FileError) -> String {
    let text = (try? String(contentsOf: folder.appendingPathComponent(name), encoding: .utf8)) ?? ""
    guard Self.isWhole(text) else {
      throw FileError(
        path: name, problem: "gnuplot ended well but left \(text.isEmpty ? "no picture" : "half a picture")",
        remedy: "make room, and check with `gnuplot --version` that GNUPLOT or PATH leads to gnuplot 5.4 or later")
    }
    return text
  }

  /// Moves everything to where it belongs, the pages last, in their order. A picture that was not drawn is removed, so that
  /// none is left that shows other numbers than the `.csv` beside it.
  func publish(figures names: [String], pictures: Bool, pages: [String]) throws(FileError) {
    if !names.isEmpty { try Files.makeFolder(figures) }
    let drawn = pictures ? [.svg] + otherFormats : []
    for name in names {
      for suffix in [".csv", ".gp"] + drawn.map({ ".\($0.rawValue)" }) {
        try Files.move(folder.appendingPathComponent(name + suffix), to: figures.appendingPathComponent(name + suffix))
      }
      for format in Presentation.Format.allCases where !drawn.contains(format) {
        try? FileManager.default.removeItem(at: figures.appendingPathComponent("\(name).\(format.rawValue)"))
      }
    }
    for page in pages {
      try Files.move(folder.appendingPathComponent(page), to: target.appendingPathComponent(page))
    }
  }

  func discard() { try? FileManager.default.removeItem(at: folder) }
}
