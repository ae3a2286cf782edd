import Foundation
import ResLensSupport

/// The arguments, folder and standard streams that the program was started with, checked before anything else is done.
enum Surroundings {
  /// - Throws: `FileError` for names of files that are not UTF-8, which would become others on the way.
  static func prepare() throws(FileError) {
    // A full pipe or a file-size limit is an error to report, not a reason to vanish.
    signal(SIGPIPE, SIG_IGN)
    signal(SIGXFSZ, SIG_IGN)
    // A file that is opened in place of a closed standard stream would be written to by every message.
    for descriptor in STDIN_FILENO...STDERR_FILENO where fcntl(descriptor, F_GETFD) == -1 {
      _ = open("/dev/null", descriptor == STDIN_FILENO ? O_RDONLY : O_WRONLY)
    }
    for index in 1..<max(1, Int(CommandLine.argc)) {
      guard let argument = CommandLine.unsafeArgv[index] else { continue }
      try check(argument, "argument \(index)")
    }
    if let folder = getcwd(nil, 0) {
      defer { free(folder) }
      try check(folder, "the current folder")
    }
  }

  private static func check(_ text: UnsafePointer<CChar>, _ name: String) throws(FileError) {
    guard String(validatingCString: text) == nil else { return }
    throw FileError(
      path: name, problem: "\"\(String(cString: text))\" is not UTF-8 text, and ResLens reads and writes no such names",
      remedy: "rename the file or folder")
  }

  /// Writes what is still to be written to standard output.
  /// - Throws: `FileError` where it cannot be, save where its reader has gone (`| head`).
  static func finishOutput() throws(FileError) {
    errno = 0
    guard fflush(nil) != 0, errno != EPIPE else { return }
    throw FileError(
      path: "standard output", problem: "it cannot be written: \(String(cString: strerror(errno)))",
      remedy: "make room where it goes")
  }

  /// The environment variable that says how often OpenMP's threads look for new work before they sleep, or nil where the
  /// user has set it or `OMP_WAIT_POLICY`. 5000 times is about 0.1 ms: longer than the pauses within a training step, and
  /// short enough to leave the core to another process (docs/performance.md has the figures).
  static var spinCount: (name: String, value: String)? {
    let name = "GOMP_SPINCOUNT"
    return getenv(name) == nil && getenv("OMP_WAIT_POLICY") == nil ? (name, "5000") : nil
  }

  /// Starts the program anew in its own place with `spinCount`: libgomp reads the variable once, before `main`.
  static func restartWithSpinCount() {
    #if os(Linux)
      guard let spinCount else { return }
      setenv(spinCount.name, spinCount.value, 1)
      // Where that cannot be done, the program goes on as it is.
      execv("/proc/self/exe", CommandLine.unsafeArgv)
    #endif
  }
}
