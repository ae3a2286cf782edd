"""Computes every number of a run's measures.json in plain PyTorch, and compares the two.

    python reference/measure.py RUN [--samples N] [--batch B] [--data DIR] [--measures A,B] [--lens KIND] [--check]
    python reference/measure.py RUN --file RESULTS.json --weights WEIGHTS.safetensors

It shares no code with ResLens: it reads RUN/config.yaml and the run's newest weights, or others, and takes the
definitions from the paper. Each number is computed the obvious way, in float32 and by running statistics (or, where the results
file says so, by the statistics of its batches), for the first N images of each split as they lie in the files; softmax and losses, and the numbers of the samples, are in float64. A
run on the synthetic set, which ResLens draws itself, needs its pixels: `reslens data export synthetic DIR`, then
`--data DIR`. Where a results file has recalibrated statistics, so have the altered networks here. With --lens, states are read by the maps in RUN/lens-KIND.safetensors.

Without --check the measures are printed as JSON; lesions, whose steps are drawn at random, are not among them. With it,
or with --file, the settings come from the results file (margin, reference, repeated step, scales, drawn orders, ...),
measures that are absent there are skipped, and a line for each measure and split says how far the two are apart. The
exit status is 1 if a mean or correlation differs by more than 1e-4 (of its size, where that is above 1), a ratio of
means by more than such means let it, or an accuracy or a count at all. Where one does, it is computed twice more, with
every ReLU that has its input within 1e-6 of 0 (1e-5 with batch statistics) open, and shut: so near to 0 it is rounding that decides, and by as much as
these ReLUs change a number it may differ. Without --samples, as many samples are measured as the results file says.
"""

import argparse
import hashlib
import json
import os
import struct
from pathlib import Path

import torch
import yaml
from safetensors.torch import load_file

import altered
import compare
import data
import lenses
import measures
import network
import plans
import tables

MEASURES = ("cosine-loss", "l2-ratio", "first-order", "dropped-step", "intermediate", "borderline", "unrolling",
            "lesions", "activation-norm", "gradient-norm", "influence", "alignment", "agreement",
            "angular-distance", "future-effect", "spectral-radius")
MARGIN = 0.1
TIMES, SCALES = 20, (1, 0.1)


class Samples:
    """A split, of which the first `count` samples are measured; None is all."""

    def __init__(self, images, labels, statistics, count=None):
        self.images, self.labels, self.statistics, self.count = images, labels, statistics, count

    def first(self, count, behind=0):
        """The first `count` of the samples behind so many."""
        return Samples(self.images[behind:], self.labels[behind:], self.statistics, count)

    def batches(self, size, count=None):
        """Normalised images and labels; another `count` gives others than the measured ones."""
        count = count or self.count
        for images, labels in zip(self.images[:count].split(size), self.labels[:count].split(size)):
            yield data.normalise(images, *self.statistics), labels


def fingerprint(parts):
    """SHA-256 of parts, each with its length before it (docs/files.md)."""
    return hashlib.sha256(b"".join(struct.pack("<Q", len(part)) + part for part in parts)).hexdigest()


def sizes(tensor):
    return struct.pack(f"<{tensor.dim()}q", *tensor.shape)


def weights_fingerprint(weights):
    """The checksum of a checkpoint's tensors."""
    tensors = sorted(load_file(weights).items())
    return fingerprint([part for name, tensor in tensors
                        for part in (name.encode(), sizes(tensor), tensor.numpy().tobytes())])


def check_provenance(results, weights, sets):
    """Ends the program unless the results say that they are of these weights and images."""
    if results["provenance"]["weights"] != weights_fingerprint(weights):
        raise SystemExit(f"{weights} has other weights than the results say")
    for sampling in results["samplings"]:
        if sampling["images"] != images_fingerprint(sets[sampling["split"]].first(sampling["samples"])):
            raise SystemExit(f"the {sampling['split']} images are others than the results say")


