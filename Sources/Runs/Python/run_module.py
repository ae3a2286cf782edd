"""Runs PyTorch's own module on weights, and writes what it computes.

    python run_module.py FAMILY ARCHITECTURE WEIGHTS INPUTS OUT PACKAGES

FAMILY is the name of a family of weights, and ARCHITECTURE that of the network, as JSON. WEIGHTS holds the file's tensors
by their names there, INPUTS `images` and `labels`. OUT gets, in float64 and in float32, `logits`, `h.T`, the state before
step T + 1, and `gradient.T`, that of the summed cross-entropy with respect to it. PACKAGES is the folder of a torch that
is used where Python has none of its own. The reason of a refusal is the last line on stderr.

The modules of torchvision and timm are theirs. Those of the CIFAR repositories, which no package has, are written anew
here by the papers and by the names of their tensors.
"""

import sys

# The folder in which the command is called may hold files with the names of modules.
sys.path = [folder for folder in sys.path if folder]

import json  # noqa: E402


def refuse(problem):
    print(problem, file=sys.stderr)
    sys.exit(1)


family, architecture, weights, inputs, out, packages = sys.argv[1:]
sys.path.append(packages)
architecture = json.loads(architecture)
stem, stages, classes = architecture["stem"], architecture["stages"], architecture["classes"]
counts = [stage["blocks"] for stage in stages]
options = stages[-1].get("options") or {}
is_bottleneck = stages[0]["kind"].endswith("bottleneck")
pools = options.get("shortcut") == "pooled-projection"
try:
    import torch
    import torch.nn.functional as F
    from safetensors.torch import load_file, save_file
    from torch import nn
except Exception as error:
    refuse(f"python3 cannot import what the check needs ({error}): pip install torch safetensors")


