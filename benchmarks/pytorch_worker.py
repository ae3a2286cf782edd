"""A process that does one kind of work in PyTorch again and again: what `make bench` times ResLens against.

    python benchmarks/pytorch_worker.py --model NAME --architecture FILE.json
        --work train|evaluate|convolutions|measure|forwards|drops|suite --precision fp32|bf16
        --layout contiguous|channels_last|compiled [--batch 128] [--threads N] [--device cpu|cuda] [--steps 1]

After its warm-up repetitions it prints `ready`. Each line on its input is answered by one repetition and its seconds;
at the end of its input it prints {"peak_bytes": ...} and leaves. `reslens bench` speaks the same protocol.

`compiled` is torch.compile on channels-last tensors, for training and evaluation, on a GPU with CUDA graphs (reduce-overhead).
A GPU does training and measuring only, and is waited for at the end of a repetition. `convolutions` are those of a training
step alone, forward and both ways back, each on tensors of its own. The rest is eager PyTorch as one writes it for speed: in-place ReLU and sum, the fused optimizer, autocast with float32
master weights for bf16, gradients only where they are asked for. `forwards` are as many forward passes as the network
has steps, and `drops` as many again, with one step's F left out of each. `suite` is all measures of one batch, in fp32,
one after the other; a network with other steps is a forward pass from the images on, nothing shared with the last one.
"""

import argparse
import json
import random
import resource
import sys
import time
from pathlib import Path

import torch
import torch.nn.functional as F

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "reference"))
import network  # noqa: E402

LAYOUTS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last,
           "graphed": torch.channels_last, "compiled": torch.channels_last}


def residual(block, h, norms=None):
    """Block.residual with its two ReLUs in place: batch normalization does not need its output again."""
    norm1, norm2 = norms or block.norms()
    h = block.conv1(F.relu(norm1(h), inplace=True))
    return block.conv2(F.relu(norm2(h), inplace=True))


def split(block, h, norms=None):
    """block.split with ReLUs in place."""
    if isinstance(block, network.Block):
        added = residual(block, h, norms)
        return block.kept(h), added
    x = read = F.relu(block.norm1(h), inplace=True) if block.is_before else h
    for number in range(1, block.count + 1):
        convolution, norm = getattr(block, f"conv{number}"), getattr(block, f"norm{number}")
        if block.is_before:
            x = convolution(F.relu(norm(x), inplace=True) if number > 1 else x)
        else:
            x = norm(convolution(F.relu(x, inplace=True) if number > 1 else x))
    return (block.projection(read if block.reads_activation else h) if block.is_projected else h), x


def rectifies(block):
    """True if a ReLU follows the block's sum."""
    return not isinstance(block, network.Block) and not block.is_before


def forward(net, images):
    h = net.stem(images)
    for index in range(len(net.stages)):
        h = net.enter(index, h)
        for block, norms in net.steps(index):
            kept, added = split(block, h, norms)
            added += kept
            h = F.relu(added, inplace=True) if rectifies(block) else added
    return net.head(h)


def convolutions(net, images, labels, autocast):
    """Every convolution of a training step, once for each time that it runs, and nothing else."""
    shapes = []

    def note(module, given, _):
        shapes.append((given[0].detach(), module))

    handles = [module.register_forward_hook(note) for module in net.modules() if isinstance(module, torch.nn.Conv2d)]
    with torch.no_grad(), autocast():
        forward(net, images)
    for handle in handles:
        handle.remove()
    with autocast():
        kind = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else torch.float32
    # Tensors of one shape serve all convolutions of it: what they hold does not matter.
    inputs, gradients, work = {}, {}, []
    for index, (given, module) in enumerate(shapes):
        key = (given.shape, module.weight.shape, module.stride)
        if key not in inputs:
            inputs[key] = given.to(kind).contiguous(memory_format=torch.channels_last)
            with torch.no_grad():
                gradients[key] = torch.randn_like(F.conv2d(inputs[key], module.weight.to(kind), None, module.stride,
                                                           module.padding))
        weight = module.weight.detach().to(kind).contiguous(memory_format=torch.channels_last)
        work.append((inputs[key], gradients[key], weight, module.bias.detach().to(kind), module, index > 0))

    def step():
        for x, gradient, weight, bias, module, wants_input in work:
            F.conv2d(x, weight, bias, module.stride, module.padding)
            torch.ops.aten.convolution_backward(gradient, x, weight, [len(bias)], module.stride, module.padding, [1, 1],
                                                False, [0, 0], 1, [wants_input, True, True])

    return lambda: torch.no_grad()(step)()


