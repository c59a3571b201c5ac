#!/usr/bin/env python3
"""PNG files to RGB pixels: Kindred beside Debian's Pillow, on one core, in one run.

    /usr/bin/python3 bench/png.py [--build build/release] [--pillow /usr/bin/python3] [--repeats 9]

Draws its own pictures, and writes them with Pillow's defaults: RGB like photos, gray of 8 megapixels like x-rays, and
palettes. Pillow opens a file and converts it to RGB, Kindred does the same; both read from the page cache, pinned to the
same core, in turn. Prints medians with quartiles, and the median ratio of Pillow's time to Kindred's of each round.
Drawing needs NumPy (python3-numpy, python3-pil).
"""
import argparse
import pathlib
import statistics
import sys
import tempfile
import time

from interleave import Contender, race, spread

KINDS = {  # pictures, height, width
    "photo": (12, 768, 1024),
    "x-ray": (4, 3072, 2688),
    "palette": (12, 768, 1024),
}


def smooth_field(random, height, width, cells):
    """Random hills from 0 to 1 that are `cells` to a side."""
    import numpy as np
    from PIL import Image
    coarse = Image.fromarray((random.random((cells, cells)) * 255).astype(np.uint8))
    return np.asarray(coarse.resize((width, height), Image.BICUBIC), np.float32) / 255


def draw(kind, height, width, seed):
    import numpy as np
    from PIL import Image
    random = np.random.default_rng(seed)
    if kind == "x-ray":
        y, x = np.mgrid[0:height, 0:width].astype(np.float32)
        lungs = np.exp(-(((np.abs(x / width - 0.5) - 0.2) / 0.12) ** 2 + ((y / height - 0.45) / 0.3) ** 2))
        ribs = 12 * np.sin(y / height * 70 + 6 * np.abs(x / width - 0.5))
        levels = 170 - 90 * lungs + ribs * lungs + 40 * smooth_field(random, height, width, 6)
        levels += random.normal(0, 1.5, (height, width))
        return Image.fromarray(levels.clip(0, 255).astype(np.uint8))
    planes = []
    for _ in range(3):
        plane = 150 * smooth_field(random, height, width, 5) + 60 * smooth_field(random, height, width, 60)
        planes.append((plane + 30 + random.normal(0, 3, (height, width))).clip(0, 255).astype(np.uint8))
    picture = Image.fromarray(np.stack(planes, axis=2))
    return picture.quantize(200) if kind == "palette" else picture


def files(folder):
    return sorted(str(path) for path in pathlib.Path(folder).glob("train/*/*.png"))


def pillow(folder):
    """Pillow's side: one repeat for every line of standard input."""
    from PIL import Image
    paths = files(folder)
    for _ in sys.stdin:
        start = time.perf_counter()
        for path in paths:
            with open(path, "rb") as file:
                Image.open(file).convert("RGB")
        print(f"{(time.perf_counter() - start) * 1e3:.3f}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build/release")
    parser.add_argument("--pillow", default="/usr/bin/python3")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--peer", help=argparse.SUPPRESS)  # a folder: be Pillow's side
    a = parser.parse_args()
    if a.peer:
        return pillow(a.peer)
    with tempfile.TemporaryDirectory() as top:
        for kind, (count, height, width) in KINDS.items():
            folder = pathlib.Path(top, kind)
            for i in range(count):
                path = folder / "train" / "ab"[i % 2] / f"{i:02}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                draw(kind, height, width, i).save(path)
            for label in "ab":  # so that nothing is held out
                path = folder / "val" / label / "small.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                draw(kind, 8, 8, 0).save(path)
            megabytes = sum(pathlib.Path(path).stat().st_size for path in files(folder)) / 1e6
            pinned = ["taskset", "-c", "0"]
            kindred = Contender("kindred", [*pinned, f"{a.build}/bench/bench_data", "--work", "pictures", "--data", str(folder),
                                            "--images", str(count)])
            theirs = Contender("Pillow", [*pinned, a.pillow, __file__, "--peer", str(folder)])
            race([kindred, theirs], a.repeats)
            ratio = statistics.median(t / k for t, k in zip(theirs.times, kindred.times))
            for c in (kindred, theirs):
                median, low, high = spread(c.times)
                print(f"{kind:8} {c.name:8} {median:9.1f} ms ({low:.1f} to {high:.1f})  "
                      f"{count * height * width / median / 1e3:8.1f} megapixels/s", flush=True)
            print(f"{kind:8} {count} files of {height} x {width}, {megabytes:.1f} MB: kindred is {ratio:.2f}x", flush=True)


if __name__ == "__main__":
    main()
