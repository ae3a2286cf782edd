"""Training steps of ResLens beside PyTorch's on one GPU, in one run.

    python benchmarks/gpu.py [--models resnet-110] [--precisions fp32,bf16] [--batch 128] [--steps 50] [--repeats 8]
        [--reslens FILE] [--json FILE] [--device cuda]

The processes are alive together and take turns, a repetition of so many steps each; after a repetition the GPU is waited
for. Ours runs captured steps (CUDA graphs) and, for comparison, plain ones, and captured ones of libtorch's operations instead
of our kernels; PyTorch runs eager in both memory layouts, and
torch.compile with CUDA graphs (mode reduce-overhead). TF32 is off in all of them. Printed are images a second by the
median, and how much faster our captured steps are than each. `--device cpu` tries the script out where there is no GPU.
"""

import argparse
import json
import tempfile
from pathlib import Path

from run import (LAYOUTS, Model, PRECISIONS, add_program, check_program, names, python, run_main, take_turns,
                 write_results)

CAPTURED, PLAIN, OPERATIONS = "captured", "plain", "captured operations"


def commands_of(model, precision, options, file):
    common = ["--precision", precision, "--batch", str(options.batch), "--device", options.device, "--steps",
              str(options.steps), "--warmups", "3", "--work", "train", "--model", model.name]
    ours = [str(options.reslens), "bench", *common]
    commands = {CAPTURED: ours, PLAIN: [*ours, "--plain-steps"], OPERATIONS: [*ours, "--kernels", "libtorch"]}
    for layout in LAYOUTS:
        commands[layout] = [*python("pytorch_worker.py"), *common, "--layout", layout, "--architecture", file]
    return commands


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=names(), default=["resnet-110"])
    parser.add_argument("--precisions", type=names(PRECISIONS), default=PRECISIONS)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--steps", type=int, default=50, help="of a repetition")
    parser.add_argument("--repeats", type=int, default=8)
    parser.add_argument("--device", default="cuda")
    add_program(parser)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every single time here")
    options = parser.parse_args()
    check_program(options)
    results = []
    print(f"batch {options.batch}, {options.steps} steps a repetition, medians of {options.repeats} taken in turn; "
          f"images/s, and in brackets how much faster our captured steps are")
    with tempfile.TemporaryDirectory() as folder:
        for model in [Model(name, options.reslens) for name in options.models]:
            file = Path(folder) / "architecture.json"
            file.write_text(json.dumps(model.architecture))
            for precision in options.precisions:
                workers = take_turns(commands_of(model, precision, options, str(file)), options.repeats, lambda text: None)
                images = options.batch * options.steps
                ours = workers[CAPTURED].median()
                text = ", ".join(f"{name} {images / worker.median():.0f}"
                                 + ("" if name == CAPTURED else f" ({worker.median() / ours:.2f}x)")
                                 for name, worker in workers.items())
                print(f"{model.name} {precision}: {text}", flush=True)
                results.append({"model": model.name, "precision": precision, "batch": options.batch,
                                "steps": options.steps, "workers": [worker.result() for worker in workers.values()]})
                write_results(results, options)


if __name__ == "__main__":
    run_main(main)
