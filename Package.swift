// swift-tools-version: 6.2
import PackageDescription

// libtorch as the PyPI wheel of torch carries it. `make setup` puts it here; LIBTORCH names another one.
let libtorch = Context.environment["LIBTORCH"] ?? Context.packageDirectory + "/.deps/python/torch"

let package = Package(
  name: "reslens",
  products: [
    .library(name: "ResLens", targets: ["ResidualNetworks", "ImageDatasets", "Training", "IterativeInference"]),
    .executable(name: "reslens", targets: ["reslens"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.5.0"),
    .package(url: "https://github.com/jpsim/Yams", from: "6.0.0"),
    .package(url: "https://github.com/swiftlang/swift-docc-plugin", from: "1.4.0"),
  ],
  targets: [
    .target(
      name: "CTorch",
      cxxSettings: [
        .unsafeFlags([
          "-I\(libtorch)/include", "-I\(libtorch)/include/torch/csrc/api/include", "-O3", "-fno-math-errno",
          "-Wno-deprecated-declarations",
        ])
      ],
      linkerSettings: [
        .unsafeFlags(["-L\(libtorch)/lib", "-Xlinker", "-rpath", "-Xlinker", "\(libtorch)/lib"]),
        .linkedLibrary("torch_cpu"),
        .linkedLibrary("c10"),
      ]),
    .target(name: "Host", dependencies: ["Yams"]),
    .target(name: "Torch", dependencies: ["CTorch", "Host"]),
    .target(name: "Results"),
    .target(name: "ResidualNetworks", dependencies: ["Host", "Torch", "Results"]),
    .target(name: "ImageDatasets", dependencies: ["Host", "Torch"]),
    .target(
      name: "Training", dependencies: ["Host", "Torch", "Results", "ResidualNetworks", "ImageDatasets"]),
    .target(
      name: "IterativeInference", dependencies: ["Torch", "Results", "ResidualNetworks", "ImageDatasets"]),
    .target(
      name: "Studies",
      dependencies: [
        "Host", "Torch", "Results", "ResidualNetworks", "ImageDatasets", "Training", "IterativeInference",
      ]),
    .target(
      name: "Reports", dependencies: ["Host", "Results"],
      // Tests run on the release build, and those of pages look at their parts.
      swiftSettings: [.unsafeFlags(["-enable-testing"])]),
    .executableTarget(
      name: "reslens",
      dependencies: [
        "Host", "Torch", "Results", "ResidualNetworks", "ImageDatasets", "Training", "IterativeInference", "Studies",
        "Reports", .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ]),
    .target(name: "TestSupport", dependencies: ["Host", "Torch"], path: "Tests/TestSupport"),
    .testTarget(name: "TorchTests", dependencies: ["Torch", "TestSupport"]),
    .testTarget(name: "ResidualNetworksTests", dependencies: ["ResidualNetworks", "TestSupport"]),
    .testTarget(name: "ImageDatasetsTests", dependencies: ["ImageDatasets", "TestSupport"]),
    .testTarget(name: "TrainingTests", dependencies: ["Training", "IterativeInference", "TestSupport"]),
    .testTarget(name: "IterativeInferenceTests", dependencies: ["IterativeInference", "TestSupport"]),
    .testTarget(name: "StudiesTests", dependencies: ["Studies", "TestSupport"]),
    .testTarget(name: "CommandTests", dependencies: ["reslens", "Training", "TestSupport"]),
    .testTarget(name: "ReportsTests", dependencies: ["Reports"]),
  ],
  cxxLanguageStandard: .cxx20
)
