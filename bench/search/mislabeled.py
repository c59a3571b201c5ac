#!/usr/bin/env python3
"""Changes the labels of some images in a copy of a set, trains on the copy, and counts how many of them `similar mislabeled` finds.

    python3 bench/search/mislabeled.py DIR OUT [--changed 20] [--limit-per-class N] [--seed 0] [--build build/release] [-- flags of pretrain]

DIR holds train/<class>/*. The copy is OUT/set, of links; OUT/changed.csv names the images whose labels were changed; OUT/run is the
run, OUT/doubtful.csv and OUT/doubtful.html the list. Prints how many of the changed ones are among the first 20, 50 and 100, and how
many would be if the order were by chance. The same command goes on where it was stopped.
"""
import argparse
import csv
import pathlib
import random
import subprocess
import sys

FIRST = (20, 50, 100)


def copy_with_changes(data, copy, changed, limit, draw):
    """Links to the training images. Returns the paths of those that stand in a folder of another class."""
    classes = sorted(folder.name for folder in (data / "train").iterdir() if folder.is_dir())
    images = [(name, file) for name in classes
              for file in sorted(file for file in (data / "train" / name).rglob("*") if file.is_file())[:limit]]
    chosen = set(draw.sample(range(len(images)), changed))
    for name in classes:
        (copy / "train" / name).mkdir(parents=True)
    wrong = []
    for number, (name, file) in enumerate(images):
        given = draw.choice([other for other in classes if other != name]) if number in chosen else name
        link = copy / "train" / given / f"{number:06}{file.suffix}"
        link.symlink_to(file.resolve())
        if given != name:
            wrong.append((str(link), name, given))
    return wrong, len(images)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--changed", type=int, default=20)
    parser.add_argument("--limit-per-class", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--build", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parent.parent.parent / "build/release")
    own, flags = (sys.argv[1:], []) if "--" not in sys.argv else (sys.argv[1:sys.argv.index("--")],
                                                                sys.argv[sys.argv.index("--") + 1:])
    a = parser.parse_args(own)
    copy, run, table = a.out / "set", a.out / "run", a.out / "doubtful.csv"
    if not (a.out / "changed.csv").exists():
        wrong, images = copy_with_changes(a.data, copy, a.changed, a.limit_per_class, random.Random(a.seed))
        with open(a.out / "changed.csv", "w", newline="") as file:
            csv.writer(file).writerows([("path", "class", "given"), *wrong])
    with open(a.out / "changed.csv", newline="") as file:
        found = {row["path"] for row in csv.DictReader(file)}
    apps = a.build / "apps"
    subprocess.run([apps / "pretrain", copy, "--out", run, "--val-fraction", "0", "--resume", *flags], check=True)
    subprocess.run([apps / "similar", "mislabeled", copy, "--encoder", run, "--csv", table, "--html",
                    a.out / "doubtful.html", "--quiet"], check=True)
    with open(table, newline="") as file:
        order = [row["path"] for row in csv.DictReader(file)]
    images = {str(path) for path in (copy / "train").glob("*/*")}
    if not order or not found or not found | set(order) <= images:
        sys.exit(f"{table} or changed.csv names no images of {copy}, or others")
    for first in FIRST:
        print(f"among the first {first}: {sum(path in found for path in order[:first])} of {len(found)} changed labels; "
              f"by chance {len(found) * min(first, len(images)) / len(images):.1f}")
    print(f"in the list of {len(order)}: {sum(path in found for path in order)} of {len(found)}; {len(images)} images")


if __name__ == "__main__":
    main()
