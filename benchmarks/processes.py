"""Training in several processes: ResLens beside PyTorch's DistributedDataParallel, by Gloo, on this machine.

    python benchmarks/processes.py [--processes 1,2] [--model resnet-20] [--samples 4096] [--repeats 3] [--reslens FILE]

A repetition is an epoch of so many images of the embedded set in batches of 128, which all processes share, each with its
share of the threads; normalisations run by each process's part. PyTorch's is reference/train.py, a plain loop as one writes it,
augmentation included: `make bench` is where its step is at its best. Ours and PyTorch's take turns; images a second are those
that the program itself prints of its training, start-up left out, by the median.
"""

import argparse
import csv
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from run import HERE, add_program, check_program, names, run_main, torch_threads


def told(command, **environment):
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment})
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: {done.stderr.strip()[-2000:]}")
    return done.stdout


def ours(count, threads, options, data, folder):
    shutil.rmtree(folder, ignore_errors=True)
    command = [str(options.reslens), "launch", "--processes", str(count), "--", "train", "--model", options.model, "--data",
               "synthetic", "--recipe", "quick", "--epochs", "1", "--train-samples", str(options.samples), "--validation-samples", "100",
               "--device", "cpu", "--out", str(folder)]
    told(command, OMP_NUM_THREADS=str(threads))
    with open(folder / "epochs.csv") as file:
        return float(list(csv.DictReader(file))[-1]["images_per_second"])


def theirs(count, threads, options, data, folder):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count),
               str(HERE.parent / "reference" / "train.py"), "--config", str(folder / "config.yaml"), "--data", str(data),
               "--train-samples", str(options.samples)]
    return float(re.findall(r"images_per_second (\d+)", told(command, OMP_NUM_THREADS=str(threads)))[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=names(), default=["1", "2"])
    parser.add_argument("--model", default="resnet-20")
    parser.add_argument("--samples", type=int, default=4096, help="of 6000 that there are")
    parser.add_argument("--repeats", type=int, default=3)
    add_program(parser)
    options = parser.parse_args()
    check_program(options)
    available = torch_threads()
    print(f"{options.model}, batch 128, {available} threads in all; images/s, medians of {options.repeats}")
    with tempfile.TemporaryDirectory() as place:
        data, folder = Path(place) / "data", Path(place) / "run"
        told([str(options.reslens), "data", "export", "synthetic", str(data)])
        for count in map(int, options.processes):
            threads = max(1, available // count)
            found = {ours: [], theirs: []}
            for _ in range(options.repeats):
                for work, speeds in found.items():
                    speeds.append(work(count, threads, options, data, folder))
            own, other = (statistics.median(speeds) for speeds in found.values())
            print(f"{count} processes of {threads} threads: ours {own:.0f}, PyTorch {other:.0f}, ratio {own / other:.2f}",
                  flush=True)


if __name__ == "__main__":
    run_main(main)