class Block(nn.Module):
    """A block of He et al. 2015, or with `v2` of He et al. 2016, of two 3×3 or of 1×1, 3×3 and 1×1 convolutions."""

    def __init__(self, before, width, stride, shortcut, v2):
        super().__init__()
        inner = width // options.get("reduction", 4) if is_bottleneck else width
        kernels = (1, 3, 1) if is_bottleneck else (3, 3)
        widths = [before] + [inner] * (len(kernels) - 1) + [width]
        for number, kernel in enumerate(kernels, 1):
            step = stride if number == len(kernels) - 1 else 1
            setattr(self, f"conv{number}", nn.Conv2d(
                widths[number - 1], widths[number], kernel, step, kernel // 2, bias=False))
            setattr(self, f"bn{number}", nn.BatchNorm2d(widths[number - 1 if v2 else number]))
        self.count, self.v2, self.stride, self.new = len(kernels), v2, stride, width - before
        self.projection = shortcut if stride > 1 or self.new else None
        if self.projection:
            layers = [nn.Conv2d(before, width, 1, stride, bias=False)] + ([] if v2 else [nn.BatchNorm2d(width)])
            setattr(self, shortcut, nn.Sequential(*layers))

    def skip(self, x):
        if self.projection:
            return getattr(self, self.projection)(x)
        return F.pad(x[:, :, ::self.stride, ::self.stride], (0, 0, 0, 0, self.new // 2, self.new - self.new // 2))

    def forward(self, x):
        numbers = range(1, self.count + 1)
        if self.v2:
            read = y = F.relu(self.bn1(x))
            for number in numbers:
                y = y if number == 1 else F.relu(getattr(self, f"bn{number}")(y))
                y = getattr(self, f"conv{number}")(y)
            return y + (self.skip(read) if self.projection else x)
        y = x
        for number in numbers:
            y = getattr(self, f"bn{number}")(getattr(self, f"conv{number}")(y if number == 1 else F.relu(y)))
        return F.relu(y + self.skip(x))


class SmallResNet(nn.Module):
    """A ResNet for small images: a 3×3 stem, stages of blocks, global average pooling, a fully connected layer."""

    def __init__(self, classifier, shortcut, v2=False):
        super().__init__()
        width = stem["width"]
        self.conv1 = nn.Conv2d(architecture["input"]["channels"], width, 3, 1, 1, bias=False)
        self.bn1 = nn.Identity() if v2 else nn.BatchNorm2d(width)
        self.v2, self.classifier = v2, classifier
        for index, stage in enumerate(stages):
            blocks = []
            for block in range(stage["blocks"]):
                stride = 2 if index and not block else 1
                blocks.append(Block(width, stage["width"], stride, shortcut, v2))
                width = stage["width"]
            setattr(self, f"layer{index + 1}", nn.Sequential(*blocks))
        setattr(self, classifier, nn.Linear(width, classes))

    def forward(self, x):
        x = self.conv1(x) if self.v2 else F.relu(self.bn1(self.conv1(x)))
        for index in range(len(stages)):
            x = getattr(self, f"layer{index + 1}")(x)
        return getattr(self, self.classifier)(x.mean((2, 3)))


def imported(name):
    try:
        return __import__(name, fromlist=["models"])
    except Exception as error:
        package = name.split(".")[0]
        refuse(f"python3 cannot import {name} ({error}): pip install {package}, in the version that fits torch "
               f"{torch.__version__}")


def require_four_stages():
    """torchvision's and timm's modules have four stages and images of three channels."""
    if len(stages) != 4 or architecture["input"]["channels"] != 3:
        refuse(f"torchvision and timm have no module of {len(stages)} stages for images of "
               f"{architecture['input']['channels']} channels, only of four stages and three channels")


def layers_of(module):
    return [block for index in range(len(stages)) for block in getattr(module, f"layer{index + 1}")]


def large():
    """torchvision's ResNet, and timm's where the stem or the shortcuts are ResNet-D's."""
    require_four_stages()
    groups = options.get("groups", 1)
    # The width of a group at 64 channels, as both count it.
    per_group = stages[0]["width"] // options.get("reduction", 4) // groups * 64 // stem["width"]
    if not stem.get("before") and not pools:
        resnet = imported("torchvision.models.resnet")
        block = resnet.Bottleneck if is_bottleneck else resnet.BasicBlock
        own = {"groups": groups, "width_per_group": per_group} if is_bottleneck else {}
        module = resnet.ResNet(block, counts, classes, **own)
    else:
        resnet = imported("timm.models.resnet")
        block = resnet.Bottleneck if is_bottleneck else resnet.BasicBlock
        own = {"cardinality": groups, "base_width": per_group} if is_bottleneck else {}
        module = resnet.ResNet(
            block, counts, classes, stem_width=stem["width"] // 2, stem_type=stem_type("deep_tiered"), avg_down=pools,
            **own)
    return module, layers_of(module)


def stem_type(tiered):
    """timm's name of the stem; its convolutions of unlike widths are called `tiered`."""
    half = stem["width"] // 2
    types = {(): "", (half, half): "deep", (3 * (half // 4), half): tiered,
             (3 * stem["width"] // 8, half): tiered}
    before = tuple(stem.get("before") or ())
    if before not in types:
        refuse(f"timm has no stem of {', '.join(map(str, before))} and {stem['width']} channels")
    return types[before]


def version2():
    require_four_stages()
    resnetv2, layers = imported("timm.models.resnetv2"), imported("timm.layers")
    module = resnetv2.ResNetV2(
        counts, channels=[stage["width"] for stage in stages], num_classes=classes, stem_chs=stem["width"],
        conv_layer=layers.create_conv2d, norm_layer=layers.BatchNormAct2d, stem_type=stem_type("tiered"),
        avg_down=pools, basic=not is_bottleneck, bottle_ratio=1 / options.get("reduction", 4) if is_bottleneck else 1)
    return module, [block for stage in module.stages for block in stage.blocks]


def small(*names, v2=False):
    module = SmallResNet(*names, v2)
    return module, layers_of(module)


makers = {
    "cifar-resnet": lambda: small("fc", "downsample"),
    "option-a-resnet": lambda: small("linear", None),
    "kuangliu-resnet": lambda: small("linear", "shortcut"),
    "kuangliu-preact-resnet": lambda: small("linear", "shortcut", v2=True),
    "torchvision-resnet": large,
    "resnetv2": version2,
}


def main():
    if family not in makers:
        refuse(f"there is no module of the family {family} here")
    module, blocks = makers[family]()
    state = load_file(weights)
    for name in module.state_dict():
        if name.endswith("num_batches_tracked"):
            state[name] = torch.zeros((), dtype=torch.int64)
    try:
        module.load_state_dict(state, strict=True)
    except RuntimeError as error:
        refuse("its module does not take the weights: " + " ".join(str(error).split())[:300])
    given, found = load_file(inputs), {}
    states = []

    def keep(state):
        state.retain_grad()
        states.append(state)

    blocks[0].register_forward_pre_hook(lambda block, arguments: keep(arguments[0]))
    for block in blocks:
        block.register_forward_hook(lambda block, arguments, result: keep(result))
    for name, type in (("float64", torch.float64), ("float32", torch.float32)):
        module = module.to(type).eval()
        states.clear()
        logits = module(given["images"].to(type))
        F.cross_entropy(logits, given["labels"], reduction="sum").backward()
        found[f"{name}.logits"] = logits
        for index, state in enumerate(states):
            found[f"{name}.h.{index}"] = state
            found[f"{name}.gradient.{index}"] = state.grad
    save_file({name: tensor.detach().contiguous().clone() for name, tensor in found.items()}, out)


main()
