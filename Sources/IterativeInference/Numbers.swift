import Torch

/// The numbers that measures ask for about one batch, in the order in which they ask.
///
/// They are found by looking at tensors. Where several processes share the work, the one that runs a batch keeps them, and
/// the others, which have no tensors of it, are told the same when they ask the same.
final class Numbers {
  /// The numbers found so far: for each question the number of vectors, and for each vector its length and its
  /// elements.
  private(set) var kept: [Double] = []
  private let keeps: Bool
  private let sent: [Double]?
  private var place = 0

  /// Numbers of a batch that this process runs.
  /// - Parameter keeps: whether `kept` is wanted
  init(keeps: Bool) { (self.keeps, sent) = (keeps, nil) }

  /// Numbers of a batch that another process has run and kept.
  init(sent: [Double]) { (keeps, self.sent) = (false, sent) }

  /// Whether there are no tensors.
  var areSent: Bool { sent != nil }

  /// The answer to the next question.
  /// - Throws: what `find` throws; `UnlikeMeasures` where what was sent ends before.
  func ask(_ find: () throws -> [[Double]]) throws -> [[Double]] {
    guard let sent else {
      let found = try find()
      if keeps {
        kept.append(Double(found.count))
        for vector in found { kept += [Double(vector.count)] + vector }
      }
      return found
    }
    func next(_ count: Int) throws -> ArraySlice<Double> {
      guard count <= sent.count - place else { throw UnlikeMeasures() }
      defer { place += count }
      return sent[place..<(place + count)]
    }
    func count() throws -> Int {
      guard let count = try next(1).first.flatMap({ Int(exactly: $0) }), count >= 0 else { throw UnlikeMeasures() }
      return count
    }
    return try (0..<count()).map { _ in try Array(next(count())) }
  }

  /// As many vectors as this question has.
  private func ask(_ count: Int, _ find: () throws -> [[Double]]) throws -> [[Double]] {
    let vectors: [[Double]] = try ask(find)
    guard vectors.count == count else { throw UnlikeMeasures() }
    return vectors
  }

  /// - Throws: `UnlikeMeasures` where something was sent that nobody has asked for.
  func checkAllAsked() throws { if let sent, place != sent.count { throw UnlikeMeasures() } }

  /// The head's predictions.
  func ask(_ find: () throws -> CrossEntropy) throws -> CrossEntropy {
    var own: CrossEntropy?
    let vectors = try ask(4) {
      let found = try find()
      own = found
      return [found.losses, found.entropies, found.margins, found.predictions.map(Double.init)]
    }
    return own
      ?? CrossEntropy(
        losses: vectors[0], entropies: vectors[1], margins: vectors[2], predictions: vectors[3].map { Int($0) })
  }

  func ask(_ find: () throws -> SampleProducts) throws -> SampleProducts {
    let vectors = try ask(3) {
      let found = try find()
      return [found.dot, found.squares, found.otherSquares]
    }
    return SampleProducts(dot: vectors[0], squares: vectors[1], otherSquares: vectors[2])
  }

  func ask(_ find: () throws -> [Double]) throws -> [Double] { try ask(1) { [try find()] }[0] }
}

/// Measures that ask otherwise in one process than in another: what the one was told is no answer for the other.
public struct UnlikeMeasures: Error, CustomStringConvertible, Equatable {
  public let description = "the processes' measures do not ask the same of a batch"
}
