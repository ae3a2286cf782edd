"""Training steps and measuring passes of ResLens beside PyTorch's on one GPU, in one run.

    python benchmarks/gpu.py [--work train] [--models resnet-110] [--precisions fp32,bf16] [--workers NAME,…] [--batch 128]
        [--steps 50] [--repeats 8] [--reslens FILE] [--json FILE] [--device cuda]

The processes are alive together and take turns, a repetition of so many steps each; after a repetition the GPU is waited
for. Ours runs captured steps (CUDA graphs) and, for comparison, plain ones (`plain`), and captured ones of libtorch's
operations instead of our kernels (`operations`), and captured ones of several trainings side by side, whose images are
added up (`two_at_once`, `four_at_once`); PyTorch runs eager in both memory layouts (`contiguous`, `channels_last`), a
whole eager step as one CUDA graph (`graphed`, where there is a GPU), and torch.compile with CUDA graphs (`compiled`, mode
reduce-overhead, which takes minutes to compile a deep network; where it left graphs out, it says so). TF32 is off in all of them.
The data are the one thing that is not alike: ours cuts its batch out of the data set in every step, mirrored, moved and
normalised, and PyTorch's lies ready. Printed are images a second by the median, and how much faster our captured steps
are than each. `--work measure` is cosine loss and l2 ratio of all steps of one batch after the other, in fp32: ours (`ours`,
and `operations`), and PyTorch's by hooks, in both layouts. A worker that fails is told of and left out, and the exit status is 1. `--device cpu` tries the script out where there is no GPU.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

from run import (
    MEASURED,
    PRECISIONS,
    Model,
    add_program,
    check_program,
    names,
    python,
    run_main,
    take_turns,
    write_results,
)

# Each work: ours with what each is called with beside the rest, the first of which the others are compared with, and PyTorch's
# layouts.
OPERATIONS = ["--kernels", "libtorch"]
WORK = {
    "train": ({"captured": [], "plain": ["--plain-steps"], "operations": OPERATIONS,
               "two_at_once": ["--at-once", "2"], "four_at_once": ["--at-once", "4"]},
              ("contiguous", "channels_last", "graphed", "compiled")),
    "measure": ({"ours": ["--measures", MEASURED], "operations": ["--measures", MEASURED, *OPERATIONS]},
                ("contiguous", "channels_last")),
}
WORKERS = tuple({name: None for ours, layouts in WORK.values() for name in (*ours, *layouts)})


def say(text):
    print(text, file=sys.stderr, flush=True)


def commands_of(model, precision, options, file):
    common = ["--precision", precision, "--batch", str(options.batch), "--device", options.device, "--steps",
              str(options.steps), "--warmups", "3", "--work", options.work, "--model", model.name]
    ours, layouts = WORK[options.work]
    commands = {name: [str(options.reslens), "bench", *common, *more] for name, more in ours.items()}
    for layout in layouts:
        commands[layout] = [*python("pytorch_worker.py"), *common, "--layout", layout, "--architecture", file]
    return {name: command for name, command in commands.items() if name in options.workers}


def line(workers, images):
    """Every worker's images a second, in brackets how much faster the first of ours is."""
    speed = {name: images * worker.told.get("runs", 1) / worker.median() for name, worker in workers.items()}
    first = speed.get("captured") or speed.get("ours")
    parts = []
    for name, worker in workers.items():
        part = f"{name} {speed[name]:.0f}"
        if first and speed[name] != first:
            part += f" ({first / speed[name]:.2f}x)"
        if skipped := worker.told.get("graphs_left_out"):
            part += f", of which inductor left {skipped} CUDA graphs out"
        parts.append(part)
    return ", ".join(parts)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", choices=WORK, default="train")
    parser.add_argument("--models", type=names(), default=["resnet-110"])
    parser.add_argument("--precisions", type=names(PRECISIONS), help="of training (default: both); measuring is in fp32")
    parser.add_argument("--workers", type=names(WORKERS), help=f"out of {', '.join(WORKERS)} (default: all that run there)")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--steps", type=int, default=50, help="of a repetition")
    parser.add_argument("--repeats", type=int, default=8)
    parser.add_argument("--device", default="cuda")
    add_program(parser)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every single time here")
    options = parser.parse_args()
    check_program(options)
    options.workers = options.workers or [name for name in WORKERS if options.device != "cpu" or name != "graphed"]
    options.precisions = options.precisions or (PRECISIONS if options.work == "train" else ("fp32",))
    results, failures = [], []

    def without(failure):
        failures.append(failure)
        say(failure)

    print(f"batch {options.batch}, {options.steps} steps a repetition, medians of {options.repeats} taken in turn; "
          f"images/s, and in brackets how much faster the first of ours is")
    with tempfile.TemporaryDirectory() as folder:
        for model in [Model(name, options.reslens) for name in options.models]:
            file = Path(folder) / "architecture.json"
            file.write_text(json.dumps(model.architecture))
            for precision in options.precisions:
                workers = take_turns(commands_of(model, precision, options, str(file)), options.repeats, say, without=without)
                print(f"{model.name} {precision}: {line(workers, options.batch * options.steps)}", flush=True)
                results.append({"model": model.name, "precision": precision, "batch": options.batch,
                                "steps": options.steps, "workers": [worker.result() for worker in workers.values()]})
                write_results(results, options)
    if failures:
        raise SystemExit(f"{len(failures)} of the workers failed; the last: {failures[-1]}")


if __name__ == "__main__":
    run_main(main)