def lens_of(options, net, weights, results):
    """The trained lens that the results, or else the options, name; None for the network's own head."""
    kind = results["lens"]["kind"] if results and "lens" in results else options.lens
    if kind is None:
        return None
    return trained_lens(options.run, kind, net, weights, results["lens"]["maps"] if results else None)


def trained_lens(run, kind, net, weights, maps=None):
    """The run's lens, which must be of these weights, and have the maps of this checksum."""
    lens = lenses.Trained(net, run / f"lens-{kind}.safetensors")
    if lens.metadata["weights"] != weights_fingerprint(weights):
        raise SystemExit(f"the {kind} lens is of other weights than {weights}")
    found = fingerprint([part for name, tensor in sorted(lens.tensors.items())
                         for part in (name.encode(), sizes(tensor), tensor.numpy().tobytes())])
    if maps not in (None, found):
        raise SystemExit(f"{run} has another {kind} lens than the results say")
    return lens


def samples_of(config, source):
    """{split: samples} of a source, normalised as the run of this configuration is used to."""
    pixels = data.load(source)
    statistics = data.input_statistics(config, pixels["train"][0])
    return {split: Samples(*pixels[split], statistics) for split in compare.SPLITS}


def opened(run, source):
    """The run's network, its weights' file, and its samples, of its own data or of another source."""
    config = yaml.safe_load((run / "config.yaml").read_text())
    weights = newest_weights(run)
    net = network.load_checkpoint(weights).requires_grad_(False)
    return net, weights, samples_of(config, source or config["data"])


def images_fingerprint(samples):
    """The checksum of the samples' images and labels."""
    images, labels = samples.images[:samples.count].contiguous(), samples.labels[:samples.count]
    return fingerprint([sizes(images), images.numpy().tobytes(), labels.numpy().tobytes()])


def newest_weights(run):
    found = sorted(run.glob("checkpoints/epoch-*/weights.safetensors"))
    if not found:
        raise SystemExit(f"{run}: no checkpoints/epoch-*/weights.safetensors here")
    return found[-1]


def default_settings(net, lens):
    """The settings where no results file has any, laid out as there."""
    steps = plans.steps_of(net)
    if lens:
        last = next(n for n in range(min(5, len(steps)), 0, -1) if lens.before(len(steps) - n))
        return {"first-order": {}, "intermediate": {}, "agreement": {},
                "borderline": {"margin": MARGIN, "reference": len(steps) - last}}
    settings = {name: {} for name in MEASURES if name not in ("unrolling", "lesions")}
    settings["spectral-radius"]["samples"] = 256
    settings["borderline"] = {"margin": MARGIN,
                              "reference": max(len(steps) - 5, measures.earliest_readable(net))}
    if not steps[-1].name["projection"]:
        settings["unrolling"] = {"repeated": steps[-1].name, "times": TIMES, "margin": MARGIN,
                                 "trajectories": [{"scale": scale} for scale in SCALES]}
    return settings


def counted(results, found, asked):
    """(measure, split) to how many of the first samples it has looked at, None being all."""
    def count(measure, split):
        if asked is not None or results is None:
            return asked
        section = found.get(measure, {})
        if measure == "lesions":
            return section["baseline"]["count"]
        if measure == "unrolling":
            groups = section["trajectories"][0]["steps"][split][-1]["groups"]
            return groups["all"]["count"]
        return tables.samples(results)[split]
    return count


def measure(net, sets, settings, count, batch, lens=None, calibration=()):
    """The `measures` of a results file."""
    result = {}
    for split, samples in sets.items():
        batches = samples.first(count("", split)).batches(batch)
        single = set(settings) - {"unrolling", "lesions"}
        if not single:
            continue
        for name, value in measures.single_passes(net, batches, settings, lens, calibration).items():
            node = result
            for key in name.split("."):
                node = node.setdefault(key, {})
            node[split] = value
    if "spectral-radius" in settings:
        result["spectral-radius"]["samples"] = settings["spectral-radius"]["samples"]
    if "borderline" in settings:
        result["borderline"].update({key: settings["borderline"][key] for key in ("margin", "reference")})
    if "unrolling" in settings:
        first = {split: samples.first(count("unrolling", split)) for split, samples in sets.items()}
        result["unrolling"] = altered.unrolling(net, first, settings["unrolling"], batch)
    if "lesions" in settings:
        validation = sets["validation"].first(count("lesions", "validation"))
        result["lesions"] = altered.lesions(net, validation, settings["lesions"], batch, calibration)
    return result


