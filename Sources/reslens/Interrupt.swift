import Foundation

/// Whether the user or the system asked the program to leave (SIGINT, SIGTERM). A second signal ends it at once.
enum Interrupt {
  nonisolated(unsafe) private static var number: Int32 = 0

  static func listen() {
    for signalNumber in [SIGINT, SIGTERM] {
      // A parent that blocks signals hands that on to its children.
      var own = sigset_t()
      sigemptyset(&own)
      sigaddset(&own, signalNumber)
      pthread_sigmask(SIG_UNBLOCK, &own, nil)
      signal(signalNumber) { number in
        Interrupt.number = number
        signal(number, SIG_DFL)
      }
    }
  }

  /// The process that this one works for; nil where it works for itself.
  nonisolated(unsafe) static var parent: pid_t?

  /// A parent that was killed could not ask: that it is gone is asking enough.
  static var received: Bool { number != 0 || parent.map { getppid() != $0 } ?? false }

  /// What a shell expects of a program that a signal ended.
  static var exitCode: Int32 { 128 + number }
}
