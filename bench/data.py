#!/usr/bin/env python3
"""From image files to normalised views: Kindred, a bare libjpeg-turbo loop, torchvision and DALI, on one core.

    python3 bench/data.py --photos DIR [--small DIR] [--pack FILE] [--build build/release] [--pillow PYTHON] [--tensor PYTHON]
                          [--dali PYTHON] [--repeats 7] [--only crop]

DIR holds train/<class>/*.jpg: photos for 224 x 224, small images for 32 x 32. The Pythons are interpreters that have
torchvision (any version) for Pillow images, torchvision with v2 transforms for tensors, and DALI. All programs work on
the same files, pinned to one core. FILE is a pack (pack_dataset): measures how fast its images are read with checksums,
compared with reading the whole file from the page cache, and with the folder of photos. Only the lines with "workers"
may use two cores. Medians of interleaved repeats.
"""
import argparse
import os

from interleave import Contender, race, spread

WORKS = {  # images per repeat, views per image
    "crop": (320, 1),
    "sim": (64, 2),
    "cifar": (2000, 2),
    "workers": (320, 2),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", required=True)
    parser.add_argument("--small")
    parser.add_argument("--pack")
    parser.add_argument("--build", default="build/release")
    parser.add_argument("--pillow", default="/usr/bin/python3")
    parser.add_argument("--tensor")
    parser.add_argument("--dali")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--only", default="")
    a = parser.parse_args()
    here = os.path.dirname(os.path.abspath(__file__))

    for work, (images, views) in WORKS.items():
        data = a.small if work == "cifar" else a.photos
        if (a.only and a.only != work) or not data:
            continue

        def ours(name, what, workers=0, pinned=True):
            pin = ["taskset", "-c", "0"] if pinned else []
            return Contender(name, [*pin, f"{a.build}/bench/bench_data", "--work", what, "--data", data, "--images",
                                    str(images), "--workers", str(workers)])

        def peer(name, python, kind):
            return Contender(name, ["taskset", "-c", "0", python, f"{here}/data_peers.py", "--work", work, "--peer", kind,
                                    "--data", data, "--images", str(images)])

        if work == "workers":
            contenders = [ours("kindred, 2 workers", "sim", 2, False), ours("kindred, 1 worker", "sim", 1, False)]
        else:
            contenders = [ours("kindred", work)]
            if work == "crop":
                contenders += [ours("bare loop, whole pictures", "bare"), ours("bare loop, parts", "bare_part")]
            for name, python, kind in [("torchvision, Pillow", a.pillow, "pillow"), ("torchvision v2, tensors", a.tensor, "tensor"),
                                       ("DALI, CPU", a.dali, "dali")]:
                if python and not (work == "cifar" and kind == "dali"):
                    contenders.append(peer(name, python, kind))
        race(contenders, a.repeats)
        own = spread(contenders[0].times)[0]
        for c in contenders:
            median, low, high = spread(c.times)
            print(f"{work:8} {c.name:26} {median:9.1f} ms ({low:.1f} to {high:.1f})  {images * views / median * 1e3:9.1f} views/s"
                  f"  kindred is {median / own:.2f}x", flush=True)

    if a.pack and (not a.only or a.only == "read"):
        def reader(name, what, data):
            return Contender(name, ["taskset", "-c", "0", f"{a.build}/bench/bench_data", "--work", what, "--data", data])

        contenders = [reader("kindred, pack", "read", a.pack), reader("page cache, read(2)", "page_cache", a.pack),
                      reader("kindred, folder", "read", a.photos)]
        race(contenders, a.repeats)
        own, size = spread(contenders[0].times)[0], os.path.getsize(a.pack)
        for c in contenders:
            median, low, high = spread(c.times)
            print(f"read     {c.name:26} {median:9.1f} ms ({low:.1f} to {high:.1f})  {size / median / 1e6:9.2f} GB/s"
                  f"  kindred is {median / own:.2f}x", flush=True)


if __name__ == "__main__":
    main()
