import Foundation
import ResLensSupport

/// The drawn figures of some sections, and the sections with them.
struct Pictures {
  /// The names of all figures, drawn or not.
  private(set) var names: [String] = []
  /// By the figure's name; none where gnuplot is missing.
  private var drawn: [String: Markup] = [:]
  private let folder: String

  init(of sections: [Section], _ staging: Staging, _ gnuplot: Gnuplot?) throws(FileError) {
    folder = staging.figureFolder
    for figure in sections.flatMap(\.figures) {
      names.append(figure.name)
      guard let svg = try staging.draw(figure, gnuplot) else { continue }
      drawn[figure.name] = Self.inlined(svg, figure: figure, prefix: "f\(names.count)-")
    }
  }

  /// A picture as part of a page: its identifiers made the page's own, gnuplot's tool tips left out.
  private static func inlined(_ svg: String, figure: Figure, prefix: String) -> Markup {
    let start = svg.range(of: "<svg")?.lowerBound ?? svg.startIndex
    var text = compact(String(svg[start...]))
    for mark in [" id='", " id=\"", "href='#", "url(#"] {
      text = text.replacing(mark, with: mark + prefix)
    }
    let label: Markup = "<svg role=\"img\" aria-label=\"\(figure.title)\" fill=\"none\" stroke=\"currentColor\""
    return Markup(verbatim: text.replacing("<svg", with: label.text, maxReplacements: 1))
  }

  /// The picture in fewer bytes. gnuplot gives every group the same colours, which the page sets once, and leaves two of
  /// three groups empty; a page with many networks would be three times as large.
  static func compact(_ svg: String) -> String {
    let idle = [
      (#"<title>[^<]*</title>|<filter[\s\S]*?</filter>"#, ""),
      (#" stroke-linecap="butt"| stroke-linejoin="miter"| class="gridline"| font-family="sans-serif""#, ""),
      (#"<g fill="none" color="\w+" stroke="[^"]*""#, "<g"), (#"<g id="gnuplot_plot_\w+" ?>"#, "<g>"),
      (
        #"<g transform="(translate\([^"]*)" stroke="none" fill="black" font-size="([\d.]+)"\s+text-anchor="(\w+)">\s*<text><tspan >([^<]*)</tspan></text>\s*</g>"#,
        #"<text transform="$1" font-size="$2" text-anchor="$3">$4</text>"#
      ),
      // Coordinates lose a digit, and a zero behind the point. Numbers outside of tags are text and stay.
      (#"(\d\.\d)\d(?=[ ,'")])(?=[^<>]*>)"#, "$1"), (#"(?<!version=")(\d)\.0(?=[ ,'")])(?=[^<>]*>)"#, "$1"),
      (#"rgb\( *(\d+), *(\d+), *(\d+)\)"#, "rgb($1,$2,$3)"),
      (#"\s*\n\s*"#, "\n"), (#"\s+(['"]/>)"#, "$1"),
    ]
    var text = svg
    func replace(_ pattern: String, _ replacement: String) {
      text = text.replacingOccurrences(of: pattern, with: replacement, options: .regularExpression)
    }
    for (pattern, replacement) in idle { replace(pattern, replacement) }
    // A group of empty groups is empty once they are gone.
    var before = 0
    while text.utf8.count != before {
      before = text.utf8.count
      replace(#"<g[^>]*>\s*</g>"#, "")
    }
    return text
  }

  /// A section as a page shows it.
  func markup(of section: Section) -> Markup {
    // Without pictures the numbers are what there is to look at.
    let isOpen: Markup = drawn.isEmpty ? " open=\"open\"" : ""
    let tables: Markup =
      section.tables.isEmpty
      ? "" : "<details\(isOpen)><summary>The numbers</summary>\(section.tables)</details>"
    return """
      <section id="\(section.id)"><h2>\(section.title)</h2>
      \(section.text.map { text -> Markup in "<p>\(text)</p>" })
      \(section.gaps.map { gap -> Markup in "<p class=\"gap\">\(gap.introduction): <code>\(gap.command)</code></p>" })
      \(section.notes.map { note -> Markup in "<p class=\"note\">\(note)</p>" })
      \(section.overview)
      \(section.illustrations.map(figure))
      \(tables)
      </section>
      """
  }

  private func figure(of illustration: Section.Illustration) -> Markup {
    let shown = illustration.figures.map { figure -> Markup in
      guard let picture = drawn[figure.name] else {
        return """
          <p class="gap">The picture “\(figure.title)” is missing, because gnuplot was not found. To have it, \
          \(Gnuplot.installation), and write the report again.</p>
          """
      }
      return "<div class=\"picture\">\(picture)</div>"
    }
    let sources = illustration.figures.map { figure -> Markup in
      "<a href=\"\(folder)/\(figure.name).csv\">\(figure.name).csv</a> <a href=\"\(folder)/\(figure.name).gp\">.gp</a>"
    }
    let caption: Markup = drawn.isEmpty ? "" : illustration.caption
    return
      "<figure>\(shown)<figcaption>\(caption) <span class=\"sources\">\(sources)</span></figcaption></figure>"
  }
}
