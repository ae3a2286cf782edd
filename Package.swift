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
    .target(name: "ResidualNetworks", dependencies: ["Torch", "Results"]),
    .target(name: "ImageDatasets", dependencies: ["Torch"]),
    .target(name: "Training", dependencies: ["ResidualNetworks", "ImageDatasets", "Results"]),
    .target(name: "IterativeInference", dependencies: ["ResidualNetworks", "ImageDatasets", "Results"]),
    .target(name: "Reports", dependencies: ["Host", "Results"]),
    .executableTarget(
      name: "reslens",
      dependencies: [
        "Training", "IterativeInference", "Reports",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ]),
    .testTarget(name: "ReportsTests", dependencies: ["Reports"]),
  ],
  cxxLanguageStandard: .cxx20
)
