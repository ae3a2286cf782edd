import Foundation
import ResLensSupport
import ResLensNetworks
import TestSupport
import Testing
import ResLensTorch

/// Passes against PyTorch: those of `reference/golden.py`, in float64, and those of the Python package.
@Suite(.enabled(if: Checkout.hasPyTorch, Comment(rawValue: Checkout.pyTorchIsMissing)))
struct PyTorchTests {
  private func golden(
    _ network: ResidualNetwork, _ images: Tensor, _ labels: Tensor, _ options: [String]
  ) throws -> [String: Tensor] {
    let scratch = try Scratch()
    try network.save(to: scratch.file("weights.safetensors"))
    try Safetensors(tensors: ["images": images, "labels": labels]).write(to: scratch.file("inputs.safetensors"))
    let files = ["weights.safetensors", "inputs.safetensors", "out.safetensors"].map { scratch.file($0).path }
    let run = try Checkout.reference("golden.py", files + options)
    try #require(run.status == 0, Comment(rawValue: run.text))
    return try Safetensors(contentsOf: scratch.file("out.safetensors")).tensors
  }

  private func expectClose(_ found: Tensor, _ wanted: Tensor?, _ name: String, within tolerance: Double = 1e-9) throws {
    let distance = try found.distance(to: #require(wanted, "PyTorch has no \(name)"))
    #expect(distance < tolerance, "\(name) differs by \(distance)")
  }

  @Test(
    "Logits, every gradient and the running statistics of a training pass",
    arguments: smallArchitectures + smallHeArchitectures)
  func trainingPass(architecture: Architecture) throws {
    let (network, images, labels) = try prepared(architecture, type: .float64)
    let wanted = try golden(network, images, labels, ["--smoothing", "0.1", "--rate", "0"])
    let pass = try Pass(network, images: images, mode: .batchUpdating())
    try expectClose(pass.logits, wanted["logits"], "logits")
    let gradient = try Predictions(
      logits: pass.logits, labels: labels, smoothing: 0.1, gradientScale: 1 / Double(images.shape[0])
    ).gradient
    let gradients = Gradients()
    try pass.backward(#require(gradient), into: gradients)
    for specification in architecture.parameters {
      let path = specification.path
      if specification.isTrainable {
        try expectClose(#require(gradients.byPath[path]), wanted["gradient." + path], "gradient of " + path)
      } else {
        try expectClose(#require(network.parameters[path]), wanted["state." + path], path)
      }
    }
  }

  @Test("Every h, F and gradient of an evaluation pass", arguments: smallArchitectures + smallHeArchitectures)
  func evaluationPass(architecture: Architecture) throws {
    let (network, images, labels) = try prepared(architecture, type: .float64)
    let wanted = try golden(network, images, labels, ["--mode", "evaluation", "--rate", "0"])
    let pass = try Pass(network, images: images, mode: .running, wants: .added)
    let gradient = try #require(Predictions(logits: pass.logits, labels: labels, gradientScale: 1).gradient)
    var visited = 0
    try pass.backward(gradient, into: nil) { step in
      visited += 1
      let number = step.spec.id.number
      try expectClose(step.input, wanted["h.\(number)"], "h before step \(number)")
      try expectClose(step.added, wanted["F.\(number)"], "F of step \(number)")
      try expectClose(step.gradient, wanted["gradient.h.\(number)"], "gradient at step \(number)")
    }
    #expect(visited == architecture.steps.count)
    #expect(throws: PassError.self) { try pass.backward(gradient, into: nil) }
  }

  @Test(
    "Gradients of parameters by running statistics",
    arguments: smallHeArchitectures.filter { $0.stages.allSatisfy { $0.kind != "pre-activation" } })
  func gradientsByRunningStatistics(architecture: Architecture) throws {
    let (network, images, labels) = try prepared(architecture, type: .float64)
    let wanted = try golden(network, images, labels, ["--mode", "evaluation", "--rate", "0"])
    let pass = try Pass(network, images: images, mode: .running)
    let gradient = try Predictions(
      logits: pass.logits, labels: labels, gradientScale: 1 / Double(images.shape[0])
    ).requiredGradient()
    let gradients = Gradients()
    try pass.backward(gradient, into: gradients)
    let convolutions = architecture.parameters.map(\.path).filter {
      $0.contains("stages") && $0.hasSuffix("conv1.weight")
    }
    for path in convolutions {
      try expectClose(#require(gradients.byPath[path]), wanted["gradient." + path], "gradient of " + path)
    }
    #expect(convolutions.count == architecture.steps.count)
  }

  @Test(
    "The Python package's module gives the logits of every image", arguments: smallArchitectures + smallHeArchitectures)
  func pythonModule(architecture: Architecture) throws {
    let (network, images, _) = try prepared(architecture, type: .float32)
    let run = try Scratch()
    let checkpoint = run.file("checkpoints/epoch-00001-step-0000000")
    try Files.makeFolder(checkpoint)
    try network.save(to: checkpoint.appending(path: "weights.safetensors"))
    try Safetensors(tensors: ["images": images]).write(to: run.file("images.safetensors"))
    let script = """
      import sys, reslens
      from safetensors.torch import load_file, save_file
      images = load_file(sys.argv[1] + "/images.safetensors")["images"]
      save_file({"logits": reslens.weights(sys.argv[1])(images).detach()}, sys.argv[1] + "/logits.safetensors")
      """
    let python = try Checkout.runPython(["-c", script, run.url.path])
    try #require(python.status == 0, Comment(rawValue: python.text))
    let wanted = try Safetensors(contentsOf: run.file("logits.safetensors")).tensors["logits"]
    let pass = try Pass(network, images: images, mode: .running)
    let largest = try pass.logits.doubles().map(abs).max() ?? 0
    try expectClose(pass.logits, wanted, "logits", within: 1e-5 * max(1, largest))
  }
}
