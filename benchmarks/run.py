"""Runs `make bench`: the work of ResLens beside the same work in PyTorch, in time and memory.

    python benchmarks/run.py [--models resnet-20,wide,FILE.yaml] [--work train,evaluate,measure,record,drops,suite]
        [--precisions fp32,bf16] [--layouts contiguous,channels_last,compiled] [--repeats N] [--threads N] [--json FILE]

For each case the processes, ours and PyTorch's (eager in both memory layouts, and torch.compile for training and
evaluation), are alive together and take turns, a repetition each: a machine that is slower for a while is slower for
all. Their times are compared by their medians, and PyTorch counts with the one that was fastest; `time ratio` is
PyTorch's time over ours (above 1: ours is faster). Beside it stands the ratio of the quickest repetitions, PyTorch's of
any kind: where other programs share the machine, and the two ratios differ, it is the one nearer the truth.
`memory ratio` is our peak over PyTorch's (below 1: ours is smaller); a peak is the whole process's, PyTorch's with the
Python interpreter and its modules in it.

`train` is one step. With it take turns PyTorch's convolutions of that step alone, forward and both ways back: what a
step would take if nothing else were to be done; and, of a network that shares blocks, our step of its unshared twin,
which has as many steps. `measure` is cosine loss and l2 ratio of all steps, and runs in fp32 only; our own training step
takes turns with it, for `measuring pass / training step`, in medians and, in brackets, quickest, and so does our pass
with influence, alignment and agreement, which ride on it. `record` is what
`reslens train --measure every=1,samples=2000` does after an epoch; it has no twin in PyTorch. Given is by how much it
makes an epoch longer, the training on 50,000 images and the scoring of 10,000: the validation images that are recorded
are scored by that, and by nothing else. `drops` is every single drop in turn, PyTorch's each a whole forward pass, beside as many
whole forward passes of ours, and our pass with `future-effect`, which makes as many drops and compares every later F. `suite` is every measure that there is (unrolling by 20, lesions), in PyTorch as one writes
it with hooks and whole forward passes. Both take batches of 32. Networks of over a billion multiply-accumulates an image
take small batches too, and few repetitions; without --models they are timed in training only, as those that share blocks
always are.
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
LAYOUTS = ("contiguous", "channels_last", "compiled")
COMPILED_WORK = ("train", "evaluate")
# The models that are timed without --models, and the works of each; None is all of them.
MODELS = {"resnet-20": None, "resnet-110": None, "resnet-110-shared": ("train",), "resnet-110-ubn": ("train",),
          "single-representation": ("train",), "avg-pooling": ("train",), "wide": ("train",),
          str(HERE / "models/he-resnet-56.yaml"): ("evaluate", "measure"),
          str(HERE / "models/he-resnet-50.yaml"): ("evaluate", "measure")}
WORK = ("train", "evaluate", "measure", "record", "drops", "suite")
# The measures of `--work measure`, here and in pytorch_worker.py.
MEASURED = "cosine-loss,l2-ratio"
# The measures that ride on the same pass.
RIDING = "influence,alignment,agreement"
# Minutes a repetition at a full batch: smaller batches, fewer repetitions.
HEAVY = ("drops", "suite")
HEAVY_BATCH, HEAVY_REPEATS, HEAVY_WARMUPS = 32, 3, 1
# Seconds a repetition: (multiply-accumulates an image above which, batch at most, repetitions at most).
LARGE = ((5.6e9, 32, 4), (1e9, 64, 4))
# The batch and the repetitions at most for images of more pixels than CIFAR's.
LARGE_IMAGES = (8, 4)
# An epoch of CIFAR: images trained on, images scored after that, and the samples of both that are recorded.
EPOCH_IMAGES, SCORED_IMAGES, RECORDED_IMAGES = 50_000, 10_000, 4_000
# The images that are scored and recorded after an epoch go in batches of their own.
SCORING_BATCH, RECORDING_BATCH = 64, 128
PRECISIONS = ("fp32", "bf16")
# OpenMP's threads spin for some milliseconds after their work; the next process shall find them asleep.
PAUSE_S = 0.05


class Model:
    """A network as `reslens bench` knows it."""

    def __init__(self, name, reslens):
        self.source = name
        told = subprocess.run([str(reslens), "bench", "--architecture", "--model", name], capture_output=True, text=True)
        listed = subprocess.run([str(reslens), "models", name, "--json"], capture_output=True, text=True)
        if told.returncode or listed.returncode:
            raise SystemExit(f"{name}: {(told.stderr or listed.stderr).strip()}")
        self.architecture = json.loads(told.stdout)
        entry, = json.loads(listed.stdout)
        self.name = self.architecture["name"]
        self.macs = entry["multiply_accumulates"]
        self.steps = entry["steps"]
        self.shares = any(stage.get("sharing") for stage in self.architecture["stages"])

    def twin(self):
        """The name of the network of as many steps that shares nothing, where that has one."""
        return self.name.rpartition("-")[0] if self.shares and self.name.endswith(("-shared", "-ubn")) else None

    def most(self):
        """(batch, repetitions) that its size allows."""
        if self.architecture["input"]["height"] > 32:
            return LARGE_IMAGES
        return next(((batch, repeats) for macs, batch, repeats in LARGE if self.macs > macs), (None, None))


class WorkerFailed(SystemExit):
    """A worker ended early, and this is why."""


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
            # A command's error comes before its usage.
            why = next((line for line in said if line.startswith("Error:")), said[-1] if said else "")
            raise WorkerFailed(f"The worker of {self.name} ended early with status {status}{': ' + why if why else ''}")
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
        self.told = json.loads(self.line())
        self.peak_bytes = self.told["peak_bytes"]
        self.process.wait()

    def median(self):
        return statistics.median(self.seconds)

    def quickest(self):
        return min(self.seconds)

    def result(self):
        return {"name": self.name, "seconds": self.seconds, **self.told}


def take_turns(commands, repeats, say, without=None):
    """{name: command} to {name: finished worker}. They warm up one after the other, then step in turn. One that ends early
    ends all, or is left out where `without` is there to be told."""
    workers, failed = [], set()

    def tell(worker, task):
        if worker.name in failed:
            return
        try:
            task(worker)
        except WorkerFailed as failure:
            if not without:
                raise
            failed.add(worker.name)
            without(str(failure))

    try:
        for name, command in commands.items():
            say(f"starting {name}")
            workers.append(Worker(name, command))
            tell(workers[-1], Worker.wait_until_ready)
        for done in range(repeats):
            say(f"round {done + 1} of {repeats}")
            for worker in workers:
                time.sleep(PAUSE_S)
                tell(worker, Worker.step)
        for worker in workers:
            tell(worker, Worker.finish)
    finally:
        for worker in workers:
            if worker.process.poll() is None:
                worker.process.kill()
    return {worker.name: worker for worker in workers if worker.name not in failed}


def commands_of(case, options, file):
    model, work, precision = case
    common = ["--batch", str(batch_of(case, options)), "--threads", str(options.threads)]
    if work in HEAVY or model.most()[0]:
        common += ["--warmups", str(HEAVY_WARMUPS)]
    # A training step has the batch of a training, scoring and recording theirs, whatever they stand beside.
    scoring = ["--batch", str(SCORING_BATCH), *common[2:]]
    training = ["--batch", str(batch_of((model, "train", precision), options)), *common[2:]]

    def theirs(work, layout):
        return [*python("pytorch_worker.py"), "--work", work, "--precision", precision, "--layout",
                layout, "--architecture", file, "--model", model.source, *common]

    def ours(work, model=model.source, measures=MEASURED):
        return [str(options.reslens), "bench", "--work", work, "--precision", precision, "--model", model,
                *(["--measures", measures] if work == "measure" else []), *(training if work == "train" else common)]

    commands = {"ours": ours(work)}
    if work == "record":
        # Both are in fp32 whatever the training's precision.
        fp32 = [str(options.reslens), "bench", "--precision", "fp32", "--model", model.source]
        return {"ours": [*fp32, "--work", "record", *common], "our training step": ours("train"),
                "our scoring": [*fp32, "--work", "evaluate", *scoring]}
    if work == "drops":
        commands["our forward passes"] = ours("forwards")
        commands["our future effects"] = ours("measure", measures="future-effect")
    for layout in options.layouts:
        if layout != "compiled" or work in COMPILED_WORK:
            commands[layout] = theirs(work, layout)
    if work == "measure":
        commands["our training step"] = ours("train")
        commands["our pass with more"] = ours("measure", measures=f"{MEASURED},{RIDING}")
    if work == "train":
        commands["convolutions"] = theirs("convolutions", "channels_last")
        if model.twin():
            commands["our unshared twin"] = ours("train", model.twin())
    return commands


def batch_of(case, options):
    model, work, _ = case
    if work == "record":
        return RECORDING_BATCH
    most = HEAVY_BATCH if work in HEAVY else model.most()[0]
    return min(options.batch, most or options.batch)


def repeats_of(case, options):
    model, work, _ = case
    most = HEAVY_REPEATS if work in HEAVY else model.most()[1]
    repeats = options.repeats or (12 if model.steps <= 24 else 6)
    return min(repeats, most or repeats)


def python(script):
    return [sys.executable, str(HERE / script)]


COLUMNS = "{:21}  {:8}  {:4}  {:>8}  {:>8}  {:13}  {:>6}  {:>8}  {:>6}  {:>7}  {:>6}"


def header():
    return "\n".join(line.rstrip() for line in (
        COLUMNS.format("", "", "", "ours", "PyTorch", "", "time", "of the", "ours", "PyTorch", "memory"),
        COLUMNS.format("model", "work", "", "images/s", "images/s", "best of", "ratio", "quickest", "MiB", "MiB",
                       "ratio")))


def rate(batch, worker):
    """Images a second by the median, with a decimal where they are few."""
    value = batch / worker.median()
    return f"{value:.1f}" if value < 10 else f"{value:.0f}"


def row(case, workers, batch, training_batch):
    ours = workers["ours"]
    model, work, precision = case
    first = (model.name, work, precision)
    if work == "record":
        step, scoring = workers["our training step"], workers["our scoring"]

        def share(seconds):
            recording, training = RECORDED_IMAGES / batch * seconds(ours), EPOCH_IMAGES / training_batch * seconds(step)
            scored = SCORED_IMAGES / SCORING_BATCH * seconds(scoring)
            # The recorded validation images are not scored again.
            more = recording - RECORDED_IMAGES / 2 / SCORED_IMAGES * scored
            return f"{more / (training + scored):.3f}"

        return COLUMNS.format(*first, rate(batch, ours), *[""] * 4, f"{ours.peak_bytes / 2**20:.0f}", "", "") \
            .rstrip() + (f"  what recording {RECORDED_IMAGES} images adds / the epoch, training and scoring: "
                         f"{share(Worker.median)} ({share(Worker.quickest)})")
    theirs = [workers[name] for name in LAYOUTS if name in workers]
    best = min(theirs, key=Worker.median)
    text = COLUMNS.format(
        *first, rate(batch, ours), rate(batch, best), best.name,
        f"{best.median() / ours.median():.2f}", f"{min(w.quickest() for w in theirs) / ours.quickest():.2f}",
        f"{ours.peak_bytes / 2**20:.0f}", f"{best.peak_bytes / 2**20:.0f}", f"{ours.peak_bytes / best.peak_bytes:.2f}")
    if step := workers.get("our training step"):
        text += (f"  measuring pass / training step: {ours.median() / step.median():.2f} "
                 f"({ours.quickest() / step.quickest():.2f})")
    if more := workers.get("our pass with more"):
        text += (f"  with {RIDING} / measuring pass: {more.median() / ours.median():.2f} "
                 f"({more.quickest() / ours.quickest():.2f})")
    if alone := workers.get("convolutions"):
        text += (f"  PyTorch's convolutions alone / our step: {alone.median() / ours.median():.2f} "
                 f"({alone.quickest() / ours.quickest():.2f})")
    if twin := workers.get("our unshared twin"):
        text += (f"  time / the unshared twin's: {ours.median() / twin.median():.3f} "
                 f"({ours.quickest() / twin.quickest():.3f}), its memory {twin.peak_bytes / 2**20:.0f} MiB")
    if passes := workers.get("our forward passes"):
        text += (f"  all drops / as many forward passes: {ours.median() / passes.median():.2f} "
                 f"({ours.quickest() / passes.quickest():.2f})")
        effects = workers["our future effects"]
        text += (f"  future effects / as many forward passes: {effects.median() / passes.median():.2f} "
                 f"({effects.quickest() / passes.quickest():.2f})")
    if work == "suite":
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


def add_program(parser):
    parser.add_argument("--reslens", type=Path, default=HERE.parent / ".build" / "release" / "reslens")


def check_program(options):
    if not os.access(options.reslens, os.X_OK):
        raise SystemExit(f"{options.reslens} is not there; `make build` makes it")


def write_results(results, options):
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))


def run_main(main):
    try:
        main()
    except KeyboardInterrupt:
        raise SystemExit("interrupted") from None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=names(), )
    parser.add_argument("--work", type=names(WORK), default=WORK)
    parser.add_argument("--layouts", type=names(LAYOUTS), default=LAYOUTS,
                        help="of PyTorch; compiling the deep networks takes minutes")
    parser.add_argument("--precisions", type=names(PRECISIONS), default=PRECISIONS)
    parser.add_argument("--repeats", type=int, help="rounds a case (default: 12; 6 for networks of over 50 layers)")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--threads", type=int, help="for every process (default: PyTorch's choice, the physical cores)")
    add_program(parser)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every single time here")
    options = parser.parse_args()
    check_program(options)
    default_threads = torch_threads()
    options.threads = options.threads or default_threads
    models = [Model(name, options.reslens) for name in options.models or MODELS]
    works = {model.name: ("train",) if model.shares else WORK if options.models else MODELS[model.source] or WORK
             for model in models}
    for work in options.work:
        if work not in COMPILED_WORK and work != "record" and set(options.layouts) == {"compiled"}:
            parser.error(f"--work {work} has no compiled layout: name another one beside it")
    cases = [(model, work, precision) for model in models for work in options.work if work in works[model.name]
             for precision in (options.precisions if work in ("train", "evaluate", "record") else ("fp32",))]

    say = lambda text: None
    if sys.stderr.isatty():
        say = lambda text: print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
    print(f"batch {options.batch} ({HEAVY_BATCH} for {' and '.join(HEAVY)}, fewer for large "
          f"networks), {options.threads} threads; medians of repetitions taken in turn")
    print(header(), flush=True)
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for case in cases:
            model, work, precision = case
            file = Path(folder) / "architecture.json"
            file.write_text(json.dumps(model.architecture))
            name = f"{model.name} {work} {precision}"
            workers = take_turns(commands_of(case, options, str(file)), repeats_of(case, options),
                                 lambda text, name=name: say(f"{name}: {text}"))
            say("")
            print(row(case, workers, batch_of(case, options), batch_of((model, "train", precision), options)),
                  flush=True)
            results.append({"model": model.name, "work": work, "precision": precision,
                            "batch": batch_of(case, options), "threads": options.threads,
                            "workers": [w.result() for w in workers.values()]})
            write_results(results, options)


if __name__ == "__main__":
    run_main(main)
