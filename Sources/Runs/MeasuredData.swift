import ResLensTasks
import ResLensMeasures
import ResLensResults
import ResLensSupport
import ResLensTorch
import ResLensTraining

extension RunMeasuring.Data {
  /// The samples of a run's own data set, or of another.
  /// - Parameters:
  ///   - configuration: the run's
  ///   - named: the source of the data as the user names it; the run's own where it is nil
  ///   - samples: the number of train samples and of validation samples, the first ones; those that the run has where it is
  ///     nil
  ///   - batch: the samples of a pass
  ///   - device: the device that the network computes on
  /// - Throws: `FileError` where the data cannot be read, do not fit the network, or have fewer samples.
  public init(
    of configuration: RunConfiguration, named: String? = nil, samples: Int? = nil, batch: Int = 128, on device: Device
  ) throws {
    let whole = try named.map(ImageDataset.wholeName) ?? configuration.data
    let dataset = try ImageDataset.load(whole, isNamed: named != nil)
    // The run's own data keep the name that the run has for them, wherever they lie now.
    let isOwn = try whole == configuration.data || configuration.isTrained(on: dataset)
    let source = isOwn ? configuration.data : whole
    var fitting = configuration
    (fitting.data, fitting.trainSamples, fitting.validationSamples, fitting.measure) = (source, samples, samples, nil)
    try fitting.check(against: dataset)
    // Other data are normalised as the network is used to.
    let statistics = try configuration.inputStatistics(on: dataset)
    let maker = try BatchMaker(statistics: statistics, device: device)
    // Images of the run's own data set that it never trained on are not training data unless this is asked for. Its
    // errors are those of the validation samples that it was scored on.
    let seen = isOwn ? configuration.trainSamples ?? dataset.train.count : dataset.train.count
    self.init(
      source: source, statistics: statistics, isOwn: isOwn,
      train: try Samples(dataset.train.prefix(max(seen, samples ?? 0)), count: samples, batch: batch, maker: maker),
      validation: try Samples(
        dataset.validation, count: samples ?? (isOwn ? configuration.validationSamples : nil), batch: batch,
        maker: maker))
    (classNames, trainedOn) = (dataset.classNames, seen)
  }

  /// Leaves only the first validation samples.
  /// - Parameter count: nil to leave all
  /// - Throws: `ArgumentError` where there are fewer.
  public mutating func limitValidation(to count: Int?) throws(ArgumentError) {
    guard let count else { return }
    guard count <= validation.set.count else {
      throw ArgumentError("samples", "there are \(validation.set.count) validation samples, fewer than \(count)")
    }
    validation = try Samples(validation.set, count: count, batch: validation.batch, maker: validation.maker)
  }
}
