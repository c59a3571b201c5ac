#!/usr/bin/env python3
"""Measured times of a step's kernels beside the predicted ones, by kernel, the largest difference first.

    python3 bench/hopper/table.py --json now.json                     at home, from the same build
    python3 bench/hopper/measured.py b_kernels.txt now.json           with what part b of scripts/gpu_flight.sh brought back

b_kernels.txt is what `bench_train_step --kernels FILE` writes: microseconds of a step, from CUPTI. The names of cuDNN's and
cuBLASLt's kernels do not say what they were called for, so these are compared as one sum.
"""
import argparse
import collections
import pathlib
import sys

import kernels as of_kernels
import table

LIBRARIES = "cuDNN and cuBLASLt"
BY_LIBRARIES = ("convolutions forward", "their data gradients", "their filters' gradients")
COPIES = ("copy to the GPU", "copy from the GPU", "copy on the GPU", "fill")


def is_of_libraries(row):
    return row["kind"] in BY_LIBRARIES or row["name"].startswith("product ")


def read_measured(text):
    """{short name: (launches, seconds)} of a step. Throws ValueError."""
    found = {}
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        if not line.strip():
            break  # PyTorch's kernels stand below
        fields = line.split("\t")
        if len(fields) != 9:
            raise ValueError(f"a line of {len(fields)} fields, expected 9: {line[:80]!r}")
        name = of_kernels.short(fields[8])
        launches, seconds = found.get(name, (0.0, 0.0))
        found[name] = (launches + float(fields[2]), seconds + float(fields[0]) * 1e-6)
    if not found:
        raise ValueError("there is no kernel in it")
    return found


def compared(predicted, measured):
    """[name, predicted launches, measured launches, predicted seconds, measured seconds]"""
    rows = collections.OrderedDict()

    def at(name):
        return rows.setdefault(name, [name, 0.0, 0.0, 0.0, 0.0])

    own = {row["name"] for row in predicted if not is_of_libraries(row)}
    for row in predicted:
        name = LIBRARIES if is_of_libraries(row) else "copies and fills" if row["kind"] == "copies and fills" else row["name"]
        at(name)[1] += row["launches"]
        at(name)[3] += row["seconds"]
    for name, (launches, seconds) in measured.items():
        # Kernels of Kindred that were not predicted keep their name: they are what the prediction forgot.
        is_own = name in own or name.split("<")[0].endswith("_kernel")
        where = "copies and fills" if name in COPIES else name if is_own else LIBRARIES
        at(where)[2] += launches
        at(where)[4] += seconds
    return sorted(rows.values(), key=lambda row: -abs(row[4] - row[3]))


def markdown(rows):
    lines = ["| kernel | launches predicted | measured | ms predicted | measured | difference | ratio |", "|---|---|---|---|---|---|---|"]
    total = ["**in all**", *(sum(row[i] for row in rows) for i in range(1, 5))]
    for name, planned, launches, expected, seconds in [*rows, total]:
        ratio = f"{seconds / expected:.2f}" if expected and seconds else "not measured" if expected else "not predicted"
        lines.append(f"| {name} | {table.times_text(planned)} | {table.times_text(launches)} | {expected * 1e3:.3f} | {seconds * 1e3:.3f} | "
                     f"{(seconds - expected) * 1e3:+.3f} | {ratio} |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("measured", type=pathlib.Path)
    parser.add_argument("predicted", type=pathlib.Path)
    arguments = parser.parse_args()
    try:
        measured = read_measured(arguments.measured.read_text())
    except (OSError, ValueError) as why:
        sys.exit(f"measured.py: error: {arguments.measured}: {why}; give what bench_train_step --kernels wrote")
    _, predicted = table.read_kept(arguments.predicted, "measured.py", "")
    print(markdown(compared(predicted, measured)))


if __name__ == "__main__":
    main()
