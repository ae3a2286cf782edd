"""Computes every number of a pruned run's pruning.json in plain PyTorch, and compares the two.

    python reference/prune.py RUN PRUNED [--data DIR] [--batch B] [--rounds N] [--orders A,B]

RUN is the whole network's run folder and PRUNED the one that `reslens prune` made of it. The losses of the greedy
order's candidates and the scores of every order's curve are computed one plan at a time, and where running statistics were
taken anew, a copy of the normalisations behind the dropped step takes them in training mode. A last line is about PRUNED's own
weights: the smaller network as PyTorch runs it. The exit status is 1 if a loss differs by more than 1e-4 (of its
size, where that is above 1), an accuracy at all, or a chosen step is not that of the lowest loss.
"""

import argparse
import json
from pathlib import Path

import torch

import compare
import measure
import network
import plans


class Pruned:
    """A network with dropped steps. Each has its own normalisations behind it where statistics are taken anew."""

    def __init__(self, net, plan, batches):
        self.net, self.plan, self.batches = net, plan, batches

    def without(self, number):
        """The network with one more step dropped."""
        plan = [step._replace(scale=0.0) if step.name["step"] == number else step for step in self.plan]
        if not self.batches:
            return Pruned(self.net, plan, self.batches)
        return Pruned(*plans.recalibrated_from(self.net, plan, number, self.batches), self.batches)

    def score(self, batches):
        """The accuracy and the mean loss over all batches."""
        return score(lambda images: plans.logits_of(self.net, self.plan, images), batches)


def score(logits_of, batches):
    right, losses = 0, []
    with torch.no_grad():
        for images, labels in batches:
            logits = logits_of(images).double()
            losses.append(torch.nn.functional.cross_entropy(logits, labels, reduction="none"))
            right += int((logits.argmax(1) == labels).sum())
    losses = torch.cat(losses)
    return right / len(losses), losses.mean().item()


def rows(table):
    names = [column["name"] for column in table["keys"] + table["values"]]
    return [dict(zip(names, row)) for row in table["rows"]]


def apart(ours, theirs):
    """The difference of two losses, of their size where that is above 1."""
    return abs(ours - theirs) / max(1, abs(ours))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, metavar="RUN")
    parser.add_argument("pruned", type=Path, metavar="PRUNED")
    parser.add_argument("--data", metavar="DIR", help="CIFAR's binary layout (default: the run's own data)")
    parser.add_argument("--batch", type=int, default=100, metavar="B")
    parser.add_argument("--rounds", type=int, metavar="N", help="only the first so many dropped steps")
    parser.add_argument("--orders", type=lambda text: text.split(","), metavar="A,B", help="only these curves")
    options = parser.parse_args()

    results = compare.clean(json.loads((options.pruned / "pruning.json").read_text()))
    settings = results["settings"]
    net, weights, sets = measure.opened(options.run, options.data)
    if settings["weights"] != measure.weights_fingerprint(weights):
        raise SystemExit(f"{weights} has other weights than those that were pruned")
    count = settings.get("recalibration_batches")
    batches = plans.calibration(sets["train"], count)
    most = options.rounds or 10_000
    failed = False

    def report(name, loss, others, limit=1e-4):
        nonlocal failed
        failed = failed or others > 0 or not loss <= limit
        print(f"{name}: losses differ by at most {loss:.1e}, {others} accuracies or choices differ")

    def scored(split, number):
        return sets[split].batches(options.batch, number)

    whole = Pruned(net, plans.steps_of(net), batches)
    rounds = {}
    for row in rows(results["choices"]):
        rounds.setdefault(row["dropped"], []).append(row)
    left = whole
    for dropped, choices in sorted(rounds.items()):
        if dropped > most:
            break
        ours = {row["step"]: left.without(row["step"]).score(scored("train", settings["chosen_on"]))[1]
                for row in choices}
        best = min(choices, key=lambda row: row["loss"])["step"]
        report(f"greedy, step {dropped}", max(apart(ours[row["step"]], row["loss"]) for row in choices),
               int(min(ours, key=ours.get) != best))
        left = left.without(best)
    curves = {}
    for row in rows(results["curves"]):
        curves.setdefault(row["order"], []).append(row)
    for order, points in curves.items():
        if options.orders and order not in options.orders:
            continue
        left, losses, others = whole, [], 0
        for row in points[:most + 1]:
            if row["step"] is not None:
                left = left.without(row["step"])
            accuracy, loss = left.score(scored("validation", settings["scored_on"]))
            losses.append(apart(loss, row["loss"]))
            others += abs(accuracy - row["accuracy"]) > 1e-9
        report(f"curve {order}", max(losses), others)
    smaller = network.load_checkpoint(measure.newest_weights(options.pruned)).requires_grad_(False)
    last = next(iter(curves.values()))[len(results["removed"])]
    accuracy, loss = score(smaller, scored("validation", settings["scored_on"]))
    report("smaller network", apart(loss, last["loss"]), int(abs(accuracy - last["accuracy"]) > 1e-9))
    raise SystemExit(1 if failed else 0)


if __name__ == "__main__":
    main()
