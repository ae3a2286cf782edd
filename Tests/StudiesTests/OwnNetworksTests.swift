import Foundation
import ResLensNetworks
import ResLensResults
import ResLensStudies
import ResLensSupport
import ResLensTraining
import TestSupport
import Testing

/// The paper's claims on runs of one's own.
@Suite struct OwnNetworksTests {
  private let scratch: Scratch

  init() throws { scratch = try Scratch() }

  /// A run folder with made-up measures.
  private func run(
    _ architecture: String, seed: UInt64 = 0, agrees: Bool = true, haveLearnt: Bool = true,
    without: Set<String> = []
  ) throws -> String {
    let architecture = try Architecture.named(architecture)
    let folder = RunFolder(scratch.file("\(architecture.name)-\(seed)"))
    try Files.makeFolder(folder.url)
    let configuration = RunConfiguration(
      architecture: architecture, data: "synthetic", recipe: try .find("quick", for: architecture), seed: seed)
    try Files.write(YAML.encode(configuration), to: folder.configurationFile)
    var tables = try MadeUpEvidence(agrees: agrees).measures(of: architecture.name)
    tables.tables.removeAll { without.contains($0.name) }
    try folder.write(MeasureResults.madeUp(of: architecture.name, epoch: 1, tables, samples: 10_000))
    if !haveLearnt {
      let epoch = EpochRecord(
        epoch: 1, learningRate: 0.1, trainLoss: 1, trainError: 0.9, validationLoss: 1, validationError: 0.9,
        imagesPerSecond: 1, seconds: 1)
      try Files.write(EpochRecord.csv([epoch]), to: folder.epochsFile)
    }
    return folder.url.path
  }

  private func verdicts(_ findings: [Finding], _ source: String) -> [Finding.Verdict] {
    findings.filter { $0.source.contains(source) }.map(\.verdict)
  }

  @Test("The claims of Figures 2 to 7 and 20 are checked on one run, by its architecture's name")
  func oneRun() throws {
    let findings = try Finding.ofPaper(onRuns: [run("resnet-14")])
    for figure in ["Fig. 2", "Fig. 3", "Fig. 4", "Fig. 6", "Fig. 7", "Fig. 20"] {
      #expect(findings.contains { $0.source.contains(figure) }, "\(figure)")
    }
    #expect(findings.flatMap(\.parts).contains { $0.subject == "resnet-14" && $0.verdict == .holds })
    // The network has projections: claims about networks without any say nothing about it.
    #expect(!findings.contains { $0.claim.hasPrefix("Without projections") })
    #expect(findings.contains { $0.claim.hasPrefix("With projections") })
    let others = try Finding.ofPaper(onRuns: [run("single-representation")])
    #expect(others.contains { $0.claim.hasPrefix("Without projections") })
    #expect(!others.contains { $0.claim.hasPrefix("With projections") })
  }

  @Test("Numbers that contradict the paper, that come of guessing, or that are not there have their verdicts")
  func outcomes() throws {
    let against = try Finding.ofPaper(onRuns: [run("resnet-14", agrees: false)])
    #expect(verdicts(against, "Fig. 4").allSatisfy { $0 == .doesNotHold } && !verdicts(against, "Fig. 4").isEmpty)
    let guessing = try Finding.ofPaper(onRuns: [run("resnet-20", haveLearnt: false)])
    #expect(!guessing.isEmpty && guessing.allSatisfy { $0.verdict == .notDecided })
    let without = try Finding.ofPaper(onRuns: [run("resnet-26", without: ["cosine-loss"])])
    #expect(verdicts(without, "Fig. 4").isEmpty && !verdicts(without, "Fig. 2").isEmpty)
    let folder = RunFolder(URL(filePath: try run("resnet-32")))
    try FileManager.default.removeItem(at: folder.measuresFile)
    #expect(try Finding.ofPaper(onRuns: [folder.url.path]).isEmpty)
  }

  @Test("Seeds are one network, and each of several networks has its part of every claim")
  func severalRuns() throws {
    let paths = [try run("resnet-14"), try run("resnet-14", seed: 1), try run("resnet-20", agrees: false)]
    let findings = try Finding.ofPaper(onRuns: paths)
    let cosine = try #require(findings.first { $0.source.contains("Fig. 4") })
    #expect(cosine.parts.map(\.subject) == ["resnet-14", "resnet-20"] && cosine.verdict == .holdsPartly)
    let entropy = try #require(findings.first { $0.claim.hasPrefix("Entropy") })
    #expect(entropy.parts.map(\.subject).contains("resnet-20: already correct") && entropy.parts.count == 6)
  }
}
