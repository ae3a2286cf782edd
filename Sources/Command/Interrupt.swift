import Foundation

/// A request by the user or the system to leave (SIGINT, SIGTERM, SIGHUP). A second signal ends it at once.
enum Interrupt {
  nonisolated(unsafe) private static var number: Int32 = 0
  /// The line that the handler writes at the first signal; a handler may do little more.
  nonisolated(unsafe) private static var answer = (text: UnsafePointer<CChar>?.none, count: 0)

  /// - Parameter answer: what the program does before it leaves, for instance "stopping after this step"; nil where another
  ///   process says so
  static func listen(answer: String?) {
    if let answer,
      let text = strdup("\(isatty(STDERR_FILENO) == 1 ? "\r\u{1b}[2K" : "")\(answer); again to end at once\n")
    {
      Interrupt.answer = (UnsafePointer(text), strlen(text))
    }
    for signalNumber in [SIGINT, SIGTERM, SIGHUP] {
      // nohup has a program go on when its terminal is closed.
      if signalNumber == SIGHUP, isIgnored(SIGHUP) { continue }
      // A parent that blocks signals hands that on to its children.
      var own = sigset_t()
      sigemptyset(&own)
      sigaddset(&own, signalNumber)
      pthread_sigmask(SIG_UNBLOCK, &own, nil)
      signal(signalNumber) { number in
        let code = errno
        Interrupt.number = number
        signal(number, SIG_DFL)
        if let text = Interrupt.answer.text { _ = Foundation.write(STDERR_FILENO, text, Interrupt.answer.count) }
        errno = code
      }
    }
  }

  private static func isIgnored(_ signalNumber: Int32) -> Bool {
    var old = sigaction()
    sigaction(signalNumber, nil, &old)
    return unsafeBitCast(old.__sigaction_handler.sa_handler, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self)
  }

  /// The process that this one works for; nil where it works for itself.
  nonisolated(unsafe) static var parent: pid_t?

  /// A parent that was killed could not ask: that it is gone is asking enough.
  static var received: Bool { number != 0 || parent.map { getppid() != $0 } ?? false }

  /// The exit status that a shell expects from a program that a signal ended.
  static var exitCode: Int32 { 128 + number }
}
