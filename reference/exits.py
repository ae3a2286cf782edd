"""Computes the early exits of a run in plain PyTorch, and compares them with its exits-LENS-RULE.json files.

    python reference/exits.py RUN [--data DIR]

All states of the train and validation images are read, and for every threshold of a file each sample is taken out at the
first exit that is sure enough. Accuracy, the mean of multiply-accumulates, the steps after which samples left, and the chosen
thresholds must be those of the file: exactly, but for samples with a reading that is as sure as the threshold to four digits,
where rounding decides. The multiply-accumulates are counted by hooks on the modules that ran. The exit status is 1 if
anything differs.
"""

import argparse
import json
from pathlib import Path

import torch
import torch.nn.functional as F

import lenses
import measure
import plans

NEAR = 1e-4


def counted(module, inputs, output):
    """The multiply-accumulates of one sample in a module that ran."""
    if isinstance(module, torch.nn.Conv2d):
        return output[0].numel() * module.weight[0].numel()
    return module.weight.numel()


@torch.no_grad()
def costs(net, lens, exits, image):
    """The multiply-accumulates of a sample that leaves at each exit, at none, and of one in the network without exits."""
    total = [0]

    def add(module, inputs, output):
        total[0] += counted(module, inputs, output)
    hooks = [module.register_forward_hook(add) for module in net.modules()
             if isinstance(module, (torch.nn.Conv2d, torch.nn.Linear))]

    def spent(work, *arguments):
        total[0] = 0
        return work(*arguments), total[0]
    last = plans.Walk(net, net.stem(image))
    for step in plans.steps_of(net):
        last.take(step)
    # An affine lens maps every pixel of the last state's grid.
    pixels = last.h[0, 0].numel()
    h, cost = spent(net.stem, image)
    walk, found, bare = plans.Walk(net, h), [], cost
    for t, step in enumerate(plans.steps_of(net)):
        _, own = spent(walk.take, step)
        cost, bare = cost + own, bare + own
        if t + 1 in exits:
            if isinstance(lens, lenses.Trained):
                weight = lens.tensors[f"state-{t + 1}.weight"]
                cost += weight.numel() * (1 if lens.metadata["kind"] == "linear" else pixels)
            if not isinstance(lens, lenses.Trained) or lens.metadata["kind"] == "affine":
                cost += net.head.linear.weight.numel()
            found.append(cost)
    _, own = spent(net.head, walk.h)
    for hook in hooks:
        hook.remove()
    return found + [cost + own], bare + own


@torch.no_grad()
def readings(net, lens, settings, batches):
    """N×exits numbers that are larger the surer a reading is, and N×(exits + 1) whether the answer is right."""
    sureness, right = [], []
    for images, labels in batches:
        walk, states = plans.Walk(net, net.stem(images)), []
        for step in plans.steps_of(net):
            states.append(walk.take(step).after)
        final = net.head(walk.h)
        lens.begin(walk.h)
        logits = [lens.after(number - 1)(states[number - 1]) for number in settings["exits"]]
        logs = [F.log_softmax(one.double(), dim=1) for one in logits]
        if settings["rule"] == "confidence":
            sure = [one.exp().amax(1) for one in logs]
        elif settings["rule"] == "entropy":
            sure = [(one.exp() * one).sum(1) for one in logs]
        else:
            first = torch.full((len(labels),), -torch.inf, dtype=torch.float64)
            sure = [first] + [-(one.exp() * (one - before)).sum(1) for before, one in zip(logs, logs[1:])]
        sureness.append(torch.stack(sure, dim=1))
        right.append(torch.stack([one.argmax(1) == labels for one in logits + [final]], dim=1))
    return torch.cat(sureness), torch.cat(right)


class Outcome:
    """The result of letting samples leave by one limit; none leaves where it is infinite."""

    def __init__(self, sureness, right, cost, limit):
        leaves = torch.cat([sureness >= limit, torch.ones(len(sureness), 1, dtype=torch.bool)], dim=1)
        self.exit = leaves.double().argmax(1)
        self.right = right[torch.arange(len(right)), self.exit].sum().item()
        self.cost = cost[self.exit].sum().item()


def undecided(sureness, limit, surest):
    """The number of samples of which rounding may decide where they leave."""
    # A reading's distance from being sure is what is known to some digits.
    return ((sureness - limit).abs() <= NEAR * abs(surest - limit) + 1e-12).any(1).sum().item()


def rows(table):
    names = [column["name"] for column in table["keys"] + table["values"]]
    return [dict(zip(names, row)) for row in table["rows"]]


