"""Residual steps in any number and order: a network as trained, unrolled, or with steps dropped, moved and scaled.

A plan is a list of `Step`s in the order in which they add their F. Poolings are no part of it: a stage that begins
with one pools before whichever of its steps runs first, and also if none of them runs.
"""

import copy
from typing import NamedTuple

import torch

import network

RECALIBRATION_BATCH = 128


class Step(NamedTuple):
    block: network.Block
    norms: tuple  # the two normalizations with which it runs the block
    name: dict  # what measures.json calls the step
    scale: float = 1.0
    repetition: int = 0  # 1, 2, ... for steps that were added to the trained ones


class Taken(NamedTuple):
    """The work of a step: its input, what its skip connection passed on, what it added to that, and the sum."""
    before: torch.Tensor
    kept: torch.Tensor
    added: torch.Tensor
    after: torch.Tensor


class Walk:
    """A forward pass, a step at a time."""

    def __init__(self, net, h, stage=-1):
        """`h` is the stem's output, or a state within the given stage."""
        self.net, self.h, self.stage = net, h, stage

    def enter(self, stage):
        while self.stage < stage:
            self.stage += 1
            self.h = self.net.enter(self.stage, self.h)

    def take(self, step):
        self.enter(step.name["stage"])
        before = self.h
        kept, residual = step.block.split(before, step.norms)
        if step.scale != 1:
            residual = step.scale * residual
        added, self.h = step.block.joined(kept, residual)
        return Taken(before, kept, added, self.h)

    def through(self, plan):
        """The logits after all steps of `plan`."""
        for step in plan:
            self.take(step)
        self.enter(len(self.net.stages) - 1)
        return self.net.head(self.h)


def steps_of(net):
    """The plan of the network as it was trained."""
    steps = []
    for stage, blocks in enumerate(net.stages):
        for index, use in net.uses[stage]:
            block = blocks[index]
            steps.append(Step(block, block.norms(use), {"step": len(steps) + 1, "stage": stage, "block": index,
                                                        "use": use, "projection": block.is_projected}))
    return steps


def logits_of(net, plan, images):
    return Walk(net, net.stem(images)).through(plan)


def ordered(net, order):
    """The plan that runs the steps of these numbers in this order."""
    steps = steps_of(net)
    plan = [steps[number - 1] for number in order]
    stages = [step.name["stage"] for step in plan]
    if stages != sorted(stages) or len(set(order)) != len(order):
        raise SystemExit(f"{order}: a step outside its stage, or twice")
    # Without its projection, or behind it, a stage would get a state of another shape, or project one of its own.
    first = {step.name["stage"]: step.name["step"] for step in reversed(plan)}
    for step in steps:
        if step.name["projection"] and first.get(step.name["stage"]) != step.name["step"]:
            raise SystemExit(f"{order}: projection step {step.name['step']} does not come first in its stage")
    return plan


def swapped(net, number, other):
    order = [step.name["step"] for step in steps_of(net)]
    order[number - 1], order[other - 1] = other, number
    return ordered(net, order)


def scaled(net, number, factor):
    return [step._replace(scale=factor) if step.name["step"] == number else step for step in steps_of(net)]


def unrolled(net, number, times, scale):
    """The step of this number is followed by `times` more of itself, which add scale * F."""
    steps = steps_of(net)
    repeated = steps[number - 1]
    if repeated.name["projection"]:
        raise SystemExit(f"step {number} has a projection, which cannot be repeated")
    more = [repeated._replace(scale=scale, repetition=1 + index) for index in range(times)]
    return steps[:number] + more + steps[number:]


def calibration(train, count):
    """The images of so many batches: the first of the whole train set, however many of it are measured."""
    return [images for images, _ in train.batches(RECALIBRATION_BATCH, count * RECALIBRATION_BATCH)] if count else []


def recalibrated(net, plan, batches):
    """The plan with running statistics of each added step's own, taken on these batches of images.

    In one pass over the batches the two normalisations of all added steps are in training mode, and every other layer
    in evaluation mode. With no momentum, PyTorch averages the batches' means and variances with equal weights.
    """
    plan = [step._replace(norms=copy.deepcopy(step.norms)) if step.repetition else step for step in plan]
    take_statistics(net, plan, [norm for step in plan if step.repetition for norm in step.norms], batches)
    return plan


def recalibrated_from(net, plan, first, batches):
    """The network and the plan with running statistics of their own for the steps from index `first` on, and the head."""
    net, whole = copy.copy(net), net
    net._modules = dict(whole._modules, head=copy.deepcopy(whole.head))
    behind = []
    for step in plan[first:]:
        # A projection may have a normalisation too.
        block = copy.copy(step.block)
        if block.projection is not None:
            block._modules = dict(step.block._modules, projection=copy.deepcopy(step.block.projection))
        behind.append(step._replace(block=block, norms=copy.deepcopy(step.norms)))
    parts = [norm for step in behind for norm in step.norms]
    parts += [step.block.projection for step in behind if step.block.projection is not None] + [net.head]
    plan = plan[:first] + behind
    take_statistics(net, plan, parts, batches)
    return net, plan


def recalibrated_where_unlike(net, plan, batches):
    """The network and the plan with running statistics of their own for the steps that read another state than in the
    network's own plan, and for the head."""
    own = steps_of(net)
    first = next((index for index, (step, known) in enumerate(zip(plan, own))
                  if step.name != known.name or step.scale != known.scale), min(len(plan), len(own)))
    if first == len(plan) == len(own):
        return net, plan
    # A step whose F alone has another factor reads what it read before.
    scaled = first < len(plan) and plan[first].name == own[first].name
    return recalibrated_from(net, plan, first + scaled, batches)


def take_statistics(net, plan, parts, batches):
    """Takes the running statistics of all normalisations in some modules anew, on these batches of images."""
    norms = [module for part in parts for module in part.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = None
        norm.reset_running_stats()
        norm.train()
    with torch.no_grad():
        for images in batches:
            logits_of(net, plan, images)
    for norm in norms:
        norm.eval()
