import ResLensResults

/// The verdicts on claims, with their rules and the numbers of each part; nothing where there are none.
/// - Parameter rules: how verdicts count uncertainty, in sentences
func findingSection(_ title: Markup, _ findings: [Finding], _ rules: String) -> Markup {
  guard !findings.isEmpty else { return "" }
  let all = findings.map { finding -> Markup in
    let rows = finding.parts.map { part -> Markup in
      "<tr><td>\(part.subject)</td><td>\(part.verdictText)</td><td>\(part.numbers)</td></tr>"
    }
    return """
      <div class="finding"><p>\(badge(finding)) <b>\(finding.claim)</b> (\(finding.source))</p>
      <p class="note">Rule: \(finding.rule).</p>
      <div class="scroll"><table class="facts"><thead><tr><th scope="col">of</th><th scope="col">verdict</th>\
      <th scope="col">numbers</th></tr></thead><tbody>\(rows)</tbody></table></div></div>
      """
  }
  return """
    <section id="findings"><h2>\(title)</h2>
    \(all)
    <p class="note">\(rules)</p></section>
    """
}

/// A verdict as a word with a colour.
func badge(_ verdict: Finding.Verdict, _ text: String) -> Markup {
  let kind =
    switch verdict {
    case .holds: "yes"
    case .holdsPartly: "partly"
    case .doesNotHold: "no"
    case .notDecided, .notChecked: "unknown"
    }
  return "<span class=\"verdict \(kind)\">\(text)</span>"
}

func badge(_ finding: Finding) -> Markup { badge(finding.verdict, finding.verdictText) }
