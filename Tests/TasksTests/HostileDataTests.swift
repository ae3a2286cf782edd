import Foundation
import ResLensSupport
import ResLensTasks
import TestSupport
import Testing

/// Servers and archives that nobody wants to meet.
@Suite struct HostileDataTests {
  private let scratch: Scratch

  init() throws { scratch = try Scratch() }

  /// A server on this machine that sends ten bytes and then nothing (`/stall`), or goes on and on (`/endless`).
  private func withServer(_ body: (String) throws -> Void) throws {
    let script = """
      import http.server, time
      class Handler(http.server.BaseHTTPRequestHandler):
          def do_GET(self):
              self.send_response(200)
              self.end_headers()
              try:
                  self.wfile.write(b"0123456789")
                  while self.path == "/endless": self.wfile.write(b"x" * 100_000)
                  time.sleep(60)
              except OSError: pass
          def log_message(self, *words): pass
      server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
      print(server.server_port, flush=True)
      server.serve_forever()
      """
    let process = Process()
    process.executableURL = Tool("python3").location
    process.arguments = ["-c", script]
    let output = Pipe()
    process.standardOutput = output
    process.standardError = FileHandle.nullDevice
    try process.run()
    defer { kill(process.processIdentifier, SIGKILL) }
    let port = String(decoding: output.fileHandleForReading.availableData, as: UTF8.self)
    try body("http://127.0.0.1:\(port.trimmingCharacters(in: .newlines))")
  }

  @Test("A server that stalls is left, and the part that arrived is kept")
  func stall() throws {
    try withServer { (address: String) throws in
      var download = Download(address: address + "/stall", target: scratch.file("part"))
      download.stallSeconds = 1
      #expect { try download.run { false } } throws: { "\($0)".contains("the server sent nothing for 1 s") }
      #expect(try Data(contentsOf: download.target).count == 10)
    }
  }

  @Test("A server that never ends is left, and what came is thrown away")
  func endless() throws {
    try withServer { (address: String) throws in
      var download = Download(address: address + "/endless", target: scratch.file("part"))
      download.mostBytes = 1_000_000
      #expect { try download.run { false } } throws: { "\($0)".contains("it sent more than 1000000 bytes") }
      #expect(!FileManager.default.fileExists(atPath: download.target.path))
    }
  }

  @Test("A download that is stopped leaves no curl behind")
  func stopped() throws {
    try withServer { (address: String) throws in
      let download = Download(address: address + "/stall", target: scratch.file("part"))
      let began = Date.now
      #expect(throws: FileError.self) { try download.run { -began.timeIntervalSinceNow > 0.5 } }
      let left = try Tool("pgrep").run(["-f", address])
      #expect(left.status == 1, "\(String(decoding: left.output, as: UTF8.self))")
    }
  }

  @Test(
    "What is no address is not handed to curl, least of all as an option",
    arguments: ["-K/etc/passwd", "--config=/etc/passwd", "example.com/x", "", "ftps://x", "gopher://x"])
  func addresses(_ address: String) {
    #expect { try Download(address: address, target: scratch.file("part")).run { false } } throws: {
      "\($0)".contains("this is no address")
    }
    #expect(!FileManager.default.fileExists(atPath: scratch.file("part").path))
  }

  /// An archive with CIFAR-10's names, each file as Python makes it from (name, size, mode).
  private func archive(_ sizes: [String: Int] = [:], mode: String = "0o644") throws -> URL {
    let own = sizes.map { "\"\($0.key)\": \($0.value)" }.joined(separator: ", ")
    let script = """
      import io, sys, tarfile
      sizes = {"data_batch_%d.bin" % i: 30_730_000 for i in range(1, 6)}
      sizes |= {"test_batch.bin": 30_730_000, "batches.meta.txt": 20}
      sizes |= {\(own)}
      class Zeros(io.RawIOBase):
          def read(self, size=-1): return bytes(max(size, 0))
      with tarfile.open(sys.argv[1], "w:gz", compresslevel=1) as archive:
          for name, size in sizes.items():
              entry = tarfile.TarInfo("cifar-10-batches-bin/" + name)
              entry.size, entry.mode = size, \(mode)
              body = Zeros() if name != "batches.meta.txt" else io.BytesIO(b"a\\nb\\nc\\nd\\ne\\nf\\ng\\nh\\ni\\nj\\n")
              archive.addfile(entry, body)
      """
    let file = scratch.file("archive.tar.gz")
    let made = try Tool("python3").run(["-c", script, file.path])
    try #require(made.status == 0, "\(made.errors)")
    return file
  }

  @Test("Set-uid bits of an archive do not reach the disk")
  func permissions() throws {
    let file = try archive(mode: "0o6777")
    let folder = try CIFAR.cifar10.fetch(
      into: scratch.file("data"), from: file.absoluteString, md5: Fingerprint.md5(of: file)
    ) { _ in }
    for name in try FileManager.default.contentsOfDirectory(atPath: folder.path) {
      let attributes = try FileManager.default.attributesOfItem(atPath: folder.appending(path: name).path)
      #expect((attributes[.posixPermissions] as? NSNumber)?.intValue == 0o644, "\(name)")
    }
  }

  @Test("Zeros without end are not unpacked: a file larger than CIFAR's stops it")
  func zeros() throws {
    let file = try archive(["data_batch_3.bin": 300_000_000])
    let before = Set(try FileManager.default.contentsOfDirectory(atPath: FileManager.default.temporaryDirectory.path))
    #expect { try ImageDataset.load(file.path) } throws: { "\($0)".contains("it holds larger files than CIFAR's") }
    let after = Set(try FileManager.default.contentsOfDirectory(atPath: FileManager.default.temporaryDirectory.path))
    #expect(!after.subtracting(before).contains { $0.hasPrefix("reslens-") && !$0.hasPrefix("reslens-test") })
  }

  @Test("CIFAR as Python pickles is named, in a folder, beside one and in an archive")
  func pickles() throws {
    for (folder, files, name) in [
      ("cifar-10-batches-py", ["data_batch_1", "batches.meta"], "cifar10"),
      ("cifar-100-python", ["train", "meta"], "cifar100"),
    ] {
      let place = scratch.file(folder)
      try Files.makeFolder(place)
      for file in files { try Files.write("pickle", to: place.appending(path: file)) }
      let archive = scratch.file(name + ".tar.gz")
      try #require(Tool("tar").run(["-czf", archive.path, folder], in: scratch.url).status == 0)
      for source in [place.path, archive.path] {
        #expect { try ImageDataset.load(source) } throws: {
          "\($0)".contains("as Python pickles") && "\($0)".contains("reslens data fetch \(name) data")
        }
      }
      try FileManager.default.removeItem(at: place)
    }
  }
}
