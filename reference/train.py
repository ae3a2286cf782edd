"""Trains a network of ResLens in plain PyTorch, with the recipe and architecture of a ResLens run.

    python reference/train.py --config RUN/config.yaml --data DIR [--seed S] [--epochs N]

Prints a line an epoch; the last validation error is what a ResLens run with the same config is compared with. Under torchrun
the processes share every batch (DistributedDataParallel, Gloo); train loss and error are then those of process 0's part.
"""

import argparse
import math
import os
import time

import torch
import torch.nn.functional as F
import yaml

import data
import network


def learning_rate(schedule, epoch):
    """`epoch` is fractional: 2.5 is half way through the third epoch. Mirrors Training/Schedule."""
    if schedule["kind"] == "steps":
        for part in schedule["parts"]:
            if part.get("until") is None or epoch < part["until"]:
                return part["rate"]
    progress, warmup = epoch / schedule["epochs"], schedule["warmup"]
    return schedule["peak"] * (progress / warmup if progress < warmup else (1 - progress) / (1 - warmup))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--train-samples", type=int)
    options = parser.parse_args()
    with open(options.config) as file:
        config = yaml.safe_load(file)
    recipe, precision = config["recipe"], config["precision"]
    seed = options.seed if options.seed is not None else config["seed"]
    epochs = options.epochs or recipe["epochs"]
    schedule = dict(recipe["schedule"], epochs=epochs)
    torch.manual_seed(seed)
    sets = data.load(options.data)
    images, labels = sets["train"]
    mean, std = data.input_statistics(config, images)
    if options.train_samples:
        images, labels = images[: options.train_samples], labels[: options.train_samples]
    validation = (data.normalise(sets["validation"][0], mean, std), sets["validation"][1])

    # As torchrun says.
    processes, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    net = network.ResidualNetwork(config["architecture"])
    if "from" in config:
        net.load_state_dict(network.load_checkpoint(config["from"]["path"]).state_dict())
    net = net.to(memory_format=torch.channels_last)
    if processes > 1:
        torch.distributed.init_process_group("gloo")
        net = torch.nn.parallel.DistributedDataParallel(net)
    decayed = [p for n, p in net.named_parameters() if p.dim() > 1]
    plain = [p for n, p in net.named_parameters() if p.dim() <= 1]
    decay = recipe["weight-decay"]
    optimizer = torch.optim.SGD(
        [{"params": decayed, "weight_decay": decay},
         {"params": plain, "weight_decay": 0.0 if recipe["decay-weights-only"] else decay}],
        lr=1.0, momentum=recipe["momentum"], nesterov=recipe["nesterov"])
    batch = recipe["batch"]
    steps = math.ceil(len(labels) / batch)
    autocast = lambda: torch.autocast("cpu", torch.bfloat16, enabled=precision in ("bf16", "bfloat16"))
    for epoch in range(epochs):
        began, total, wrong, seen = time.time(), 0.0, 0, 0
        generator = torch.Generator().manual_seed(seed * 1000003 + epoch)
        order = torch.randperm(len(labels), generator=generator)
        net.train()
        for step in range(steps):
            index = order[step * batch : (step + 1) * batch][rank::processes]
            x = data.augment(data.normalise(images[index], mean, std), recipe["flip"], recipe["translate"], generator)
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(schedule, epoch + step / steps)
            with autocast():
                logits = net(x).float()
            loss = F.cross_entropy(logits, labels[index], label_smoothing=recipe["label-smoothing"])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(index)
            seen += len(index)
            wrong += (logits.argmax(1) != labels[index]).sum().item()
        seconds = time.time() - began
        net.eval()
        with torch.no_grad():
            outputs = torch.cat([net(part) for part in validation[0].split(500)])
        validation_loss = F.cross_entropy(outputs, validation[1]).item()
        validation_error = (outputs.argmax(1) != validation[1]).float().mean().item()
        if rank > 0:
            continue
        print(f"epoch {epoch + 1} train_loss {total / seen:.4f} train_error {wrong / seen:.4f} "
              f"validation_loss {validation_loss:.4f} validation_error {validation_error:.4f} "
              f"images_per_second {len(labels) / seconds:.0f}", flush=True)


if __name__ == "__main__":
    main()
