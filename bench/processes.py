#!/usr/bin/env python3
"""N processes of one thread each beside one process of N threads, on one machine, in one run.

    python3 bench/processes.py [--build build/release] [--processes 2] [--repeats 5] [--only resnet20] [--trace]

Both train with `pretrain` on the same toy set, with the same batches and as many threads in all, in turn. The speed of a run is
that of its steps as metrics.jsonl says it (step_views_per_second), without the first epoch. What processes agree on between
steps counts as their wait for data, so the speed with this wait is printed too. Prints medians with quartiles, and the median
ratio of the rounds (above 1: the processes are faster).

`--trace` trains once with N processes and shows for each bucket of gradients how long before the end of backward it left.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import tempfile

from interleave import spread

# Model, image size, images of the set. An epoch is as many steps as there are batches of 64 images.
CONFIGURATIONS = [("resnet20", 32, 512), ("resnet18", 64, 256)]
BATCH, EPOCHS, CLASSES = 64, 3, 8
AIM = 0.95
BUSY = 0.85  # a quartile below this share of the median: other programs took the cores


def draw(build, folder, images):
    """The toy set of so many images."""
    out = folder / f"set{images}"
    if not out.exists():
        subprocess.run([f"{build}/apps/make_toy_dataset", out, "--classes", str(CLASSES), "--per-class", str(images // CLASSES)],
                       check=True, stdout=subprocess.DEVNULL)
    return out


def train(build, folder, configuration, processes, threads):
    """Lines of metrics.jsonl of a run with so many processes, and so many threads in each."""
    model, size, images = configuration
    out = folder / "run"
    command = [f"{build}/apps/pretrain", draw(build, folder, images), "--out", out, "--overwrite", "--device", "cpu",
               "--model", model, "--image-size", str(size), "--batch-size", str(BATCH), "--epochs", str(EPOCHS),
               "--processes", str(processes), "--workers", str(threads), "--knn-every", "0", "--checkpoint-every", "1000000"]
    done = subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": str(threads)}, timeout=600, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))} ended with code {done.returncode}:\n{done.stdout}")
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    if any(line.get("processes", 1) != processes for line in lines):
        raise SystemExit(f"the run of {processes} processes says it had another number of them")
    return lines


def speeds(lines):
    """Views per second after the first epoch: of the steps, and with the wait between them. Epochs have equal views."""
    steps = [line["step_views_per_second"] for line in lines[1:]]
    waited = [line["step_views_per_second"] * (1 - line["data_wait"]) for line in lines[1:]]
    return statistics.harmonic_mean(steps), statistics.harmonic_mean(waited)


def compare(build, folder, configuration, processes, repeats):
    kinds = {"processes": (processes, 1), "threads": (1, processes)}
    measured = {kind: [] for kind in kinds}
    for i in range(repeats):
        order = list(kinds) if i % 2 == 0 else list(reversed(kinds))
        for kind in order:
            measured[kind].append(speeds(train(build, folder, configuration, *kinds[kind])))
    name = f"{configuration[0]}@{configuration[1]}"
    for kind, what in (("processes", f"{processes} processes of 1 thread"), ("threads", f"1 process of {processes} threads")):
        median, low, high = spread([speed[0] for speed in measured[kind]])
        busy = "  disturbed by other programs: run it again" if low < BUSY * median else ""
        print(f"{name:12} {what:24} {median:7.1f} views/s ({low:.1f} to {high:.1f}){busy}")
    of_steps, with_wait = (statistics.median(p[i] / t[i] for p, t in zip(measured["processes"], measured["threads"]))
                           for i in (0, 1))
    print(f"{name:12} ratio {of_steps:.3f}, with the wait between steps {with_wait:.3f} (aim {AIM})", flush=True)


def trace(build, folder, configuration, processes):
    last = train(build, folder, configuration, processes, 1)[-1]
    name = f"{configuration[0]}@{configuration[1]}"
    if "gradients" not in last:
        raise SystemExit(f"{build}/apps/pretrain does not report how gradients travel; build it anew")
    gradients = last["gradients"]
    step_ms = 2e3 * BATCH / last["step_views_per_second"]
    print(f"{name}: {gradients['buckets']} buckets, {gradients['started_early']} sent while backward ran; after it"
          f" {gradients['wait_ms']:.1f} ms of a step of {step_ms:.0f} ms are waited for the rest")
    for i, bucket in enumerate(gradients["sent"]):
        print(f"  bucket {i + 1}: {bucket['mb']:6.1f} MB  left {bucket['ms_ahead']:6.1f} ms before the end of backward",
              flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build/release")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--only", choices=[configuration[0] for configuration in CONFIGURATIONS])
    parser.add_argument("--trace", action="store_true", help="only show how gradients travel")
    a = parser.parse_args()
    if a.processes < 2 or BATCH % a.processes != 0:
        parser.error(f"--processes {a.processes}: expected 2 or more that divide a batch of {BATCH}")
    with tempfile.TemporaryDirectory() as folder:
        for configuration in CONFIGURATIONS:
            if a.only not in (None, configuration[0]):
                continue
            if a.trace:
                trace(a.build, pathlib.Path(folder), configuration, a.processes)
            else:
                compare(a.build, pathlib.Path(folder), configuration, a.processes, a.repeats)


if __name__ == "__main__":
    main()