def choose(settings, names):
    """The settings of the named measures alone."""
    for name in names or []:
        if name not in MEASURES:
            raise SystemExit(f"{name} is none of {', '.join(MEASURES)}")
        if name not in settings:
            raise SystemExit(f"{name}: " + ("is drawn at random, and needs --check" if name == "lesions" else
                                            "is not in the results file, or cannot be of this network"))
    return {name: value for name, value in settings.items() if not names or name in names}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, metavar="RUN")
    parser.add_argument("--samples", type=int, metavar="N", help="the first so many of each split (default: all)")
    parser.add_argument("--batch", type=int, default=100, metavar="B")
    parser.add_argument("--data", metavar="DIR", help="CIFAR's binary layout (default: the run's own data)")
    parser.add_argument("--measures", type=lambda text: text.split(","), metavar="A,B", help="only these")
    parser.add_argument("--lens", choices=("linear", "affine"), help="the trained lens that reads the states")
    parser.add_argument("--check", action="store_true", help="compare with RUN/measures.json (with --lens, measures-KIND.json)")
    parser.add_argument("--file", type=Path, metavar="RESULTS", help="compare with this file instead")
    parser.add_argument("--weights", type=Path, metavar="FILE", help="a weights.safetensors (default: RUN's newest)")
    options = parser.parse_args()
    suffix = f"-{options.lens}" if options.lens else ""
    file = options.file or (options.run / f"measures{suffix}.json" if options.check else None)

    for needed in [options.run / "config.yaml"] + [path for path in (file, options.weights) if path]:
        if not needed.exists():
            raise SystemExit(f"{needed}: no such file")
    config = yaml.safe_load((options.run / "config.yaml").read_text())
    source = options.data or config["data"]
    if not os.path.exists(source):
        raise SystemExit(f"{source}: no such folder; for the synthetic set: `reslens data export {source} DIR`, "
                         "then `--data DIR`")
    results = compare.clean(json.loads(file.read_text())) if file else None
    if results and results["format"] != 4:
        raise SystemExit(f"{file}: format {results['format']}, where this compares format 4")
    weights = options.weights or newest_weights(options.run)
    if results and results["checkpoint"] != weights.parent.name:
        raise SystemExit(f"{file} is of {results['checkpoint']}, {weights} of {weights.parent.name}: name others with --weights")
    net = network.load_checkpoint(weights).requires_grad_(False)
    if results and results["batch-norm"] == "batch":
        net.train()
        for norm in net.modules():
            if isinstance(norm, torch.nn.BatchNorm2d):
                norm.momentum = 0.0  # the running statistics stay
        options.batch = results["batch"]
    sets = samples_of(config, source)

    lens = lens_of(options, net, weights, results)
    theirs = tables.tree(results) if results else None
    if results:
        check_provenance(results, weights, sets)
    settings = choose(theirs if results else default_settings(net, lens), options.measures)
    count = counted(results, theirs, options.samples)
    calibration = plans.calibration(sets["train"], (results or {}).get("recalibration-batches"))
    ours = measure(net, sets, settings, count, options.batch, lens, calibration)
    if results:
        print(f"{weights} on {source}, {file} against PyTorch {torch.__version__}; the largest difference of each:")

        near = compare.NEAR[results["batch-norm"]]

        def undecided():
            for edge in (near, -near):
                with network.relus_open_above(edge):
                    yield measure(net, sets, settings, count, options.batch, lens, calibration)

        raise SystemExit(0 if compare.compare(ours, theirs, undecided, near) else 1)
    print(json.dumps({"architecture": config["architecture"].get("name"),
                      "steps": len(plans.steps_of(net)), "measures": compare.written(ours)}, indent=2))


if __name__ == "__main__":
    main()
