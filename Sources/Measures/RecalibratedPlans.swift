import ResLensNetworks
import ResLensTorch

/// The plans of measures with running statistics of their own: every step that reads another state than in the network's own
/// plan, and the readout, have statistics that are recalibrated on train images.
///
/// Dropping a step changes what the normalisations behind it read, but not their running statistics. With recalibrated ones a
/// measure says what is lost besides fitting statistics.
public struct RecalibratedPlans {
  /// The network, with the statistics of all these plans.
  public let network: ResidualNetwork
  /// The plans with statistics of their own, by the plans as measures name them.
  private let plans: [Plan: Plan]

  /// - Parameters:
  ///   - measures: the measures that name the plans
  ///   - beforeBatch: called before every batch of train images
  /// - Throws: `PlanError` where the network cannot run a plan.
  public init(
    of measures: [any Measure], on network: ResidualNetwork, by recalibration: Recalibration,
    beforeBatch: () throws -> Void = {}
  ) throws {
    var plans: [Plan: Plan] = [:]
    for plan in try measures.flatMap({ try $0.plans(for: network) }) where plans[plan] == nil && plan != network.plan {
      plans[plan] = plan.recalibrating(whereUnlike: network.plan, as: 1 + plans.count)
    }
    self.plans = plans
    let ordered = plans.values.sorted { $0.readoutStatistics < $1.readoutStatistics }
    self.network = try recalibration.applied(to: network, for: ordered, beforeBatch: beforeBatch)
  }

  /// A plan with its recalibrated statistics; the network's own plan as it is.
  /// - Throws: `MeasureError` for a plan that was not among those of the measures.
  func recalibrated(_ plan: Plan) throws(MeasureError) -> Plan {
    if let found = plans[plan] { return found }
    guard plan == network.plan else {
      throw MeasureError(option: "recalibrate", problem: "there is a plan whose statistics were not recalibrated")
    }
    return plan
  }
}