def trainer(net, images, labels, autocast, forward=forward):
    """One step of SGD."""
    optimizer = torch.optim.SGD(net.train().parameters(), lr=0.01, momentum=0.9, nesterov=True, weight_decay=1e-4,
                                fused=True)

    def step():
        with autocast():
            logits = forward(net, images)
        loss = F.cross_entropy(logits.float(), labels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    return step


def graphed(step):
    """A whole eager step as one CUDA graph: the launches of a step in one, and nothing compiled."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        # Libraries set themselves up, and gradients and momentum get their memory.
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph.replay


def evaluator(net, images, labels, autocast, forward=forward):
    """One forward pass that keeps nothing for a backward one."""
    net.eval()

    def evaluate():
        with torch.inference_mode(), autocast():
            return forward(net, images)

    return evaluate


def norms(tensor):
    return torch.linalg.vector_norm(tensor, dim=(1, 2, 3))


def measurer(net, images, labels, autocast):
    """Cosine loss with the backpropagated gradient, and l2 ratio, of all steps and each sample.

    A hook takes a step's cosine as soon as the backward pass has its gradient, so no gradient outlives its use, and
    parameters get none.
    """
    net.eval().requires_grad_(False)

    def measure():
        ratios, cosines = [], []
        h = net.stem(images).requires_grad_()
        for index in range(len(net.stages)):
            h = net.enter(index, h)
            for block, norm in net.steps(index):
                kept, added = split(block, h, norm)
                after = kept + added
                if rectifies(block):
                    after = F.relu(after, inplace=True)
                    added = after.detach() - kept.detach()
                size, below, still = norms(added.detach()), norms(h.detach()), added.detach()
                ratios.append(size / below)

                def at_gradient(gradient, still=still, size=size):
                    cosines.append((still * gradient).sum((1, 2, 3)) / (size * norms(gradient)))

                kept.register_hook(at_gradient)
                h = after
        F.cross_entropy(net.head(h), labels, reduction="sum").backward()
        return torch.stack(cosines[::-1]), torch.stack(ratios)

    return measure


def steps_of(net):
    """[(stage, block, factor of F)] of the network as it is; of one that shares no blocks, as hooks go with blocks."""
    assert not any(use for uses in net.uses for _, use in uses), "a block is used twice"
    return [(stage, block, 1) for stage, blocks in enumerate(net.stages) for block in blocks]


def states(net, images, steps):
    """The state after each step in turn, made in place: a state is gone when the next one is asked for."""
    h, entered = net.stem(images), -1
    for stage, block, factor in steps:
        while entered < stage:
            entered += 1
            h = net.enter(entered, h)
        if factor == 0:
            h = block.kept(h)
        else:
            added = residual(block, h)
            if factor != 1:
                added *= factor
            added += block.kept(h)
            h = added
        yield h
    # A pooling stays where it is if no step of its stage is left.
    while entered < len(net.stages) - 1:
        entered += 1
        h = net.enter(entered, h)
        yield h


def altered(net, images, steps):
    """The logits of a network with these steps."""
    for h in states(net, images, steps):
        pass
    return net.head(h)


def forwards(net, images, labels, autocast):
    """A forward pass for each step, nothing left out: what drops would take if a drop saved nothing."""
    net.eval()

    def evaluate():
        with torch.inference_mode(), autocast():
            return [forward(net, images) for _ in steps_of(net)]

    return evaluate


def dropper(net, images, labels, autocast):
    """A forward pass for each step, with that step's F left out."""
    net.eval()
    steps = steps_of(net)
    plans = [scaled(steps, index, 0) for index in range(len(steps))]

    def drop():
        with torch.inference_mode(), autocast():
            return [altered(net, images, plan) for plan in plans]

    return drop


def scaled(steps, index, factor):
    return steps[:index] + [(*steps[index][:2], factor)] + steps[index + 1:]


def exchanged(steps, first, second):
    steps = list(steps)
    steps[first], steps[second] = steps[second], steps[first]
    return steps


def lesions(steps):
    """The steps with some dropped, shuffled, swapped and scaled; drawn once, so that each repetition does the same."""
    movable = [index for index, (_, block, _) in enumerate(steps) if block.projection is None]
    pairs = [(first, second) for first in movable for second in movable
             if first < second and steps[first][0] == steps[second][0]]
    plans = []
    for size in (1, 2, 4, 8, 16):
        for seed in range(3):
            draw = random.Random(seed)
            if size <= len(movable):
                dropped = draw.sample(movable, size)
                plans.append([step for index, step in enumerate(steps) if index not in dropped])
            if size <= len(pairs):
                plan = steps
                for _ in range(size):
                    plan = exchanged(plan, *draw.choice(pairs))
                plans.append(plan)
    plans += [exchanged(steps, first, second) for first, second in pairs if second == first + 1]
    return plans + [scaled(steps, index, factor) for index in range(len(steps)) for factor in (0.5, 2)]


class Watch:
    """Hooks that keep, of each step of a forward pass, its input, what its skip connection passes on, and its F."""

    def __init__(self, net):
        self.net, self.handles = net, []

    def __enter__(self):
        self.before, self.kept, self.added = [], [], []
        for _, block, _ in steps_of(self.net):
            self.keep(block.norm1, lambda given, out: self.before.append(given))
            self.keep(block.conv2, lambda given, out: self.added.append(out))
            if block.projection is None:
                self.keep(block.norm1, lambda given, out: self.kept.append(given))
            else:
                self.keep(block.projection, lambda given, out: self.kept.append(out))
        return self

    def keep(self, module, what):
        self.handles.append(module.register_forward_hook(lambda _, given, out: what(given[0], out)))

    def __exit__(self, *_):
        while self.handles:
            self.handles.pop().remove()


def watched(net, images, labels, steps, first=0):
    """(logits, a Watch, the gradient of what each step from `first` on keeps) after a forward and a backward pass."""
    with Watch(net) as watch:
        h, entered = net.stem(images).requires_grad_(), -1
        for stage, block, factor in steps:
            while entered < stage:
                entered += 1
                h = net.enter(entered, h)
            added = residual(block, h)
            h = torch.add(block.kept(h), added, alpha=factor)  # not in place: the hook keeps F
        logits = net.head(h)
    wanted = watch.kept[first:] + [h for h, kept in zip(watch.before[first:], watch.kept[first:]) if h is not kept]
    gradients = torch.autograd.grad(F.cross_entropy(logits.double(), labels, reduction="sum"), wanted)
    watch.before, watch.kept, watch.added = ([tensor.detach() for tensor in tensors]
                                             for tensors in (watch.before, watch.kept, watch.added))
    return logits.detach(), watch, gradients


def plugged(net, state, labels):
    """The head applied to a state: its logits, and the gradient with respect to the state."""
    state = state.requires_grad_()
    logits = net.head(state)
    gradient, = torch.autograd.grad(F.cross_entropy(logits.double(), labels, reduction="sum"), state)
    state.requires_grad_(False)
    return logits.detach(), gradient


def products(tensor, other):
    return (tensor * other).sum((1, 2, 3))


def cosines(tensor, other):
    return products(tensor, other) / (norms(tensor) * norms(other))


def scores(logits, labels):
    """Right or not, loss and entropy of each sample, [3, samples]."""
    logs = F.log_softmax(logits.double(), dim=1)
    return torch.stack([(logits.argmax(1) == labels).double(), F.nll_loss(logs, labels, reduction="none"),
                        -(logs.exp() * logs).sum(1)])


def groups_of(logits, labels):
    """Borderline, rightly classified, all: [3, samples], 1 where a sample is in the group."""
    probabilities, truth = F.softmax(logits.double(), dim=1), labels.view(-1, 1)
    margin = probabilities.gather(1, truth) - probabilities.scatter(1, truth, -1).amax(1, keepdim=True)
    right = logits.argmax(1) == labels
    return torch.stack([margin.squeeze(1).abs() < 0.1, right, torch.ones_like(right)]).double()


def grouped(found, groups):
    """The mean scores of each group, of one state's scores or of several: [..., 3 groups, 3 scores]."""
    return groups @ found.transpose(-1, -2) / groups.sum(1, keepdim=True)


def single_pass(net, images, labels, steps):
    """Cosine losses, l2 ratios, first-order terms, intermediate scores and borderline examples."""
    logits, watch, gradients = watched(net, images, labels, steps)
    with torch.inference_mode():
        found = {"cosine-loss": torch.stack([cosines(*pair) for pair in zip(watch.added, gradients)]),
                 "l2-ratio": torch.stack([norms(added) / norms(h) for added, h in zip(watch.added, watch.before)])}
        found["activation-norm"] = torch.stack([norms(h) for h in watch.before[1:]] + [norms(watch.kept[-1] + watch.added[-1])])
        found["gradient-norm"] = torch.stack([norms(gradient) for gradient in gradients])
        after = watch.before[1:] + [watch.kept[-1] + watch.added[-1]]
        # The states around ranges of steps that keep the shape of h.
        ranges = [(first, end) for first, (stage, block, _) in enumerate(steps) if block.projection is None
                  for end in range(first, len(steps)) if steps[end][0] == stage and after[end].shape == watch.before[first].shape]
        found["angular-distance"] = torch.stack(
            [cosines(watch.before[first], after[end]).clamp(-1, 1).acos() / torch.pi for first, end in ranges])
        same = sorted({first for first, _ in ranges})
        found["influence"] = torch.stack([1 - cosines(watch.before[index], after[index]) for index in same])
        found["alignment"] = torch.stack([cosines(watch.before[index], watch.added[index]) for index in same])
        found["update-cosine"] = torch.stack([
            cosines(*pair) for pair in zip(watch.added, watch.added[1:]) if pair[0].shape == pair[1].shape])
    last = [index for index, step in enumerate(steps) if step[0] == len(net.stages) - 1]
    heads = [plugged(net, watch.kept[index], labels) for index in last]
    with torch.inference_mode():
        found["cosine-loss-plugged"] = torch.stack(
            [cosines(watch.added[index], gradient) for index, (_, gradient) in zip(last, heads)])
        found["term"] = torch.stack(
            [products(watch.added[index], gradient) for index, (_, gradient) in zip(last, heads)])
        # A state is what the next step keeps; the head has read it there.
        answers = [logits for logits, _ in heads] + [logits]
        of_states = torch.stack([scores(answer, labels) for answer in answers])
        found["change"] = of_states[1:, 1] - of_states[:-1, 1]
        found["intermediate"] = of_states[1:]
        there = F.log_softmax(logits.double(), dim=1)
        found["agreement"] = torch.stack([
            (there.exp() * (there - F.log_softmax(answer.double(), dim=1))).sum(1) for answer in answers[1:]])
        first = max(steps[last[0]][1].projection is not None, len(last) - 5)
        groups = groups_of(answers[first], labels)
        found["borderline"] = grouped(of_states[first:], groups)
        right = of_states[first:, 0]
        found["corrected"] = ((1 - right[:-1]) * right[1:] * groups[0]).sum(1)
        found["broken"] = (right[:-1] * (1 - right[1:]) * groups[0]).sum(1)
    return found, logits


def trajectory(net, images, labels, steps, groups):
    """The measures of each step of an unrolled network, from the last stage on."""
    first = next(index for index, step in enumerate(steps) if step[0] == len(net.stages) - 1)
    logits, watch, gradients = watched(net, images, labels, steps, first)
    heads = [plugged(net, kept, labels) for kept in watch.kept[first:]]
    with torch.inference_mode():
        added, factors = watch.added[first:], torch.tensor([[factor] for *_, factor in steps[first:]])
        sizes = torch.stack([norms(tensor) for tensor in added]) * factors
        answers = [logits for logits, _ in heads[1:]] + [logits]
        return {"cosine-loss": torch.stack([cosines(*pair) for pair in zip(added, gradients)]),
                "cosine-loss-plugged": torch.stack([cosines(f, g) for f, (_, g) in zip(added, heads)]),
                "distance": sizes,
                "l2-ratio": sizes / torch.stack([norms(h) for h in watch.before[first:]]),
                "turn": torch.stack([cosines(*pair) for pair in zip(added[1:], added)]),
                "groups": grouped(torch.stack([scores(answer, labels) for answer in answers]), groups)}


def future_effects(net, images, steps):
    """The changes, by dropping each step, in the F of every later one and in the output's distribution."""
    with Watch(net) as whole:
        there = F.log_softmax(altered(net, images, steps).double(), dim=1)
    found = []
    for index in range(len(steps)):
        with Watch(net) as watch:
            here = F.log_softmax(altered(net, images, scaled(steps, index, 0)).double(), dim=1)
        later = len(steps) - index - 1
        # The last ones; the F of the dropped step is there too.
        pairs = zip(watch.added[len(watch.added) - later:], whole.added[index + 1:])
        found.append(([norms(one - other) / norms(other) for one, other in pairs],
                      (there.exp() * (there - here)).sum(1)))
    return found


def spectral_radii(net, images, steps):
    """The largest |eigenvalue| of the Jacobian of each step that keeps the shape, by 50 vector-Jacobian products."""
    found, h, entered = [], net.stem(images), -1
    for stage, block, _ in steps:
        while entered < stage:
            entered += 1
            h = net.enter(entered, h)
        h = h.detach().requires_grad_()
        after = block.kept(h) + residual(block, h)
        if block.projection is None:
            vector, growth = torch.rand_like(h[:1]).expand_as(h), 0
            for iteration in range(50):
                vector = torch.autograd.grad(after, h, vector, retain_graph=True)[0]
                length = norms(vector)
                growth = growth + length.log() if iteration >= 30 else growth
                vector = vector / length.view(-1, 1, 1, 1)
            found.append((growth / 20).exp())
        h = after.detach()
    return found


def suite(net, images, labels, autocast):
    """All measures of one batch. A last step with a projection is not unrolled."""
    net.eval().requires_grad_(False)
    steps = steps_of(net)
    drops = [scaled(steps, index, 0) for index in range(len(steps))]
    lesioned = lesions(steps)
    stage, block, _ = steps[-1]
    times = 20 if block.projection is None else 0

    def unrolled(scale):
        return steps + [(stage, block, scale)] * times

    def tried(scale):
        """The mean loss after one, two, ... added steps."""
        after = enumerate(states(net, images, unrolled(scale)))
        return torch.stack([F.cross_entropy(net.head(h).double(), labels)
                            for place, h in after if place >= len(steps)]).mean()

    def measure():
        found, logits = single_pass(net, images, labels, steps)
        with torch.inference_mode():
            found["dropped-step"] = [scores(altered(net, images, plan), labels) for plan in drops]
        if times:
            groups = groups_of(logits, labels)
            found["trajectories"] = [trajectory(net, images, labels, unrolled(scale), groups) for scale in (1, 0.1)]
            with torch.inference_mode():
                found["tried"] = [tried(scale) for scale in (1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01)]
        found["spectral-radius"] = spectral_radii(net, images, steps)
        with torch.inference_mode():
            found["future-effect"] = future_effects(net, images, steps)
            found["lesions"] = [scores(altered(net, images, plan), labels) for plan in lesioned]
        return found

    return measure


WORK = {"train": trainer, "evaluate": evaluator, "convolutions": convolutions, "measure": measurer, "forwards": forwards, "drops": dropper,
        "suite": suite}


COMPILED = ("train", "evaluate")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="the name of the architecture, to tell workers apart by")
    parser.add_argument("--architecture", required=True, type=Path, metavar="FILE.json")
    parser.add_argument("--work", required=True, choices=WORK)
    parser.add_argument("--precision", default="fp32", choices=["fp32", "bf16"])
    parser.add_argument("--layout", default="channels_last", choices=LAYOUTS)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--warmups", type=int, default=2)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--steps", type=int, default=1, help="or batches, a repetition")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)

    torch.manual_seed(0)
    architecture = json.loads(options.architecture.read_text())
    shape = architecture["input"]
    layout = LAYOUTS[options.layout]
    device = torch.device(options.device)
    if device.type == "cuda":
        if options.work not in ("train", "measure"):
            parser.error("a GPU is for --work train and measure")
        # TF32 keeps 10 of float32's 23 bits.
        torch.backends.cudnn.allow_tf32 = False
        torch.backends.cudnn.benchmark = True
    net = network.ResidualNetwork(architecture).to(device, memory_format=layout)
    images = torch.randn(options.batch, shape["channels"], shape["height"], shape["width"])
    images = images.to(device, memory_format=layout)
    labels = torch.randint(0, architecture["classes"], (options.batch,)).to(device)

    def autocast():
        # Tensors that a graph reads must be cast within it: autocast would keep weights that it cast before.
        return torch.autocast(device.type, torch.bfloat16, enabled=options.precision == "bf16",
                              cache_enabled=options.layout != "graphed")

    more = {}
    if options.layout == "compiled":
        if options.work not in COMPILED:
            parser.error(f"--layout compiled is for {' and '.join(COMPILED)}")
        more["forward"] = torch.compile(forward, mode="reduce-overhead" if device.type == "cuda" else None)
    step = WORK[options.work](net, images, labels, autocast, **more)
    if options.layout == "graphed":
        if device.type != "cuda" or options.work != "train":
            parser.error("--layout graphed is for training steps on a GPU")
        step = graphed(step)

    def repetition():
        for _ in range(options.steps):
            step()
        if device.type == "cuda":
            torch.cuda.synchronize()

    for _ in range(options.warmups):
        repetition()
    print("ready", flush=True)
    for _ in sys.stdin:
        begun = time.perf_counter()
        repetition()
        print(time.perf_counter() - begun, flush=True)
    # Linux counts in KiB, macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    told = {"peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit}
    if options.layout == "compiled" and device.type == "cuda":
        # Where graphs cannot be had, inductor runs without them and only counts it.
        told["graphs_left_out"] = torch._dynamo.utils.counters["inductor"]["cudagraph_skips"]
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
