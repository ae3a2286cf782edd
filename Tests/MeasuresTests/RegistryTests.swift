import ResLensSupport
import ResLensTasks
import ResLensMeasures
import ResLensNetworks
import ResLensResults
import TestSupport
import Testing
import ResLensTorch

/// A program's own measure: the `Growth` of the article about adding one.
@Suite struct RegistryTests {
  private static var registry: Registry {
    var registry = Registry.standard
    registry.register(Growth.self)
    return registry
  }

  @Test("A registered measure is found by its name, and the others stay in their order")
  func names() throws {
    let registry = Self.registry
    #expect(registry.names() == Registry.standard.names() + ["growth"])
    #expect(registry.descriptions.map(\.name) == registry.names())
    #expect(registry.names(where: \.whileTraining) == Registry.standard.names(where: \.whileTraining) + ["growth"])
    let found = try registry.measures(named: ["growth", "first-order", "l2-ratio"])
    #expect(found.map { $0.description.name } == ["l2-ratio", "first-order", "growth"])
    #expect(found.last == Growth.self)
    #expect {
      try Registry.standard.measures(named: ["growth", "l2-ratio"])
    } throws: { error in
      (error as? MeasureError)?.option == "measures" && "\(error)".contains("\"growth\"; known are l2-ratio, ")
    }
  }

  @Test("A measure of a name that is there takes the other's place")
  func replaced() throws {
    final class Other: Measure {
      static let description = MeasureDescription.named("cosine-loss")
      init?(_ context: MeasureContext) {}
      func tables() -> [Table] { [] }
    }
    var registry = Registry.standard
    registry.register(Other.self)
    #expect(registry.names() == Registry.standard.names())
    #expect(try registry.measures(named: ["cosine-loss"]).map { $0 == Other.self } == [true])
  }

  @Test("A suite takes a registered measure on both sets, and refuses its name where it is not registered")
  func suite() throws {
    let network = try network(twoStages)
    let (train, validation) = try (samples(9, batch: 4), samples(7, batch: 4, seed: 7))
    let options = MeasureOptions(names: ["growth", "cosine-loss"])
    let suite = try MeasureSuite(network, options, registry: Self.registry, train: train, validation: validation)
    let found = try suite.run()
    #expect(found.tables.map(\.name) == ["cosine-loss", "growth"])
    let tables = MeasuredTables(steps: twoStages.steps, tables: found.tables)
    for (split, samples) in [(Split.train, train), (.validation, validation)] {
      let alone = Growth()
      try measure([alone], on: network, samples)
      let own: [String: Cell] = ["samples": .number(Double(samples.count))]
      #expect(try tables.rows(of: StepStatistic.self, in: "growth", split, own) == alone.steps())
    }
    #expect(throws: MeasureError.self) { try MeasureSuite(network, options, train: train, validation: validation) }
    var byBatch = options
    byBatch.way = .batchStatistics
    // Its description does not say that it can be taken by a batch's own statistics.
    #expect {
      try MeasureSuite(network, byBatch, registry: Self.registry, train: train, validation: validation)
    } throws: { ($0 as? MeasureError)?.option == "batch-norm" && "\($0)".contains("no growth") }
  }

  @Test(
    "Rows of a registered measure are gathered from several processes to the bit",
    .enabled(if: ProcessGroup.isPossible, "this build has no Gloo: install libgloo-dev and build again"),
    arguments: [2, 3])
  func processes(size: Int) throws {
    @Sendable func found(by group: ProcessGroup?) throws -> String {
      // Five batches on three processes: the last round has fewer batches than processes.
      let (train, validation) = try (samples(33, batch: 7, of: pooled), samples(3, batch: 8, of: pooled, seed: 7))
      let suite = try MeasureSuite(
        network(pooled), MeasureOptions(names: ["growth"]), registry: Self.registry, train: train,
        validation: validation, by: group)
      return String(decoding: try JSON.encode(suite.run().tables), as: UTF8.self)
    }
    let one = try found(by: nil)
    #expect(one.contains("growth"))
    #expect(try asProcesses(size) { try found(by: $0) } == Array(repeating: one, count: size))
  }

  @Test(
    "A process that has another measure than the others is an error of all",
    .enabled(if: ProcessGroup.isPossible, "this build has no Gloo: install libgloo-dev and build again"))
  func otherMeasures() throws {
    let errors = try asProcesses(2) { group in
      let samples = try samples(8, batch: 4, of: pooled)
      let names: Set<String> = group.rank == 0 ? ["growth"] : ["l2-ratio"]
      let suite = try MeasureSuite(
        network(pooled), MeasureOptions(names: names), registry: Self.registry, train: samples, validation: samples,
        by: group)
      do {
        _ = try suite.run()
        return "none"
      } catch is RowError {
        return "refused"
      }
    }
    #expect(errors == Array(repeating: "refused", count: 2))
  }
}
