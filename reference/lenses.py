"""Lenses: ways to read predictions off a network's hidden states."""

import functools

import torch.nn.functional as F
from safetensors import safe_open

import plans


class Readout:
    """The network's own head, which reads the states of the last stage."""

    def __init__(self, net):
        self.net, self.steps, self.last = net, plans.steps_of(net), len(net.stages) - 1

    def after(self, t):
        """Logits of the state after step index t, as a function; None where it cannot be read."""
        return self.net.head if self.steps[t].name["stage"] == self.last else None

    def before(self, t):
        """The same of what step index t adds to."""
        return self.after(t)

    def begin(self, last):
        """Is told the last state of a batch before any is read."""


class Trained:
    """The maps of a lens-KIND.safetensors, one for the state after every number of steps."""

    def __init__(self, net, file):
        self.net, self.steps = net, plans.steps_of(net)
        with safe_open(file, "pt") as content:
            self.metadata = content.metadata()
            self.tensors = {name: content.get_tensor(name) for name in content.keys()}
        self.grid = None

    def begin(self, last):
        self.grid = last.shape[2]

    def after(self, t):
        return self.reading(t + 1)

    def before(self, t):
        # No map was fitted to what a projection or a pooling makes of a state.
        stage = self.steps[t].name["stage"]
        pooled = self.net.entries[stage].endswith("-pooling") and (t == 0 or self.steps[t - 1].name["stage"] != stage)
        return None if self.steps[t].name["projection"] or pooled else self.reading(t)

    def reading(self, steps):
        return functools.partial(self.read, steps) if f"state-{steps}.weight" in self.tensors else None

    def read(self, steps, h):
        weight, bias = self.tensors[f"state-{steps}.weight"], self.tensors[f"state-{steps}.bias"]
        if self.metadata["kind"] == "linear":
            return F.linear(h.mean((2, 3)), weight[:, :, 0, 0], bias)
        return self.net.head(F.conv2d(F.avg_pool2d(h, h.shape[2] // self.grid), weight, bias))
