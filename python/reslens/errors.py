"""The errors that a user can cause."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class ResLensError(Exception):
    """Says which file cannot be used, why, and what to do."""


@contextmanager
def importing() -> Iterator[None]:
    """Turns a missing package into a `ResLensError` that says how to install it."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise ResLensError(
            f"{sys.executable} finds no {error.name}; install what reslens needs: "
            f"{sys.executable} -m pip install pandas pyyaml safetensors torch") from error


@contextmanager
def reading(file: Path, remedy: str) -> Iterator[None]:
    """Turns any error of the reading of a file into a `ResLensError` that names the file and the remedy."""
    try:
        yield
    except KeyError as error:
        raise ResLensError(f"{file}: the field {error} is missing; {remedy}") from error
    except Exception as error:
        # Each reader of a format raises errors of its own class.
        raise ResLensError(f"{file}: {error}; {remedy}") from error
