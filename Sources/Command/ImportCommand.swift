import ArgumentParser
import Foundation
import ResLensSupport
import ResLensTasks
import ResLensNetworks
import ResLensResults
import ResLensRuns
import ResLensTorch
import ResLensTraining

struct ImportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "import",
    abstract: "Makes a run of a network that another program trained.",
    discussion: """
      Recognises the network by the names and shapes of its weights, scores it on the validation images, and writes a \
      run folder, which measure, report and compare take like any other. The file is a safetensors file or one that \
      torch.save wrote; Python reads the latter (python3, with the torch that reslens runs on), and nothing in it is run.

      Families:
      \(WeightFamilies.summaries.map { "  " + $0 }.joined(separator: "\n"))

      A network sees its inputs right only if they are normalised as in its training. --statistics names the means and \
      deviations of pixels from 0 to 1: \(ChannelStatistics.known.map(\.name).joined(separator: ", ")), or R,G,B/R,G,B.

      For example:
        reslens import resnet20.th --data data --statistics imagenet --out runs/resnet20
        reslens import weights.safetensors --data data --like cifar-resnet --expect 7.40
        reslens import resnet50.pth --data imagenet.safetensors --statistics imagenet --check
        reslens measure runs/resnet20
      """)

  @Argument(
    help: ArgumentHelp("The weights: .safetensors, .pt, .pth, .th, .tar or .bin.", valueName: "file"),
    completion: .file())
  var file: String

  @Option(
    help: ArgumentHelp("The data to score and measure on: \(ImageDataset.sourceForms).", valueName: "source"))
  var data: String

  @Option(help: ArgumentHelp("The run folder to make. (default: runs/ and the file's name)", valueName: "dir"))
  var out: String?

  @Option(help: ArgumentHelp("The family of the weights, where their names fit several.", valueName: "family"))
  var like: String?

  @Option(
    help: ArgumentHelp(
      "The statistics by which the inputs were normalised. (default: those of the data's train images)",
      valueName: "name|means/deviations"))
  var statistics: String?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "The validation error that is expected, in percent. The exit status is 1 where the error differs by more than 0.02 points.",
      valueName: "percent"))
  var expect: Double?

  @Flag(
    help: ArgumentHelp(
      "Compares logits, every h and its gradient with those of PyTorch's own module, by python3 and its torch, torchvision or timm. The exit status is 1 where they differ by more than rounding."
    ))
  var check = false

  @OptionGroup var device: DeviceOptions
  @OptionGroup var threads: ThreadOptions

  /// The part of the file's name before its endings.
  private var name: String {
    String(URL(filePath: file).lastPathComponent.prefix { $0 != "." })
  }

  private func chosenStatistics() throws -> ChannelStatistics? {
    guard let statistics else { return nil }
    guard let found = ChannelStatistics(text: statistics) else {
      let names = ChannelStatistics.known.map(\.name)
      throw ValidationError(
        "--statistics \(statistics.printable(60)): these are no statistics\(didYouMean(statistics, among: names)); name "
          + names.joined(separator: ", ")
          + ", or means and deviations between 0 and 1, such as 0.5,0.5,0.5/0.25,0.25,0.25")
    }
    return found
  }

  func validate() throws {
    if let expect, !(0...100).contains(expect) { throw ValidationError("--expect \(expect) is not between 0 and 100") }
    if name.isEmpty { throw ValidationError("\(file): name a file of weights") }
    _ = try chosenStatistics()
    if let like { try Self.family(like) }
  }

  @discardableResult
  private static func family(_ name: String) throws -> any WeightFamily.Type {
    do { return try WeightFamilies.find(name) } catch { throw ValidationError("--like: \(error)") }
  }

  func run() throws {
    try threads.apply()
    let device = try device.use(by: nil, exchangesTensors: false)
    let terminal = Terminal()
    let folder = RunFolder(URL(filePath: out ?? "runs/\(name)"))
    try folder.requireNoRun()
    let url = URL(filePath: file).standardizedFileURL
    let tensors = try PyTorchFile.tensors(of: url)
    let source = try ImageDataset.wholeName(of: data)
    let dataset = try ImageDataset.load(source)
    let (weights, network) = try recognised(tensors, in: url, for: dataset)
    let configuration = try RunConfiguration(
      imported: network, from: url, data: source, statistics: chosenStatistics() ?? dataset.statistics)
    try configuration.check(against: dataset)
    if let problem = configuration.problem { throw ValidationError(problem) }
    let architecture = network.architecture
    terminal.note(
      "\(name): \(weights.family), \(counted(architecture.steps.count, "step")), "
        + "\(architecture.trainableParameters) trainable parameters")
    let isChecked = try !check || agreesWithPyTorch(network, weights, dataset, configuration)
    let error = try validationError(of: network.moved(to: device), dataset, configuration, terminal)
    try folder.begin(configuration, with: network)
    print(
      "validation error \(percent(error)) of \(dataset.validation.count) images"
        + (expect.map { ", expected \(decimal($0, 2)) %" } ?? ""))
    terminal.note("written to \(folder.url.path); measure it with: reslens measure \(folder.url.path.shellQuoted)")
    if let expect, abs(100 * error - expect) > 0.02 + 1e-9 {
      terminal.note(
        "the error is not the expected one: check --statistics (\(statistics ?? "those of the data's train images")) and --data"
      )
      throw ExitCode.failure
    }
    if !isChecked { throw ExitCode.failure }
  }

  /// Prints how far the network is from PyTorch's module on the first validation images.
  /// - Returns: whether they differ by no more than rounding
  private func agreesWithPyTorch(
    _ network: ResidualNetwork, _ weights: ForeignWeights, _ dataset: ImageDataset, _ configuration: RunConfiguration
  ) throws -> Bool {
    let set = try dataset.validation.prefix(8)
    let maker = try BatchMaker(statistics: configuration.inputStatistics(on: dataset))
    let batch = try maker.batch(set, 0..<set.count)
    let check = try ModuleCheck(network, of: weights, images: batch.images, labels: batch.labels)
    print("largest differences from PyTorch's module on \(set.count) images, relative to its values:")
    for found in check.differences {
      let texts = [("logits", found.logits), ("h", found.states), ("gradients", found.gradients)].map { name, found in
        let place = found.step.map { " at step \($0)" } ?? ""
        let limit = found.isSmall ? "" : ", more than rounding (\(scientific(found.limit)))"
        return "\(name) \(scientific(found.value))\(place)\(limit)"
      }
      print("  \(found.type.rawValue): \(texts.joined(separator: "; "))")
    }
    return check.differences.allSatisfy(\.areSmall)
  }

  /// The weights with their family, and the network with them.
  private func recognised(
    _ tensors: [String: Tensor], in file: URL, for dataset: ImageDataset
  ) throws -> (weights: ForeignWeights, network: ResidualNetwork) {
    let shape = dataset.imageShape
    do {
      let weights = try ForeignWeights(
        tensors, like: like.map(Self.family), input: .init(channels: shape[0], height: shape[1], width: shape[2]),
        name: name)
      return (weights, try weights.network())
    } catch let error as WeightFamilyError {
      throw FileError(
        path: file.path, problem: error.problem, remedy: "see the known families in reslens import --help")
    } catch let error as ParameterError {
      throw FileError(
        path: file.path, problem: "\(error.path) \(error.problem)", remedy: "use a whole copy of the file")
    }
  }

  private func validationError(
    of network: ResidualNetwork, _ dataset: ImageDataset, _ configuration: RunConfiguration, _ terminal: Terminal
  ) throws -> Double {
    let maker = try BatchMaker(statistics: configuration.inputStatistics(on: dataset), device: network.device)
    let batch = network.device.isAsynchronous ? 500 : 64
    var asked = 0
    let score = try network.score(dataset.validation, maker: maker, batch: batch) {
      terminal.progress(min(asked * batch, dataset.validation.count), of: dataset.validation.count, "scoring")
      asked += 1
      return false
    }
    terminal.clear()
    return 1 - (score?.accuracy ?? .nan)
  }
}
