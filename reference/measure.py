"""Computes every number of a run's measures.json in plain PyTorch, and compares the two.

    python reference/measure.py RUN [--samples N] [--batch B] [--data DIR] [--check]

It shares no code with ResLens: it reads RUN/config.yaml and the run's newest weights, and takes the definitions from
the paper. Each number is computed the obvious way, in float32 and evaluation mode, for the first N images of each
split as they lie in the files; the numbers of the samples are then averaged in float64. A run on the synthetic set,
which ResLens draws itself, needs its pixels: `reslens data export synthetic DIR`, then `--data DIR`.

Without --check the measures are printed as JSON. With it, a line for each measure and split says how far the two are
apart, and the exit status is 1 if a mean differs by more than 1e-4 (of its size, where that is above 1) or an accuracy
or a count differs at all. Without --samples, --check takes as many samples as measures.json has counted.
"""

import argparse
import json
import math
import os
from collections import defaultdict
from pathlib import Path

import torch
import torch.nn.functional as F
import yaml

import data
import network

TOLERANCE = 1e-4
SPLITS = ("train", "validation")


def newest_weights(run):
    found = sorted(run.glob("checkpoints/epoch-*/weights.safetensors"))
    if not found:
        raise SystemExit(f"{run}: no checkpoints/epoch-*/weights.safetensors here")
    return found[-1]


def steps_of(net):
    """[(module, description)] of all steps in order; the description is what measures.json says of a step."""
    steps = []
    for stage, blocks in enumerate(net.stages):
        for index, block in enumerate(blocks):
            steps.append((block, {"step": len(steps) + 1, "stage": stage, "block": index,
                                  "projection": block.projection is not None}))
    return steps


def entering(net, place, h):
    """h as a step gets it: pooled, if the step opens a stage that begins with pooling."""
    return net.enter(place["stage"], h) if place["block"] == 0 else h


# Numbers of single samples, as float64 vectors.

def norms(tensor):
    return tensor.detach().double().flatten(1).norm(dim=1)


def cosines(residual, gradient):
    """Samples for which the cosine has no value, one of the two being zero, are left out."""
    dots = (residual.detach().double() * gradient.double()).flatten(1).sum(1)
    product = norms(residual) * norms(gradient)
    return (dots / product)[product > 0]


def ratios(residual, state):
    below = norms(state)
    return (norms(residual) / below)[below > 0]


def outcomes(logits, labels):
    """Of each sample: whether the answer is right, its loss, and the entropy of the probabilities."""
    logs = F.log_softmax(logits, dim=1)
    return {"accuracy": (logits.argmax(1) == labels).double(),
            "loss": F.nll_loss(logs, labels, reduction="none").double(),
            "entropy": -(logs.exp() * logs).sum(1).double()}


def plugged_gradient(net, state, labels):
    """dL/dh of each sample, L being what the head makes of this very state."""
    state = state.detach().requires_grad_()
    loss = F.cross_entropy(net.head(state).double(), labels, reduction="sum")
    return torch.autograd.grad(loss, state)[0]


def measure_batch(net, images, labels, add):
    """Calls add(measure, step, numbers) for every measure and step; numbers are a vector over the samples."""
    steps = steps_of(net)
    last = len(net.stages) - 1

    # One forward pass keeps, for each step, its input, what its skip connection passes on, and what it adds.
    inputs, kept, residuals, states = [], [], [], []
    h = net.stem(images).requires_grad_()
    for block, place in steps:
        inputs.append(entering(net, place, h))
        kept.append(block.kept(inputs[-1]))
        residuals.append(block.residual(inputs[-1]))
        h = kept[-1] + residuals[-1]
        states.append(h)
    logits = net.head(h)

    # The gradient with respect to what F's sum is added to: h_{t-1}, or the projection's output. The sum over samples
    # gives each sample the gradient of its own loss, as evaluation mode keeps samples apart.
    # The loss is taken in float64: in float32, p - 1 of a sample of which the network is sure (loss below 1e-6) keeps
    # hardly a digit, and its gradient points elsewhere.
    loss = F.cross_entropy(logits.double(), labels, reduction="sum")
    gradients = torch.autograd.grad(loss, kept)
    for t, (_, place) in enumerate(steps):
        add("cosine-loss.backpropagated", t, {"": cosines(residuals[t], gradients[t])})
        add("l2-ratio", t, {"": ratios(residuals[t], inputs[t])})
        if place["stage"] == last:
            add("cosine-loss.plugged", t, {"": cosines(residuals[t], plugged_gradient(net, kept[t], labels))})

    with torch.no_grad():
        add("dropped-step.baseline", None, outcomes(logits, labels))
        for t, (_, place) in enumerate(steps):
            if place["stage"] == last:
                add("intermediate", t, outcomes(net.head(states[t]), labels))
            h = kept[t]
            for block, later in steps[t + 1:]:
                h = block(entering(net, later, h))
            add("dropped-step", t, outcomes(net.head(h), labels))


def summary(numbers):
    """{"": values} to mean, std, count; {"loss": values, ...} to loss, loss-std, ...; std is the population's."""
    result = {}
    for name, parts in numbers.items():
        values = torch.cat(parts)
        mean = values.mean()
        result[name or "mean"] = mean.item()
        if name != "accuracy":
            result[f"{name}-std" if name else "std"] = (values - mean).square().mean().sqrt().item()
        result["count"] = len(values)
    return result


