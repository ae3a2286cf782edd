import Foundation

/// The logarithms of the softmax of one sample's outputs.
public func logProbabilities(_ outputs: some Collection<Double>) -> [Double] {
  let largest = outputs.max() ?? 0
  let total = log(outputs.reduce(0) { $0 + exp($1 - largest) })
  return outputs.map { $0 - largest - total }
}

/// KL(p‖q) = Σ p·(log p − log q) in nats.
/// - Parameters:
///   - read: log q of each class
///   - final: log p of each class
public func divergence(of read: [Double], from final: [Double]) -> Double {
  let sum = zip(final, read).reduce(0) { $0 + ($1.0 == -.infinity ? 0 : exp($1.0) * ($1.0 - $1.1)) }
  // The divergence is never below 0, but its rounded sum can be. NaN stays NaN.
  return sum < 0 ? 0 : sum
}
