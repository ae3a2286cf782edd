"""Reads the files of run folders into pandas frames."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from reslens.errors import ResLensError, reading

FORMAT = 4  # of measures.json
STEP = ["step", "path", "stage", "block", "use", "input", "output", "macs", "identity-skip"]
ABSENCE = ["measure", "view", "steps", "reason"]
NOT_FINITE = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}  # as JSON writes them


@dataclass(frozen=True)
class Results:
    """The results of a run, or those of several runs, joined.

    The columns of a table are its keys, then its values. A missing value is NaN. `attrs` of a run's table holds its
    `measure`, its `keys` and `values` with their units, and the measure's `parameters`.
    """

    folder: Path
    #: The contents of `config.yaml`; of several runs, each run's by the run's name.
    config: dict[str, Any] = field(repr=False)
    #: The results of each run by its name, if there are several.
    runs: dict[str, Results]
    #: The training: one row for each epoch.
    epochs: pd.DataFrame = field(repr=False)
    #: The steps of the network that was measured.
    steps: pd.DataFrame = field(repr=False)
    #: The values that `tables` cannot have, with the reasons.
    absent: pd.DataFrame = field(repr=False)
    #: The tables of `measures.json` by their names.
    tables: dict[str, pd.DataFrame] = field(repr=False)
    #: The tables of `measures-batch.json`, measured with each batch's own statistics.
    batch_tables: dict[str, pd.DataFrame] = field(repr=False)
    #: The tables that were recorded during training, with the key `epoch`.
    history: dict[str, pd.DataFrame] = field(repr=False)


def read(path: str | os.PathLike[str]) -> Results:
    """Reads the run in a folder, or all runs in the folder or in its subfolder `runs`."""
    folder = Path(path)
    if (folder / "config.yaml").is_file():
        return _run(folder)
    for place in (folder / "runs", folder):
        found = sorted(file.parent for file in place.glob("*/config.yaml"))
        if found:
            return _joined(folder, {run.name: _run(run) for run in found})
    raise ResLensError(
        f"{folder}: there is no run in this folder (no config.yaml, no runs/NAME/config.yaml); "
        "name a folder that reslens train, study or reproduce made")


def _run(folder: Path) -> Results:
    file = folder / "config.yaml"
    with reading(file, "correct it, or train the run again"):
        config = yaml.safe_load(file.read_bytes())
        if not isinstance(config, dict):
            raise ValueError("it is no mapping of fields")
    again = f"measure again: reslens measure {shlex.quote(str(folder))}"
    measured = _measured(folder / "measures.json", again)
    by_batch = _measured(folder / "measures-batch.json", again + " --batch-norm batch")
    recorded = [_measured(file, "remove it: the history is then without that epoch")
                for file in sorted((folder / "measures").glob("epoch-*.json"))]
    last = next((results for results in [measured, by_batch, *reversed(recorded)] if results.tables), measured)
    return Results(
        folder, config, {}, _epochs(folder / "epochs.csv", folder), last.steps, measured.absent, measured.tables,
        by_batch.tables, _tables([({"epoch": results.epoch}, results.tables) for results in recorded]))


def _joined(folder: Path, runs: dict[str, Results]) -> Results:
    labelled = []
    for name, run in runs.items():
        with reading(run.folder / "config.yaml", "correct it, or train the run again"):
            labelled.append(({"run": name, "model": run.config["architecture"]["name"], "seed": run.config["seed"]}, run))
    return Results(
        folder, {name: run.config for name, run in runs.items()}, runs,
        _frame((labels, run.epochs) for labels, run in labelled),
        _frame((labels, run.steps) for labels, run in labelled),
        _frame((labels, run.absent) for labels, run in labelled),
        _tables([(labels, run.tables) for labels, run in labelled]),
        _tables([(labels, run.batch_tables) for labels, run in labelled]),
        _tables([(labels, run.history) for labels, run in labelled]))


def _frame(parts: Iterable[tuple[dict[str, Any], pd.DataFrame]]) -> pd.DataFrame:
    """Joins frames below one another; each one's labels become its first columns."""
    frames = []
    for labels, part in parts:
        if not part.empty:
            frame = part.copy()
            for position, (name, value) in enumerate(labels.items()):
                frame.insert(position, name, value)
            frames.append(frame)
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def _tables(parts: list[tuple[dict[str, Any], dict[str, pd.DataFrame]]]) -> dict[str, pd.DataFrame]:
    """Joins the tables of the same name."""
    names = dict.fromkeys(name for _, tables in parts for name in tables)
    return {name: _frame((labels, tables[name]) for labels, tables in parts if name in tables) for name in names}


@dataclass(frozen=True)
class _Measured:
    """The contents of one file of measures."""

    epoch: int = 0
    steps: pd.DataFrame = field(default_factory=pd.DataFrame)
    absent: pd.DataFrame = field(default_factory=pd.DataFrame)
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)


def _measured(file: Path, remedy: str) -> _Measured:
    """Reads a file of measures; without the file there is nothing in the result."""
    if not file.exists():
        return _Measured()
    with reading(file, remedy):
        results = json.loads(file.read_bytes())
        if results["format"] != FORMAT:
            raise ValueError(f"format: it is {results['format']}, and this reslens reads {FORMAT}")
        return _Measured(
            results["epoch"], pd.DataFrame(results["steps"], columns=STEP),
            pd.DataFrame(results["absent"], columns=ABSENCE),
            {table["name"]: _table(table) for table in results["tables"]})


def _table(table: dict[str, Any]) -> pd.DataFrame:
    columns = [column["name"] for column in table["keys"] + table["values"]]
    for number, row in enumerate(table["rows"], 1):
        if len(row) != len(columns):
            raise ValueError(f"table {table['name']}: row {number} has {len(row)} cells, and there are {len(columns)} columns")
    rows = [[NOT_FINITE.get(cell, cell) if isinstance(cell, str) else cell for cell in row] for row in table["rows"]]
    frame = pd.DataFrame(rows, columns=columns)
    # pandas takes a column of nothing but null for text.
    empty = [name for name in columns if frame[name].isna().all()]
    frame = frame.astype(dict.fromkeys(empty, float))
    frame.attrs = {name: table[name] for name in ("measure", "keys", "values", "parameters")}
    return frame


def _epochs(file: Path, folder: Path) -> pd.DataFrame:
    if not file.exists():
        return pd.DataFrame()
    with reading(file, f"write it again: reslens train --resume --out {shlex.quote(str(folder))}"):
        # Read as text, because older pandas lose digits of some numbers.
        epochs = pd.read_csv(file, dtype=str).astype(float)
        return epochs.astype({"epoch": int})
