"""The residual networks of ResLens in plain PyTorch: the reference that ResLens is checked and timed against.

Parameter names equal those in a ResLens checkpoint, so `load_checkpoint` needs no renaming.
"""

import contextlib
import json
import os

import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import load_file
from torch import nn


class Rectified(torch.autograd.Function):
    """ReLU, of which the gradient goes through where the input is above `edge`."""

    edge = 0.0

    @staticmethod
    def forward(context, x):
        context.save_for_backward(x)
        return F.relu(x)

    @staticmethod
    def backward(context, gradient):
        x, = context.saved_tensors
        return gradient * (x > Rectified.edge)


@contextlib.contextmanager
def relus_open_above(edge):
    """As if rounding had moved every ReLU's input by -edge, which the outputs hardly show and the gradients do."""
    Rectified.edge = edge
    try:
        yield
    finally:
        Rectified.edge = 0.0


def relu(x):
    return Rectified.apply(x) if Rectified.edge else F.relu(x)


class Affine(nn.Module):
    """gamma and beta by themselves."""

    def __init__(self, width, gamma):
        super().__init__()
        self.weight = nn.Parameter(torch.full((width,), float(gamma)))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, h):
        return h * self.weight.view(-1, 1, 1) + self.bias.view(-1, 1, 1)


def batch_norm(width, gamma=1.0):
    norm = nn.BatchNorm2d(width)
    nn.init.constant_(norm.weight, gamma)
    return norm


class ResidualBlock(nn.Module):
    """h' = joined(kept(h), residual(h))."""

    def split(self, h, norms):
        """The outputs of the skip and of the branch."""
        return self.kept(h), self.residual(h, norms)

    def joined(self, kept, residual):
        """The step's F, which is added to what its skip passes on, and h after it."""
        return residual, kept + residual


class Block(ResidualBlock):
    """BatchNorm, ReLU, 3x3 convolution, twice; a projection reads the block's raw input.

    `sharing` says what the steps that run the block have each for itself: those parts of the two normalizations are in
    `uses`, and what all of them share, called as many times as there are steps, is in the block as usual.
    """

    def __init__(self, width_in, width, stride, projected, sharing=None, steps=1):
        super().__init__()
        own_statistics = sharing is not None and sharing["unshared-statistics"]
        own_affine = sharing is not None and sharing["unshared-affine"]
        gamma = sharing["initial-gamma"] if sharing else 1.0
        whole = lambda channels: batch_norm(channels, gamma)
        statistics = lambda channels: nn.BatchNorm2d(channels, affine=False)
        affine = lambda channels: Affine(channels, gamma)
        shared, own = {(False, False): (whole, None), (True, True): (None, whole),
                       (True, False): (affine, statistics), (False, True): (statistics, affine)}[
                           own_statistics, own_affine]
        self.conv1 = nn.Conv2d(width_in, width, 3, stride=stride, padding=1)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        self.projection = nn.Conv2d(width_in, width, 1, stride=stride) if projected else None
        self.is_projected = projected
        if shared:
            self.norm1, self.norm2 = shared(width_in), shared(width)
        if own:
            self.uses = nn.ModuleList(
                nn.ModuleDict({"norm1": own(width_in), "norm2": own(width)}) for _ in range(steps))
        self.is_split = own_statistics != own_affine
        self.has_own_statistics, self.has_own = own_statistics, own is not None

    def norms(self, use=0):
        """The two normalizations with which a step runs the block."""
        if not self.has_own:
            return self.norm1, self.norm2
        own = self.uses[use]["norm1"], self.uses[use]["norm2"]
        if not self.is_split:
            return own
        shared = self.norm1, self.norm2
        first, then = (own, shared) if self.has_own_statistics else (shared, own)
        return tuple(nn.Sequential(*pair) for pair in zip(first, then))

    def kept(self, h):
        return h if self.projection is None else self.projection(h)

    def residual(self, h, norms):
        norm1, norm2 = norms
        return self.conv2(relu(norm2(self.conv1(relu(norm1(h))))))


