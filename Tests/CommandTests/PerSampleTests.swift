import Foundation
import ResLensSupport
import ResLensResults
import ResLensTorch
import ResLensTraining
import TestSupport
import Testing

/// The values of each sample that `reslens measure --per-sample` writes.
@Suite struct PerSampleTests {
  private let scratch: Scratch
  private let run: URL

  init() throws {
    scratch = try Scratch()
    run = scratch.file("run")
    let trained = try Reslens.train(run, ["--epochs", "1", "--model", "resnet-14"])
    try #require(trained.status == 0, Comment(rawValue: trained.errors))
  }

  private static let measures = "l2-ratio,cosine-loss,first-order,intermediate,dropped-step,lesions"

  private func measure(_ file: String, samples: Int, before: [String] = []) throws -> URL {
    let url = scratch.file(file)
    let found = try Reslens.run(
      before + [
        "measure", run.path, "--measures", Self.measures, "--lesion-samples", "5", "--lesion-seeds", "1", "--samples",
        "\(samples)", "--batch", "16", "--per-sample",
        url.path,
      ])
    try #require(found.status == 0, Comment(rawValue: found.errors))
    return url
  }

  /// The columns of a CSV file without quoted commas.
  private func columns(_ url: URL) throws -> [String: [String]] {
    let lines: [[String]] = try String(contentsOf: url, encoding: .utf8).split(separator: "\n").map { line in
      line.replacing("\"", with: "").split(separator: ",", omittingEmptySubsequences: false).map(String.init)
    }
    var columns: [String: [String]] = [:]
    for (place, name) in lines[0].enumerated() { columns[name] = lines.dropFirst().map { $0[place] } }
    return columns
  }

  @Test("The values of all samples have the mean and the deviation of measures.json, in both forms of the file")
  func values() throws {
    let table = try columns(try measure("values.csv", samples: 40))
    let file = try Safetensors(contentsOf: try measure("values.safetensors", samples: 40))
    let results = try #require(try RunFolder(run).measures()).widest
    func check(
      _ quantity: String, _ name: String, _ column: String, _ deviation: String?, _ selection: [String: Cell] = [:]
    ) throws {
      for split in Split.allCases {
        let expected = try #require(try results.table(name, split, selection))
        let steps = try expected.numbers("step")
        let tensor = try #require(file.tensors["\(split.rawValue)/\(quantity)"])
        #expect(tensor.shape == [40, steps.count])
        #expect(
          file.metadata["\(split.rawValue)/\(quantity)"] == steps.map { "\(Int($0 ?? 0))" }.joined(separator: ","))
        let numbers = try tensor.doubles()
        for (place, step) in steps.enumerated() {
          let rows = try #require(table["split"]).indices.filter {
            table["split"]?[$0] == split.rawValue && table["step"]?[$0] == "\(Int(step ?? 0))"
          }
          #expect(rows.map { table["sample"]?[$0] } == (0..<40).map { "\($0)" })
          let values = try rows.map { try #require(Double(table[quantity]?[$0] ?? "")) }
          #expect(values == (0..<40).map { numbers[$0 * steps.count + place] })
          let mean = values.reduce(0, +) / 40
          #expect(abs(mean - (try expected.numbers(column)[place] ?? .nan)) < 1e-9, "\(quantity), step \(place)")
          guard let deviation else { continue }
          let squares = values.map { ($0 - mean) * ($0 - mean) }.reduce(0, +)
          #expect(abs((squares / 40).squareRoot() - (try expected.numbers(deviation)[place] ?? .nan)) < 1e-9)
        }
      }
    }
    try check("l2-ratio", "l2-ratio", "mean", "std")
    try check("cosine-loss/backpropagated", "cosine-loss", "mean", "std", ["gradient": "backpropagated"])
    try check("cosine-loss/readout", "cosine-loss", "mean", "std", ["gradient": "readout"])
    try check("intermediate", "intermediate", "accuracy", nil)
    try check("intermediate.loss", "intermediate", "loss", "loss_std")
    try check("dropped-step.loss", "dropped-step", "loss", "loss_std")
    #expect(!table.keys.contains { $0.contains("std") || $0.contains("count") })
  }

  @Test("Two processes write what one writes, and the samples are the first of the file")
  func order() throws {
    let alone = try measure("alone.csv", samples: 40)
    let together = try measure("together.csv", samples: 40, before: ["launch", "--processes", "2", "--"])
    #expect(try Data(contentsOf: alone) == Data(contentsOf: together))
    let (many, few) = (try columns(alone), try columns(try measure("few.csv", samples: 9)))
    let rows = try #require(many["sample"]).indices.filter { (Int(many["sample"]?[$0] ?? "") ?? 99) < 9 }
    for name in ["split", "sample", "step"] {
      let column = try #require(many[name])
      #expect(rows.map { column[$0] } == few[name])
    }
    let ratios = try #require(many["l2-ratio"])
    let (all, first) = (rows.map { Double(ratios[$0]) ?? .nan }, few["l2-ratio"]?.map { Double($0) ?? .nan } ?? [])
    let places = all.indices.filter { !all[$0].isNaN }
    #expect(places.count == 2 * 9 * 6)
    #expect(largestDistance(places.map { all[$0] }, places.map { first[$0] }) < 1e-5)
  }

  @Test("A file that cannot be written is refused before anything is measured")
  func refused() throws {
    for (file, words) in [("values.txt", ".csv or .safetensors"), ("none/values.csv", "its folder does not exist")] {
      let found = try Reslens.run(["measure", run.path, "--samples", "20", "--per-sample", scratch.file(file).path])
      #expect(found.status != 0 && found.errors.contains(words), "\(found.errors)")
    }
    let several = try Reslens.run(["measure", run.path, run.path, "--per-sample", scratch.file("v.csv").path])
    #expect(several.status != 0 && several.errors.contains("--per-sample is for one run"), "\(several.errors)")
    #expect(try RunFolder(run).measures() == nil)
  }
}
