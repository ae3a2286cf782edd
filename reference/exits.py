"""Computes the early exits of a run in plain PyTorch, and compares them with its exits-LENS-RULE.json files.

    python reference/exits.py RUN [--data DIR]

All states of the validation images are read, and for every threshold of a file each sample is taken out at the first exit
that is sure enough. The accuracy and the mean of multiply-accumulates must be those of the file: exactly, but for samples
with a reading that is as sure as the threshold to four digits, where rounding decides. The multiply-accumulates are counted by hooks on
the modules that ran. The exit status is 1 if anything differs.
"""

import argparse
import json
from pathlib import Path

import torch
import torch.nn.functional as F
import yaml

import data
import lenses
import measure
import network
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
    h, cost = spent(net.stem, image)
    walk, found, bare = plans.Walk(net, h), [], cost
    for t, step in enumerate(plans.steps_of(net)):
        _, own = spent(walk.take, step)
        cost, bare = cost + own, bare + own
        if t + 1 in exits:
            if isinstance(lens, lenses.Trained):
                weight = lens.tensors[f"state-{t + 1}.weight"]
                pixels = 1 if lens.metadata["kind"] == "linear" else lens.grid ** 2
                cost += weight.numel() * pixels
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


def outcome(sureness, right, cost, limit, surest):
    """The number of right answers, the sum of multiply-accumulates, and the samples that rounding may decide."""
    leaves = torch.cat([sureness >= limit, torch.ones(len(sureness), 1, dtype=torch.bool)], dim=1)
    exit = leaves.double().argmax(1)
    # A reading's distance from being sure is what is known to some digits.
    near = ((sureness - limit).abs() <= NEAR * abs(surest - limit) + 1e-12).any(1).sum().item()
    return right[torch.arange(len(right)), exit].sum().item(), cost[exit].sum().item(), near


def rows(table):
    names = [column["name"] for column in table["keys"] + table["values"]]
    return [dict(zip(names, row)) for row in table["rows"]]


def compare(run, file, net, weights, samples):
    """Whether a file has what PyTorch finds."""
    results = json.loads(file.read_text())
    settings = results["settings"]
    if settings["weights"] != measure.weights_fingerprint(weights):
        raise SystemExit(f"{file} is of other weights than {weights}")
    trained = settings["lens"] != "readout"
    lens = lenses.Trained(net, run / f"lens-{settings['lens']}.safetensors") if trained else lenses.Readout(net)
    count = settings["scored_on"]
    sureness, right = readings(net, lens, settings, samples.batches(128, count))
    cost, whole = costs(net, lens, settings["exits"], next(samples.batches(1, 1))[0])
    cost = torch.tensor(cost, dtype=torch.float64)
    sign = 1 if settings["rule"] == "confidence" else -1
    same, undecided, most = True, 0, max(cost.max().item(), whole)
    for row in rows(results["curve"]) + rows(results["points"]):
        if row.get("threshold") is None:
            found, spent, near = right[:, -1].sum().item(), whole * count, 0
        else:
            found, spent, near = outcome(sureness, right, cost, sign * row["threshold"], max(sign, 0))
        undecided += near
        if abs(row["accuracy"] * count - found) > near + 1e-6:
            print(f"accuracy at {row.get('threshold')}: {row['accuracy']}, {found / count} by PyTorch")
            same = False
        if abs(row["macs"] * count - spent) > near * most + 1e-9 * spent:
            print(f"multiply-accumulates at {row.get('threshold')}: {row['macs']}, {spent / count} by PyTorch")
            same = False
    print(f"{file.name}: {len(results['curve']['rows'])} thresholds, {undecided} readings too near to one, "
          + ("all agree" if same else "NOT all agree"))
    return same


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, metavar="RUN")
    parser.add_argument("--data", metavar="DIR", help="CIFAR's binary layout (default: the run's own data)")
    options = parser.parse_args()
    config = yaml.safe_load((options.run / "config.yaml").read_text())
    weights = measure.newest_weights(options.run)
    net = network.load_checkpoint(weights).requires_grad_(False)
    pixels = data.load(options.data or config["data"])
    known = config.get("statistics")
    statistics = (tuple(torch.tensor(known[name], dtype=torch.float64) for name in ("means", "deviations"))
                  if known else data.channel_statistics(pixels["train"][0]))
    samples = measure.Samples(*pixels["validation"], statistics)
    files = sorted(options.run.glob("exits-*.json"))
    if not files:
        raise SystemExit(f"{options.run}: no exits-*.json here")
    raise SystemExit(0 if all([compare(options.run, file, net, weights, samples) for file in files]) else 1)


if __name__ == "__main__":
    main()
