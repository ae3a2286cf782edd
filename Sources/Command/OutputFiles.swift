import ArgumentParser
import Foundation

/// - Throws: `ValidationError` for the name of a file of another kind than what is written into it.
func check(_ path: String, endsWith suffix: String) throws {
  guard URL(filePath: path).pathExtension.lowercased() != suffix else { return }
  throw ValidationError("\(path): what is written there is .\(suffix); let its name end so")
}
