import ResLensSupport
import ResLensResults
import ResLensRuns
import ResLensTraining

extension StudyFolder {
  /// The results of a study's runs. Runs that have not reached their last epoch do not count.
  /// - Throws: `FileError` where the files of a run cannot be read.
  public func evidence(for study: Reproduction.PlannedStudy, _ runs: [PlannedRun]) throws -> Evidence {
    Evidence(
      subjects: try study.subjects.map { subject in
        let folders = try subject.runs.filter { try runs[$0].isTrained(in: folder(of: runs[$0])) }
          .map { folder(of: runs[$0]) }
        let done = try folders.map { Evidence.Subject.Run(epochs: try $0.epochs(), history: try $0.history()) }
        let measures = try folders.compactMap { try $0.measures()?.widest }
        return Evidence.Subject(
          model: subject.model, data: subject.data, architecture: subject.architecture.name,
          parameters: subject.architecture.trainableParameters, classes: subject.architecture.classes,
          validationSamples: subject.validationSamples, runs: done, measures: measures)
      })
  }
}
