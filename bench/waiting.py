#!/usr/bin/env python3
"""What it costs that threads wait for each other by spinning, on a quiet machine and beside other programs.

    python3 bench/waiting.py [--build build/release] [--repeats 7] [--busy 0 1 2] [--waiting kindred passive]

Runs the training step with GNU OpenMP's own waiting (a thread spins for 300,000 rounds, some milliseconds) and with others,
some seconds of each in turn: `kindred` is what the programs do (engine/cpu/waiting.h), `passive` does not spin, and a number is
GOMP_SPINCOUNT. `--busy` is the number of other processes that compute all the time. Prints for each the median time, and
the ratio to OpenMP's own waiting (below 1: faster).
"""
import argparse
import os
import subprocess
import sys

from interleave import Contender, race, spread

SECONDS_OF_A_TURN = 4  # a program of Kindred looks five times a second whether others use the machine

CONFIGURATIONS = [("resnet20", 32, 64), ("resnet18", 64, 64)]  # model, image size, views
WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
OWN = "OpenMP's own"


def environment(waiting):
    """The environment of this process with another waiting than the user has set."""
    env = {name: value for name, value in os.environ.items() if name not in WAITING}
    if waiting == "passive":
        env["OMP_WAIT_POLICY"] = "passive"
    elif waiting != "kindred":
        env["GOMP_SPINCOUNT"] = "300000" if waiting == OWN else waiting
    return env


class Turns(Contender):
    """One repeat is as many steps as fit into a turn; its time is that of a step on average."""

    def repeat(self):
        times = []
        while sum(times) < 1000 * SECONDS_OF_A_TURN:
            times.append(super().repeat())
        return sum(times) / len(times)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build/release")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--busy", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--waiting", nargs="+", default=["kindred", "passive"])
    a = parser.parse_args()
    for busy in a.busy:
        for model, size, views in CONFIGURATIONS:
            contenders = []
            for waiting in [OWN, *a.waiting]:
                command = [f"{a.build}/bench/bench_train_step", "--model", model, "--image-size", str(size),
                           "--views", str(views)]
                contenders.append(Turns(waiting, command, environment(waiting)))
            others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(busy)]
            try:
                race(contenders, a.repeats, warmup=1)
            finally:
                for other in others:
                    other.kill()
            own = spread(contenders[0].times)[0]
            for contender in contenders:
                median, low, high = spread(contender.times)
                print(f"{busy} beside it, {model}@{size}x{views}: {contender.name:12} {median:8.2f} ms"
                      f" ({low:.2f} to {high:.2f})  {median / own:.3f}", flush=True)


if __name__ == "__main__":
    main()
