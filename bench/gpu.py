#!/usr/bin/env python3
"""Kindred beside PyTorch on one GPU: the SupCon training step and the loss alone, random data, one repeat of each in turn.

    python3 bench/gpu.py [--programs build/release/bench] [--python python3] [--repeats 7] [--only resnet50]

Prints a table: milliseconds (median and quartiles), views per second, and each one's time as a multiple of Kindred's.
Without a Python that has torch, Kindred's figures alone. A contender that fails (out of memory, say) is left out and
named.
"""
import argparse
import os
import subprocess

from interleave import Contender, race, spread

STEPS = [  # model, image size, views, precisions
    ("resnet50", 224, 256, ("bf16", "f16")),
    ("resnet50", 224, 512, ("bf16", "f16")),
    ("resnet50", 32, 2048, ("bf16",)),
    ("resnet18", 32, 2048, ("bf16", "f16")),
    ("resnet18", 224, 256, ("tf32", "bf16")),
]
LOSSES = [8192, 65536, 1048576]  # rows of 128


def has_torch(python):
    probe = "import torch, torchvision, sys; sys.exit(not torch.cuda.is_available())"
    return subprocess.run([python, "-c", probe], stderr=subprocess.DEVNULL).returncode == 0


def measure(work, rows, commands, repeats):
    contenders = []
    for name, command in commands:
        contender = Contender(name, command)
        try:
            contender.repeat()  # compiles, chooses plans
            contenders.append(contender)
        except SystemExit as reason:
            print(f"{work:34} {name:16} left out: {reason}")
    if not contenders:
        return
    race(contenders, repeats)
    ours = spread(contenders[0].times)[0]
    for contender in contenders:
        median, low, high = spread(contender.times)
        print(f"{work:34} {contender.name:16} {median:10.2f} ms ({low:.2f} to {high:.2f}) {rows / median * 1e3:11.0f} views/s"
              f"  {median / ours:6.2f}x", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", default="build/release/bench", help="folder of the benchmark programs")
    parser.add_argument("--python", default="python3")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--only", default="")
    a = parser.parse_args()
    here = os.path.dirname(os.path.abspath(__file__))
    torch = has_torch(a.python)
    if not torch:
        print(f"note: {a.python} has no torch that sees the GPU: Kindred's figures stand alone")
    peers = [("torch eager", []), ("torch compiled", ["--compile"])] if torch else []

    for model, size, views, precisions in STEPS:
        for precision in precisions:
            work = f"{model} at {size}, {views} views, {precision}"
            if a.only not in work:
                continue
            flags = ["--model", model, "--image-size", str(size), "--views", str(views), "--precision", precision,
                     "--device", "cuda", "--steps", "10"]
            commands = [("kindred", [f"{a.programs}/bench_train_step", *flags])]
            commands += [(name, [a.python, f"{here}/train_step_torch.py", *flags, *more]) for name, more in peers]
            measure(work, views, commands, a.repeats)
    for rows in LOSSES:
        work = f"loss alone, {rows} x 128"
        if a.only not in work:
            continue
        flags = ["--rows", str(rows), "--classes", "1000", "--device", "cuda", "--steps", "10" if rows < 100000 else "1"]
        commands = [("kindred", [f"{a.programs}/bench_loss", *flags])]
        if rows < 100000:  # beyond, N x N does not fit
            commands += [(name, [a.python, f"{here}/loss_torch.py", *flags, *more]) for name, more in peers]
        measure(work, rows, commands, a.repeats)
        taken = subprocess.run([*commands[0][1], "--memory"], capture_output=True, text=True).stdout
        if taken:  # the gradient, rows x 128 floats, is one of the outputs
            print(f"{work:34} {'kindred':16} {(float(taken) - rows * 512) / 1e6:10.1f} MB beside inputs and gradient")


if __name__ == "__main__":
    main()
