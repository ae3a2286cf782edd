import ResLensRuns
import Testing

/// The line that shows how far work is.
@Suite struct ProgressLineTests {
  private let training = ProgressLine(
    done: 120, total: 390, words: "epoch 12/300  loss 0.1234  error 5.10 %  1234 images/s  1 h 20 min left")

  @Test("A wide window shows everything, and a bar of 24 characters that is filled as far as the work is")
  func wide() {
    let line = training.drawn(columns: 120)
    #expect(line.hasPrefix(String(repeating: "█", count: 7) + String(repeating: "░", count: 17) + " 120/390 epoch"))
    #expect(line.hasSuffix("1234 images/s  1 h 20 min left"))
    #expect(training.plain == String(line.dropFirst(25)))
  }

  @Test(
    "In any narrower window the line fits; the bar gets shorter, then words go from their end, and the time left stays")
  func narrow() {
    for columns in 46..<110 {
      let line = training.drawn(columns: columns)
      #expect(line.count <= columns && line.hasSuffix("  1 h 20 min left") && line.contains("120/390 epoch 12/300"))
    }
    #expect(training.drawn(columns: 79).contains("error 5.10 %"))
    #expect(!training.drawn(columns: 60).contains("images/s"))
    #expect(training.drawn(columns: 10).count == 10)
  }

  @Test("The time left is told where it is known, and nothing about it where it is not")
  func timeLeft() {
    #expect(ProgressLine(done: 1, total: 2, words: "train", secondsLeft: 61).plain == "1/2 train  1 min 1 s left")
    #expect(ProgressLine(done: 0, total: 0, words: "train").drawn(columns: 79).hasSuffix("█ 0/0 train"))
  }
}
