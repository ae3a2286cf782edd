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
    .target(name: "Host", dependencies: ["Yams", .product(name: "Crypto", package: "swift-crypto")]),
    .target(
      name: "Torch", dependencies: ["CTorch", "Host"],
      linkerSettings: engine.map {
        [.unsafeFlags(["-L\($0)", "-Xlinker", "-rpath", "-Xlinker", "$ORIGIN", "-lctorch"])]
      }),
    .target(name: "Results", dependencies: ["Host"]),
    .target(name: "ResidualNetworks", dependencies: ["Host", "Torch", "Results"]),
    .target(name: "ImageDatasets", dependencies: ["Host", "Torch", "Results"]),
    .target(
      name: "Training", dependencies: ["Host", "Torch", "Results", "ResidualNetworks", "ImageDatasets"]),
    .target(
      name: "IterativeInference", dependencies: ["Torch", "Results", "ResidualNetworks", "ImageDatasets"]),
    .target(
      name: "Runs",
      dependencies: [
        "Host", "Torch", "Results", "ResidualNetworks", "ImageDatasets", "Training", "IterativeInference", "Reports",
      ]),
    .target(
      name: "Studies",
      dependencies: [
        "Host", "Torch", "Results", "ResidualNetworks", "ImageDatasets", "Training", "IterativeInference", "Runs",
      ]),
    .target(
      name: "Reports", dependencies: ["Host", "Results"],
      // Tests run on the release build, and those of pages look at their parts.
      swiftSettings: [.unsafeFlags(["-enable-testing"])]),
    .target(
      name: "ResLens",
      dependencies: [
        "Host", "Torch", "Results", "ResidualNetworks", "ImageDatasets", "Training", "IterativeInference", "Runs",
        "Studies", "Reports",
      ]),
    .target(
      name: "ResLensCommand",
      dependencies: [
        "Host", "Torch", "Results", "ResidualNetworks", "ImageDatasets", "Training", "IterativeInference", "Runs",
        "Studies", "Reports", .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ], path: "Sources/Command"),
    .executableTarget(name: "reslens", dependencies: ["ResLensCommand"]),
    // A measure and a kind of block as users of the package would write them, and the command with both.
    .target(name: "OwnKinds", dependencies: ["ResidualNetworks", "IterativeInference"], path: "Tests/OwnKinds"),
    .executableTarget(
      name: "OwnProgram", dependencies: ["OwnKinds", "ResLensCommand", "IterativeInference"], path: "Tests/OwnProgram"),
    // It calls CTorch, which whatever links it has; as a dependency CTorch would be a module, which C++ cannot include.
    .target(name: "DeviceEmulator", path: "Tests/DeviceEmulator"),
    .target(name: "TestSupport", dependencies: ["Host", "Torch", "Results"], path: "Tests/TestSupport"),
    .testTarget(
      name: "FileTests",
      dependencies: [
        "Host", "Torch", "Results", "ResidualNetworks", "ImageDatasets", "Training", "IterativeInference",
        "Runs", "Studies", "TestSupport",
      ]),
    .testTarget(name: "ResultsTests", dependencies: ["Results", "Host", "TestSupport"]),
    .testTarget(name: "TorchTests", dependencies: ["Torch", "TestSupport", "DeviceEmulator"]),
    .testTarget(name: "ResidualNetworksTests", dependencies: ["ResidualNetworks", "OwnKinds", "TestSupport"]),
    .testTarget(name: "ImageDatasetsTests", dependencies: ["ImageDatasets", "TestSupport"]),
    .testTarget(
      name: "TrainingTests", dependencies: ["Training", "IterativeInference", "TestSupport", "DeviceEmulator"]),
    .testTarget(name: "IterativeInferenceTests", dependencies: ["IterativeInference", "TestSupport"]),
    .testTarget(name: "StudiesTests", dependencies: ["Studies", "Runs", "TestSupport"]),
    .testTarget(name: "ResLensTests", dependencies: ["ResLens", "TestSupport"]),
    .testTarget(name: "CommandTests", dependencies: ["reslens", "OwnProgram", "Training", "Runs", "TestSupport"]),
    .testTarget(name: "ReportsTests", dependencies: ["Reports"]),
  ],
  cxxLanguageStandard: .cxx20
)
