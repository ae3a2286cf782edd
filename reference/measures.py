"""The measures that whole and dropped passes give: every number of a sample, and what becomes of it over the samples.

Everything that is measured first comes as vectors over the samples of a batch. A record, {key: [a vector a batch]},
keeps them; when all batches are through, the vectors are joined and described.
"""

from collections import defaultdict

import torch
import torch.nn.functional as F

import lenses
import plans

# Numbers of single samples, as float64 vectors.

def norms(tensor):
    return tensor.detach().double().flatten(1).norm(dim=1)


def products(tensor, other):
    return (tensor.detach().double() * other.detach().double()).flatten(1).sum(1)


def cosines(tensor, other):
    """Samples for which the cosine has no value, one of the two being zero, are left out."""
    size, other_size = norms(tensor), norms(other)
    return (products(tensor, other) / (size * other_size))[(size != 0) & (other_size != 0)]


def ratios(added, state):
    below = norms(state)
    return (norms(added) / below)[below != 0]


MASK = 2 ** 64 - 1


def mixed(value):
    """The finaliser of SplitMix64 (Steele, Lea, Flood 2014)."""
    value = ((value ^ value >> 30) * 0xbf58476d1ce4e5b9) & MASK
    value = ((value ^ value >> 27) * 0x94d049bb133111eb) & MASK
    return value ^ value >> 31


def start(number, shape):
    """The vector with which the power iteration of a step begins: ResLens's random stream of seed 0, of length 1."""
    state = 0xcbf29ce484222325
    for byte in b"spectral-radius":
        state = ((state ^ byte) * 0x0100000001b3) & MASK
    state = mixed(mixed(0) ^ state)
    place = lambda state, index: mixed((state + (index + 1) * 0x9e3779b97f4a7c15) & MASK)
    state = place(state, number)
    values = torch.tensor([2 * (place(state, index) >> 11) * 2.0 ** -53 - 1 for index in range(shape.numel())],
                          dtype=torch.float64)
    return (values / values.norm()).view(shape)


def spectral_radii(before, after, number):
    """The largest |eigenvalue| of each sample's Jacobian: 50 products, of which the growth of the last 20 is averaged."""
    vector = start(number, before.shape[1:]).to(before.dtype).expand_as(before)
    logs = torch.zeros(len(before), dtype=torch.float64)
    for iteration in range(50):
        vector = torch.autograd.grad(after, before, vector, retain_graph=True)[0]
        lengths = norms(vector)
        if iteration >= 30:
            logs += lengths.log()
        scales = torch.where(lengths == 0, lengths, 1 / lengths)
        vector = vector * scales.to(vector.dtype).view(-1, 1, 1, 1)
    return (logs / 20).exp()


def agreement(logits, final):
    """KL(final||step) of each sample in nats, and whether the final class is the first, or among the first five."""
    here, there = F.log_softmax(logits.detach().double(), dim=1), F.log_softmax(final.detach().double(), dim=1)
    # A stable order puts the lower of equally likely classes first, as argmax does.
    order = logits.argsort(dim=1, descending=True, stable=True)
    found = order == final.argmax(1, keepdim=True)
    return {"kl": (there.exp() * (there - here)).sum(1), "top1": found[:, :1].any(1), "top5": found[:, :5].any(1)}


def answers(logits, labels):
    """Each sample's answer, right or wrong, its loss, the entropy of the probabilities, and p_y - max p_k."""
    logs = F.log_softmax(logits.detach().double(), dim=1)
    probabilities, truth = F.softmax(logits.detach().double(), dim=1), labels.view(-1, 1)
    margin = probabilities.gather(1, truth).squeeze(1) - probabilities.scatter(1, truth, -1).amax(1)
    return {"right": logits.argmax(1) == labels, "loss": F.nll_loss(logs, labels, reduction="none"),
            "entropy": -(probabilities * logs).sum(1), "margin": margin}