def measure(net, images, labels, statistics, batch):
    """{measure: [a mapping for each step]} of one split; the baseline has no steps and is one mapping."""
    collected = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))

    def add(name, step, numbers):
        for key, values in numbers.items():
            collected[name][step][key].append(values)

    for part, truth in zip(images.split(batch), labels.split(batch)):
        measure_batch(net, data.normalise(part, *statistics), truth, add)
    places = [place for _, place in steps_of(net)]
    result = {}
    for name, of_steps in collected.items():
        rows = [dict(places[t] if t is not None else {}, **summary(numbers)) for t, numbers in of_steps.items()]
        result[name] = rows[0] if name == "dropped-step.baseline" else rows
    return result


def nested(by_split):
    """The layout of measures.json: "a.b" of a split goes to ["a"]["b"][split]."""
    tree = {}
    for split, measures in by_split.items():
        for name, value in measures.items():
            node = tree
            for key in name.split("."):
                node = node.setdefault(key, {})
            node[split] = value
    return tree


def distance(value, other):
    """How far two numbers are apart, of their size where that is above 1; a mean over no sample is NaN, or null."""
    value, other = (math.nan if x is None else x for x in (value, other))
    if math.isnan(value) or math.isnan(other):
        return 0.0 if math.isnan(value) and math.isnan(other) else math.inf
    return abs(value - other) / max(1.0, abs(value))


def compare(ours, theirs):
    """Prints a line for each measure and split; true if all agree. `ours` is this script's {split: {measure: ...}}."""
    print(f"{'measure':27} {'split':10} {'steps':>5}  {'means by':>8}  {'stds by':>8}  accuracies  counts")
    agree = True
    for split, measures in ours.items():
        for name, rows in measures.items():
            found = theirs
            for key in name.split(".") + [split]:
                found = found.get(key, {}) if isinstance(found, dict) else {}
            rows, found = (x if isinstance(x, list) else [x] for x in (rows, found))
            if [set(r) for r in rows] != [set(r) for r in found]:
                print(f"{name:27} {split:10} steps or keys differ from measures.json's")
                agree = False
                continue
            means, stds, places, accuracies, counts = [0.0], [0.0], True, True, True
            for mine, other in zip(rows, found):
                for key, value in mine.items():
                    if key in ("step", "stage", "block", "projection"):
                        places &= value == other[key]
                    elif key == "count":
                        counts &= value == other[key]
                    elif key == "accuracy":
                        accuracies &= value == other[key]
                    else:
                        (stds if key.endswith("std") else means).append(distance(value, other[key]))
            good = places and accuracies and counts and all(d <= TOLERANCE for d in means)
            says = lambda equal: "equal" if equal else "DIFFER"
            print(f"{name:27} {split:10} {len(rows):5}  {max(means):8.1e}  {max(stds):8.1e}  "
                  f"{says(accuracies) if 'accuracy' in rows[0] else '-':10}  {says(counts)}"
                  f"{'' if places else '  (a step is another step)'}{'' if good else '  <-- differs'}")
            agree &= good
    print("all agree" if agree else
          f"NOT all agree (allowed: {TOLERANCE:g} for means, nothing for accuracies and counts)")
    return agree


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, metavar="RUN")
    parser.add_argument("--samples", type=int, metavar="N", help="the first so many of each split (default: all)")
    parser.add_argument("--batch", type=int, default=100, metavar="B")
    parser.add_argument("--data", metavar="DIR", help="CIFAR's binary layout (default: the run's own data)")
    parser.add_argument("--check", action="store_true", help="compare with RUN/measures.json")
    options = parser.parse_args()

    for name in ["config.yaml"] + ["measures.json"] * options.check:
        if not (options.run / name).exists():
            raise SystemExit(f"{options.run}: no {name} here")
    config = yaml.safe_load((options.run / "config.yaml").read_text())
    source = options.data or config["data"]
    if not os.path.exists(source):
        raise SystemExit(f"{source}: no such folder; for the synthetic set: `reslens data export {source} DIR`, "
                         "then `--data DIR`")
    theirs = json.loads((options.run / "measures.json").read_text())["measures"] if options.check else None
    weights = newest_weights(options.run)
    net = network.load_checkpoint(weights).requires_grad_(False)
    sets = data.load(source)
    statistics = data.channel_statistics(sets["train"][0])

    result = {}
    for split in SPLITS:
        count = options.samples
        if count is None and theirs:
            count = theirs["dropped-step"]["baseline"][split]["count"]
        images, labels = (part[:count] for part in sets[split])
        result[split] = measure(net, images, labels, statistics, options.batch)
    if theirs:
        print(f"{weights.parent.name} on {source}, measures.json against PyTorch {torch.__version__}; "
              "the largest difference of each:")
        raise SystemExit(0 if compare(result, theirs) else 1)
    print(json.dumps({"format": 1, "architecture": config["architecture"].get("name"), "measures": nested(result)},
                     indent=2))


if __name__ == "__main__":
    main()
