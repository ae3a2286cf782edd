"""Image sets in CIFAR's binary layout or in a file of dataset.py, and the augmentation of ResLens."""

import os
import tarfile
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

_LAYOUTS = {
    "cifar-10-batches-bin": ([f"data_batch_{i}.bin" for i in range(1, 6)], ["test_batch.bin"], 1),
    "cifar-100-binary": (["train.bin"], ["test.bin"], 2),
}


def _records(files, label_bytes):
    rows = np.concatenate([np.frombuffer(f, dtype=np.uint8).reshape(-1, label_bytes + 3072) for f in files])
    images = torch.from_numpy(rows[:, label_bytes:].reshape(-1, 3, 32, 32).copy())
    return images, torch.from_numpy(rows[:, label_bytes - 1].astype(np.int64))


def load(path):
    """{"train": (images uint8 NCHW, labels int64), "validation": ...} of a folder, an official .tar.gz or a file."""
    if str(path).endswith(".safetensors"):
        found = load_file(path)
        return {split: (found[f"{split}.images"], found[f"{split}.labels"].long()) for split in ("train", "validation")}
    for folder, (train, validation, label_bytes) in _LAYOUTS.items():
        if os.path.isfile(path):
            with tarfile.open(path) as archive:
                names = archive.getnames()
                if f"{folder}/{train[0]}" not in names:
                    continue
                parts = [[archive.extractfile(f"{folder}/{n}").read() for n in files] for files in (train, validation)]
                return {split: _records(part, label_bytes) for split, part in zip(("train", "validation"), parts)}
        for base in (path, os.path.join(path, folder)):
            if os.path.exists(os.path.join(base, train[0])):
                # A smaller set, such as `reslens data export` writes, may fill fewer files.
                train = [n for n in train if os.path.exists(os.path.join(base, n))]
                parts = [[Path(base, n).read_bytes() for n in files] for files in (train, validation)]
                return {split: _records(part, label_bytes) for split, part in zip(("train", "validation"), parts)}
    raise SystemExit(f"{path}: no CIFAR-10 or CIFAR-100 in binary layout here")


def input_statistics(config, images):
    """The channel statistics by which a run's inputs are normalised: its configuration's, or else those of the images."""
    known = config.get("statistics")
    if not known:
        return channel_statistics(images)
    return tuple(torch.tensor(known[name], dtype=torch.float64) for name in ("means", "deviations"))


def channel_statistics(images):
    pixels = images.to(torch.float64) / 255
    return pixels.mean((0, 2, 3)), pixels.std((0, 2, 3), correction=0)


def normalise(images, mean, std):
    scale, shift = (1 / (255 * std)).float(), (-mean / std).float()
    return (images.float() * scale.view(1, 3, 1, 1) + shift.view(1, 3, 1, 1)).contiguous(memory_format=torch.channels_last)


def augment(images, flip, translate, generator):
    """Random horizontal flips and translations by up to `translate` pixels; what moves in is zero."""
    count, _, height, width = images.shape
    if flip:
        flipped = torch.rand(count, generator=generator) < 0.5
        images = torch.where(flipped.view(-1, 1, 1, 1), images.flip(3), images)
    if translate:
        padded = torch.nn.functional.pad(images, (translate,) * 4)
        dy = torch.randint(0, 2 * translate + 1, (count,), generator=generator)
        dx = torch.randint(0, 2 * translate + 1, (count,), generator=generator)
        rows = (dy.view(-1, 1) + torch.arange(height)).view(-1, 1, height, 1)
        columns = (dx.view(-1, 1) + torch.arange(width)).view(-1, 1, 1, width)
        sample = torch.arange(count).view(-1, 1, 1, 1)
        channel = torch.arange(images.shape[1]).view(1, -1, 1, 1)
        images = padded[sample, channel, rows, columns]
    return images.contiguous(memory_format=torch.channels_last)