def directed_loss(logits, labels):
    """A number whose gradient is the sum of dL/dlogits / (1 - p_y): -1 at y, and the softmax of the others elsewhere.

    Each sample gets its own gradient but for the positive factor 1 - p_y, which no cosine sees, and which would round
    p_y - 1 to 0 (from 1e-16 on, in float64) or underflow in float32 where the network is sure.
    """
    chosen = F.one_hot(labels, logits.shape[1]).bool()
    others = F.softmax(logits.detach().double().masked_fill(chosen, -torch.inf), dim=1)
    return (logits.double() * (others - chosen.double())).sum()


def doubts(logits, labels):
    """1 - p_y, without the subtraction."""
    return F.softmax(logits.detach().double(), dim=1).scatter(1, labels.view(-1, 1), 0).sum(1)


def plugged(read, state, labels):
    """The logits that are read off this very state, and the direction of dL/dstate of each sample."""
    state = state.detach().requires_grad_()
    logits = read(state)
    return logits.detach(), torch.autograd.grad(directed_loss(logits, labels), state)[0]


# The statistics over the samples.

def joined(parts):
    if isinstance(parts[0], dict):
        return {key: torch.cat([part[key] for part in parts]) for key in parts[0]}
    return torch.cat(parts)


def deviation(values):
    return (values - values.mean()).square().mean().sqrt().item()


def statistic(values):
    """Mean, population standard deviation and count; nothing where there is no sample."""
    if len(values):
        return {"mean": values.mean().item(), "std": deviation(values), "count": len(values)}


def score(found, members=None):
    """The answers' accuracy and so on, of all samples or of the members of a group; nothing of an empty group."""
    if members is not None:
        found = {key: values[members] for key, values in found.items()}
    count = len(found["loss"])
    if count:
        return {"accuracy": found["right"].sum().item() / count,
                "loss": found["loss"].mean().item(), "loss-std": deviation(found["loss"]),
                "entropy": found["entropy"].mean().item(), "entropy-std": deviation(found["entropy"]), "count": count}


def agreed(found):
    return {"kl": statistic(found["kl"]), "top1": found["top1"].sum().item(), "top5": found["top5"].sum().item()}


def groups_of(found, margin):
    """The samples of each group by these answers, as masks."""
    return {"borderline": found["margin"].abs() < margin, "already-correct": found["right"],
            "all": torch.ones_like(found["right"])}


def group_scores(found, groups):
    return {name: score(found, members) for name, members in groups.items()}


def correlation(values, others):
    """Pearson's; nothing where one of the two does not vary."""
    if (values != values[0]).any() and (others != others[0]).any():
        values, others = values - values.mean(), others - others.mean()
        return ((values * others).sum() / (values.norm() * others.norm())).item()


# The measures of one split.

