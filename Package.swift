// swift-tools-version: 6.2
import Foundation
import PackageDescription

// libtorch as the PyPI wheel of torch carries it. `make setup` puts it here; LIBTORCH names another one.
let libtorch = Context.environment["LIBTORCH"] ?? Context.packageDirectory + "/.deps/python/torch"

// CUDA's headers, where this libtorch was built with CUDA: beside torch in its wheels, or of CUDA's own installation.
let cudaHeaders =
  ["cu13", "cuda_runtime", "nccl", "cublas", "cusparse", "cusolver"].map { "\(libtorch)/../nvidia/\($0)/include" }
  + ["/include", "/include/cccl"].map { (Context.environment["CUDA_HOME"] ?? "/usr/local/cuda") + $0 }
let hasCUDA = FileManager.default.fileExists(atPath: "\(libtorch)/lib/libtorch_cuda.so")

// CTorch as a library of its own, which scripts/build-engine has put into this folder: for a program that is to run where
// only that library can be built (scripts/portable). Else it is compiled into the program.
let engine = Context.environment["RESLENS_ENGINE"]

let ctorch: Target =
  engine == nil
  ? .target(
    name: "CTorch",
    cxxSettings: [
      .unsafeFlags(
        [
          "-I\(libtorch)/include", "-I\(libtorch)/include/torch/csrc/api/include", "-O3", "-fno-math-errno",
          "-Wno-deprecated-declarations",
        ] + (hasCUDA ? cudaHeaders.flatMap { ["-isystem", $0] } : []))
    ],
    linkerSettings: [
      .unsafeFlags(["-L\(libtorch)/lib", "-Xlinker", "-rpath", "-Xlinker", "\(libtorch)/lib"]),
      .linkedLibrary("torch_cpu"),
      .linkedLibrary("c10"),
      // CUDA's part of libtorch is found through what it registers when it is loaded: a linker sees no use of it.
      .unsafeFlags(hasCUDA ? ["-Xlinker", "--no-as-needed", "-ltorch_cuda", "-lc10_cuda"] : []),
    ])
  : .systemLibrary(name: "CTorch", path: "Sources/CTorch/include")

/// The module ResLens<folder> with the sources of Sources/<folder>. The prefix keeps its name from colliding with those of
/// other packages.
func module(
  _ folder: String, on folders: [String] = [], and others: [Target.Dependency] = [], resources: [Resource] = [],
  swiftSettings: [SwiftSetting] = [], linkerSettings: [LinkerSetting] = []
) -> Target {
  .target(
    name: "ResLens\(folder)", dependencies: modules(folders) + others, path: "Sources/\(folder)",
    resources: resources, swiftSettings: swiftSettings, linkerSettings: linkerSettings)
}

/// The modules of folders as dependencies.
func modules(_ folders: [String]) -> [Target.Dependency] { folders.map { .target(name: "ResLens\($0)") } }

/// The tests of Tests/<folder>Tests.
func tests(_ folder: String, of folders: [String], and others: [Target.Dependency] = ["TestSupport"]) -> Target {
  .testTarget(name: "\(folder)Tests", dependencies: modules(folders) + others)
}

let networks = ["Support", "Torch", "Results", "Networks", "Tasks"]
let library = networks + ["Training", "Measures", "Reports", "Runs", "Studies"]

let package = Package(
  name: "reslens",
  products: [
    .library(name: "ResLens", targets: ["ResLens"]),
    .library(name: "ResLensCommand", targets: ["ResLensCommand"]),
    .executable(name: "reslens", targets: ["reslens"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.5.0"),
    .package(url: "https://github.com/apple/swift-crypto", from: "4.0.0"),
    .package(url: "https://github.com/jpsim/Yams", from: "6.0.0"),
    .package(url: "https://github.com/swiftlang/swift-docc-plugin", from: "1.4.0"),
  ],
  targets: [
    ctorch,
    module("Support", and: ["Yams", .product(name: "Crypto", package: "swift-crypto")]),
    module(
      "Torch", on: ["Support"], and: ["CTorch"],
      linkerSettings: engine.map {
        [.unsafeFlags(["-L\($0)", "-Xlinker", "-rpath", "-Xlinker", "$ORIGIN", "-lctorch"])]
      } ?? []),
    module("Results", on: ["Support"]),
    module("Networks", on: ["Support", "Torch", "Results"]),
    module("Tasks", on: ["Support", "Torch", "Results"]),
    module("Training", on: networks),
    module("Measures", on: networks),
    // Tests run on the release build, and those of pages look at their parts.
    module("Reports", on: ["Support", "Results"], swiftSettings: [.unsafeFlags(["-enable-testing"])]),
    module("Runs", on: networks + ["Training", "Measures", "Reports"], resources: [.embedInCode("Python")]),
    module("Studies", on: networks + ["Training", "Measures", "Runs"]),
    .target(name: "ResLens", dependencies: modules(library)),
    module("Command", on: library, and: [.product(name: "ArgumentParser", package: "swift-argument-parser")]),
    .executableTarget(name: "reslens", dependencies: ["ResLensCommand"]),
    // A measure and a kind of block as users of the package would write them, and the command with both.
    .target(name: "OwnKinds", dependencies: ["ResLens"], path: "Tests/OwnKinds"),
    .executableTarget(
      name: "OwnProgram", dependencies: ["OwnKinds", "ResLens", "ResLensCommand"], path: "Tests/OwnProgram"),
    // It calls CTorch, which whatever links it has; as a dependency CTorch would be a module, which C++ cannot include.
    .target(name: "DeviceEmulator", path: "Tests/DeviceEmulator"),
    .target(
      name: "TestSupport", dependencies: modules(["Support", "Torch", "Results"]), path: "Tests/TestSupport",
      exclude: ["forking.py"]),
    tests("File", of: library),
    tests("Results", of: ["Results", "Support"]),
    tests("Torch", of: ["Torch"], and: ["TestSupport", "DeviceEmulator"]),
    tests("Networks", of: ["Networks"], and: ["OwnKinds", "TestSupport"]),
    tests("Tasks", of: ["Tasks"]),
    tests("Training", of: ["Training", "Measures"], and: ["TestSupport", "DeviceEmulator"]),
    tests("Measures", of: ["Measures"]),
    tests("Runs", of: ["Runs"], and: ["TestSupport", "DeviceEmulator"]),
    tests("Studies", of: ["Studies", "Runs"]),
    tests("ResLens", of: [], and: ["ResLens", "TestSupport"]),
    tests("Command", of: ["Training", "Runs"], and: ["reslens", "OwnKinds", "OwnProgram", "TestSupport"]),
    tests("Reports", of: ["Reports"], and: []),
  ],
  cxxLanguageStandard: .cxx20
)
