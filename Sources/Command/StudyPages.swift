import Foundation
import ResLensSupport
import ResLensReports
import ResLensNetworks
import ResLensResults
import ResLensRuns
import ResLensStudies
import ResLensTraining

/// The pages of studies, from what their runs have given so far.
struct StudyPages {
  private let reproduction: Reproduction
  private let folder: StudyFolder
  private let data: DataSources
  private let presentation: Presentation
  private let states: [PlannedRun.State]

  init(
    _ reproduction: Reproduction, _ folder: StudyFolder, _ data: DataSources, _ presentation: Presentation
  ) throws {
    (self.reproduction, self.folder, self.data, self.presentation) = (reproduction, folder, data, presentation)
    states = try folder.states(of: reproduction.runs, registry: Reslens.registry)
  }

  /// - Returns: the folders of the runs that did not come to their end
  func write(_ terminal: Terminal) throws -> [String] {
    let scale = reproduction.scale
    var report = StudyReport(
      title: "The paper’s figures and tables, reproduced: scale \(scale.rawValue)",
      notes: [
        scale.reductions.isEmpty
          ? "" : "This is not the whole work, but less of it. " + scale.reductions.joined(separator: " "),
        data.substitutions.joined(separator: " "),
      ].filter { !$0.isEmpty }, verdictRules: Claim.generalRules, pages: [], measures: Reslens.registry.descriptions,
      presentation: presentation)
    if reproduction.studies.allSatisfy({ $0.study.claims.isEmpty }) {
      report.title = reproduction.studies.count == 1 ? reproduction.studies[0].study.title : "Studies"
    }
    for (count, study) in reproduction.studies.enumerated() {
      terminal.progress(count, of: reproduction.studies.count, "writing the page of \(study.study.name)")
      report.pages.append(try page(of: study))
    }
    for note in try report.write(to: folder.url, gnuplot: .find()) { terminal.note("note: \(note)") }
    terminal.clear()
    return reproduction.runs.indices.compactMap { index in
      states[index] == .whole ? nil : reproduction.runs[index].folderName
    }
  }

  private func page(of planned: Reproduction.PlannedStudy) throws -> StudyReport.Page {
    let study = planned.study
    let evidence = try folder.evidence(for: planned, reproduction.runs)
    return StudyReport.Page(
      name: study.name, title: try data.naming(study.title),
      findings: try study.claims.map { try $0.finding(in: evidence) },
      notes: notes(on: planned), figures: study.figures, runs: try runs(of: planned),
      errors: study.figures.contains(.errors) ? errors(of: planned, evidence) : nil,
      // The paper's figures have a panel for each network.
      layout: study.claims.isEmpty ? nil : .panels)
  }

  /// Differences between the study's description and what was done.
  private func notes(on planned: Reproduction.PlannedStudy) -> [String] {
    var names: [String] = []
    for subject in planned.subjects where subject.architecture.name != subject.model {
      let text = "\(subject.model) is \(subject.architecture.name) here"
      if !names.contains(text) { names.append(text) }
    }
    var notes = names.isEmpty ? [] : [names.joined(separator: "; ") + "."]
    for index in Set(planned.runs).sorted() {
      if case .diverged(let reason) = states[index] {
        notes.append("\(reproduction.runs[index].folderName) did not come to its end: \(reason)")
      }
    }
    return notes
  }

  private func runs(of planned: Reproduction.PlannedStudy) throws -> [ReportedRun] {
    let severalSets = Set(planned.subjects.map(\.data)).count > 1
    let severalRecipes = Set(planned.subjects.map(\.recipe)).count > 1
    // At a smaller scale two networks can become one, whose runs are shown once.
    var shown: Set<[Int]> = []
    return try planned.subjects.filter { shown.insert($0.runs).inserted }.flatMap { subject in
      var group = subject.architecture.name
      if severalSets { group += ", \(subject.data)" }
      if severalRecipes { group += ", \(subject.recipe)" }
      return try subject.runs.compactMap { index -> ReportedRun? in
        let run = reproduction.runs[index]
        let place = folder.folder(of: run)
        guard place.holdsRun else { return nil }
        var reported = try ReportedRun(place, run.configuration, name: place.url.path)
        reported.name = subject.runs.count > 1 ? "\(group), seed \(run.configuration.seed)" : group
        reported.group = group
        return reported
      }
    }
  }

  private func errors(of planned: Reproduction.PlannedStudy, _ evidence: Evidence) -> ErrorTable {
    var (datasets, models): ([String], [String]) = ([], [])
    let name = { (subject: Reproduction.Subject) in
      planned.study.recipes.count > 1 ? "\(subject.model), \(subject.recipe)" : subject.model
    }
    let pairs = Array(zip(planned.subjects, evidence.subjects))
    for (subject, _) in pairs {
      if !datasets.contains(subject.data) { datasets.append(subject.data) }
      if !models.contains(name(subject)) { models.append(name(subject)) }
    }
    return ErrorTable(
      datasets: datasets,
      rows: models.map { model in
        let own = pairs.filter { name($0.0) == model }
        let architecture = own.first?.0.architecture.name ?? model
        let isReduced = own.first.map { $0.0.model != architecture } ?? false
        return ErrorTable.Row(
          model: isReduced ? "\(model) (as \(architecture))" : model, parameters: own.map(\.1.parameters),
          errors: datasets.map { data in
            own.first { $0.0.data == data }.map { subject, found in
              entry(found, printed: planned.study.printed?.entry(subject.model, on: data))
            }
          })
      })
  }

  private func entry(_ found: Evidence.Subject, printed: PrintedErrors.Entry?) -> ErrorTable.Entry {
    ErrorTable.Entry(
      train: found.trainError, validation: found.validationError, seeds: found.runs.count { !$0.epochs.isEmpty },
      printed: printed.map { ($0.train / 100, $0.test / 100) })
  }
}
