#!/usr/bin/env python3
"""Where the time of a training step goes on the CPU: samples of perf (Debian's linux-perf), by kind of work.

    python3 bench/profile_step.py [--build build/release] [--steps 6] [--only resnet50]
"""
import argparse
import collections
import os
import re
import subprocess
import tempfile

from train_step import CONFIGURATIONS

# The first pattern that matches a symbol gives its kind. Code that oneDNN makes at run time has no symbol.
KINDS = [
    ("batch norm", r"(apply|backward|sum|reduce|statistics)_tile|for_row_ranges|batch_norm"),
    ("Winograd convolutions of our own", r"winograd::"),
    ("direct convolutions of our own", r"direct::"),
    ("oneDNN, Winograd", r"dnnl.*wino|gemm"),
    ("oneDNN, the rest", r"dnnl|jit"),
    ("pooling", r"pool"),
    ("optimizer", r"optimizer|sgd|lars"),
    ("loss", r"supcon"),
    ("waiting for the other thread", r"gomp|omp_"),
    ("system", r"\[k\]"),
]


def kind_of(symbol):
    for kind, pattern in KINDS:
        if re.search(pattern, symbol, re.IGNORECASE):
            return kind
    return "everything else"


def profile(command, steps):
    """Samples by symbol over `steps` steps. A first step is not recorded, so that start-up is left out."""
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def step():
        process.stdin.write("go\n")
        process.stdin.flush()
        process.stdout.readline()

    step()
    with tempfile.TemporaryDirectory() as folder:
        data = os.path.join(folder, "perf.data")
        perf = subprocess.Popen(["perf", "record", "-q", "-e", "cpu-clock", "-p", str(process.pid), "-o", data],
                                stderr=subprocess.DEVNULL)
        for _ in range(steps):
            step()
        perf.send_signal(2)
        perf.wait()
        report = subprocess.run(["perf", "report", "-i", data, "--stdio", "-F", "sample,dso,sym", "-g", "none", "-w", "0,0,0"],
                                capture_output=True, text=True).stdout
    process.stdin.close()
    process.wait()
    return report


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build/release")
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--only", default="")
    parser.add_argument("--symbols", type=int, default=0, help="also print so many symbols")
    a = parser.parse_args()
    for model, size, views, precision in CONFIGURATIONS:
        key = f"{model}@{size}x{views} {precision}"
        if a.only not in key:
            continue
        report = profile([f"{a.build}/bench/bench_train_step", "--model", model, "--image-size", str(size), "--views",
                          str(views), "--precision", precision], a.steps)
        lines = [l.strip() for l in report.splitlines() if l.strip() and not l.startswith("#")]
        samples = collections.Counter()
        for line in lines:
            count, symbol = line.split(None, 1)
            samples[kind_of(symbol)] += int(count)
        print(key)
        for kind, count in samples.most_common():
            print(f"  {100 * count / samples.total():5.1f} %  {kind}")
        for line in lines[:a.symbols]:
            print("    ", line[:150])


if __name__ == "__main__":
    main()