class NormedConvolution(nn.Conv2d):
    """A convolution with a batch normalization behind it, whose names are below the convolution's."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.norm = nn.BatchNorm2d(self.out_channels)

    def forward(self, x):
        return self.norm(super().forward(x))


class Stem(NormedConvolution):
    """A convolution, perhaps with others before it, with BatchNorm and ReLU, and a 3x3 maximum pooling."""

    def __init__(self, channels, stem):
        kernel, stride, bias = stem.get("kernel") or 3, stem.get("stride") or 1, stem.get("bias", True)
        before = stem.get("before") or []
        widths = [channels, *before, stem["width"]]
        strides = [stride] + [1] * len(before)
        super().__init__(widths[-2], widths[-1], kernel, stride=strides[-1], padding=kernel // 2, bias=bias)
        self.before = nn.ModuleList(
            NormedConvolution(*pair, kernel, stride=step, padding=kernel // 2, bias=bias)
            for pair, step in zip(zip(widths, before), strides))
        self.pools = stem.get("pool", False)
        self.first_stride = stride
        if not stem.get("norm"):
            self.norm = None

    def forward(self, x):
        for convolution in self.before:
            x = relu(convolution(x))
        h = nn.Conv2d.forward(self, x) if self.norm is None else relu(super().forward(x))
        return F.max_pool2d(h, 3, stride=2, padding=1) if self.pools else h

    def edge(self, image):
        """The edge of an image behind the stem."""
        convolved = (image - 1) // self.first_stride + 1
        return (convolved - 1) // 2 + 1 if self.pools else convolved


class Projection(NormedConvolution):
    """A 1x1 convolution, perhaps with BatchNorm behind it and an average pooling in place of its stride."""

    def __init__(self, width_in, width, stride, bias, normed, pooled):
        super().__init__(width_in, width, 1, stride=1 if pooled else stride, bias=bias)
        self.pool = nn.AvgPool2d(stride, ceil_mode=True, count_include_pad=False) if pooled else nn.Identity()
        if not normed:
            self.norm = nn.Identity()

    def forward(self, x):
        return super().forward(self.pool(x))


class Zeros(nn.Module):
    """The pixels that the stride leaves, and channels of zeros before and behind."""

    def __init__(self, new, stride):
        super().__init__()
        self.new, self.stride = new, stride

    def forward(self, x):
        return F.pad(x[:, :, ::self.stride, ::self.stride], (0, 0, 0, 0, self.new // 2, self.new // 2))


class OtherBlock(ResidualBlock):
    """A block of He et al. 2015 or 2016: of two 3x3 convolutions, or a bottleneck of a 1x1, a 3x3 and a 1x1 one.

    BatchNorm and ReLU stand before each convolution, or BatchNorm stands behind each, with ReLU between them and behind
    the sum.
    """

    def __init__(self, width_in, width, stride, projected, kind, options):
        super().__init__()
        self.is_before = kind.startswith("pre-activation")
        bias = options.get("bias", kind == "pre-activation")
        if kind.endswith("bottleneck"):
            inner = width // options.get("reduction", 4)
            first = stride if options.get("stride-at", "middle") == "first" else 1
            shapes = [(width_in, inner, 1, first, 1), (inner, inner, 3, stride // first, options.get("groups", 1)),
                      (inner, width, 1, 1, 1)]
        else:
            shapes = [(width_in, width, 3, stride, 1), (width, width, 3, 1, 1)]
        self.count = len(shapes)
        for number, (before, after, kernel, step, groups) in enumerate(shapes, 1):
            convolution = nn.Conv2d(before, after, kernel, stride=step, padding=kernel // 2, groups=groups, bias=bias)
            self.add_module(f"conv{number}", convolution)
            self.add_module(f"norm{number}", nn.BatchNorm2d(before if self.is_before else after))
        self.is_projected = projected
        self.reads_activation = options.get(
            "shortcut-reads", "activation" if kind == "pre-activation-bottleneck" else "input") == "activation"
        self.projection = None
        if projected:
            form = options.get("shortcut", "projection")
            normed = options.get("shortcut-norm", not self.is_before)
            self.projection = (Zeros(width - width_in, stride) if form == "zeros" else
                               Projection(width_in, width, stride, bias, normed, form == "pooled-projection"))

    def norms(self, use=0):
        return tuple(getattr(self, f"norm{number}") for number in range(1, self.count + 1))

    def split(self, h, norms):
        convolutions = [getattr(self, f"conv{number}") for number in range(1, self.count + 1)]
        x = read = relu(norms[0](h)) if self.is_before else h
        for index, (convolution, norm) in enumerate(zip(convolutions, norms)):
            if self.is_before:
                x = convolution(relu(norm(x)) if index else x)
            else:
                x = norm(convolution(relu(x) if index else x))
        if not self.is_projected:
            return h, x
        return self.projection(read if self.reads_activation else h), x

    def joined(self, kept, residual):
        if self.is_before:
            return super().joined(kept, residual)
        after = relu(kept + residual)
        return after - kept, after


class Head(nn.Module):
    def __init__(self, width, pooling, features, classes, normed=True):
        super().__init__()
        self.pooling = pooling
        self.norm = nn.BatchNorm2d(width) if normed else None
        self.linear = nn.Linear(features, classes)

    def forward(self, h):
        pooled = F.avg_pool2d(h if self.norm is None else relu(self.norm(h)), self.pooling)
        return self.linear(torch.flatten(pooled.contiguous(), 1))


class ResidualNetwork(nn.Module):
    """`architecture` is the mapping that ResLens writes to `config.yaml` and to a checkpoint's metadata."""

    def __init__(self, architecture):
        super().__init__()
        shape = architecture["input"]
        height, width_px = shape["height"], shape["width"]
        stem = architecture["stem"]
        width = stem["width"]
        self.stem = Stem(shape["channels"], stem)
        height, width_px = self.stem.edge(height), self.stem.edge(width_px)
        self.stages = nn.ModuleList()
        self.entries = []
        self.uses = []  # of each stage, in order: which block a step runs, and as which of its uses
        for stage in architecture["stages"]:
            kind, options = stage.get("kind", "pre-activation"), stage.get("options", {})
            if kind not in ("pre-activation", "post-activation", "bottleneck", "pre-activation-bottleneck"):
                raise ValueError(f"its blocks are of the kind {kind}, which PyTorch has not here")
            entry = stage["entry"]
            self.entries.append(entry)
            blocks, sharing = nn.ModuleList(), stage.get("sharing")
            is_paper = kind == "pre-activation" and not options
            if sharing and not is_paper:
                raise ValueError(f"its blocks of the kind {kind} are shared, which PyTorch's are not here")
            own = sharing["from"] if sharing else stage["blocks"]
            for index in range(min(own + 1, stage["blocks"])):
                projected = entry == "projection" and index == 0
                stride = stage["stride"] if projected else 1
                widths = (width if index == 0 else stage["width"], stage["width"])
                if not is_paper:
                    blocks.append(OtherBlock(*widths, stride, projected, kind, options))
                else:
                    shared = (sharing, stage["blocks"] - own) if index == own else ()
                    blocks.append(Block(*widths, stride, projected, *shared))
                height, width_px = -(-height // stride), -(-width_px // stride)
            self.uses.append([(index, 0) for index in range(own)]
                             + [(own, use) for use in range(stage["blocks"] - own)])
            if entry.endswith("-pooling"):
                height, width_px = height // 2, width_px // 2
            self.stages.append(blocks)
            width = stage["width"]
        pooling = architecture["head"]["pooling"]
        features = width * (height // pooling) * (width_px // pooling)
        self.head = Head(width, pooling, features, architecture["classes"], architecture["head"].get("norm", True))
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def enter(self, stage, h):
        """The pooling before a stage, where it has one."""
        if self.entries[stage] == "average-pooling":
            return F.avg_pool2d(h, 2)
        if self.entries[stage] == "max-pooling":
            return F.max_pool2d(h, 2)
        return h

    def steps(self, stage):
        """(block, the normalizations it runs with) of each of a stage's steps."""
        for index, use in self.uses[stage]:
            block = self.stages[stage][index]
            yield block, block.norms(use)

    def forward(self, images):
        h = self.stem(images)
        for stage in range(len(self.stages)):
            h = self.enter(stage, h)
            for block, norms in self.steps(stage):
                h = block.joined(*block.split(h, norms))[1]
        return self.head(h)


def load_checkpoint(path: str | os.PathLike[str]) -> nn.Module:
    """The network of a ResLens checkpoint, in evaluation mode."""
    with safe_open(path, framework="pt") as file:
        architecture = json.loads(file.metadata()["architecture"])
    network = ResidualNetwork(architecture)
    state = load_file(path)
    for name in network.state_dict():
        if name.endswith("num_batches_tracked"):
            state[name] = torch.zeros((), dtype=torch.int64)
    network.load_state_dict(state)
    return network.eval()
