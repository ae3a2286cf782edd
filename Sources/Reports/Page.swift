/// The page around the sections.
struct Page {
  let report: Report
  let sections: [Section]
  let pictures: Pictures
  let figureFolder: String

  func markup() throws -> Markup {
    document(
      title: report.title, figureFolder: figureFolder,
      """
      <header>
      <h1>\(report.title)</h1>
      \(try summary())
      <nav aria-label="Sections">\(sections.map { section -> Markup in "<a href=\"#\(section.id)\">\(section.title.subject)</a>" })\(findingLink)</nav>
      </header>
      \(facts)
      \(sections.map(pictures.markup))
      \(findingSection(findingTitle, report.findings, report.verdictRules))
      """)
  }

  private var findingTitle: Markup {
    "The paper’s claims, on your \(RunGroup.all(of: report.runs).count > 1 ? "networks" : "network")"
  }

  private var findingLink: Markup {
    report.findings.isEmpty ? "" : "<a href=\"#findings\">The paper’s claims</a>"
  }

  /// The facts about the runs.
  private var facts: Markup {
    let title: Markup = report.runs.contains(where: \.isTrained) ? "What was trained, and how" : "What was probed"
    return factSection(title, report.runs)
  }

  private func summary() throws -> Markup {
    let paragraphs = try report.runs.map { run -> Markup in
      let items = try Summary(run: run, measures: report.measures).sentences.map { item -> Markup in "<li>\(item)</li>"
      }
      let name: Markup = report.runs.count > 1 ? "<p><b>\(run.name)</b></p>" : ""
      return "\(name)<ul>\(items)</ul>"
    }
    let hasSeeds = RunGroup.all(of: report.runs).contains { $0.runs.count > 1 }
    let seeds: Markup = hasSeeds ? "<p class=\"note\">\(Section.meanOverSeeds)</p>" : ""
    let rule: Markup = "<p class=\"note\">\(Summary.rule)</p>"
    guard report.runs.count > 3 else { return "<div class=\"summary\">\(paragraphs)\(rule)</div>\(seeds)" }
    return """
      <details class="summary"><summary>Sentences about the numbers of each of the \(report.runs.count) runs</summary>
      \(paragraphs)\(rule)</details>\(seeds)
      """
  }
}

/// The facts about the runs and their training, under a title.
func factSection(_ title: Markup, _ runs: [ReportedRun]) -> Markup {
  let table = factTable(runs)
  let shown: Markup =
    runs.count > 3 ? "<details><summary>\(runs.count) runs</summary>\(table)</details>" : table
  return "<section id=\"runs\"><h2>\(title)</h2>\n\(shown)\n</section>"
}

/// A page around what is in its body. Well-formed as XML too, so that any XML reader can take the numbers from it.
func document(title: String, figureFolder: String, _ body: Markup) -> Markup {
  """
  <!DOCTYPE html>
  <html lang="en" xmlns="http://www.w3.org/1999/xhtml">
  <head>
  <meta charset="utf-8"/>
  <meta name="viewport" content="width=device-width, initial-scale=1"/>
  <meta name="color-scheme" content="light dark"/>
  <title>\(title)</title>
  <style>\(stylesheet)</style>
  </head>
  <body>
  \(body)
  <footer>
  <p>ResLens measures what each step of a residual network does, after S. Jastrzębski, D. Arpit, N. Ballas, V. Verma, \
  T. Che and Y. Bengio, <i>Residual Connections Encourage Iterative Inference</i>, ICLR 2018. A step t maps \
  h<sub>t−1</sub> to h<sub>t</sub> = s<sub>t</sub>(h<sub>t−1</sub>) + F<sub>t</sub>(h<sub>t−1</sub>); s<sub>t</sub> is \
  the identity, or a projection where the shape changes. Steps count from 1; stages and blocks are called as in the \
  checkpoint. Each picture’s numbers and its gnuplot script lie in <code>\(figureFolder)/</code> beside this page.</p>
  </footer>
  </body>
  </html>

  """
}
