extension RunConfiguration {
  /// What the two differ in, as a message says it; nil where they are one training.
  public func firstDifference(from other: RunConfiguration) -> String? {
    if architecture != other.architecture { return "the model" }
    if data != other.data || !hasStatistics(of: other) { return "the data" }
    if trainSamples != other.trainSamples || validationSamples != other.validationSamples {
      return "the number of samples"
    }
    if recipe.epochs != other.recipe.epochs { return "the number of epochs" }
    if recipe.batch != other.recipe.batch { return "the batch" }
    if recipe != other.recipe { return "the recipe" }
    if seed != other.seed { return "the seed" }
    return precision == other.precision ? nil : "the precision"
  }

  /// Whether the data under the same name are still the same. Numbers in files may be rounded.
  private func hasStatistics(of other: RunConfiguration) -> Bool {
    guard let own = statistics, let others = other.statistics else { return true }
    return zip(own.means + own.deviations, others.means + others.deviations).allSatisfy { abs($0 - $1) < 1e-9 }
  }
}
