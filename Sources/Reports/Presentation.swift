/// How a report draws its pictures.
public struct Presentation: Equatable, Sendable {
  /// The layout of several networks; nil for shared axes up to six networks.
  public var layout: Layout?
  /// The meaning of the bands around curves.
  public var band = Band.error
  /// The formats in which each picture is written; the page itself shows SVG.
  public var formats: Set<Format> = [.svg]

  public init(layout: Layout? = nil, band: Band = .error, formats: Set<Format> = [.svg]) {
    (self.layout, self.band, self.formats) = (layout, band, formats)
  }

  /// The place of several networks in a picture.
  public enum Layout: String, CaseIterable, Sendable {
    /// All networks on the same axes.
    case overlaid
    /// A panel for each network.
    case panels
  }

  /// The meaning of a band.
  public enum Band: String, CaseIterable, Sendable {
    /// Two standard errors of the mean to both sides of it.
    case error
    /// One standard deviation over samples to both sides of the mean.
    case deviation
  }

  /// The format of a picture's file.
  public enum Format: String, CaseIterable, Sendable {
    case svg, png, pdf
  }

  /// The largest number of networks that share axes unless a layout is asked for.
  static let mostOverlaid = 6

  /// True if so many networks share axes.
  func isOverlaid(_ networks: Int) -> Bool {
    layout.map { $0 == .overlaid && networks > 1 } ?? (2...Self.mostOverlaid).contains(networks)
  }
}
