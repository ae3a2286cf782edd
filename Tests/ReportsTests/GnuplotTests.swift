import Foundation
import ResLensSupport
import Testing

@testable import ResLensReports

@Suite("gnuplot") struct GnuplotTests {
  @Test("is what GNUPLOT names, before any on PATH") func override() throws {
    let scratch = try Scratch()
    let path = try scratch.gnuplot("exit 0").executable.path
    #expect(Gnuplot.find(in: ["GNUPLOT": path, "PATH": "/usr/bin"])?.executable.path == path)
    #expect(Gnuplot.find(in: ["GNUPLOT": "fake-gnuplot", "PATH": scratch.url.path])?.executable.path == path)
    #expect(Gnuplot.find(in: ["PATH": scratch.url.path]) == nil)
    #expect(Gnuplot.find(in: [:]) == nil)
  }

  @Test("tells its version", .enabled(if: Gnuplot.find() != nil, "gnuplot is not installed")) func version() throws {
    #expect(try #require(Gnuplot.find()).version.hasPrefix("gnuplot "))
  }

  @Test("that cannot be started is named, with what to do") func notThere() throws {
    let missing = Gnuplot(executable: URL(fileURLWithPath: "/nowhere/gnuplot"))
    let error = try #require(throws: FileError.self) { try missing.version }
    #expect(error.path == "/nowhere/gnuplot")
    #expect(error.description.contains("GNUPLOT"))
  }

  @Test("that fails is quoted, with the script's name") func failing() throws {
    let scratch = try Scratch()
    let broken = try scratch.gnuplot("echo 'line 3: undefined variable: foo' >&2; exit 3")
    let error = try #require(throws: FileError.self) { try broken.draw(scratch.url.appendingPathComponent("a.gp")) }
    #expect(error.path == "a.gp")
    #expect(error.problem.contains("failed with 3") && error.problem.contains("undefined variable: foo"))
  }
}
