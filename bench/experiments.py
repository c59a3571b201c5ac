#!/usr/bin/env python3
"""The paper's findings at a small scale: several settings on a part of CIFAR-10, each pretrained and probed.

    bench/experiments.py DATA OUT [--seeds 0,1,2] [--jobs 2] [--only NAME,...] [--write docs/experiments.md]

DATA holds train/<class>/* and test/<class>/* (or CIFAR's binary files). Every run is kept in OUT/NAME-seedN. A finished
run is not repeated, and an interrupted one is resumed. --jobs is the number of runs at the same time; the cores are
divided among them, because the threads of one run wait for each other on a busy machine. Prints a table: mean and
spread of the linear probe's accuracy over the seeds. --write puts it between the two markers of that file.
"""
import argparse
import concurrent.futures
import json
import os
import pathlib
import statistics
import subprocess
import sys

PROGRAMS = pathlib.Path(os.environ.get("KINDRED_APPS", pathlib.Path(__file__).resolve().parent.parent / "build/release/apps"))
# A run of a few minutes on two cores: ResNet-20, 256 images in two views, SGD 0.1, one epoch of warm-up.
COMMON = ["--preset", "cifar-quick", "--knn-every", "5", "--online-probe"]

# group, name, flags of pretrain. The others are compared with the first.
SETTINGS = [
    ("baseline", "supcon", []),
    ("loss", "supcon-in", ["--variant", "in"]),
    ("loss", "simclr", ["--loss", "simclr"]),
    ("loss", "cross-entropy", ["--loss", "cross_entropy"]),
    ("loss", "triplet", ["--loss", "triplet", "--mining", "semi-hard"]),
    ("temperature", "t0.05", ["--temperature", "0.05"]),
    ("temperature", "t0.2", ["--temperature", "0.2"]),
    ("temperature", "t0.5", ["--temperature", "0.5"]),
    ("views", "views1", ["--views", "1"]),
    ("views", "views4", ["--views", "4"]),
    ("head", "head-none", ["--head", "none"]),
    ("head", "head-linear", ["--head", "linear"]),
    ("positives", "cap1", ["--positives-cap", "1"]),
    ("positives", "cap3", ["--positives-cap", "3"]),
    ("queue", "queue", ["--queue", "2048"]),
    ("queue", "queue-momentum", ["--queue", "2048", "--momentum-encoder", "0.99"]),
]
BEGIN, END = "<!-- results -->", "<!-- end of results -->"


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--seeds", default="0", help="comma-separated")
    parser.add_argument("--only", default="", help="comma-separated names")
    parser.add_argument("--per-class", default="500", help="training images of each class")
    parser.add_argument("--epochs", default="10")
    parser.add_argument("--jobs", type=int, default=1, help="settings that run beside each other")
    parser.add_argument("--write", type=pathlib.Path)
    parser.add_argument("--table", action="store_true", help="only print what is there")
    options = parser.parse_args()
    names = {name for _, name, _ in SETTINGS}
    options.only = options.only.split(",") if options.only else sorted(names)
    if unknown := set(options.only) - names:
        sys.exit(f"unknown: {', '.join(sorted(unknown))}; known are {', '.join(sorted(names))}")
    return options


def run(options, name, flags, seed):
    folder = options.out / f"{name}-seed{seed}"
    if (folder / "probe/result.json").exists():
        return
    threads = str(max(1, len(os.sched_getaffinity(0)) // options.jobs))
    environment = {"OMP_NUM_THREADS": threads, **os.environ} if options.jobs > 1 else None
    subset = ["--limit-per-class", options.per_class, "--limit-eval-per-class", "200", "--workers", threads]
    print(f"== {name}, seed {seed}", flush=True)
    subprocess.run([PROGRAMS / "pretrain", options.data, "--out", folder, *COMMON, "--epochs", options.epochs, *subset,
                    "--seed", str(seed), *flags, "--resume"], check=True, env=environment, stdout=subprocess.DEVNULL)
    subprocess.run([PROGRAMS / "linear_probe", options.data, "--encoder", folder / "encoder.safetensors", "--out",
                    folder / "probe", *subset, "--overwrite"], check=True, env=environment, stdout=subprocess.DEVNULL)


def spread(values, sign=""):
    if not values:
        return "not run"
    if len(values) == 1:
        return f"{values[0]:{sign}.3f}"
    return f"{statistics.mean(values):{sign}.3f} ± {statistics.stdev(values):.3f}"


def results(options, name, seeds):
    """{seed: (the probe's top-1, the nearest neighbours' figure)} of the finished runs."""
    found = {}
    for seed in seeds:
        folder = options.out / f"{name}-seed{seed}"
        if (folder / "probe/result.json").exists():
            probe = json.loads((folder / "probe/result.json").read_text())["top1"]
            last = json.loads((folder / "metrics.jsonl").read_text().splitlines()[-1])
            found[seed] = probe, last["knn_top1"]
    return found


def table(options, seeds):
    lines = ["| | setting | flags | linear probe, top-1 | less the baseline's, by seed | nearest neighbours | seeds |",
             "|---|---|---|---|---|---|---|"]
    baseline = results(options, SETTINGS[0][1], seeds)
    for group, name, flags in SETTINGS:
        found = results(options, name, seeds)
        probes, neighbours = [probe for probe, _ in found.values()], [figure for _, figure in found.values()]
        differences = [found[seed][0] - baseline[seed][0] for seed in found if seed in baseline]
        shown = f"`{' '.join(flags)}`" if flags else ""
        less = "" if name == SETTINGS[0][1] else spread(differences, "+")
        lines.append(f"| {group} | {name} | {shown} | {spread(probes)} | {less} | {spread(neighbours)} | {len(found)} |")
    return "\n".join(lines)


def main():
    options = parse()
    seeds = [int(seed) for seed in options.seeds.split(",")]
    errors = []
    if not options.table:
        with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
            runs = [pool.submit(run, options, name, flags, seed) for seed in seeds for _, name, flags in SETTINGS
                    if name in options.only]
            errors = [error for finished in concurrent.futures.as_completed(runs) if (error := finished.exception())]
    result = table(options, seeds)
    print(result)
    if options.write:
        text = options.write.read_text()
        head, rest = text.split(BEGIN, 1)
        tail = rest.split(END, 1)[1]
        options.write.write_text(f"{head}{BEGIN}\n{result}\n{END}{tail}")
    for error in errors:
        print(f"failed: {error}", file=sys.stderr)
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
