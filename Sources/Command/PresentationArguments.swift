import ArgumentParser
import Foundation
import ResLensReports

extension Presentation.Layout: ExpressibleByArgument {}
extension Presentation.Band: ExpressibleByArgument {}

/// The options of every command that draws pictures.
struct PresentationArguments: ParsableArguments {
  @Option(
    help: """
      Several networks on the same axes (overlaid) or in a panel each (panels). (default: overlaid for up to six networks)
      """)
  var layout: Presentation.Layout?

  @Option(
    help: """
      The band around a mean: two standard errors of the mean (error) or one standard deviation over samples (deviation).
      """)
  var bands = Presentation.Band.error

  @Option(
    help: ArgumentHelp(
      "The formats of the pictures' files, separated by commas: svg, png, pdf. Pages show SVG.", valueName: "f,f"))
  var figures = Presentation.Format.svg.rawValue

  func validate() throws { _ = try formats() }

  /// - Throws: `ValidationError` for an unknown format.
  private func formats() throws -> Set<Presentation.Format> {
    Set(
      try figures.split(separator: ",", omittingEmptySubsequences: false).map { name in
        guard let format = Presentation.Format(rawValue: name.trimmingCharacters(in: .whitespaces)) else {
          let known = Presentation.Format.allCases.map(\.rawValue).joined(separator: ", ")
          throw ValidationError("--figures \(figures): \"\(name)\" is none of \(known)")
        }
        return format
      })
  }

  /// How a report is to draw its pictures.
  func presentation() throws -> Presentation { Presentation(layout: layout, band: bands, formats: try formats()) }
}
