import Foundation
import ResLensSupport

/// A page in headless Chromium, as its reader has it.
struct Browser {
  static var isInstalled: Bool { Tool("chromium").location != nil }

  enum Scheme: Int { case dark = 0, light = 1 }

  /// The browser's findings about a page.
  struct Findings: Decodable {
    /// Whatever is invisible, not loaded, cut off or wider than the window.
    var problems: [String]
    /// Pictures that are shown.
    var pictures: Int
    /// The body's colour.
    var background: String
  }

  /// Opens the page offline in a window of that width.
  /// - Returns: nil, with what the browser printed, where it could not be opened
  static func open(_ page: URL, width: Int, _ scheme: Scheme) throws -> (findings: Findings?, log: String) {
    // Beside the page, so that its links mean the same.
    let probe = page.deletingLastPathComponent().appendingPathComponent("probe-\(UUID().uuidString).html")
    let html = try String(contentsOf: page, encoding: .utf8)
    try html.replacing("</body>", with: "<script>\(script)</script></body>").write(
      to: probe, atomically: true, encoding: .utf8)
    defer { try? FileManager.default.removeItem(at: probe) }
    let outcome = try Tool("chromium").run([
      "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--enable-logging=stderr",
      "--host-resolver-rules=MAP * ~NOTFOUND", "--window-size=\(width),900", "--hide-scrollbars",
      "--blink-settings=preferredColorScheme=\(scheme.rawValue)", "--virtual-time-budget=10000", "--dump-dom",
      probe.absoluteString,
    ])
    let dom = String(decoding: outcome.output, as: UTF8.self)
    guard let start = dom.range(of: "data-found=\""), let end = dom[start.upperBound...].firstIndex(of: "\"") else {
      return (nil, outcome.errors)
    }
    let found = dom[start.upperBound..<end].replacing("&quot;", with: "\"").replacing("&lt;", with: "<")
      .replacing("&gt;", with: ">").replacing("&amp;", with: "&")
    return (try JSONDecoder().decode(Findings.self, from: Data(found.utf8)), outcome.errors)
  }

  /// Prints the page.
  /// - Returns: the PDF
  static func print(_ page: URL) throws -> Data {
    let pdf = page.deletingLastPathComponent().appendingPathComponent("print-\(UUID().uuidString).pdf")
    defer { try? FileManager.default.removeItem(at: pdf) }
    _ = try Tool("chromium").run([
      "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--print-to-pdf=\(pdf.path)",
      page.absoluteString,
    ])
    return (try? Data(contentsOf: pdf)) ?? Data()
  }

  /// In the page: what is there to be seen, and what is not.
  private static let script = """
    window.addEventListener('load', () => {
      const problems = [];
      const pictures = document.querySelectorAll('svg[role=img], img');
      pictures.forEach(p => {
        const box = p.getBoundingClientRect(), name = p.getAttribute('aria-label') || p.alt;
        if (box.width &lt; 100 || box.height &lt; 50) problems.push('invisible: ' + name);
        if (p.tagName.toLowerCase() === 'img' &amp;&amp; p.naturalWidth === 0) problems.push('not loaded: ' + name);
        p.querySelectorAll('text').forEach(t => {
          const r = t.getBoundingClientRect();
          if (r.width > 0 &amp;&amp; (r.left &lt; box.left - 1 || r.right > box.right + 1 || r.top &lt; box.top - 1 || r.bottom > box.bottom + 1))
            problems.push('cut off in ' + name + ': ' + t.textContent);
        });
      });
      const width = document.documentElement.clientWidth;
      if (document.documentElement.scrollWidth > width + 1) problems.push('the page is wider than the window');
      document.querySelectorAll('h1, h2, p, li, figcaption, summary, .verdict').forEach(e => {
        const r = e.getBoundingClientRect();
        if (r.width > 0 &amp;&amp; (r.right > width + 1 || r.left &lt; -1)) problems.push('outside the window: ' + e.textContent.slice(0, 60));
      });
      const found = {problems, pictures: pictures.length, background: getComputedStyle(document.body).backgroundColor};
      document.body.setAttribute('data-found', JSON.stringify(found));
    });
    """.replacing("&lt;", with: "<").replacing("&amp;", with: "&")
}
