"""A process that does one kind of work in PyTorch again and again: what `make bench` times ResLens against.

    python benchmarks/pytorch_worker.py --model NAME --architecture FILE.json --work train|evaluate|measure
        --precision fp32|bf16 --layout contiguous|channels_last [--batch 128] [--threads N]

After two warm-up repetitions it prints `ready`. Each line on its input is answered by one repetition and its seconds;
at the end of its input it prints {"peak_bytes": ...} and leaves. `reslens bench` speaks the same protocol.

The work is eager PyTorch as one writes it for speed: in-place ReLU and sum, the fused optimizer, autocast with float32
master weights for bf16, gradients only where they are asked for.
"""

import argparse
import json
import resource
import sys
import time
from pathlib import Path

import torch
import torch.nn.functional as F

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "reference"))
import network  # noqa: E402

LAYOUTS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


def residual(block, h):
    """Block.residual with its two ReLUs in place: batch normalization does not need its output again."""
    h = block.conv1(F.relu(block.norm1(h), inplace=True))
    return block.conv2(F.relu(block.norm2(h), inplace=True))


def forward(net, images):
    h = net.stem(images)
    for index, stage in enumerate(net.stages):
        h = net.enter(index, h)
        for block in stage:
            added = residual(block, h)
            added += block.kept(h)
            h = added
    return net.head(h)


def trainer(net, images, labels, autocast):
    """One step of SGD."""
    optimizer = torch.optim.SGD(net.train().parameters(), lr=0.01, momentum=0.9, nesterov=True, weight_decay=1e-4,
                                fused=True)

    def step():
        with autocast():
            logits = forward(net, images)
        loss = F.cross_entropy(logits.float(), labels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    return step


def evaluator(net, images, labels, autocast):
    """One forward pass that keeps nothing for a backward one."""
    net.eval()

    def evaluate():
        with torch.inference_mode(), autocast():
            return forward(net, images)

    return evaluate


def norms(tensor):
    return torch.linalg.vector_norm(tensor, dim=(1, 2, 3))


def measurer(net, images, labels, autocast):
    """Cosine loss with the backpropagated gradient, and l2 ratio, of all steps and each sample.

    A hook takes a step's cosine as soon as the backward pass has its gradient, so no gradient outlives its use, and
    parameters get none.
    """
    net.eval().requires_grad_(False)

    def measure():
        ratios, cosines = [], []
        h = net.stem(images).requires_grad_()
        for index, stage in enumerate(net.stages):
            h = net.enter(index, h)
            for block in stage:
                kept, added = block.kept(h), residual(block, h)
                size, below, still = norms(added.detach()), norms(h.detach()), added.detach()
                ratios.append(size / below)

                def at_gradient(gradient, still=still, size=size):
                    cosines.append((still * gradient).sum((1, 2, 3)) / (size * norms(gradient)))

                kept.register_hook(at_gradient)
                h = kept + added
        F.cross_entropy(net.head(h), labels, reduction="sum").backward()
        return torch.stack(cosines[::-1]), torch.stack(ratios)

    return measure


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="the name of the architecture, to tell workers apart by")
    parser.add_argument("--architecture", required=True, type=Path, metavar="FILE.json")
    parser.add_argument("--work", required=True, choices=["train", "evaluate", "measure"])
    parser.add_argument("--precision", default="fp32", choices=["fp32", "bf16"])
    parser.add_argument("--layout", default="channels_last", choices=LAYOUTS)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--threads", type=int)
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)

    torch.manual_seed(0)
    architecture = json.loads(options.architecture.read_text())
    shape = architecture["input"]
    layout = LAYOUTS[options.layout]
    net = network.ResidualNetwork(architecture).to(memory_format=layout)
    images = torch.randn(options.batch, shape["channels"], shape["height"], shape["width"]).to(memory_format=layout)
    labels = torch.randint(0, architecture["classes"], (options.batch,))

    def autocast():
        return torch.autocast("cpu", torch.bfloat16, enabled=options.precision == "bf16")

    make = {"train": trainer, "evaluate": evaluator, "measure": measurer}[options.work]
    repetition = make(net, images, labels, autocast)
    for _ in range(2):
        repetition()
    print("ready", flush=True)
    for _ in sys.stdin:
        begun = time.perf_counter()
        repetition()
        print(time.perf_counter() - begun, flush=True)
    # Linux counts in KiB, macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    print(json.dumps({"peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit}), flush=True)


if __name__ == "__main__":
    main()
