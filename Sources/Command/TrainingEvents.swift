import Foundation
import ArgumentParser
import ResLensSupport
import ResLensResults
import ResLensTraining

/// The form in which `reslens train` tells how a training goes.
enum LogFormat: String, ExpressibleByArgument, CaseIterable {
  /// Text on standard error, and the run's folder on standard output.
  case text
  /// The same text, and lines of JSON on standard output.
  case jsonl
}

/// One line of `train --log jsonl`: an event of one run.
struct TrainingEvent: Encodable {
  /// The run's folder.
  var run: String
  var kind: Kind

  enum Kind {
    /// The training begins, or goes on.
    case start(RunConfiguration)
    /// An epoch is done.
    case epoch(EpochRecord)
    /// The training has ended.
    case end(Trainer.Outcome)
  }

  private enum CodingKeys: String, CodingKey { case event, run, configuration, outcome }

  func encode(to encoder: any Encoder) throws {
    var line = encoder.container(keyedBy: CodingKeys.self)
    try line.encode(run, forKey: .run)
    switch kind {
    case .start(let configuration):
      try line.encode("start", forKey: .event)
      try line.encode(configuration, forKey: .configuration)
    case .epoch(let record):
      try line.encode("epoch", forKey: .event)
      try record.encode(to: encoder)
    case .end(let outcome):
      try line.encode("end", forKey: .event)
      try line.encode(outcome == .finished ? "finished" : "stopped", forKey: .outcome)
    }
  }

  /// Writes the line to standard output, where its reader sees it at once.
  func write() throws {
    print(String(decoding: try JSON.encode(self, snakeCase: true), as: UTF8.self))
    fflush(nil)
  }
}
