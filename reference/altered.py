"""The measures that need a network with other steps: unrolled, or with lesions.

`settings` are laid out as in measures.json, of which only what was asked for is read, never a result.
"""

from collections import defaultdict

import torch

import measures
import plans

# Unrolling.

def unrolled_plan(net, settings, scale, train):
    plan = plans.unrolled(net, settings["repeated"]["step"], settings["times"], scale)
    count = settings.get("recalibration-batches")
    if not count:
        return plan
    return plans.recalibrated(net, plan, plans.calibration(train, count))


def follow(net, plan, start, images, labels, record):
    """Puts a batch's numbers of the steps from place `start` on under (what, place); places count from 0."""
    record["trained", None].append(measures.answers(net(images), labels))
    walk = plans.Walk(net, net.stem(images).requires_grad_())
    taken = [walk.take(step) for step in plan]
    walk.enter(len(net.stages) - 1)
    loss = measures.directed_loss(net.head(walk.h), labels)
    gradients = torch.autograd.grad(loss, [done.kept for done in taken[start:]])
    for place, gradient in enumerate(gradients, start):
        name, done = plan[place].name, taken[place]
        record["cosine-loss", place].append(measures.cosines(done.added, gradient))
        record["l2-ratio", place].append(measures.ratios(done.added, done.before))
        record["distance", place].append(measures.norms(done.added))
        if place > start and plan[place - 1].name["stage"] == name["stage"]:
            record["turn", place].append(measures.cosines(done.added, taken[place - 1].added))
        if name["stage"] == len(net.stages) - 1:
            record["answer", place].append(measures.answers(net.head(done.after), labels))
            gradient = measures.plugged(net.head, done.kept, labels)[1]
            record["cosine-loss-plugged", place].append(measures.cosines(done.added, gradient))


def trajectory(net, plan, start, batches, margin):
    """[what each step of the unrolled network does], from place `start` on."""
    record = defaultdict(list)
    for images, labels in batches:
        follow(net, plan, start, images, labels, record)
    found = {key: measures.joined(parts) for key, parts in record.items()}
    groups = measures.groups_of(found["trained", None], margin)
    result = []
    for place in range(start, len(plan)):
        row = {"place": place + 1, "name": plan[place].name, "repetition": plan[place].repetition}
        if ("answer", place) in found:
            row["groups"] = measures.group_scores(found["answer", place], groups)
        for what in ("cosine-loss", "cosine-loss-plugged", "l2-ratio", "distance", "turn"):
            if (what, place) in found:
                row[what] = measures.statistic(found[what, place])
        result.append(row)
    return result


def tried_loss(net, plan, batches):
    """The mean over samples, and over the networks with one, two, ... of the plan's added steps."""
    added = [step for step in plan if step.repetition]
    first = plan.index(added[0])
    losses = []
    with torch.no_grad():
        for images, labels in batches:
            walk = plans.Walk(net, net.stem(images))
            for step in plan[:first]:
                walk.take(step)
            for step in added:
                walk.take(step)
                logits = plans.Walk(net, walk.h, walk.stage).through(plan[first + len(added):])
                losses.append(measures.answers(logits, labels)["loss"])
    return torch.cat(losses).mean().item()


def unrolling(net, sets, settings, batch):
    repeated = plans.steps_of(net)[settings["repeated"]["step"] - 1].name
    start = repeated["step"] - 1 - repeated["block"] - repeated["use"]
    result = dict(settings, repeated=repeated, trajectories=[])
    for scale in [asked["scale"] for asked in settings["trajectories"]]:
        plan = unrolled_plan(net, settings, scale, sets["train"])
        result["trajectories"].append({"scale": scale, "steps": {
            split: trajectory(net, plan, start, part.batches(batch), settings["margin"])
            for split, part in sets.items()}})
    if settings.get("tried"):
        result["tried"] = []
        for scale in [asked["scale"] for asked in settings["tried"]]:
            plan = unrolled_plan(net, settings, scale, sets["train"])
            result["tried"].append({"scale": scale, "loss": tried_loss(net, plan, sets["train"].batches(batch))})
    return result


# Lesions.

def scores(net, altered, validation, batch, calibration):
    """A score for each of these plans, with running statistics of their own where there are batches to take them on."""
    found = [[] for _ in altered]
    ways = [plans.recalibrated_where_unlike(net, plan, calibration) if calibration else (net, plan) for plan in altered]
    with torch.no_grad():
        for images, labels in validation.batches(batch):
            for parts, way in zip(found, ways):
                parts.append(measures.answers(plans.logits_of(*way, images), labels))
    return [measures.score(measures.joined(parts)) for parts in found]


def random_lesion(net, settings, validation, batch, calibration):
    """Trials of one size: the steps in the drawn orders."""
    orders = [trial["order"] for trial in settings["trials"]]
    found = scores(net, [plans.ordered(net, order) for order in orders], validation, batch, calibration)
    errors = torch.tensor([1 - score["accuracy"] for score in found], dtype=torch.float64)
    return {"size": settings["size"], "error": measures.statistic(errors),
            "trials": [dict(trial, score=score) for trial, score in zip(settings["trials"], found)]}


def lesions(net, validation, settings, batch, calibration=()):
    steps = [step.name for step in plans.steps_of(net)]
    for lesion in settings["dropped"]:
        if any(len(trial["order"]) != len(steps) - lesion["size"] for trial in lesion["trials"]):
            raise SystemExit(f"a trial that drops other than {lesion['size']} steps")
    for lesion in settings["shuffled"]:
        if any(len(trial["order"]) != len(steps) for trial in lesion["trials"]):
            raise SystemExit("a trial that drops steps where it should shuffle them")
    pairs = [(pair["first"]["step"], pair["second"]["step"]) for pair in settings["swapped"]]
    if any(abs(first - second) != 1 for first, second in pairs):
        raise SystemExit("swapped steps that are not adjacent")
    factors = [(scaled["name"]["step"], scaled["factor"]) for scaled in settings["scaled"]]
    altered = [plans.swapped(net, *pair) for pair in pairs] + [plans.scaled(net, *factor) for factor in factors]
    baseline, *rest = scores(net, [plans.steps_of(net)] + altered, validation, batch, calibration)
    return {
        "baseline": baseline,
        "dropped": [random_lesion(net, lesion, validation, batch, calibration) for lesion in settings["dropped"]],
        "shuffled": [random_lesion(net, lesion, validation, batch, calibration) for lesion in settings["shuffled"]],
        "swapped": [{"first": steps[first - 1], "second": steps[second - 1], "score": score}
                    for (first, second), score in zip(pairs, rest)],
        "scaled": [{"name": steps[number - 1], "factor": factor, "score": score}
                   for (number, factor), score in zip(factors, rest[len(pairs):])],
    }
