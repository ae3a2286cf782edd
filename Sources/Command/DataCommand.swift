import ArgumentParser
import Foundation
import ResLensSupport
import ResLensTasks

struct DataCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "data",
    abstract: "Downloads, describes and exports image sets.",
    discussion: """
      For example:
        reslens data fetch cifar10 data
        reslens data describe data
      """,
    subcommands: [Fetch.self, Describe.self, Export.self])

  struct Fetch: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Downloads CIFAR-10 or CIFAR-100, verifies its checksum and unpacks it.",
      discussion: "For example: reslens data fetch cifar10 data")

    enum Name: String, ExpressibleByArgument, CaseIterable {
      case cifar10, cifar100
      var kind: CIFAR { self == .cifar10 ? .cifar10 : .cifar100 }
    }

    @Argument(help: "The data set.")
    var name: Name

    @Argument(help: ArgumentHelp("The folder for the data set.", valueName: "dir"))
    var folder: String

    @Option(help: ArgumentHelp("Another URL of the archive.", valueName: "address"))
    var url: String?

    @Option(
      help: ArgumentHelp(
        "The MD5 that the archive must have. (default: the official one)", valueName: "sum"))
    var md5: String?

    func run() throws {
      let terminal = Terminal()
      Interrupt.listen(answer: "stopping the download")
      do {
        let folder = try name.kind.fetch(
          into: URL(filePath: folder), from: url, md5: md5, shouldStop: { Interrupt.received }, note: terminal.note)
        print(folder.path)
      } catch {
        guard Interrupt.received else { throw error }
        terminal.note("stopped; the same command continues the download")
        throw ExitCode(Interrupt.exitCode)
      }
    }
  }

  struct Describe: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Prints the number of images in each class and the channel statistics, and draws samples.",
      discussion: "For example: reslens data describe data/cifar-10-batches-bin --picture samples.png")

    @Argument(help: ArgumentHelp("\(ImageDataset.sourceForms).", valueName: "dir"))
    var source: String

    @Option(help: ArgumentHelp("Writes a PNG with samples of each class.", valueName: "file.png"))
    var picture: String?

    func validate() throws { if let picture { try check(picture, endsWith: "png") } }

    func run() throws {
      let dataset = try ImageDataset.load(source)
      let shape = dataset.imageShape.map(String.init).joined(separator: "×")
      print("\(dataset.name): \(dataset.train.count) train and \(dataset.validation.count) validation images, \(shape)")
      let numbers = { (values: [Double]) in values.map { decimal($0, 8) }.joined(separator: " ") }
      let statistics = try dataset.statistics
      print("channel means       \(numbers(statistics.means))")
      print("channel deviations  \(numbers(statistics.deviations))")
      let counts = { (set: ImageSet) in
        set.labels.reduce(into: [Int](repeating: 0, count: dataset.classNames.count)) { $0[$1] += 1 }
      }
      let (train, validation) = (counts(dataset.train), counts(dataset.validation))
      print(
        TextTable(columns: [
          .init("class", cells: dataset.classNames), .init("train", cells: train.map(String.init)),
          .init("validation", cells: validation.map(String.init)),
        ]).text())
      if let picture {
        try Files.write(dataset.train.picture(classes: dataset.classNames.count), to: URL(filePath: picture))
        print("samples of each class: \(picture)")
      }
    }
  }

  struct Export: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Writes a set in CIFAR-10's binary layout, for other programs.",
      discussion: "For example: reslens data export synthetic exported")

    @Argument(
      help: ArgumentHelp("\"synthetic\", \"synthetic:SEED\", or a folder or archive of CIFAR-10.", valueName: "source"))
    var source: String

    @Argument(help: ArgumentHelp("The folder for the data set.", valueName: "dir"))
    var folder: String

    func run() throws {
      print(try ImageDataset.load(source).export(to: URL(filePath: folder)).path)
    }
  }
}
