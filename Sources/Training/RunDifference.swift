import ResLensResults

extension ChannelStatistics {
  /// True if both are of the same images. Files from before numbers were written exactly have 15 digits.
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
    if initialWeights?.weights != other.initialWeights?.weights { return "the weights that it starts from" }
    if !hasInputs(of: other) { return "the normalisation of the inputs" }
    return precision == other.precision ? nil : "the precision"
  }

  /// The reason why a run of the configuration `stored` cannot be continued with this one, as a clause; nil if it can.
  ///
  /// The number of epochs can be raised if the learning rates of the earlier epochs do not depend on it.
  public func problem(continuing stored: RunConfiguration) -> String? {
    var same = self
    if recipe.epochs > stored.recipe.epochs, recipe.schedule == stored.recipe.schedule {
      guard !recipe.schedule.dependsOnEpochs else {
        return "the number of epochs differs, and the learning rates of its one-cycle schedule depend on it"
      }
      same.recipe.epochs = stored.recipe.epochs
    }
    if recipe.epochs < stored.recipe.epochs {
      return "the number of epochs differs: it was \(stored.recipe.epochs), and it can only be raised"
    }
    return same.firstDifference(from: stored).map { "\($0) differs" }
  }

  /// True if the data are the same, wherever they lie.
  private func hasData(of other: RunConfiguration) -> Bool {
    guard let own = statisticsOfData, let others = other.statisticsOfData else {
      return data == other.data
    }
    return own.isEqual(to: others)
  }

  /// True if the inputs are normalised by the same statistics, as far as both say by which.
  private func hasInputs(of other: RunConfiguration) -> Bool {
    guard let own = statistics, let others = other.statistics else { return true }
    return own.isEqual(to: others)
  }
}
