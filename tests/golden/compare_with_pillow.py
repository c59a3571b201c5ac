#!/usr/bin/env python3
"""Decodes every picture below some folders with Kindred and with Pillow, and compares pixels.

    python3 tests/golden/compare_with_pillow.py [--build build/release] FOLDER...

RGB and gray must agree within 2 levels everywhere, CMYK by 3 in the mean; every file must get an outcome in under 2
seconds and under 64 MB beyond its pixels, and none may crash. Fails if any of this does not hold. Two intended
differences are not failures: 16-bit gray (Pillow clips it, Kindred keeps the high byte), and damaged pictures, which
Pillow decodes differently (they are counted and their largest difference is shown).
"""
import argparse
import collections
import pathlib
import subprocess
import sys
import warnings

import numpy as np
from PIL import Image

warnings.simplefilter("ignore")
Image.MAX_IMAGE_PIXELS = 2 * 89_478_485


def by_pillow(path):
    try:
        with Image.open(path) as image:
            image.load()
            mode = image.mode
            if mode.startswith("I"):
                high = (np.asarray(image).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8)
                return mode, np.repeat(high[..., None], 3, axis=2)
            return mode, np.asarray(image.convert("RGB"))
    except Exception as error:  # a malformed file can make Pillow raise anything
        return f"{type(error).__name__}", None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+")
    parser.add_argument("--build", default="build/release")
    parser.add_argument("--verbose", action="store_true")
    a = parser.parse_args()
    paths = sorted(p for folder in a.folders for p in pathlib.Path(folder).rglob("*") if p.is_file() and p.suffix != ".csv")
    program = subprocess.Popen([f"{a.build}/bench/bench_picture_outcomes", "--pixels"], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE)
    counts, failures = collections.Counter(), []
    slowest = largest = worst = worst_damaged = worst_cmyk = 0
    for path in paths:
        program.stdin.write(f"{path}\n".encode())
        program.stdin.flush()
        outcome, form, height, width, ms, held, reason = program.stdout.readline().decode().rstrip("\n").split("\t")
        height, width, ms, held = int(height), int(width), float(ms), int(held)
        pixels = np.frombuffer(program.stdout.read(height * width * 3), np.uint8).reshape(height, width, 3)
        mode, theirs = by_pillow(path)
        counts[outcome, "Pillow refuses" if theirs is None else "Pillow decodes"] += 1
        slowest, largest = max(slowest, ms), max(largest, held)
        if outcome == "crashed":
            failures.append(f"{path}: crashed, {reason}")
        if ms >= 2000:
            failures.append(f"{path}: {ms:.0f} ms")
        if held >= 64e6:
            failures.append(f"{path}: {held / 1e6:.0f} MB beyond its pixels")
        if a.verbose:
            print(f"{path}: {outcome} {form} {width}x{height} {ms:.1f} ms {reason} | Pillow: {mode}")
        if theirs is None or outcome not in ("ok", "damaged"):
            if (theirs is None) == (outcome in ("ok", "damaged")):
                print(f"differs in judgement: {path}: {outcome} ({reason}), Pillow: {mode}")
            continue
        if theirs.shape != pixels.shape:
            failures.append(f"{path}: {pixels.shape}, Pillow {theirs.shape}")
            continue
        difference = np.abs(pixels.astype(int) - theirs.astype(int))
        if outcome == "damaged":
            worst_damaged = max(worst_damaged, difference.max())
        elif mode == "CMYK":
            worst_cmyk = max(worst_cmyk, difference.mean())
            if difference.mean() > 3:
                failures.append(f"{path}: CMYK differs by {difference.mean():.2f} in the mean")
        else:
            worst = max(worst, difference.max())
            if difference.max() > 2:
                failures.append(f"{path}: {mode} differs by {difference.max()}")
    program.stdin.close()
    for (outcome, theirs), count in sorted(counts.items()):
        print(f"{outcome:9} {theirs:15} {count}")
    print(f"largest difference: RGB and gray {worst}, CMYK {worst_cmyk:.3f} in the mean, damaged {worst_damaged}")
    print(f"slowest {slowest:.0f} ms, most memory beyond file and pixels {largest / 1e6:.1f} MB")
    for failure in failures:
        print(f"FAILED: {failure}")
    print(f"{len(paths)} files, {len(failures)} failures")
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
