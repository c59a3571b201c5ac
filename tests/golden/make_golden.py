#!/usr/bin/python3
"""Makes the golden fixtures of this folder: PyTorch's results, with which Kindred's tests compare.

    python3 tests/golden/make_golden.py [fixture ...] [--out FOLDER] [--float32]

Needs Debian's python3-torch (1.13), python3-torchvision (0.14) and python3-numpy; takes about four minutes on two quiet
cores. No weight file and no data set: weights and inputs come from a formula that C++ computes too (golden_formula.py,
formula.h).
Numbers are float64, printed so that reading gives the same bits. Run it again whenever a fixture's layout changes; the
tests themselves need no Python.

    formula.json         check values of the formula itself                        golden_formula.py
    resnet50.json        \\
    resnet50_calm.json    |
    resnet18.json         } forward, backward, running statistics, evaluation      golden_resnet.py
    resnet18_calm.json    |
    resnet18_odd.json    /
    features.json        features of pictures, from the file on                    golden_features.py
    supcon_steps.json    fifty training steps with SupCon                          golden_recipe.py
    supcon.json          the loss alone, and its published golden vectors          golden_losses.py
    cross_entropy.json   with label smoothing                                      golden_losses.py
    variants.json        losses of other implementations; needs one more package   golden_variants.py
    optimizers.json      SGD, RMSProp, LARS, AdamW and the schedules               golden_optimizers.py

Each module's head describes the layout of its fixtures. --float32 also runs the networks in float32 and prints how far
PyTorch's own float32 is from the fixture: no tolerance can be tighter than that.
"""

import argparse
import json
import pathlib
import time

import torch

import golden_features
import golden_formula
import golden_losses
import golden_optimizers
import golden_recipe
import golden_resnet
import golden_variants

FIXTURES = {
    "formula": golden_formula.check_values,
    "supcon": golden_losses.make_supcon,
    "cross_entropy": golden_losses.make_cross_entropy,
    "variants": golden_variants.make_variants,
    "optimizers": golden_optimizers.make_optimizers,
    "supcon_steps": golden_recipe.make_supcon_steps,
    "features": golden_features.make_features,
    **{name: (lambda name=name: golden_resnet.make_resnet(name)) for name in golden_resnet.CASES},
}


def to_json(value, depth=0):
    """JSON with a line for each entry of the two outer levels, so that a diff of two versions can be read."""
    nested = isinstance(value, (dict, list)) and any(isinstance(v, (dict, list)) for v in entries(value))
    if depth == 2 or not nested:
        return json.dumps(value, allow_nan=False)
    if isinstance(value, dict):
        lines = [f"{json.dumps(key)}: {to_json(entry, depth + 1)}" for key, entry in value.items()]
        return "{\n" + ",\n".join(lines) + "\n}"
    return "[\n" + ",\n".join(to_json(entry, depth + 1) for entry in value) + "\n]"


def entries(value):
    return value.values() if isinstance(value, dict) else value


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    choice = "which to make; all by default: " + ", ".join(FIXTURES)
    parser.add_argument("fixtures", nargs="*", metavar="fixture", help=choice)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).parent, help="folder to write to")
    parser.add_argument("--float32", action="store_true", help="print PyTorch's own float32 deviation")
    arguments = parser.parse_args()
    unknown = set(arguments.fixtures) - set(FIXTURES)
    if unknown:
        parser.error(f"no such fixture: {', '.join(sorted(unknown))}; there are {', '.join(FIXTURES)}")

    torch.set_num_threads(2)
    torch.use_deterministic_algorithms(True)
    for name in arguments.fixtures or FIXTURES:
        started = time.monotonic()
        fixture = FIXTURES[name]()
        path = arguments.out / f"{name}.json"
        path.write_text(to_json(fixture) + "\n")
        print(f"{path}: {path.stat().st_size / 1024:.1f} KiB, {time.monotonic() - started:.1f} s", flush=True)
        if arguments.float32 and name in golden_resnet.CASES:
            print(f"  PyTorch float32 against it: {golden_resnet.float32_deviation(name, fixture)}", flush=True)


if __name__ == "__main__":
    main()
