import Foundation
import ResLensSupport
import ResLensNetworks
import ResLensResults
import ResLensTorch

/// A state of a training that can be resumed: a folder with the weights, and next to them the optimiser's and
/// the loop's state. It appears whole, by a rename.
public struct Checkpoint: Sendable {
  /// Its folder.
  public let url: URL

  static let prefix = "epoch-"

  /// Parameters and running statistics by path, with the architecture in its metadata.
  public var weightsFile: URL { url.appending(path: "weights.safetensors") }
  var optimizerFile: URL { url.appending(path: "optimizer.safetensors") }
  var loopFile: URL { url.appending(path: "loop.json") }

  /// Where the loop was: the contents of `loop.json`.
  package struct Loop: Codable, Equatable, Checked {
    /// Whole epochs done.
    package var epoch = 0
    /// Steps done in the epoch that was under way.
    package var step = 0
    /// The sum of the losses of those steps' images.
    package var lossSum = 0.0
    /// How many of those images were classified wrongly.
    package var wrong = 0
    /// Seconds that those steps took.
    package var trainSeconds = 0.0
    /// The epochs that are done.
    package var records: [EpochRecord] = []

    package init(epoch: Int = 0, records: [EpochRecord] = []) { (self.epoch, self.records) = (epoch, records) }

    /// The first value that no training gives, and why; nil where all can be.
    package var problem: String? {
      if !(0...99_999).contains(epoch) { return "epoch: \(epoch) is not between 0 and 99999" }
      if !(0...10_000_000).contains(step) { return "step: \(step) is not between 0 and 10000000" }
      if !lossSum.isFinite || lossSum < 0 { return "lossSum: \(lossSum) is not a number of at least 0" }
      // Longer than any epoch takes, and a whole number of seconds still.
      if !(0...1e9).contains(trainSeconds) { return "trainSeconds: \(trainSeconds) is not between 0 and 1e9" }
      if wrong < 0 { return "wrong: \(wrong) is less than 0" }
      if records.count != epoch { return "records: there are \(records.count), and \(epoch) epochs are done" }
      for (index, record) in records.enumerated() {
        if record.epoch != index + 1 { return "records[\(index)]: it is of epoch \(record.epoch)" }
        if let problem = record.problem { return "records[\(index)]: \(problem)" }
      }
      return nil
    }

    /// - Parameters:
    ///   - images: those of an epoch
    /// - Returns: what contradicts the training that the loop is to be of, or its checkpoint's name; nil where nothing does
    func problem(in folder: String, epochs: Int, steps: Int, images: Int) -> String? {
      if name != folder { return "it says epoch \(epoch), step \(step), and its folder is called \(folder)" }
      if epoch > epochs { return "it says epoch \(epoch) of \(epochs)" }
      if step > steps || epoch == epochs && step > 0 { return "it says epoch \(epoch), step \(step) of \(steps)" }
      return wrong > images ? "wrong: \(wrong) of \(images) images" : nil
    }

    /// Sorts as time does; recipes have at most 99,999 epochs.
    package var name: String { Checkpoint.name(epoch: epoch, step: step) }
  }

  /// The name of the checkpoint after so many whole epochs and steps of the next.
  public static func name(epoch: Int, step: Int = 0) -> String {
    prefix + String(format: "%05d-step-%07d", epoch, step)
  }

  /// Whole epochs done, as the checkpoint's name tells; nil for another name.
  public var epoch: Int? { Int(url.lastPathComponent.dropFirst(Self.prefix.count).prefix { $0.isNumber }) }

  /// True if no step of the next epoch is done, as the checkpoint's name tells.
  private var isOfWholeEpoch: Bool { epoch.map { Self.name(epoch: $0) } == url.lastPathComponent }

  /// Writes a checkpoint into `folder`, and then removes the earlier ones that are not to be kept.
  static func write(
    _ network: ResidualNetwork, velocities: [String: Tensor], _ loop: Loop, in folder: RunFolder,
    keeping: KeptCheckpoints? = nil
  ) throws -> Checkpoint {
    let checkpoint = Checkpoint(url: folder.checkpoints.appending(path: loop.name))
    let manager = FileManager.default
    if manager.fileExists(atPath: checkpoint.url.path) { return checkpoint }
    try Files.makeFolder(folder.checkpoints)
    let beside = Checkpoint(url: folder.checkpoints.appending(path: ".writing"))
    try? manager.removeItem(at: beside.url)
    try Files.makeFolder(beside.url)
    defer { try? manager.removeItem(at: beside.url) }
    try network.save(to: beside.weightsFile)
    try Safetensors(tensors: velocities).write(to: beside.optimizerFile)
    try Files.write(JSON.encode(loop), to: beside.loopFile)
    try Files.move(beside.url, to: checkpoint.url)
    let all = folder.checkpointList()
    let wholeEpochs = all.compactMap { $0.isOfWholeEpoch ? $0.epoch : nil }
    let kept = keeping?.epochs(among: wholeEpochs, loop.records) ?? []
    for earlier in all where earlier.url.lastPathComponent < loop.name {
      if earlier.isOfWholeEpoch, let epoch = earlier.epoch, kept.contains(epoch) { continue }
      // A folder that is removed only in part must not look like a checkpoint.
      let leaving = folder.checkpoints.appending(path: ".removing")
      try? manager.removeItem(at: leaving)
      if (try? Files.move(earlier.url, to: leaving)) != nil { try? manager.removeItem(at: leaving) }
    }
    return checkpoint
  }

  /// - Throws: `FileError` where a file is damaged or of another architecture.
  public func network(expecting architecture: Architecture? = nil) throws -> ResidualNetwork {
    try ResidualNetwork(contentsOf: weightsFile, expecting: architecture)
  }

  /// The optimiser's state.
  /// - Throws: `FileError` where the file is damaged, or has values that are not finite numbers.
  func velocities() throws -> [String: Tensor] {
    let tensors = try Safetensors(contentsOf: optimizerFile).tensors
    if let path = try tensors.filter({ try !$0.value.isFinite() }).keys.min() {
      throw FileError(
        path: optimizerFile.path, problem: "\(path) has values that are not finite numbers: the file is damaged",
        remedy: "use a copy of it, or train again")
    }
    return tensors
  }

  func loop() throws -> Loop {
    try JSON.read(Loop.self, from: loopFile, remedy: "train again into another folder")
  }
}
