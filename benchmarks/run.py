"""What `make bench` runs: the work of ResLens beside the same work in PyTorch, in time and memory.

    python benchmarks/run.py [--models resnet-20,resnet-110] [--work train,evaluate,measure,record,drops,suite]
        [--precisions fp32,bf16] [--repeats N] [--threads N] [--json FILE]

For each case the processes, ours and PyTorch's in both memory layouts, are alive together and take turns, a repetition
each: a machine that is slower for a while is slower for all. Their times are compared by their medians, and PyTorch
counts with the layout that was faster; `time ratio` is PyTorch's time over ours (above 1: ours is faster). Beside it
stands the ratio of the quickest repetitions, PyTorch's of either layout: where other programs share the machine, and
the two ratios differ, it is the one nearer the truth. `memory ratio` is our peak over PyTorch's (below 1: ours is
smaller); a peak is the whole process's, PyTorch's with the Python interpreter and its modules in it. `measure` is
cosine loss and l2 ratio of all steps, and runs in fp32 only; our own training step takes turns with it, for `measuring
pass / training step`, in medians and, in brackets, quickest.

`record` is what `reslens train --measure every=1,samples=2000` does after an epoch; it has no twin in PyTorch, and is
given as its share of an epoch of 50,000 images. `drops` is every single drop in turn, PyTorch's each a whole forward
pass, beside as many whole forward passes of ours. A network that shares blocks (resnet-N-shared, resnet-N-ubn) is timed in
training only, where its unshared twin, which has as many steps, takes turns with it. `suite` is every measure that there is (unrolling by 20, lesions), in
PyTorch as one writes it with hooks and whole forward passes. Both take batches of 32.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
LAYOUTS = ("contiguous", "channels_last")
WORK = ("train", "evaluate", "measure", "record", "drops", "suite")
# Minutes a repetition at a full batch: smaller batches, fewer repetitions.
HEAVY = ("drops", "suite")
HEAVY_BATCH, HEAVY_REPEATS, HEAVY_WARMUPS = 32, 3, 1
# An epoch of CIFAR, and the train and validation samples that are recorded after it.
EPOCH_IMAGES, RECORDED_IMAGES = 50_000, 4_000
PRECISIONS = ("fp32", "bf16")
# OpenMP's threads spin for some milliseconds after their work; the next process shall find them asleep.
PAUSE_S = 0.05


def taken_apart(name):
    """(N, kind of sharing or None) of resnet-N, resnet-N-shared or resnet-N-ubn."""
    depth, _, kind = name.removeprefix("resnet-").partition("-")
    if not depth.isdigit() or int(depth) < 8 or int(depth) % 6 != 2 or kind not in ("", "shared", "ubn"):
        raise SystemExit(f"{name}: the models of this benchmark are resnet-N with N = 6k + 2, such as resnet-20, and "
                         "resnet-N-shared and resnet-N-ubn")
    return int(depth), kind or None


def architecture(name):
    """The mapping of a model, as in config.yaml."""
    depth, kind = taken_apart(name)
    blocks = (depth - 2) // 6
    if kind and blocks < 7:
        raise SystemExit(f"{name}: from block 5 on there are not two blocks to share; resnet-44-{kind} has them")
    sharing = {"sharing": {"from": 5, "unshared-statistics": kind == "ubn", "unshared-affine": kind == "ubn",
                           "initial-gamma": 0.1 if kind == "ubn" else 1.0}} if kind else {}
    return {
        "name": name,
        "input": {"channels": 3, "height": 32, "width": 32},
        "classes": 10,
        "stem": {"width": 16},
        "stages": [{"width": 16, "blocks": blocks, "entry": "none", **sharing},
                   {"width": 32, "blocks": blocks, "entry": "projection", "stride": 2, **sharing},
                   {"width": 64, "blocks": blocks, "entry": "projection", "stride": 2, **sharing}],
        "head": {"pooling": 8},
    }


class Worker:
    """A process that speaks the protocol: `ready`; a line in, seconds out; end of input, {"peak_bytes": ...}."""

    def __init__(self, name, command):
        self.name = name
        self.errors = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors,
                                        text=True, bufsize=1)
        self.seconds = []

    def line(self):
        line = self.process.stdout.readline()
        if not line:
            status = self.process.wait()
            self.errors.seek(0)
            said = [line.strip() for line in self.errors if line.strip()]
            raise SystemExit(f"The worker of {self.name} ended early with status {status}"
                             f"{': ' + said[-1] if said else ''}")
        return line.strip()

    def wait_until_ready(self):
        while self.line() != "ready":
            pass

    def step(self):
        try:
            self.process.stdin.write("\n")
        except BrokenPipeError:
            pass  # line() says what happened
        self.seconds.append(float(self.line()))

    def finish(self):
        self.process.stdin.close()
        self.peak_bytes = json.loads(self.line())["peak_bytes"]
        self.process.wait()

    def median(self):
        return statistics.median(self.seconds)

    def quickest(self):
        return min(self.seconds)

    def result(self):
        return {"name": self.name, "seconds": self.seconds, "peak_bytes": self.peak_bytes}


def take_turns(commands, repeats, say):
    """{name: command} to {name: finished worker}. They warm up one after the other, then step in turn."""
    workers = []
    try:
        for name, command in commands.items():
            say(f"starting {name}")
            workers.append(Worker(name, command))
            workers[-1].wait_until_ready()
        for done in range(repeats):
            say(f"round {done + 1} of {repeats}")
            for worker in workers:
                time.sleep(PAUSE_S)
                worker.step()
        for worker in workers:
            worker.finish()
    finally:
        for worker in workers:
            if worker.process.poll() is None:
                worker.process.kill()
    return {worker.name: worker for worker in workers}


def commands_of(case, options, file):
    model, work, precision = case
    common = ["--batch", str(batch_of(case, options)), "--threads", str(options.threads)]
    if work in HEAVY:
        common += ["--warmups", str(HEAVY_WARMUPS)]

    def ours(work, model=model):
        # What is recorded while training is in fp32 whatever the training's precision.
        kind = "fp32" if work == "record" else precision
        return [str(options.reslens), "bench", "--work", work, "--precision", kind, "--model", model, *common]

    commands = {"ours": ours(work)}
    if work == "record":
        return commands | {"our training step": ours("train")}
    if work == "drops":
        commands["our forward passes"] = ours("forwards")
    for layout in LAYOUTS:
        commands[layout] = [sys.executable, str(HERE / "pytorch_worker.py"), "--work", work, "--precision", precision,
                            "--layout", layout, "--architecture", file, "--model", model, *common]
    if work == "measure":
        commands["our training step"] = ours("train")
    depth, kind = taken_apart(model)
    if work == "train" and kind:
        commands["our unshared twin"] = ours("train", f"resnet-{depth}")
    return commands


def batch_of(case, options):
    return min(options.batch, HEAVY_BATCH) if case[1] in HEAVY else options.batch


COLUMNS = "{:17}  {:8}  {:4}  {:>8}  {:>8}  {:13}  {:>6}  {:>8}  {:>6}  {:>7}  {:>6}"


def header():
    return "\n".join(line.rstrip() for line in (
        COLUMNS.format("", "", "", "ours", "PyTorch", "", "time", "of the", "ours", "PyTorch", "memory"),
        COLUMNS.format("model", "work", "", "images/s", "images/s", "best layout", "ratio", "quickest", "MiB", "MiB",
                       "ratio")))


def rate(batch, worker):
    """Images a second by the median, with a decimal where they are few."""
    value = batch / worker.median()
    return f"{value:.1f}" if value < 10 else f"{value:.0f}"


def row(case, workers, batch):
    ours = workers["ours"]
    if case[1] == "record":
        step, share = workers["our training step"], RECORDED_IMAGES / EPOCH_IMAGES
        return COLUMNS.format(*case, rate(batch, ours), *[""] * 4, f"{ours.peak_bytes / 2**20:.0f}", "", "") \
            .rstrip() + (f"  recording {RECORDED_IMAGES} images / epoch of {EPOCH_IMAGES}: "
                         f"{share * ours.median() / step.median():.3f} ({share * ours.quickest() / step.quickest():.3f})")
    theirs = [workers[name] for name in LAYOUTS]
    best = min(theirs, key=Worker.median)
    text = COLUMNS.format(
        *case, rate(batch, ours), rate(batch, best), best.name,
        f"{best.median() / ours.median():.2f}", f"{min(w.quickest() for w in theirs) / ours.quickest():.2f}",
        f"{ours.peak_bytes / 2**20:.0f}", f"{best.peak_bytes / 2**20:.0f}", f"{ours.peak_bytes / best.peak_bytes:.2f}")
    if step := workers.get("our training step"):
        text += (f"  measuring pass / training step: {ours.median() / step.median():.2f} "
                 f"({ours.quickest() / step.quickest():.2f})")
    if twin := workers.get("our unshared twin"):
        text += (f"  time / the unshared twin's: {ours.median() / twin.median():.3f} "
                 f"({ours.quickest() / twin.quickest():.3f}), its memory {twin.peak_bytes / 2**20:.0f} MiB")
    if passes := workers.get("our forward passes"):
        text += (f"  all drops / as many forward passes: {ours.median() / passes.median():.2f} "
                 f"({ours.quickest() / passes.quickest():.2f})")
    if case[1] == "suite":
        text += f"  ours / PyTorch: {ours.median() / best.median():.2f}"
    return text


def torch_threads():
    """The threads that PyTorch takes by itself, a physical core each; it is asked in a process of its own, so that
    ours stays small: on Linux a child's peak memory begins at its parent's size."""
    code = "import torch, safetensors; print(torch.get_num_threads())"
    asked = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    if asked.returncode:
        last = asked.stderr.strip().splitlines()[-1:] or [f"status {asked.returncode}"]
        raise SystemExit(f"{sys.executable} cannot load PyTorch and safetensors, which this benchmark compares with "
                         f"({last[0]}); run it as `make bench`, or with PYTHONPATH=.deps/python")
    return int(asked.stdout)


def names(allowed=None):
    def parse(text):
        found = [name for name in text.split(",") if name]
        for name in found:
            if allowed and name not in allowed:
                raise argparse.ArgumentTypeError(f"{name} is none of {', '.join(allowed)}")
        return found
    return parse


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=names(), default=["resnet-20", "resnet-110", "resnet-110-shared", "resnet-110-ubn"])
    parser.add_argument("--work", type=names(WORK), default=WORK)
    parser.add_argument("--precisions", type=names(PRECISIONS), default=PRECISIONS)
    parser.add_argument("--repeats", type=int, help="rounds a case (default: 12; 6 for networks of over 50 layers)")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--threads", type=int, help="for every process (default: PyTorch's choice, the physical cores)")
    parser.add_argument("--reslens", type=Path, default=HERE.parent / ".build" / "release" / "reslens")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every single time here")
    options = parser.parse_args()
    architectures = {model: architecture(model) for model in options.models}
    if not os.access(options.reslens, os.X_OK):
        raise SystemExit(f"{options.reslens} is not there; `make build` makes it")
    default_threads = torch_threads()
    options.threads = options.threads or default_threads
    cases = [(model, work, precision) for model in options.models for work in options.work
             if work == "train" or not taken_apart(model)[1]
             for precision in (options.precisions if work in ("train", "evaluate", "record") else ("fp32",))]

    say = lambda text: None
    if sys.stderr.isatty():
        say = lambda text: print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
    print(f"batch {options.batch} ({HEAVY_BATCH} for {' and '.join(HEAVY)}), {options.threads} threads; medians of "
          "repetitions taken in turn")
    print(header(), flush=True)
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for case in cases:
            model, work, precision = case
            file = Path(folder) / f"{model}.json"
            file.write_text(json.dumps(architectures[model]))
            repeats = options.repeats or (12 if taken_apart(model)[0] <= 50 else 6)
            if work in HEAVY:
                repeats = min(repeats, HEAVY_REPEATS)
            workers = take_turns(commands_of(case, options, str(file)), repeats,
                                 lambda text: say(f"{model} {work} {precision}: {text}"))
            say("")
            print(row(case, workers, batch_of(case, options)), flush=True)
            results.append({"model": model, "work": work, "precision": precision, "batch": batch_of(case, options),
                            "threads": options.threads, "workers": [w.result() for w in workers.values()]})
            if options.json:
                options.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        raise SystemExit("interrupted")