def observe(net, images, labels, wanted, record, lens, without):
    """Puts a batch's numbers under (what, index of the step); only what the wanted measures need.

    In training mode a sample moves the losses of its whole batch, so the gradient is that of their sum; and no state is
    read by the head, which would normalize it by that state's own statistics. `without` has a network and a plan for each
    dropped step, where running statistics are taken anew behind it.
    """
    lens = lens or lenses.Readout(net)
    steps, last = plans.steps_of(net), len(net.stages) - 1
    walk = plans.Walk(net, net.stem(images).requires_grad_())
    taken = [walk.take(step) for step in steps]
    logits = net.head(walk.h)
    lens.begin(walk.h)
    record["answer", None].append(answers(logits, labels))
    if "cosine-loss" in wanted or "gradient-norm" in wanted:
        # With respect to what F is added to: h_{t-1}, or the projection's output; and to what the block takes.
        total = F.cross_entropy(logits.double(), labels, reduction="sum") if net.training else directed_loss(logits, labels)
        size = 1.0 if net.training else doubts(logits, labels)
        gradients = torch.autograd.grad(total, [done.kept for done in taken] + [done.before for done in taken],
                                        retain_graph="spectral-radius" in wanted)
        for t, done in enumerate(taken):
            record["cosine", t].append(cosines(done.added, gradients[t]))
            record["gradient", t].append(norms(gradients[len(taken) + t]) * size)
        first = next(t for t, step in enumerate(steps) if step.name["stage"] == last)
        if last > 0:
            record["gradient-ratio", None].append(ratios(gradients[len(taken)], gradients[len(taken) + first]))
    record["start", None].append(norms(taken[0].before))
    for t, (step, done) in enumerate(zip(steps, taken)):
        if not step.name["projection"]:
            left = wanted.get("spectral-radius", {}).get("samples", 0) - sum(map(len, record.get(("radius", t), [])))
            if left > 0:
                radii = spectral_radii(done.before, done.after, step.name["step"])
                record["radius", t].append(radii[:left])
            record["influence", t].append(1 - cosines(done.before, done.after))
            record["alignment", t].append(cosines(done.before, done.added))
            for end in range(t, len(steps)):
                if "angular-distance" in wanted and steps[end].name["stage"] == step.name["stage"]:
                    angle = cosines(done.before, taken[end].after).clamp(-1, 1).acos() / torch.pi
                    record["angle", (t, end)].append(angle)
        if t > 0 and steps[t - 1].name["stage"] == step.name["stage"]:
            record["update", t].append(cosines(taken[t - 1].added, done.added))
        record["ratio", t].append(ratios(done.added, done.before))
        record["size", t].append(norms(done.after))
        if lens.after(t) and not net.training:
            after = lens.after(t)(done.after)
            record["after", t].append(answers(after, labels))
            record["agreement", t].append(agreement(after, logits))
        if lens.before(t) and not net.training:
            before, gradient = plugged(lens.before(t), done.kept, labels)
            record["before", t].append(answers(before, labels))
            record["plugged", t].append(cosines(done.added, gradient))
            record["term", t].append(products(done.added, gradient) * doubts(before, labels))
    if "future-effect" in wanted:
        with torch.no_grad():
            for t, step in enumerate(steps):
                walk = plans.Walk(net, taken[t].before, step.name["stage"])
                walk.take(step._replace(scale=0))
                for end in range(t + 1, len(steps)):
                    change = ratios(walk.take(steps[end]).added - taken[end].added, taken[end].added)
                    record["change", (t, end)].append(change)
                record["moved", t].append(agreement(walk.through([]), logits)["kl"])
    if "dropped-step" in wanted:
        with torch.no_grad():
            for t, (step, done) in enumerate(zip(steps, taken)):
                if without:
                    record["dropped", t].append(answers(plans.logits_of(*without[t], images), labels))
                    continue
                alone = step.block.joined(done.kept, torch.zeros_like(done.kept))[1]
                left = plans.Walk(net, alone, step.name["stage"]).through(steps[t + 1:])
                record["dropped", t].append(answers(left, labels))


def rows(net, found, what, describe):
    """[a mapping for each step] of which there is something to say."""
    described = [(step, describe(found[what, t])) for t, step in enumerate(plans.steps_of(net)) if (what, t) in found]
    return [dict(step.name, **row) for step, row in described if row is not None]


def first_order(net, found):
    result = []
    for t, step in enumerate(plans.steps_of(net)):
        if ("term", t) in found:
            term, change = found["term", t], found["after", t]["loss"] - found["before", t]["loss"]
            row = {"change": statistic(change), "term": statistic(term), "correlation": correlation(term, change)}
            if row["change"]["mean"] != 0:
                row["ratio"] = row["term"]["mean"] / row["change"]["mean"]
            result.append(dict(step.name, **row))
    return result


def earliest_readable(net):
    """The first t for which the head can read h_t, pooled as the last stage gets it."""
    before = sum(len(uses) for uses in net.uses[:-1])
    return before + 1 if plans.steps_of(net)[before].name["projection"] else before


