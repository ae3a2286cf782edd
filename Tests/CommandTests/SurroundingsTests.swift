import Foundation
import ResLensSupport
import ResLensTasks
import ResLensNetworks
import ResLensResults
import TestSupport
import Testing
import ResLensTorch
import ResLensTraining

/// The program in surroundings that fail it, and users who call it in other ways than it was written for.
@Suite struct SurroundingsTests {
  private let scratch: Scratch

  init() throws { scratch = try Scratch() }

  /// The output and the status of a shell's command, in which `$RESLENS` is the program and `$DIR` the test's folder.
  private func shell(_ command: String) throws -> (status: Int32, output: String, errors: String) {
    let outcome = try Tool("env").run(
      ["RESLENS=\(Reslens.program)", "DIR=\(scratch.url.path)", "bash", "-c", command], in: scratch.url)
    return (outcome.status, String(decoding: outcome.output, as: UTF8.self), outcome.errors)
  }

  private static let small =
    "train --model resnet-8 --data synthetic --train-samples 300 --validation-samples 100 --epochs 1 --out $DIR/run"

  @Test(
    "Nobody who listens on standard error is no reason to end", arguments: ["2>&-", "2>/dev/full", "2>&1 | head -n 1"])
  func deaf(_ redirection: String) throws {
    let trained = try shell("set -o pipefail; $RESLENS \(Self.small) \(redirection)")
    #expect(trained.status == 0, "\(trained)")
    #expect(try RunFolder(scratch.file("run")).epochs().count == 1)
    let measured = try shell("set -o pipefail; $RESLENS measure $DIR/run --samples 50 \(redirection)")
    #expect(measured.status == 0 && RunFolder(scratch.file("run")).url.lastPathComponent == "run", "\(measured)")
    #expect(try RunFolder(scratch.file("run")).measures()?.samples(of: .validation) == 50)
  }

  @Test("A program in the repository of another project records no commit")
  func foreignRepository() throws {
    let made = try shell(
      "git init -q && git -c user.name=t -c user.email=t@t commit -q --allow-empty -m t && cp $RESLENS reslens")
    try #require(made.status == 0, "\(made)")
    let trained = try shell("$DIR/reslens \(Self.small)")
    #expect(trained.status == 0, "\(trained)")
    #expect(try RunFolder(scratch.file("run")).sessions().map(\.commit) == [nil])
  }

  @Test("A table that cannot be written is an error")
  func fullOutput() throws {
    let found = try shell("$RESLENS models >/dev/full")
    #expect(found.status == 1 && found.errors.contains("standard output: it cannot be written"), "\(found)")
    let headed = try shell("set -o pipefail; $RESLENS models | head -n 2")
    #expect(headed.status == 0 && headed.output.contains("\nname"), "\(headed)")
  }

  @Test("Lines on standard error do not land in a table where both go to one file")
  func order() throws {
    _ = try shell("$RESLENS \(Self.small)")
    let found = try shell("$RESLENS measure $DIR/run --samples 50 >all.txt 2>&1; tail -n 1 all.txt")
    #expect(found.output.hasPrefix("written to "), "\(found)")
  }

  @Test(
    "A signal is answered at once, and the training is saved",
    arguments: [("INT", 130), ("TERM", 143), ("HUP", 129)] as [(String, Int32)])
  func signals(_ name: String, _ status: Int32) throws {
    // A step of this takes longer than the answer may.
    let found = try shell(
      """
      $RESLENS train --model resnet-56 --data synthetic --batch 1024 --out $DIR/run 2>log & child=$!
      until [ -d $DIR/run/checkpoints ] || [ -s log ]; do sleep 0.1; done
      sleep 1; kill -\(name) $child; sleep 0.2; cat log; wait $child; echo "status $?"
      """)
    #expect(found.output.contains("stopping after this step, and saving; again to end at once"), "\(found)")
    #expect(found.output.contains("status \(status)"), "\(found)")
    #expect(RunFolder(scratch.file("run")).latestCheckpoint() != nil)
  }

  @Test("A training under nohup goes on when its terminal is closed")
  func nohup() throws {
    let found = try shell(
      "nohup $RESLENS \(Self.small) 2>log & child=$!; sleep 1; kill -HUP $child; wait $child; echo $?")
    #expect(found.output.hasSuffix("0\n"), "\(found)")
    #expect(try RunFolder(scratch.file("run")).epochs().count == 1)
  }

