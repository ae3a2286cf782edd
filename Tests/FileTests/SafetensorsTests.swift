import Foundation
import ResLensSupport
import TestSupport
import Testing
import ResLensTorch

/// The reader of safetensors beside the format's own, which Python has.
@Suite struct SafetensorsTests {
  private func file(_ header: String, bytes: Int) -> Data {
    withUnsafeBytes(of: UInt64(header.utf8.count).littleEndian) { Data($0) } + Data(header.utf8) + Data(count: bytes)
  }

  @Test(
    "A header that a strict reader refuses is refused",
    arguments: [
      (
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}",
        "comes twice"
      ),
      ("{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", "comes twice"),
      (
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},\"\\u0061\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[4,4]}}",
        "comes twice"
      ),
      ("{\"a\":{\"dtype\":\"F32\",\"shape\":[1.0],\"data_offsets\":[0,4]}}", "1.0 is not a whole number"),
      ("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4e0]}}", "4e0 is not a whole number"),
      ("{\"a\":{\"dtype\":\"F32\",\"shape\":[01],\"data_offsets\":[0,4]}}", "01 is not a whole number"),
      ("{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}", "-1 is not a whole number"),
      ("{\"a\":{\"dtype\":\"F32\",\"shape\":[1,],\"data_offsets\":[0,4]}}", "comma before a closing"),
      ("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},}", "comma before a closing"),
      ("\u{feff}{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", "does not begin with"),
      (" {\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", "does not begin with"),
      (
        "{\"a\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[0,4]}}",
        "element type F16, which ResLens does not read"
      ),
    ])
  func strict(_ header: String, _ words: String) {
    #expect { try Safetensors(decoding: file(header, bytes: 4), path: "w.safetensors") } throws: { error in
      (error as? FileError).map { $0.path == "w.safetensors" && $0.problem.contains(words) } ?? false
    }
  }

  @Test(
    "What is accepted of mutated files, Python's reader accepts too",
    .enabled(if: Checkout.hasPyTorch, Comment(rawValue: Checkout.pyTorchIsMissing)))
  func reference() throws {
    let scratch = try Scratch()
    let reader = try #require(Reader.all.first { $0.name == "safetensors" })
    let originals = try reader.originals()
    var accepted = 0
    for input in 0..<8000 {
      var mutator = Mutator(originals, seed: 7, input: input)
      let bytes = mutator.next()
      guard (try? Safetensors(decoding: Data(bytes), path: "x")) != nil else { continue }
      try Data(bytes).write(to: scratch.file("\(input).safetensors"))
      accepted += 1
    }
    #expect(accepted > 100)
    let script = """
      import pathlib, sys
      from safetensors import safe_open
      for path in sorted(pathlib.Path(sys.argv[1]).glob("*.safetensors")):
          try:
              with safe_open(path, framework="numpy") as file:
                  for name in file.keys(): file.get_tensor(name)
          except Exception as error:
              print(path.name, repr(error))
      """
    let python = try Tool("env").run(
      ["PYTHONPATH=\(Checkout.root.path)/.deps/python", "python3", "-c", script, scratch.url.path])
    #expect(
      python.status == 0 && python.output.isEmpty, "\(String(decoding: python.output, as: UTF8.self)) \(python.errors)")
  }
}
