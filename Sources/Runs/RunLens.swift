import Foundation
import ResLensMeasures
import ResLensNetworks
import ResLensResults
import ResLensSupport
import ResLensTasks
import ResLensTorch
import ResLensTraining

extension RunFolder {
  /// The trained lens of a run's network, on the processor.
  /// - Throws: `FileError` where there is none, where its file is damaged, or where it is of other weights.
  func lens(_ kind: LensKind, of network: ResidualNetwork) throws -> TrainedLens {
    let (file, command) = (lensFile(kind), "reslens lens \(url.relativePath.shellQuoted) --kind \(kind.rawValue)")
    guard FileManager.default.fileExists(atPath: file.path) else {
      throw FileError(path: file.path, problem: "this run has no such lens yet", remedy: "fit it: \(command)")
    }
    return try TrainedLens.read(kind, of: network, from: file, remedy: "fit it again: \(command) --replace")
  }

  /// The number and the checksum of the train images, the first ones, that a lens was fitted on; nil where its file does not
  /// say.
  func images(fittedBy kind: LensKind) throws -> (count: Int, fingerprint: String)? {
    let metadata = try Safetensors(contentsOf: lensFile(kind)).metadata
    guard let count = metadata["samples"].flatMap(Int.init), count > 0, let images = metadata["images"] else {
      return nil
    }
    return (count, images)
  }

  /// The number of images, the first ones of a set, that a lens was fitted on; 0 where it was fitted on others.
  func count(fittedBy kind: LensKind, among set: ImageSet) throws -> Int {
    guard let known = try images(fittedBy: kind), known.count <= set.count,
      try set.fingerprint(ofFirst: known.count) == known.fingerprint
    else { return 0 }
    return known.count
  }
}

extension RunMeasuring {
  /// Fits a lens of the run's network and writes it into the run's folder.
  /// - Parameters:
  ///   - train: the train samples to fit on
  ///   - replaces: true to lose an earlier lens of that kind
  /// - Throws: `FileError`, before any work, where there is a lens already or the folder cannot be written to.
  public func fitLens(
    _ options: LensFitting.Options, on train: Samples, replaces: Bool,
    progress: (LensFitting.Phase, Int, Int) throws -> Void
  ) throws {
    let file = folder.lensFile(options.kind)
    for known in [file, folder.measuresFile(.lens(options.kind))]
    where !replaces && FileManager.default.fileExists(atPath: known.path) {
      throw FileError(
        path: known.path, problem: "the run has a lens of this kind, or what was measured with one, already",
        remedy: "measure with it: reslens measure \(folder.url.relativePath.shellQuoted) --lens "
          + "\(options.kind.rawValue), or fit it again with --replace")
    }
    try checkWritable(file)
    let fitting = try LensFitting(network, options, on: train)
    let origin = TrainedLens.Origin(
      options: options, weights: try network.fingerprint(), samples: train.count,
      images: try train.set.fingerprint(ofFirst: train.count))
    try fitting.fitted(progress: progress).write(origin, to: file)
  }

  /// - Throws: `FileError` where the run's folder cannot be written to, before hours of work.
  func checkWritable(_ file: URL) throws {
    guard !FileManager.default.isWritableFile(atPath: folder.url.path) else { return }
    throw FileError(
      path: file.path, problem: "its folder cannot be written to",
      remedy: "fix its permissions, or measure a copy of the run")
  }
}
