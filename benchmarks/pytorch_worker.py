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