def compare(run, file, net, weights, sets):
    """True if a file has what PyTorch finds."""
    results = json.loads(file.read_text())
    settings = results["settings"]
    if settings["weights"] != measure.weights_fingerprint(weights):
        raise SystemExit(f"{file} is of other weights than {weights}")
    lens = (lenses.Readout(net) if settings["lens"] == "readout" else
            measure.trained_lens(run, settings["lens"], net, weights, settings["maps"]))
    counts = {"validation": settings["scored_on"], "train": settings.get("chosen_on")}
    read = {}
    for split, count in counts.items():
        if count:
            samples = sets[split].first(count, settings.get("chosen_after", 0) if split == "train" else 0)
            if settings[f"{split}_images"] != measure.images_fingerprint(samples):
                raise SystemExit(f"the {split} images are others than {file} says")
            read[split] = readings(net, lens, settings, samples.batches(128))
    cost, whole = costs(net, lens, settings["exits"], next(sets["validation"].batches(1, 1))[0])
    cost = torch.tensor(cost, dtype=torch.float64)
    # Without exits nothing is read.
    bare = torch.cat([cost[:-1], torch.tensor([whole], dtype=torch.float64)])
    sign = 1 if settings["rule"] == "confidence" else -1
    problems, unsure = [], 0

    def check(split, row, prefix=""):
        nonlocal unsure
        threshold, count = row.get("threshold"), counts[split]
        limit = torch.inf if threshold is None else sign * threshold
        sureness, right = read[split]
        ours = Outcome(sureness, right, bare if threshold is None else cost, limit)
        near = 0 if threshold is None else undecided(sureness, limit, max(sign, 0))
        unsure += near
        if abs(row[f"{prefix}accuracy"] * count - ours.right) > near + 1e-6:
            problems.append(f"{split} accuracy at {threshold}: {row[prefix + 'accuracy']}, here {ours.right / count}")
        if abs(row[f"{prefix}macs"] * count - ours.cost) > near * cost.max().item() + 1e-9 * ours.cost:
            problems.append(f"{split} multiply-accumulates at {threshold}: {row[prefix + 'macs']}, here {ours.cost / count}")
        return ours, near

    curve, points = rows(results["curve"]), rows(results["points"])
    for row in curve:
        check("validation", row)
        if "train" in read:
            check("train", row, "train_")
    for row in points:
        ours, near = check("validation", row)
        steps = torch.tensor(settings["exits"] + [len(plans.steps_of(net))])[ours.exit]
        left = {one["step"]: one["count"] for one in rows(results["left"]) if one["choice"] == row["choice"]}
        apart = sum(abs(left.get(step, 0) - (steps == step).sum().item()) for step in range(1, len(plans.steps_of(net)) + 1))
        if apart > 2 * near or abs(row["steps"] * len(steps) - steps.sum().item()) > near * len(plans.steps_of(net)) + 1e-6:
            problems.append(f"steps at {row['choice']}: {row['steps']}, here {steps.double().mean().item()}")
    if "train" in read:
        # By the train images, of which the curve has been checked.
        right = read["train"][1][:, -1].sum().item() / counts["train"]
        lossless = [row for row in curve if row["train_accuracy"] >= right and row["train_macs"] < whole]
        half = [row for row in curve if row["train_macs"] <= whole / 2]
        expected = {"lossless": min(lossless, key=lambda row: row["train_macs"], default=None),
                    "half": max(half, key=lambda row: (row["train_accuracy"], -row["train_macs"]), default=None)}
        chosen = {row["choice"]: row["threshold"] for row in points}
        for choice, row in expected.items():
            if chosen.get(choice) != (row and row["threshold"]):
                problems.append(f"{choice}: {chosen.get(choice)} was chosen, here {row and row['threshold']}")
    print(*problems, f"{file.name}: {len(curve)} thresholds, {unsure} readings too near to one, "
          + ("NOT all agree" if problems else "all agree"), sep="\n")
    return not problems


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, metavar="RUN")
    parser.add_argument("--data", metavar="DIR", help="CIFAR's binary layout (default: the run's own data)")
    options = parser.parse_args()
    net, weights, sets = measure.opened(options.run, options.data)
    files = sorted(options.run.glob("exits-*.json"))
    if not files:
        raise SystemExit(f"{options.run}: no exits-*.json here")
    raise SystemExit(0 if all([compare(options.run, file, net, weights, sets) for file in files]) else 1)


if __name__ == "__main__":
    main()
