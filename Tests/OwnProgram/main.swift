import OwnKinds
import ResLens
import ResLensCommand

// The command `reslens` with a measure and a kind of block of its own.
var registry = Registry.standard
registry.register(Growth.self)
registry.register(GatedBlock.self)
reslensMain(registry: registry)
