"""Reads the runs of ResLens: results as pandas frames, networks as PyTorch modules.

    run = reslens.load("runs/first")
    run.tables["l2-ratio"].query("split == 'validation'").plot(x="step", y="mean")
    network = reslens.weights(run)
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from reslens.errors import ResLensError, importing

if TYPE_CHECKING:
    from torch import nn

    from reslens.results import Results

__all__ = ["ResLensError", "load", "weights"]

# pandas and torch are imported where they are used, so that the command starts without them.


def load(folder: str | os.PathLike[str]) -> Results:
    """Reads all results of a run, or of every run of a study.

    `folder` is what `reslens train`, `reslens study` or `reslens reproduce` wrote, or any folder with run folders in
    it. The frames of several runs are joined and begin with the columns `run`, `model` and `seed`.

    Raises `ResLensError` if there is no run in the folder or a file in it cannot be read.
    """
    with importing():
        from reslens.results import read

    return read(folder)


def weights(run: Results | str | os.PathLike[str], checkpoint: str | None = None) -> nn.Module:
    """Makes a PyTorch module of a run's network, in evaluation mode.

    It gives logits for images of shape (n, channels, height, width) that are normalised as in training:
    (pixels / 255 - means) / deviations, with each channel's numbers from `run.config["statistics"]`.
    `checkpoint` is the name of a folder in the run's `checkpoints`; without it the newest one is read.

    Raises `ResLensError` if there is no such checkpoint or it cannot be read.
    """
    with importing():
        from reslens.checkpoint import read

    return read(run, checkpoint)
