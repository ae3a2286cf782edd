"""Starts the program `reslens`, which this package carries.

The program needs its C++ interface as a library. The library is compiled against the torch of this Python, because it
works with no other version of torch, and is kept in a cache.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.metadata
import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

PORTABLE = Path(__file__).parent / "portable"  # as scripts/portable packs it


def main() -> None:
    """Becomes the program, with this process's arguments."""
    try:
        folder = _interface()
        paths = [str(folder), *filter(None, [os.environ.get("LD_LIBRARY_PATH")])]
        os.execve(PORTABLE / "reslens", sys.argv, {**os.environ, "LD_LIBRARY_PATH": ":".join(paths)})
    except OSError as error:
        _stop(f"{error}; if it is the cache, name a folder for it with XDG_CACHE_HOME")
    except KeyboardInterrupt:
        sys.exit(130)


def _interface() -> Path:
    """The folder of the compiled interface."""
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        _stop(f"{sys.executable} finds no torch; install it: {sys.executable} -m pip install torch")
    torch = Path(spec.origin).parent
    folder = _cache(torch)
    library = folder / "libctorch.so"
    if not library.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with open(folder / "lock", "w") as lock:
            # If several first starts run at once, one compiles and the others wait here.
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not library.exists():
                _compile(torch, folder)
    return folder


def _cache(torch: Path) -> Path:
    """The folder of the interface for its source, the version of torch, and the folder of torch, which it names."""
    version = importlib.metadata.version("torch")
    kind = "cuda" if (torch / "lib" / "libtorch_cuda.so").exists() else "cpu"
    key = hashlib.sha256(str(torch.resolve()).encode())
    for file in sorted(file for file in PORTABLE.rglob("*") if file.is_file() and file.name != "reslens"):
        key.update(file.read_bytes())
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return caches / "reslens" / f"torch-{version}-{kind}-{key.hexdigest()[:12]}"


def _compile(torch: Path, folder: Path) -> None:
    print(f"reslens: compiling the C++ interface for the torch in {torch}, which takes a minute or more and happens once. "
          f"Remove {folder} to compile it again.", file=sys.stderr)
    built = subprocess.run(
        ["bash", PORTABLE / "scripts" / "build-engine", folder], env={**os.environ, "LIBTORCH": str(torch)},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    log = folder / "build.log"
    log.write_text(built.stdout)
    if built.returncode != 0:
        lines = built.stdout.splitlines()
        # The first error explains the others; the last line is build-engine's own.
        shown = lines if len(lines) <= 20 else [*lines[:18], "...", lines[-1]]
        _stop("\n".join(["the C++ interface was not compiled:", *shown, f"all messages are in {log}"]))
    sys.stderr.write(built.stdout)


def _stop(message: str) -> NoReturn:
    sys.exit(f"reslens: {message}")
