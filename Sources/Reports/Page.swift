/// The page around the sections.
struct Page {
  let report: Report
  let sections: [Section]
  /// The drawn figures by name; none where gnuplot is missing.
  let pictures: [String: Markup]

  /// Well-formed as XML too, so that any XML reader can take the numbers from it.
  var markup: Markup {
    """
    <!DOCTYPE html>
    <html lang="en" xmlns="http://www.w3.org/1999/xhtml">
    <head>
    <meta charset="utf-8"/>
    <meta name="viewport" content="width=device-width, initial-scale=1"/>
    <meta name="color-scheme" content="light dark"/>
    <title>\(report.title)</title>
    <style>\(stylesheet)</style>
    </head>
    <body>
    <header>
    <h1>\(report.title)</h1>
    \(summary)
    <nav aria-label="Sections">\(sections.map { section -> Markup in "<a href=\"#\(section.id)\">\(section.title.subject)</a>" })</nav>
    </header>
    \(facts)
    \(sections.map(markup(of:)))
    <footer>
    <p>ResLens measures what each step of a residual network does, after S. Jastrzębski, D. Arpit, N. Ballas, V. Verma, \
    T. Che and Y. Bengio, <i>Residual Connections Encourage Iterative Inference</i>, ICLR 2018. A step t maps \
    h<sub>t−1</sub> to h<sub>t</sub> = s<sub>t</sub>(h<sub>t−1</sub>) + F<sub>t</sub>(h<sub>t−1</sub>); s<sub>t</sub> is \
    the identity, or a projection where the shape changes. Steps count from 1; stages and blocks are called as in the \
    checkpoint. Each picture’s numbers and its gnuplot script lie in <code>figures/</code> beside this page.</p>
    </footer>
    </body>
    </html>

    """
  }

  /// Many runs' facts would hide what came of them.
  private var facts: Markup {
    let title: Markup = report.runs.contains(where: \.isTrained) ? "What was trained, and how" : "What was probed"
    let table = factTable(report.runs)
    let shown: Markup =
      report.runs.count > 3 ? "<details><summary>\(report.runs.count) runs</summary>\(table)</details>" : table
    return "<section id=\"runs\"><h2>\(title)</h2>\n\(shown)\n</section>"
  }

  private var summary: Markup {
    let paragraphs = report.runs.map { run -> Markup in
      let text = Summary(run: run).sentences.joined(separator: " ")
      return report.runs.count > 1 ? "<p><b>\(run.name)</b>. \(text)</p>" : "<p>\(text)</p>"
    }
    let rule: Markup = "<p class=\"note\">\(Summary.rule)</p>"
    guard report.runs.count > 3 else { return "<div class=\"summary\">\(paragraphs)\(rule)</div>" }
    return """
      <details class="summary"><summary>What the numbers of each of the \(report.runs.count) runs say</summary>
      \(paragraphs)\(rule)</details>
      """
  }

  private func markup(of section: Section) -> Markup {
    // Without pictures the numbers are what there is to look at.
    let isOpen: Markup = pictures.isEmpty ? " open=\"open\"" : ""
    let tables: Markup =
      section.tables.isEmpty
      ? "" : "<details\(isOpen)><summary>The numbers</summary>\(section.tables)</details>"
    return """
      <section id="\(section.id)"><h2>\(section.title)</h2>
      \(section.text.map { text -> Markup in "<p>\(text)</p>" })
      \(section.gaps.map { gap -> Markup in "<p class=\"gap\">\(gap.problem): <code>\(gap.command)</code></p>" })
      \(section.notes.map { note -> Markup in "<p class=\"note\">\(note)</p>" })
      \(section.overview)
      \(section.illustrations.map(figure))
      \(tables)
      </section>
      """
  }

  private func figure(of illustration: Section.Illustration) -> Markup {
    let drawn = illustration.figures.map { figure -> Markup in
      guard let picture = pictures[figure.name] else {
        return """
          <p class="gap">The picture “\(figure.title)” is missing, because gnuplot was not found. To have it, \
          \(Gnuplot.installation), and write the report again.</p>
          """
      }
      return "<div class=\"picture\">\(picture)</div>"
    }
    let sources = illustration.figures.map { figure -> Markup in
      "<a href=\"figures/\(figure.name).csv\">\(figure.name).csv</a> <a href=\"figures/\(figure.name).gp\">.gp</a>"
    }
    let caption: Markup = pictures.isEmpty ? "" : illustration.caption
    return
      "<figure>\(drawn)<figcaption>\(caption) <span class=\"sources\">\(sources)</span></figcaption></figure>"
  }
}
