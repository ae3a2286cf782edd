import ResLensResults

extension ChannelStatistics {
  /// Whether both are of the same images. Files from before numbers were written exactly have 15 digits.
  func isEqual(to other: ChannelStatistics) -> Bool {
    means.count == other.means.count && deviations.count == other.deviations.count
      && zip(means + deviations, other.means + other.deviations).allSatisfy { abs($0 - $1) < 1e-9 }
  }
}

extension RunConfiguration {
  /// The first difference between the two configurations, as a message states it; nil where they describe the same
  /// training.
  public func firstDifference(from other: RunConfiguration) -> String? {
    if architecture != other.architecture { return "the model" }
    if !hasData(of: other) { return "the data" }
    if trainSamples != other.trainSamples || validationSamples != other.validationSamples {
      return "the number of samples"
    }
    if recipe.epochs != other.recipe.epochs { return "the number of epochs" }
    if recipe.batch != other.recipe.batch { return "the batch" }
    if recipe != other.recipe { return "the recipe" }
    if seed != other.seed { return "the seed" }
    return precision == other.precision ? nil : "the precision"
  }

  /// Whether the data are the same, wherever they lie.
  private func hasData(of other: RunConfiguration) -> Bool {
    guard let own = statistics, let others = other.statistics else { return data == other.data }
    return own.isEqual(to: others)
  }
}
