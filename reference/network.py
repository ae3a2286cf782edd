"""The residual networks of ResLens in plain PyTorch: the reference that ResLens is checked and timed against.

Parameter names equal those in a ResLens checkpoint, so `load_checkpoint` needs no renaming.
"""

import json

import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import load_file
from torch import nn


class Block(nn.Module):
    """BatchNorm, ReLU, 3x3 convolution, twice; a projection reads the block's raw input."""

    def __init__(self, width_in, width, stride, projected):
        super().__init__()
        self.norm1 = nn.BatchNorm2d(width_in)
        self.conv1 = nn.Conv2d(width_in, width, 3, stride=stride, padding=1)
        self.norm2 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        self.projection = nn.Conv2d(width_in, width, 1, stride=stride) if projected else None

    def kept(self, h):
        return h if self.projection is None else self.projection(h)

    def residual(self, h):
        return self.conv2(F.relu(self.norm2(self.conv1(F.relu(self.norm1(h))))))

    def forward(self, h):
        return self.kept(h) + self.residual(h)


class Head(nn.Module):
    def __init__(self, width, pooling, features, classes):
        super().__init__()
        self.pooling = pooling
        self.norm = nn.BatchNorm2d(width)
        self.linear = nn.Linear(features, classes)

    def forward(self, h):
        pooled = F.avg_pool2d(F.relu(self.norm(h)), self.pooling)
        return self.linear(torch.flatten(pooled.contiguous(), 1))


class ResidualNetwork(nn.Module):
    """`architecture` is the mapping that ResLens writes to `config.yaml` and to a checkpoint's metadata."""

    def __init__(self, architecture):
        super().__init__()
        shape = architecture["input"]
        height, width_px = shape["height"], shape["width"]
        width = architecture["stem"]["width"]
        self.stem = nn.Conv2d(shape["channels"], width, 3, padding=1)
        self.stages = nn.ModuleList()
        self.entries = []
        for stage in architecture["stages"]:
            entry = stage["entry"]
            self.entries.append(entry)
            blocks = nn.ModuleList()
            for index in range(stage["blocks"]):
                projected = entry == "projection" and index == 0
                stride = stage["stride"] if projected else 1
                blocks.append(Block(width if index == 0 else stage["width"], stage["width"], stride, projected))
                height, width_px = -(-height // stride), -(-width_px // stride)
            if entry.endswith("-pooling"):
                height, width_px = height // 2, width_px // 2
            self.stages.append(blocks)
            width = stage["width"]
        pooling = architecture["head"]["pooling"]
        features = width * (height // pooling) * (width_px // pooling)
        self.head = Head(width, pooling, features, architecture["classes"])
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")
                nn.init.zeros_(module.bias)

    def enter(self, stage, h):
        """The pooling before a stage, where it has one."""
        if self.entries[stage] == "average-pooling":
            return F.avg_pool2d(h, 2)
        if self.entries[stage] == "max-pooling":
            return F.max_pool2d(h, 2)
        return h

    def forward(self, images):
        h = self.stem(images)
        for index, stage in enumerate(self.stages):
            h = self.enter(index, h)
            for block in stage:
                h = block(h)
        return self.head(h)


def load_checkpoint(path):
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
