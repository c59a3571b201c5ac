#!/usr/bin/env python3
"""Kindred and PyTorch on one GPU: the SupCon training step and the loss alone, with random data.

    python3 bench/gpu.py [--programs build/release/bench] [--python python3] [--repeats 7] [--only resnet50] [--compiled]

Kindred is measured first. Only one contender is in memory at a time, and its row is printed as soon as it has finished:
milliseconds (median and quartiles), rows per second, and its time as a multiple of Kindred's. --in-turn keeps all of
them alive and measures one repeat of each in turn, if memory allows it. Without a Python that has torch, only Kindred
is measured. A contender that fails (out of memory, for example) is left out and named. The programs' other output goes
to --log.
"""
import argparse
import os
import subprocess
import sys

from interleave import Contender, race, spread

STEPS = [  # model, image size, views, precisions
    ("resnet50", 224, 256, ("bf16", "f16")),
    ("resnet50", 224, 512, ("bf16", "f16")),
    ("resnet50", 32, 2048, ("bf16",)),
    ("resnet18", 32, 2048, ("bf16", "f16")),
    ("resnet18", 224, 256, ("tf32", "bf16")),
]
LOSSES = [8192, 65536]  # rows of 128
MILLION = 1048576  # --million: Kindred alone, takes minutes


def why_no_torch(python, device="cuda"):
    """Returns why PyTorch cannot be measured; empty if it can."""
    asked = "torch.cuda.is_available()" if device == "cuda" else "True"
    probe = f"import torch, torchvision, sys; sys.exit(0 if {asked} else 'its PyTorch sees no GPU')"
    try:
        result = subprocess.run([python, "-c", probe], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    except OSError as error:
        return str(error)
    said = result.stderr.strip().splitlines()
    return "" if result.returncode == 0 else said[-1] if said else f"exit code {result.returncode}"


def step_flags(model, size, views, precision, device="cuda", steps=10):
    return ["--model", model, "--image-size", str(size), "--views", str(views), "--precision", precision, "--device", device,
            "--steps", str(steps)]


def loss_flags(rows, device="cuda", steps=None):
    return ["--rows", str(rows), "--classes", "1000", "--device", device, "--steps", str(steps or (10 if rows < 100000 else 1))]


class Work:
    """A task for all contenders, Kindred first. `say` gets each row as soon as it is known."""

    def __init__(self, name, rows, say=print):
        self.name, self.rows, self.say, self.ours = name, rows, say, None

    def report(self, contender):
        median, low, high = spread(contender.times)
        if contender.name == "kindred":
            self.ours = median
        ratio = f"{median / self.ours:6.2f}x Kindred's time" if self.ours else "no ratio: Kindred was left out"
        if contender.name == "kindred":
            ratio = ""
        self.say(f"{self.name:34} {contender.name:14} {median:10.2f} ms ({low:.2f} to {high:.2f}) "
                 f"{self.rows / median * 1e3:10.0f} rows/s  {ratio}")

    def leave_out(self, name, reason):
        self.say(f"{self.name:34} {name:14} left out: {reason}")

    def alone(self, name, command, repeats, **options):
        """Measures one contender. Returns None, or why it was left out, which is also printed."""
        contender = None
        try:
            contender = Contender(name, command, **options)
            for _ in range(2):  # the first repeat chooses plans and compiles
                contender.repeat()
            contender.times = [contender.repeat() for _ in range(repeats)]
            contender.close()
        except (SystemExit, OSError) as reason:
            if contender is None or not contender.times:
                self.leave_out(name, reason)
                return str(reason)
        finally:
            if contender is not None and contender.process.poll() is None:
                contender.kill()
        self.report(contender)
        return None

    def in_turn(self, commands, repeats, log):
        contenders = []
        for name, command in commands:
            contender = Contender(name, command, log=log)
            try:
                contender.repeat()  # compiles, chooses plans
                contenders.append(contender)
            except SystemExit as reason:
                self.leave_out(name, reason)
        race(contenders, repeats)
        for contender in contenders:
            self.report(contender)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", default="build/release/bench", help="folder of the benchmark programs")
    parser.add_argument("--python", default="python3")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--only", default="", help="work whose line holds this")
    parser.add_argument("--compiled", action="store_true", help="also torch.compile, in its default mode")
    parser.add_argument("--in-turn", action="store_true", help="all contenders at once in memory, one repeat of each in turn")
    parser.add_argument("--million", action="store_true", help="also the loss of a million rows, which takes minutes")
    parser.add_argument("--log", default="gpu_bench.log", help="file for what the programs say (gpu_bench.log)")
    parser.add_argument("--device", default="cuda", help=argparse.SUPPRESS)  # to try it without a GPU
    a = parser.parse_args()
    here = os.path.dirname(os.path.abspath(__file__))
    why_not = why_no_torch(a.python, a.device)
    if why_not:
        print(f"note: Kindred's figures stand alone: {a.python}: {why_not}")
    peers = [] if why_not else [("torch eager", []), *([("torch compiled", ["--compile"])] if a.compiled else [])]
    say = lambda text: print(text, flush=True)

    def measure(name, rows, flags, program, script, with_peers=True):
        if a.only not in name:
            return
        commands = [("kindred", [f"{a.programs}/{program}", *flags])]
        if with_peers:
            commands += [(peer, [a.python, f"{here}/{script}", *flags, *more]) for peer, more in peers]
        work = Work(name, rows, say)
        with open(a.log, "a") as log:
            if a.in_turn:
                work.in_turn(commands, a.repeats, log)
            else:
                for contender, command in commands:
                    work.alone(contender, command, a.repeats, log=log)

    for model, size, views, precisions in STEPS:
        for precision in precisions:
            measure(f"{model} at {size}, {views} views, {precision}", views,
                    step_flags(model, size, views, precision, a.device), "bench_train_step", "train_step_torch.py")
    for rows in LOSSES + ([MILLION] if a.million else []):
        name = f"loss alone, {rows} x 128"
        # With more rows an N x N matrix does not fit for any program.
        measure(name, rows, loss_flags(rows, a.device), "bench_loss", "loss_torch.py", rows < 100000)
        if a.only in name:
            taken = subprocess.run([f"{a.programs}/bench_loss", *loss_flags(rows, a.device), "--memory"], capture_output=True,
                                   text=True).stdout
            if taken:  # the gradient, rows x 128 floats, is one of the outputs
                say(f"{name:34} {'kindred':14} {(float(taken) - rows * 512) / 1e6:10.1f} MB beside inputs and gradient")


if __name__ == "__main__":
    sys.exit(main())
