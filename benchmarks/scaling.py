"""How the time of a training step grows with depth, width and batch: `make bench-scaling`.

    python benchmarks/scaling.py [--precision fp32|bf16] [--repeats N] [--threads N] [--reslens FILE]

Depth and batch: the step's seconds against the number of blocks and of images. Width: 1, 2, 3 and 4 times the channels of
ResNet-20; convolutions grow with the square of the width and all else with the width itself, so what lies on a straight
line is the seconds over the width. For each table a line is fitted by least squares of the relative distances, and beside
each time stands how far it is from that line. The processes of a table take turns, as in run.py.
"""

import argparse
import tempfile
from pathlib import Path

import run

DEPTHS = (20, 56, 110, 182)
WIDTHS = (1, 2, 3, 4)
BATCHES = (32, 64, 128, 256)
PLAIN = "resnet-20"


def widened(factor, folder):
    """A file of ResNet-20 with `factor` times its channels."""
    lines = [f"name: {PLAIN} times {factor}", "input: {channels: 3, height: 32, width: 32}", "classes: 10",
             f"stem: {{width: {16 * factor}}}", "stages:"]
    for index, width in enumerate((16, 32, 64)):
        entry = "entry: none" if index == 0 else "entry: projection, stride: 2"
        lines.append(f"  - {{width: {width * factor}, blocks: 3, {entry}}}")
    file = folder / f"times-{factor}.yaml"
    file.write_text("\n".join(lines + ["head: {pooling: 8}", ""]))
    return str(file)


def line_through(points):
    """(a, b) of a + b·x, least squares of the relative distances of y."""
    weights = [(x, y, 1 / y**2) for x, y in points]
    total = sum(w for *_, w in weights)
    mean_x = sum(w * x for x, _, w in weights) / total
    mean_y = sum(w * y for _, y, w in weights) / total
    slope = (sum(w * (x - mean_x) * (y - mean_y) for x, y, w in weights)
             / sum(w * (x - mean_x) ** 2 for x, _, w in weights))
    return mean_y - slope * mean_x, slope


def table(title, unit, cases, options, over=lambda x: 1):
    """`cases`: {x: (model, batch)}; `over(x)`: what the seconds are divided by."""
    commands = {str(x): [str(options.reslens), "bench", "--work", "train", "--model", model, "--batch", str(batch),
                         "--precision", options.precision, "--threads", str(options.threads)]
                for x, (model, batch) in cases.items()}
    workers = run.take_turns(commands, options.repeats, lambda text: None)
    seconds = {x: workers[str(x)].median() for x in cases}
    start, slope = line_through([(x, seconds[x] / over(x)) for x in cases])
    print(f"\n{title}, {options.precision}")
    print(f"{unit:>10}  {'ms a step':>10}  {'from the line':>13}  {'MiB':>6}")
    for x in cases:
        distance = seconds[x] / over(x) / (start + slope * x) - 1
        print(f"{x:>10}  {seconds[x] * 1e3:>10.1f}  {distance:>+13.1%}  {workers[str(x)].peak_bytes / 2**20:>6.0f}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--precision", default="fp32", choices=run.PRECISIONS)
    parser.add_argument("--repeats", type=int, default=8)
    parser.add_argument("--threads", type=int, help="default: PyTorch's choice, the physical cores")
    run.add_program(parser)
    options = parser.parse_args()
    run.check_program(options)
    options.threads = options.threads or run.torch_threads()
    print(f"{options.threads} threads; medians of {options.repeats} repetitions taken in turn")
    table("Depth, batch 128", "blocks", {(depth - 2) // 2: (f"resnet-{depth}", 128) for depth in DEPTHS}, options)
    with tempfile.TemporaryDirectory() as folder:
        table("Width, batch 64", f"× {PLAIN}", {w: (widened(w, Path(folder)), 64) for w in WIDTHS}, options,
              over=lambda width: width)
    table(f"Batch, {PLAIN}", "images", {batch: (PLAIN, batch) for batch in BATCHES}, options)


if __name__ == "__main__":
    run.run_main(main)