def borderline(net, found, settings):
    """(states, turns) from the reference on."""
    steps, reference = plans.steps_of(net), settings["reference"]
    if not {("before", reference), ("after", reference - 1)} & set(found):
        raise SystemExit(f"the state after step {reference} cannot be read")
    # After a step of the last stage, or, where that is still to come, what its first step gets.
    read = {s: found["after", s - 1] if ("after", s - 1) in found else found["before", s]
            for s in range(reference, len(steps) + 1)}
    groups = groups_of(read[reference], settings["margin"])
    states = [{"step": s, "groups": group_scores(answer, groups)} for s, answer in read.items()]
    turns, members = [], groups["borderline"]
    for s in range(reference + 1, len(steps) + 1):
        was, is_now = read[s - 1]["right"][members], read[s]["right"][members]
        turns.append(dict(steps[s - 1].name, corrected=(~was & is_now).sum().item(),
                          broken=(was & ~is_now).sum().item(), count=members.sum().item()))
    return states, turns


def single_passes(net, batches, settings, lens=None, calibration=()):
    """{measure: its numbers} of one split, by measures.json's names; a dotted name is a part of a measure.

    `lens` reads the states, where it is not the network's own head. `calibration` are batches of images, on which running
    statistics are taken anew behind a dropped step, where that is asked for.
    """
    # Without its F, a step is a plan of its own where it has statistics of its own behind it.
    without = [plans.recalibrated_where_unlike(net, plans.scaled(net, step.name["step"], 0.0), calibration)
               for step in plans.steps_of(net)] if calibration and "dropped-step" in settings else []
    record = defaultdict(list)
    for images, labels in batches:
        observe(net, images, labels, settings, record, lens, without)
    found = {key: joined(parts) for key, parts in record.items()}
    steps = plans.steps_of(net)
    result = {}
    if "cosine-loss" in settings:
        result["cosine-loss.backpropagated"] = rows(net, found, "cosine", statistic)
        result["cosine-loss.plugged"] = rows(net, found, "plugged", statistic)
    if "activation-norm" in settings:
        result["activation-norm"] = {"start": statistic(found["start", None]), "steps": rows(net, found, "size", statistic)}
    if "gradient-norm" in settings:
        result["gradient-norm"] = {"steps": rows(net, found, "gradient", statistic)}
        if ("gradient-ratio", None) in found:
            result["gradient-norm"]["ratio"] = statistic(found["gradient-ratio", None])
    if "l2-ratio" in settings:
        result["l2-ratio"] = rows(net, found, "ratio", statistic)
    if "first-order" in settings:
        result["first-order"] = first_order(net, found)
    if "dropped-step" in settings:
        def dropped(left):
            was, is_now = found["answer", None]["right"], left["right"]
            return dict(score(left), **{"became-right": (~was & is_now).sum().item(),
                                        "became-wrong": (was & ~is_now).sum().item()})
        result["dropped-step"] = rows(net, found, "dropped", dropped)
        result["dropped-step.baseline"] = score(found["answer", None])
    if "influence" in settings:
        result["influence"] = rows(net, found, "influence", statistic)
    if "spectral-radius" in settings:
        result["spectral-radius"] = rows(net, found, "radius", statistic)
    if "alignment" in settings:
        result["alignment.state"] = rows(net, found, "alignment", statistic)
        result["alignment.update"] = rows(net, found, "update", statistic)
    if "angular-distance" in settings:
        ranges = sorted(key for what, key in found if what == "angle")
        result["angular-distance"] = [dict(steps[t].name, length=end - t + 1, **statistic(found["angle", (t, end)]))
                                      for t, end in ranges]
    if "future-effect" in settings:
        pairs = sorted(key for what, key in found if what == "change")
        result["future-effect.steps"] = [dict(steps[t].name, later=end + 1, **row) for t, end in pairs
                                         if (row := statistic(found["change", (t, end)])) is not None]
        result["future-effect.output"] = rows(net, found, "moved", statistic)
    if "agreement" in settings:
        result["agreement"] = rows(net, found, "agreement", agreed)
    if "intermediate" in settings:
        result["intermediate"] = rows(net, found, "after", score)
    if "borderline" in settings:
        result["borderline.states"], result["borderline.turns"] = borderline(net, found, settings["borderline"])
    return result
