"""Compares two files of measures: a line for each measure and split, with the largest difference of each kind."""

import math

TOLERANCE = 1e-4
# So near to 0 float32 that is added up in another order may have a ReLU's input on the other side of it. Where a batch's own
# statistics are sums over the batch as well, rounding is larger.
NEAR = {"running": 1e-6, "batch": 1e-5}
SPLITS = ("train", "validation")
MEANS = ("mean", "loss", "entropy")
RATIOS = ("ratio", "correlation")
STDS = ("std", "loss-std", "entropy-std")
COUNTS = ("count", "corrected", "broken", "became-right", "became-wrong", "top1", "top5")
SAYS = {None: "-", True: "equal", False: "DIFFER"}


def clean(tree):
    """As JSON means it: what is null is absent, and numbers that are not finite are written out."""
    if isinstance(tree, dict):
        return {key: clean(value) for key, value in tree.items() if value is not None}
    if isinstance(tree, list):
        return [clean(value) for value in tree]
    return float(tree) if tree in ("Infinity", "-Infinity", "NaN") else tree


def written(tree):
    """The reverse: numbers that are not finite as strings."""
    if isinstance(tree, dict):
        return {key: written(value) for key, value in tree.items() if value is not None}
    if isinstance(tree, list):
        return [written(value) for value in tree]
    if isinstance(tree, float) and not math.isfinite(tree):
        return "NaN" if math.isnan(tree) else "Infinity" if tree > 0 else "-Infinity"
    return tree


def parts(tree, label=""):
    """{(label, split): numbers} of a tree of measures; what belongs to no split is under ""."""
    result, rest = {}, {}
    for key, value in tree.items():
        name = f"{label}.{key}" if label else key
        if key in SPLITS:
            result[label, key] = value
        elif name == "unrolling.trajectories":
            for trajectory in value:
                result.update(parts(trajectory["steps"], f"unrolling, scale {trajectory['scale']:g}"))
        elif name == "unrolling.tried":
            result[name, "train"] = value
        elif label == "lesions":
            result[name, "validation"] = value
        elif isinstance(value, dict) and key != "repeated":
            result.update(parts(value, name))
        else:
            rest[key] = value
    if rest:
        result[label, ""] = rest
    return result


def distance(value, other, floor=1.0):
    """How far two numbers are apart, of their size where that is above `floor`; what overflowed on both sides agrees."""
    if not (math.isfinite(value) and math.isfinite(other)):
        return math.inf if math.isfinite(value) or math.isfinite(other) else 0.0
    return abs(value - other) / max(floor, abs(value), abs(other)) if value != other else 0.0


class Comparison:
    """The largest differences of one part of what is computed, and the first that is too large.

    `undecided` are other results that are as right as `ours`: what they differ by from `ours` is allowed too.
    """

    def __init__(self, ours, theirs, floor, undecided=()):
        self.floor = floor
        self.means, self.ratios, self.stds, self.accuracies, self.counts = 0.0, None, 0.0, None, None
        self.first, self.explained = None, 0.0
        self.walk(ours, theirs, undecided, "")

    def differ(self, path, ours, theirs):
        self.first = self.first or f"{path.strip('.')}: {ours} here, {theirs} there"

    def walk(self, ours, theirs, undecided, path):
        if isinstance(ours, dict) and isinstance(theirs, dict):
            if set(ours) != set(theirs):
                self.differ(path + " keys", sorted(ours), sorted(theirs))
            for key in ours:
                if key in theirs:
                    self.leaf_or_walk(key, ours, theirs, undecided, f"{path}.{key}")
        elif isinstance(ours, list) and isinstance(theirs, list):
            if len(ours) != len(theirs):
                self.differ(path + " length", len(ours), len(theirs))
            for index, (mine, other) in enumerate(zip(ours, theirs)):
                self.walk(mine, other, [tree[index] for tree in undecided], f"{path}[{index}]")
        elif ours != theirs:
            self.differ(path, ours, theirs)

    def leaf_or_walk(self, key, ours, theirs, undecided, path):
        mine, other = ours[key], theirs[key]
        if not (isinstance(mine, (int, float)) and isinstance(other, (int, float))):
            return self.walk(mine, other, [tree[key] for tree in undecided], path)
        # A deviation far below its mean is a difference of what is nearly equal.
        floor = max(self.floor, abs(ours["mean"])) if key == "std" and "mean" in ours else self.floor
        allowed, apart = 0.0, distance(mine, other, floor)
        if key in MEANS:
            self.means, allowed = max(self.means, apart), TOLERANCE
        elif key in RATIOS:
            self.ratios, allowed = max(self.ratios or 0.0, apart), TOLERANCE
            if key == "ratio":
                # As far as the two means of which it is the ratio may be off.
                allowed /= min(1.0, abs(ours["change"]["mean"]))
        elif key in STDS:
            self.stds, allowed = max(self.stds, apart), TOLERANCE
        elif key == "accuracy":
            self.accuracies = self.accuracies is not False and mine == other
        elif key in COUNTS:
            self.counts = self.counts is not False and mine == other
        if apart <= allowed:
            return
        if allowed > 0 and (by_relus := sum(distance(tree[key], mine, floor) for tree in undecided)) >= apart - allowed:
            self.explained = max(self.explained, by_relus)
            return
        self.differ(path, mine, other)


def compare(ours, theirs, undecided, near):
    """Prints the lines; true if all agrees. Both are the `measures` of a file, ours may have fewer of them.

    `undecided` makes what else ours may be, where it must: with ReLUs that rounding decides open, and shut. These are the
    ones whose inputs are within `near` of 0.
    """
    ours = clean(ours)
    ours, theirs = parts(ours), parts({key: value for key, value in clean(theirs).items() if key in ours})
    others = []
    print(f"{'measure':27} {'split':10}  {'means by':>8}  {'ratios by':>9}  {'stds by':>8}  accuracies  counts")
    agree = True
    for label, split in list(ours) + [part for part in theirs if part not in ours]:
        if (label, split) not in ours or (label, split) not in theirs:
            print(f"{label:27} {split:10}  is missing {'here' if (label, split) in theirs else 'there'}  <-- differs")
            agree = False
            continue
        # Norms have no size of their own: gradients may be tiny all over.
        both = ours[label, split], theirs[label, split], 0.0 if label.endswith("-norm") else 1.0
        result = Comparison(*both)
        if result.first:
            others = others or [parts(clean(tree)) for tree in undecided()]
            result = Comparison(*both, [tree[label, split] for tree in others])
        if split:  # of settings there is something to say only if they differ
            ratios = "-" if result.ratios is None else f"{result.ratios:.1e}"
            print(f"{label:27} {split:10}  {result.means:8.1e}  {ratios:>9}  {result.stds:8.1e}  "
                  f"{SAYS[result.accuracies]:10}  {SAYS[result.counts]}")
        if result.explained:
            print(f"  {label}: ReLUs with inputs within {near:g} of 0 change it by {result.explained:.1e}")
        if result.first:
            print(f"  <-- {label} differs: {result.first}")
            agree = False
    print("all agree" if agree else
          f"NOT all agree (allowed: {TOLERANCE:g} for means, and what ReLUs near 0 explain; nothing for "
          "accuracies and counts)")
    return agree
