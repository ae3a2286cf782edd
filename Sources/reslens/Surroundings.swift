import Foundation
import Host

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

  /// The environment variable by which OpenMP's threads sleep while they wait, instead of turning on a core that another
  /// process could use.
  static let waitPolicy = (name: "OMP_WAIT_POLICY", value: "passive")

  /// Starts the program anew in its own place with that variable, unless the user has set it or libgomp's own: libgomp reads
  /// it once, before `main`. Two programs at once then take half as long (docs/performance.md says what it costs one alone).
  static func restartWithSleepingThreads() {
    #if os(Linux)
      guard getenv(waitPolicy.name) == nil, getenv("GOMP_SPINCOUNT") == nil else { return }
      setenv(waitPolicy.name, waitPolicy.value, 1)
      // Where that cannot be done, the program goes on as it is.
      execv("/proc/self/exe", CommandLine.unsafeArgv)
    #endif
  }
}
