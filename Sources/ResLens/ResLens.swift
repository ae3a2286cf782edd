// All modules of ResLens by one import.

@_exported import Host
@_exported import ImageDatasets
@_exported import IterativeInference
@_exported import Reports
@_exported import ResidualNetworks
@_exported import Results
@_exported import Runs
@_exported import Studies
@_exported import Torch
@_exported import Training
