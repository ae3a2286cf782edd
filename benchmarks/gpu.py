"""Training steps of ResLens beside PyTorch's on one GPU, in one run.

    python benchmarks/gpu.py [--models resnet-110] [--precisions fp32,bf16] [--workers NAME,…] [--batch 128] [--steps 50]
        [--repeats 8] [--reslens FILE] [--json FILE] [--device cuda]

The processes are alive together and take turns, a repetition of so many steps each; after a repetition the GPU is waited
for. Ours runs captured steps (CUDA graphs) and, for comparison, plain ones (`plain`), and captured ones of libtorch's
operations instead of our kernels (`operations`); PyTorch runs eager in both memory layouts (`contiguous`, `channels_last`), a
whole eager step as one CUDA graph (`graphed`, where there is a GPU), and torch.compile with CUDA graphs (`compiled`, mode
reduce-overhead, which takes minutes to compile a deep network; where it left graphs out, it says so). TF32 is off in all of them.
The data are the one thing that is not alike: ours cuts its batch out of the data set in every step, mirrored, moved and
normalised, and PyTorch's lies ready. Printed are images a second by the median, and how much faster our captured steps
are than each. A worker that fails is told of and left out, and the exit status is 1. `--device cpu` tries the script out where there is no GPU.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

from run import PRECISIONS, Model, add_program, check_program, names, python, run_main, take_turns, write_results

# Ours, and what each is called with beside the rest.
OURS = {"captured": [], "plain": ["--plain-steps"], "operations": ["--kernels", "libtorch"]}
LAYOUTS = ("contiguous", "channels_last", "graphed", "compiled")
WORKERS = (*OURS, *LAYOUTS)


def say(text):
    print(text, file=sys.stderr, flush=True)


def commands_of(model, precision, options, file):
    common = ["--precision", precision, "--batch", str(options.batch), "--device", options.device, "--steps",
              str(options.steps), "--warmups", "3", "--work", "train", "--model", model.name]
    commands = {name: [str(options.reslens), "bench", *common, *more] for name, more in OURS.items()}
    for layout in LAYOUTS:
        commands[layout] = [*python("pytorch_worker.py"), *common, "--layout", layout, "--architecture", file]
    return {name: commands[name] for name in options.workers}


def line(workers, images):
    """Every worker's images a second, in brackets how much faster captured steps are."""
    captured = workers.get("captured")
    parts = []
    for name, worker in workers.items():
        part = f"{name} {images / worker.median():.0f}"
        if captured and worker is not captured:
            part += f" ({worker.median() / captured.median():.2f}x)"
        if skipped := worker.told.get("graphs_left_out"):
            part += f", of which inductor left {skipped} CUDA graphs out"
        parts.append(part)
    return ", ".join(parts)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=names(), default=["resnet-110"])
    parser.add_argument("--precisions", type=names(PRECISIONS), default=PRECISIONS)
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
    results, failures = [], []

    def without(failure):
        failures.append(failure)
        say(failure)

    print(f"batch {options.batch}, {options.steps} steps a repetition, medians of {options.repeats} taken in turn; "
          f"images/s, and in brackets how much faster our captured steps are")
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
