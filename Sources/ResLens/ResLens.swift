// All modules of ResLens by one import.

@_exported import ResLensSupport
@_exported import ResLensTasks
@_exported import ResLensMeasures
@_exported import ResLensReports
@_exported import ResLensNetworks
@_exported import ResLensResults
@_exported import ResLensRuns
@_exported import ResLensStudies
@_exported import ResLensTorch
@_exported import ResLensTraining
