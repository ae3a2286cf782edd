"""Fits a run's linear lens by scikit-learn, and compares the two.

    python reference/fit_lens.py RUN [--data DIR] [--samples N]

RUN has a lens-linear.safetensors, which `reslens lens RUN --kind linear` wrote. The features, each state's means over pixels,
are PyTorch's, of the train images that the lens was fitted on. They are divided by their deviations, as the penalty is for
such features, and scikit-learn fits a logistic regression with the same penalty to them. A line for each state says how
accurate both are on the first N validation images (all, if it is not given). The exit status is 1 if the two are further
apart than 0.3 points anywhere.
"""

import argparse
from pathlib import Path

import torch
import torch.nn.functional as F
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

import measure
import plans

ALLOWED = 0.003


@torch.no_grad()
def features(net, samples, count):
    """{number of steps: N×C}, and N labels."""
    found, labels = {}, []
    for images, chosen in samples.batches(128, count):
        walk = plans.Walk(net, net.stem(images))
        states = [walk.h] + [walk.take(step).after for step in plans.steps_of(net)]
        for steps, h in enumerate(states):
            found.setdefault(steps, []).append(h.mean((2, 3)).double())
        labels.append(chosen)
    return {steps: torch.cat(parts) for steps, parts in found.items()}, torch.cat(labels)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, metavar="RUN")
    parser.add_argument("--data", metavar="DIR", help="CIFAR's binary layout (default: the run's own data)")
    parser.add_argument("--samples", type=int, metavar="N", help="the first so many validation images (default: all)")
    options = parser.parse_args()
    net, weights, sets = measure.opened(options.run, options.data)
    lens = measure.trained_lens(options.run, "linear", net, weights)
    count, penalty = int(lens.metadata["samples"]), float(lens.metadata["penalty"])
    if lens.metadata["images"] != measure.images_fingerprint(sets["train"].first(count)):
        raise SystemExit("the lens was fitted on other images")
    train, labels = features(net, sets["train"], count)
    validation, truth = features(net, sets["validation"], options.samples)
    furthest = 0
    print("state  ours (%)  scikit-learn (%)")
    for steps in sorted(train):
        if f"state-{steps}.weight" not in lens.tensors:
            continue
        weight, bias = lens.tensors[f"state-{steps}.weight"], lens.tensors[f"state-{steps}.bias"]
        ours = F.linear(validation[steps].float(), weight[:, :, 0, 0], bias).argmax(1)
        scaler = StandardScaler().fit(train[steps])
        theirs = LogisticRegression(C=1 / (penalty * count), max_iter=2000, tol=1e-5)
        theirs.fit(scaler.transform(train[steps]), labels)
        accuracies = [(ours == truth).double().mean().item(),
                      float(theirs.score(scaler.transform(validation[steps]), truth))]
        furthest = max(furthest, abs(accuracies[0] - accuracies[1]))
        print(f"{steps:5}  {100 * accuracies[0]:8.2f}  {100 * accuracies[1]:16.2f}")
    print(f"furthest apart: {100 * furthest:.2f} points, {100 * ALLOWED} allowed")
    raise SystemExit(0 if furthest <= ALLOWED else 1)


if __name__ == "__main__":
    main()
