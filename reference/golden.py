"""Runs a few training steps in float64 and writes what came out: what the tests hold ResLens's passes against.

    python reference/golden.py CHECKPOINT INPUTS OUT --mode training|evaluation [--steps N --rate R --momentum M ...]

INPUTS holds `images` and `labels`; OUT gets `logits` and `gradient.PATH` of the first pass, `state.PATH` after the last
optimiser step, and in evaluation mode the stream: `h.T`, `F.T` and `gradient.h.T`.
"""

import argparse

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

import network


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint")
    parser.add_argument("inputs")
    parser.add_argument("out")
    parser.add_argument("--mode", choices=["training", "evaluation"], default="training")
    parser.add_argument("--steps", type=int, default=1)
    parser.add_argument("--rate", type=float, default=0.1)
    parser.add_argument("--momentum", type=float, default=0.9)
    parser.add_argument("--decay", type=float, default=0.0)
    parser.add_argument("--smoothing", type=float, default=0.0)
    parser.add_argument("--nesterov", action="store_true")
    parser.add_argument("--decay-weights-only", action="store_true")
    options = parser.parse_args()
    net = network.load_checkpoint(options.checkpoint).double()
    # The state again, as loading it into the float32 module rounded it.
    stored = load_file(options.checkpoint)
    net.load_state_dict({k: stored.get(k, v).double() if v.is_floating_point() else v for k, v in net.state_dict().items()})
    inputs = load_file(options.inputs)
    images, labels = inputs["images"].double(), inputs["labels"]
    net.train(options.mode == "training")
    out = {}
    if options.mode == "evaluation":
        observe(net, images, labels, out)
    groups = [
        {"params": [p for p in net.parameters() if p.dim() > 1], "weight_decay": options.decay},
        {"params": [p for p in net.parameters() if p.dim() <= 1],
         "weight_decay": 0.0 if options.decay_weights_only else options.decay},
    ]
    # An optimiser imports torch's compiler, which takes longer than all the rest.
    optimizer = None
    if options.rate:
        optimizer = torch.optim.SGD(groups, lr=options.rate, momentum=options.momentum, nesterov=options.nesterov)
    for step in range(options.steps):
        logits = net(images)
        net.zero_grad(set_to_none=True)
        F.cross_entropy(logits, labels, label_smoothing=options.smoothing).backward()
        if step == 0:
            out["logits"] = logits.detach()
            out.update({f"gradient.{name}": p.grad.clone() for name, p in net.named_parameters()})
        if optimizer:
            optimizer.step()
    out.update({f"state.{k}": v for k, v in net.state_dict().items() if v.is_floating_point()})
    save_file({k: v.detach().contiguous().clone() for k, v in out.items()}, options.out)


def observe(net, images, labels, out):
    """h, F and the gradient of the summed loss (so each sample's own) with respect to what F is added to."""
    h, step, bases = net.stem(images), 0, []
    for index in range(len(net.stages)):
        h = net.enter(index, h)
        for block, norms in net.steps(index):
            step += 1
            kept, residual = block.split(h if block.is_projected else h * 1, norms)
            kept.retain_grad()
            out[f"h.{step}"] = h
            bases.append(kept)
            out[f"F.{step}"], h = block.joined(kept, residual)
    F.cross_entropy(net.head(h), labels, reduction="sum").backward()
    for index, kept in enumerate(bases):
        out[f"gradient.h.{index + 1}"] = kept.grad
    net.zero_grad(set_to_none=True)


if __name__ == "__main__":
    main()