  @Test("Measuring that is interrupted says so, and writes nothing")
  func interruptedMeasure() throws {
    _ = try shell("$RESLENS \(Self.small)")
    let found = try shell(
      "$RESLENS measure $DIR/run --measures all --data synthetic:1 2>log & child=$!; sleep 2; kill -INT $child; wait $child; echo $?; cat log"
    )
    #expect(
      found.output.contains("130") && found.output.contains("what is not written yet of this run is lost"), "\(found)")
    #expect(try RunFolder(scratch.file("run")).measures() == nil)
  }

  @Test("Few open files are an error that says so, and an unusable TMPDIR is none at all")
  func descriptorsAndTemporaryFolder() throws {
    _ = try shell("$RESLENS \(Self.small)")
    let few = try shell("ulimit -n 12; $RESLENS report $DIR/run")
    #expect(few.status == 0 || few.status == 1 && few.errors.contains("ulimit -n 256"), "\(few)")
    let report = try shell("TMPDIR=/nonexistent $RESLENS report $DIR/run")
    #expect(report.status == 0 && report.output.hasSuffix("report.html\n"), "\(report)")
  }

  @Test("A name that is not UTF-8 is an error that shows it, of an argument and of the current folder")
  func names() throws {
    let argument = try shell("$RESLENS train --model resnet-8 --data synthetic --out $(printf 'a\\xff')")
    #expect(argument.status == 1 && argument.errors.contains("is not UTF-8"), "\(argument)")
    let folder = try shell("mkdir $(printf 'b\\xff') && cd $(printf 'b\\xff') && $RESLENS models resnet-20")
    #expect(folder.status == 1 && folder.errors.contains("the current folder"), "\(folder)")
  }

  @Test(
    "Numbers that are too large or too small are refused by name",
    arguments: [
      ("train --model resnet-8 --data synthetic --epochs -1", "epochs: -1 is not between"),
      ("train --model resnet-8 --data synthetic --batch 9223372036854775807", "batch: "),
      ("train --model resnet-8 --data synthetic --train-samples -1", "-1 train samples"),
      ("train --model resnet-8 --data synthetic --checkpoint-seconds -1", "--checkpoint-seconds -1"),
      ("measure run --batch 9223372036854775807", "--batch 9223372036854775807"),
      ("measure run --samples -1", "--samples -1"), ("measure run --lesion-factors -x", "lesion-factors"),
      ("measure run --scale-grid -x", "scale-grid"),
      ("reproduce all --launcher slurm --retries 9223372036854775807 --dry-run", "--retries 9223372036854775807"),
      ("reproduce all --jobs -2", "--jobs -2"), ("launch --processes -1 -- train", "--processes -1"),
      ("study resnet-8 --data synthetic --seeds -1 --out s", "--seeds -1"),
      ("probe resnet-8 --samples 9223372036854775807", "9223372036854775807 train samples"),
      ("models --classes -1", "classes: -1"),
    ])
  func numbers(_ arguments: String, _ words: String) throws {
    let found = try Reslens.run(arguments.split(separator: " ").map(String.init), in: scratch.url)
    #expect([1, 64].contains(found.status) && found.errors.contains(words), "\(found)")
  }

  @Test("An error of a command shows that command's usage")
  func usage() throws {
    for (arguments, usage) in [
      (["train"], "Usage: reslens train"), (["study", "resnet-8", "--out", "s"], "Usage: reslens study"),
      (["data", "describe", "synthetic", "--picture", "x.jpg"], "Usage: reslens data describe"),
    ] {
      let found = try Reslens.run(arguments, in: scratch.url)
      #expect(found.status == 64 && found.errors.contains(usage) && found.errors.contains("--help"), "\(found)")
    }
  }

  @Test("A page is not written into a file of another kind, and pages in one folder keep their figures apart")
  func pages() throws {
    _ = try shell("$RESLENS \(Self.small)")
    let refused = try shell("$RESLENS report $DIR/run --out x.pdf; ls x.pdf")
    #expect(refused.status != 0 && refused.errors.contains("x.pdf: what is written there is .html"), "\(refused)")
    let both = try shell(
      "$RESLENS report $DIR/run --out a.html && $RESLENS report $DIR/run $DIR/run --out b.html && ls a-figures b-figures"
    )
    #expect(both.status == 0 && both.output.contains("training.csv"), "\(both)")
    let page = try String(contentsOf: scratch.file("a.html"), encoding: .utf8)
    #expect(page.contains("a-figures/training.csv") && !page.contains("b-figures"))
  }

  @Test("Commands that are suggested can be pasted into a shell, whatever the folder is called")
  func suggestions() throws {
    let found = try shell(
      """
      mkdir "it's here"
      $RESLENS train --model resnet-20 --data synthetic --out "it's here/run" 2>log & child=$!
      sleep 2; kill -INT $child; wait $child; sed -n 's/.*continue with: //p' log
      """)
    #expect(found.output.hasSuffix("train --resume --out '\(scratch.url.path)/it'\\''s here/run'\n"), "\(found)")
  }

  @Test("What killed processes left half written is swept, and what others are at work on is not")
  func leftovers() throws {
    _ = try shell("$RESLENS \(Self.small)")
    let run = scratch.file("run")
    // No process has so large a number.
    let (dead, living, young) = (
      "epochs.csv.writing-0-99999999", "epochs.csv.writing-0-\(getpid())", ".report-1-99999999"
    )
    for name in [dead, living] { try Files.write("x", to: run.appending(path: name)) }
    for name in [".report-0-99999999", young] { try Files.makeFolder(run.appending(path: name)) }
    _ = try shell("touch -d '10 minutes ago' run/\(dead) run/\(living) run/.report-0-99999999")
    let found = try shell("$RESLENS train --resume --out run && $RESLENS report run && ls -A run")
    #expect(found.status == 0, "\(found)")
    #expect(!found.output.contains(dead) && !found.output.contains(".report-0-99999999"), "\(found)")
    #expect(found.output.contains(living) && found.output.contains(young), "\(found)")
  }

  @Test("An export that found no room leaves nothing that blocks the next try")
  func export() throws {
    let full = try shell("ulimit -f 100; $RESLENS data export synthetic here")
    #expect(full.status == 1 && full.errors.contains("File too large"), "\(full)")
    let again = try shell("$RESLENS data export synthetic here && ls -A here")
    #expect(again.status == 0 && again.output.hasSuffix("cifar-10-batches-bin\n"), "\(again)")
  }

  @Test(
    "The threads of a program that computes wait for a short time before they sleep, unless the user says otherwise")
  func waitingThreads() throws {
    func policy(_ setting: String) throws -> String {
      try shell(
        """
        \(setting) $RESLENS train --model resnet-20 --data synthetic --out run & child=$!
        sleep 2; tr '\\0' '\\n' </proc/$child/environ | grep -E 'OMP_WAIT|SPINCOUNT'; kill -KILL $child; rm -rf run
        """
      ).output
    }
    #expect(try policy("") == "GOMP_SPINCOUNT=5000\n")
    #expect(try policy("OMP_WAIT_POLICY=active") == "OMP_WAIT_POLICY=active\n")
    #expect(try policy("GOMP_SPINCOUNT=5") == "GOMP_SPINCOUNT=5\n")
  }

  @Test(
    "A job script says a folder's name as it is, whatever shells and sbatch take for their own; a line break is refused"
  )
  func jobScript() throws {
    func script(_ out: String) throws -> (status: Int32, output: String, errors: String) {
      try Reslens.run(
        [
          "reproduce", "figure-4", "--scale", "smoke", "--data", "synthetic", "--launcher", "slurm", "--dry-run",
          "--out",
          scratch.file(out).path,
        ], in: scratch.url)
    }
    let odd = try script("it's \"100%\" $(touch escaped) \\ here")
    #expect(odd.status == 0, "\(odd.errors)")
    let line = try #require(odd.output.split(separator: "\n").first { $0.contains("--output=") })
    #expect(
      line
        == "#SBATCH --output=\"\(scratch.url.path)/it's \\\"100%%\\\" $(touch escaped) \\\\ here/slurm/\"%A-%a.log",
      "\(line)")
    try Files.write(odd.output.replacing("exec ", with: "echo "), to: scratch.file("script.sh"))
    let run = try Tool("sh").run([scratch.file("script.sh").path], in: scratch.url)
    let said = String(decoding: run.output, as: UTF8.self)
    #expect(run.status == 0 && said.contains("it's \"100%\" $(touch escaped) \\ here/plans"), "\(said)")
    let broken = try script("one\ntouch escaped\n#")
    #expect(broken.status == 1 && broken.errors.contains("line break"), "\(broken)")
    #expect(!FileManager.default.fileExists(atPath: scratch.file("escaped").path))
  }

  @Test("A download ends with the program that began it")
  func fetching() throws {
    let found = try shell(
      """
      python3 -c 'import socket, time; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1], flush=True); time.sleep(60)' >port & server=$!
      until [ -s port ]; do sleep 0.1; done
      address=http://127.0.0.1:$(cat port)/cifar-10-binary.tar.gz
      $RESLENS data fetch cifar10 data --url $address 2>log & child=$!
      sleep 2; kill -TERM $child; wait $child; echo "status $?"; cat log
      sleep 0.5; pgrep -f $address && echo left; kill -KILL $server
      """)
    #expect(found.output.contains("status 143") && found.output.contains("stopping the download"), "\(found)")
    #expect(!found.output.contains("left"), "\(found)")
    let smuggled = try shell("$RESLENS data fetch cifar10 data --url=-K/etc/passwd")
    #expect(smuggled.status == 1 && smuggled.errors.contains("this is no address"), "\(smuggled)")
  }
}
