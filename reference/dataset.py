"""Writes an image set as one safetensors file, which `reslens --data FILE` reads.

    python reference/dataset.py FOLDER OUT.safetensors --size 224
    python reference/dataset.py torchvision:CIFAR100 OUT.safetensors --root data --size 32

FOLDER holds a folder for each split (train or training; val, validation, valid or test) with a folder of images for each
class, as ImageNet and torchvision's ImageFolder have them. `torchvision:NAME` is a data set of torchvision, which
downloads it into --root. An image's shorter side is resized to --resize pixels, and its middle of --size×--size pixels
is kept. Images become uint8 RGB; nothing is normalised.

The file has `train.images`, `train.labels`, `validation.images` and `validation.labels` (N×3×H×W uint8 and N int64), and
in its metadata `class_names`, a JSON list, and `name`. It is written image by image, so that a set may be larger than
memory.
"""

import argparse
import json
import os
import random
import struct
import sys
from pathlib import Path

import numpy as np

SPLITS = {"train": ("train", "training"), "validation": ("val", "validation", "valid", "test")}
ENDINGS = {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm"}


def refuse(problem):
    sys.exit(f"dataset.py: {problem}")


def folder_set(folder):
    """Class names, and of each split the images' files and labels."""
    found = {}
    for split, names in SPLITS.items():
        there = [folder / name for name in names if (folder / name).is_dir()]
        if len(there) != 1:
            refuse(f"{folder}: there must be one folder of {', '.join(names)}, and there are {len(there)}")
        found[split] = there[0]
    classes = sorted(entry.name for entry in found["train"].iterdir() if entry.is_dir())
    if len(classes) < 2:
        refuse(f"{found['train']}: there are {len(classes)} folders of classes, and at least two are needed")
    unknown = {entry.name for entry in found["validation"].iterdir() if entry.is_dir()} - set(classes)
    if unknown:
        refuse(f"{found['validation']}: the class {min(unknown)} is not among those of {found['train']}")
    sets = {}
    for split, place in found.items():
        files = [(path, label) for label, name in enumerate(classes) if (place / name).is_dir()
                 for path in sorted((place / name).rglob("*")) if path.suffix.lower() in ENDINGS]
        sets[split] = [path for path, _ in files], [label for _, label in files]
    return classes, sets


def torchvision_set(name, root):
    """The same of a data set of torchvision, whose images are read as they are asked for."""
    try:
        from torchvision import datasets
    except ImportError as error:
        refuse(f"{error}: pip install torchvision")
    maker = getattr(datasets, name, None)
    if not isinstance(maker, type):
        refuse(f"torchvision has no data set {name}")
    sets, classes = {}, None
    for split, is_train in (("train", True), ("validation", False)):
        try:
            made = maker(root, train=is_train, download=True)
        except TypeError:
            try:
                made = maker(root, split="train" if is_train else "test", download=True)
            except Exception as error:
                refuse(f"torchvision's {name} cannot be had by train=… or by split=\"test\" ({error})")
        except Exception as error:
            refuse(f"torchvision's {name} cannot be had ({error})")
        labels = getattr(made, "targets", None)
        if labels is None:
            labels = [made[index][1] for index in range(len(made))]
        labels = [int(label) for label in labels]
        classes = classes or getattr(made, "classes", None) or [str(label) for label in range(max(labels) + 1)]
        sets[split] = [_Item(made, index) for index in range(len(made))], labels
    return [str(name) for name in classes], sets


class _Item:
    """An image of a torchvision data set, by its index."""

    def __init__(self, data, index):
        self.data, self.index = data, index

    def image(self):
        return self.data[self.index][0]

    def __str__(self):
        return f"{type(self.data).__name__} {self.index}"


def pixels(source, resize, size):
    """3×size×size bytes of an image."""
    try:
        from PIL import Image
    except ImportError as error:
        refuse(f"{error}: pip install pillow")
    image = source.image() if isinstance(source, _Item) else Image.open(source)
    image = image.convert("RGB")
    if min(image.size) != resize:
        # The longer side is rounded, and the middle is found, as torchvision's Resize and CenterCrop do it.
        short = min(image.size)
        sides = [resize if side == short else int(resize * side / short) for side in image.size]
        image = image.resize(sides, Image.Resampling.BILINEAR)
    left, top = round((image.width - size) / 2), round((image.height - size) / 2)
    image = image.crop((left, top, left + size, top + size))
    return np.ascontiguousarray(np.asarray(image, dtype=np.uint8).transpose(2, 0, 1))


def write(out, name, classes, sets, resize, size):
    """Writes beside `out` and renames, so that there is a whole file or none."""
    header, end = {"__metadata__": {"class_names": json.dumps(classes), "name": name}}, 0
    for split, (_, labels) in sorted(sets.items()):
        for part, dtype, shape, count in (("images", "U8", [len(labels), 3, size, size], 3 * size * size),
                                          ("labels", "I64", [len(labels)], 8)):
            header[f"{split}.{part}"] = {"dtype": dtype, "shape": shape,
                                         "data_offsets": [end, end + len(labels) * count]}
            end += len(labels) * count
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    beside = out.with_name(f"{out.name}.writing{os.getpid()}")
    try:
        with open(beside, "wb") as file:
            file.write(struct.pack("<Q", len(text)) + text)
            for split, (sources, labels) in sorted(sets.items()):
                for done, source in enumerate(sources):
                    try:
                        file.write(pixels(source, resize, size).tobytes())
                    except Exception as error:  # Pillow has errors of many kinds for files that are no images.
                        refuse(f"{source}: {error}")
                    if done % 500 == 0 or done + 1 == len(sources):
                        print(f"\r{split}: {done + 1} of {len(sources)} images", end="", file=sys.stderr)
                print(file=sys.stderr)
                file.write(np.asarray(labels, dtype="<i8").tobytes())
        os.replace(beside, out)
    finally:
        beside.unlink(missing_ok=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", help="a folder, or torchvision:NAME")
    parser.add_argument("out", type=Path, help="the file to write, which ends in .safetensors")
    parser.add_argument("--size", type=int, default=224, help="the side of the images (default: 224)")
    parser.add_argument("--resize", type=int, help="the shorter side before the crop (default: 8/7 of --size from 64 on, "
                        "as 256 for 224; else --size)")
    parser.add_argument("--root", default="data", help="where torchvision keeps its data (default: data)")
    parser.add_argument("--name", help="the set's name (default: that of the source)")
    parser.add_argument("--limit", type=int, help="at most so many images a split, drawn by a fixed seed")
    options = parser.parse_args()
    if options.out.suffix != ".safetensors":
        refuse(f"{options.out}: name a file that ends in .safetensors")
    if not 1 <= options.size <= 4096:
        refuse(f"--size {options.size} is not between 1 and 4096")
    resize = round(options.size * 8 / 7) if options.size >= 64 else options.size
    if options.resize is not None:
        resize = options.resize
    if resize < options.size:
        refuse(f"--resize {resize} is less than --size {options.size}")
    if options.limit is not None and options.limit < 1:
        refuse(f"--limit {options.limit} is not at least 1")
    if options.source.startswith("torchvision:"):
        name = options.source.split(":", 1)[1]
        classes, sets = torchvision_set(name, options.root)
    else:
        folder = Path(options.source)
        if not folder.is_dir():
            refuse(f"{folder}: there is no such folder")
        name, (classes, sets) = folder.resolve().name, folder_set(folder)
    for split, (sources, labels) in sets.items():
        if not sources:
            refuse(f"{options.source}: there are no {split} images")
        if options.limit is not None and len(sources) > options.limit:
            chosen = sorted(random.Random(0).sample(range(len(sources)), options.limit))
            sets[split] = [sources[index] for index in chosen], [labels[index] for index in chosen]
    write(options.out, options.name or name, classes, sets, resize, options.size)
    print(options.out)


if __name__ == "__main__":
    main()
