import Foundation
import ResLensSupport
import ResLensTasks
import TestSupport
import Testing
import ResLensTorch

/// CIFAR-10's layout with made-up pixels.
private func makeCIFAR10(in folder: URL) throws {
  let target = folder.appending(path: "cifar-10-batches-bin")
  try Files.makeFolder(target)
  for (number, file) in ((1...5).map { "data_batch_\($0).bin" } + ["test_batch.bin"]).enumerated() {
    var records = Data(count: 10_000 * 3073)
    for record in 0..<10_000 {
      records[record * 3073] = UInt8((record + number) % 10)
      records[record * 3073 + 1 + number] = 200
    }
    try Files.write(records, to: target.appending(path: file))
  }
  try Files.write((0..<10).map { "class \($0)\n" }.joined() + "\n", to: target.appending(path: "batches.meta.txt"))
}

@Suite struct CIFARTests {
  private let scratch: Scratch
  private var folder: URL { scratch.url.appending(path: "cifar-10-batches-bin") }

  init() throws {
    scratch = try Scratch()
    try makeCIFAR10(in: scratch.url)
  }

  private func expectError(_ file: String, _ words: String, _ body: () throws -> Void) {
    #expect {
      try body()
    } throws: { error in
      guard let error = error as? FileError else { return false }
      return error.path.hasSuffix(file) && error.problem.contains(words) && !error.remedy.isEmpty
    }
  }

  @Test("Records become images and labels, from the folder or its parent")
  func layout() throws {
    for path in [folder.path, scratch.url.path] {
      let dataset = try ImageDataset.load(path)
      #expect(dataset.name == "cifar-10" && dataset.classNames[3] == "class 3")
      #expect(dataset.train.count == 50_000 && dataset.validation.count == 10_000)
      #expect(dataset.train.labels[10_002] == 3)
      #expect(try dataset.train.images.rows(10_002..<10_003).bytes()[1] == 200)
      #expect(try dataset.validation.images.rows(0..<1).bytes()[5] == 200)
    }
  }

  @Test("Truncated, oversized and missing files and labels out of range are named")
  func damage() throws {
    let file = folder.appending(path: "data_batch_3.bin")
    let whole = try Data(contentsOf: file)
    for size in [0, whole.count - 1, whole.count - 3073] {
      try Files.write(whole.prefix(size), to: file)
      expectError("data_batch_3.bin", "\(size) bytes") { _ = try ImageDataset.load(scratch.url.path) }
    }
    try Files.write(whole + Data(count: 3073), to: file)
    expectError("data_batch_3.bin", "bytes") { _ = try ImageDataset.load(scratch.url.path) }
    var wrong = whole
    wrong[7 * 3073] = 10
    try Files.write(wrong, to: file)
    expectError("data_batch_3.bin", "record 7 has label 10") { _ = try ImageDataset.load(scratch.url.path) }
    try FileManager.default.removeItem(at: file)
    expectError("data_batch_3.bin", "no such file") { _ = try ImageDataset.load(scratch.url.path) }
    try Files.write(whole, to: file)
    try Files.write("one\n", to: folder.appending(path: "batches.meta.txt"))
    expectError("batches.meta.txt", "1 classes") { _ = try ImageDataset.load(scratch.url.path) }
    expectError("nowhere", "nothing") { _ = try ImageDataset.load("/nowhere") }
    let empty = try Scratch()
    expectError("", "no CIFAR") { _ = try ImageDataset.load(empty.url.path) }
  }

  @Test("A source has one whole name, from whatever folder it is named")
  func wholeNames() throws {
    let whole = try ImageDataset.wholeName(of: folder.path)
    #expect(whole == folder.path)
    #expect(try ImageDataset.wholeName(of: folder.path + "/../cifar-10-batches-bin/") == whole)
    #expect(try ImageDataset.wholeName(of: "data").hasPrefix("/"))
    #expect(try ImageDataset.wholeName(of: "synthetic:7") == "synthetic:7")
    #expect(throws: FileError.self) { try ImageDataset.wholeName(of: "synthetic:x") }
  }

  @Test("Two data sets under one folder are told apart by their own names only")
  func twoSets() throws {
    let other = scratch.url.appending(path: "cifar-100-binary")
    try Files.makeFolder(other)
    try Files.write("", to: other.appending(path: "train.bin"))
    expectError("", "several") { _ = try ImageDataset.load(scratch.url.path) }
    #expect(try ImageDataset.load(folder.path).name == "cifar-10")
  }

  @Test("An exported set is read by others and never takes another's place")
  func export() throws {
    let dataset = try Synthetic.dataset(train: 3, validation: 2)
    expectError("cifar-10-batches-bin", "already") { _ = try dataset.export(to: scratch.url) }
    let target = try dataset.export(to: scratch.file("exported"))
    #expect {
      _ = try ImageDataset.load(target.path)
    } throws: {
      ($0 as? FileError)?.remedy.contains("name the source that it was of") == true
    }
    let records = try [UInt8](Data(contentsOf: target.appending(path: "data_batch_1.bin")))
    #expect(records.count == 3 * 3073 && Int(records[3073]) == dataset.train.labels[1])
    #expect(try Array(records[3074..<(2 * 3073)]) == dataset.train.images.rows(1..<2).bytes())
  }

  private func makeArchive(_ name: String, _ members: [String]) throws -> URL {
    let archive = scratch.file(name)
    let outcome = try Tool("tar").run(["-czf", archive.path] + members, in: scratch.url)
    try #require(outcome.status == 0, Comment(rawValue: outcome.errors))
    return archive
  }

  @Test("An archive is read without being unpacked by hand, and a damaged one is named")
  func archive() throws {
    let archive = try makeArchive("c.tar.gz", ["cifar-10-batches-bin"])
    let dataset = try ImageDataset.load(archive.path)
    #expect(dataset.train.count == 50_000)
    let whole = try Data(contentsOf: archive)
    try Files.write(whole.prefix(whole.count / 2), to: archive)
    expectError("c.tar.gz", "archive") { _ = try ImageDataset.load(archive.path) }
    try Files.write("not an archive", to: archive)
    expectError("c.tar.gz", "archive") { _ = try ImageDataset.load(archive.path) }
    let lacking = try makeArchive("d.tar.gz", ["cifar-10-batches-bin/data_batch_1.bin"])
    expectError("d.tar.gz", "data_batch_2.bin is missing") { _ = try ImageDataset.load(lacking.path) }
  }

  @Test("Nothing of an archive leaves its folder, and a link is no data file")
  func hostileArchive() throws {
    let file = folder.appending(path: "data_batch_2.bin")
    try FileManager.default.removeItem(at: file)
    try FileManager.default.createSymbolicLink(atPath: file.path, withDestinationPath: "/etc/passwd")
    try Files.write("escaped", to: scratch.file("evil"))
    let archive = scratch.file("evil.tar.gz")
    let outcome = try Tool("tar").run(
      ["-czf", archive.path, "--transform", "s,^evil$,../../evil-escaped,", "-P", "cifar-10-batches-bin", "evil"],
      in: scratch.url)
    try #require(outcome.status == 0, Comment(rawValue: outcome.errors))
    expectError("evil.tar.gz", "data_batch_2.bin is not a plain file") { _ = try ImageDataset.load(archive.path) }
    let target = scratch.file("a/b")
    try Files.makeFolder(target)
    #expect(throws: FileError.self) {
      try CIFAR.cifar10.fetch(into: target, from: archive.absoluteString, md5: md5(archive)) { _ in }
    }
    #expect(!FileManager.default.fileExists(atPath: scratch.file("evil-escaped").path))
    #expect(!FileManager.default.fileExists(atPath: target.appending(path: "cifar-10-batches-bin").path))
  }

  private func md5(_ url: URL) throws -> String {
    String(decoding: try Tool("md5sum").run([url.path]).output.prefix(32), as: UTF8.self)
  }

  @Test("Fetching resumes, checks the sum, unpacks, and does nothing the second time")
  func fetch() throws {
    let archive = try makeArchive("cifar-10-binary.tar.gz", ["cifar-10-batches-bin"])
    let server = try RangeServer(scratch.url)
    let address = "http://127.0.0.1:\(server.port)/cifar-10-binary.tar.gz"
    let target = scratch.file("data")
    try Files.makeFolder(target)

    #expect {
      try CIFAR.cifar10.fetch(into: target, from: address + ".none", md5: "x") { _ in }
    } throws: { ($0 as? FileError)?.problem.contains("download failed") ?? false }
    #expect {
      try CIFAR.cifar10.fetch(into: target, from: address, md5: "0123") { _ in }
    } throws: { ($0 as? FileError)?.problem.contains("MD5") ?? false }
    // A wrong download is thrown away; half of a right one is continued.
    let part = target.appending(path: "cifar-10.tar.gz.part")
    #expect(!FileManager.default.fileExists(atPath: part.path))
    let whole = try Data(contentsOf: archive)
    try Files.write(whole.prefix(whole.count / 2), to: part)
    let folder = try CIFAR.cifar10.fetch(into: target, from: address, md5: md5(archive)) { _ in }
    #expect(try server.log().contains("Range: bytes=\(whole.count / 2)-"))
    #expect(try ImageDataset.load(folder.path).train.count == 50_000)
    let requests = try server.log().count
    _ = try CIFAR.cifar10.fetch(into: target, from: address, md5: md5(archive)) { _ in }
    #expect(try server.log().count == requests)
  }

  @Test(
    "Real CIFAR-10 has its published statistics",
    .enabled(if: Checkout.realCIFAR10 != nil, "name a folder of it in the environment variable CIFAR10"))
  func realCIFAR10() throws {
    let dataset = try ImageDataset.load(#require(Checkout.realCIFAR10))
    let wanted = ([0.49139968, 0.48215841, 0.44653091], [0.24703223, 0.24348513, 0.26158784])
    for channel in 0..<3 {
      #expect(abs(try dataset.statistics.means[channel] - wanted.0[channel]) < 1e-8)
      #expect(abs(try dataset.statistics.deviations[channel] - wanted.1[channel]) < 1e-8)
    }
    #expect((0..<10).allSatisfy { label in dataset.train.labels.count { $0 == label } == 5000 })
  }

  @Test(
    "Real CIFAR-100 has its published statistics",
    .enabled(if: Checkout.realCIFAR100 != nil, "name a folder of it in the environment variable CIFAR100"))
  func realCIFAR100() throws {
    let dataset = try ImageDataset.load(#require(Checkout.realCIFAR100))
    let wanted = [0.50707516, 0.48654887, 0.44091784]
    for channel in 0..<3 { #expect(abs(try dataset.statistics.means[channel] - wanted[channel]) < 1e-8) }
    #expect((0..<100).allSatisfy { label in dataset.train.labels.count { $0 == label } == 500 })
  }
}

/// A web server on this machine that serves a folder, parts of files too, and notes what was asked for.
private final class RangeServer {
  let port: Int
  private let process = Process()
  private let logFile: URL

  init(_ folder: URL) throws {
    logFile = folder.appending(path: "requests.log")
    let script = """
      import http.server, os, sys
      class Handler(http.server.BaseHTTPRequestHandler):
          def do_GET(self):
              span = self.headers.get("Range")
              with open("requests.log", "a") as log: log.write(f"{self.path} Range: {span}\\n")
              path = self.path.lstrip("/")
              if not os.path.exists(path): return self.send_error(404)
              data = open(path, "rb").read()
              start = int(span.split("=")[1].split("-")[0]) if span else 0
              self.send_response(206 if span else 200)
              if span: self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
              self.send_header("Content-Length", str(len(data) - start))
              self.end_headers()
              self.wfile.write(data[start:])
          def log_message(self, *words): pass
      server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
      print(server.server_port, flush=True)
      server.serve_forever()
      """
    process.executableURL = Tool("python3").location
    process.arguments = ["-c", script]
    process.currentDirectoryURL = folder
    let output = Pipe()
    process.standardOutput = output
    process.standardError = FileHandle.nullDevice
    try process.run()
    var line = ""
    while !line.hasSuffix("\n") && process.isRunning {
      line += String(decoding: output.fileHandleForReading.availableData, as: UTF8.self)
    }
    port = Int(line.trimmingCharacters(in: .newlines)) ?? 0
  }

  // Not terminate(): the signals that this process blocks are blocked in its children.
  deinit { kill(process.processIdentifier, SIGKILL) }

  func log() throws -> String { String(decoding: try Data(contentsOf: logFile), as: UTF8.self) }
}
