"""Makes PyTorch modules of checkpoints."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from torch import nn

from reslens.errors import ResLensError, reading
from reslens.network import load_checkpoint

if TYPE_CHECKING:
    from reslens.results import Results


def read(run: Results | str | os.PathLike[str], checkpoint: str | None) -> nn.Module:
    """Reads a checkpoint of a run: the named one, or the newest."""
    folder = Path(run) if isinstance(run, (str, os.PathLike)) else run.folder
    found = sorted(file.parent.name for file in folder.glob("checkpoints/epoch-*/weights.safetensors"))
    if not found:
        raise ResLensError(f"{folder}: there is no checkpoint in this folder; name a run that reslens train made")
    name = checkpoint or found[-1]
    if name not in found:
        raise ResLensError(f"{folder}: there is no checkpoint {name}; there is {', '.join(found)}")
    file = folder / "checkpoints" / name / "weights.safetensors"
    with reading(file, "name another checkpoint, or train the run again"):
        return load_checkpoint(file)
