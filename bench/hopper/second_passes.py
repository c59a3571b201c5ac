#!/usr/bin/env python3
"""Bytes that the second passes of batch norm find in the L2 cache, for ResNet-50 at 224, walked forwards or backwards.

A pass walks all its segments at once, so its place is one fraction of the tensor; a tensor is 512 chunks here, and the cache
keeps the chunks that were touched last (reads and writes). What ran before the first pass is left out.
"""
import argparse
from collections import OrderedDict

CHUNKS = 512


def missed(passes, capacity):
    """Bytes read from memory by the last pass. A pass: (tensors read, tensors written, is backwards); a tensor: (name, bytes)."""
    cache, used, missing = OrderedDict(), 0, 0
    for read, written, backwards in passes:
        missing = 0
        for chunk in range(CHUNKS - 1, -1, -1) if backwards else range(CHUNKS):
            for tensors, reads in ((read, True), (written, False)):
                for name, size in tensors:
                    key = name, chunk
                    if key in cache:
                        cache.move_to_end(key)
                        continue
                    missing += size / CHUNKS if reads else 0
                    cache[key] = size / CHUNKS
                    used += size / CHUNKS
                    while used > capacity:
                        used -= cache.popitem(last=False)[1]
    return missing


def norms():
    """(channels, side, relu, residual) of the 53 norms."""
    yield 64, 112, True, False
    for width, side, blocks in ((64, 56, 3), (128, 28, 4), (256, 14, 6), (512, 7, 3)):
        for block in range(blocks):
            before = side * 2 if block == 0 and width > 64 else side
            yield width, before, True, False
            yield width, side, True, False
            yield 4 * width, side, True, True
            if block == 0:
                yield 4 * width, side, False, False


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--bandwidth", type=float, default=4.3e12, help="bytes a second")
    parser.add_argument("--cache", type=float, nargs="+", default=[60, 40, 25], help="megabytes that hold data")
    a = parser.parse_args()
    kinds = {}
    for kind in norms():
        kinds[kind] = kinds.get(kind, 0) + 1
    for capacity in a.cache:
        print(f"cache of {capacity:.0f} MB: MB of a layer's second passes that are read from memory, forwards -> backwards")
        print("channels side residual layers    x MB        apply           backward      saved MB, all layers")
        total = [0.0, 0.0]
        for (c, side, relu, residual), layers in kinds.items():
            size = 2.0 * a.images * side * side * c
            x, y, dy, dx = ("x", size), ("y", size), ("dy", size), ("dx", size)
            mask = [("mask", size / 16)] if relu else []
            extra = [("residual", size)] if residual else []
            read, kept = ([dy, ("addend", size), x, *mask], [("dz", size)]) if residual else ([dy, x, *mask], [])
            second = [("dz", size), x] if residual else [dy, x, *mask]
            row = []
            for first, last in ((([x], []), ([x, *extra], [y, *mask])), ((read, kept), (second, [dx]))):
                row.append([missed([(*first, False), (*last, backwards)], capacity * 1e6) / 1e6
                            for backwards in (False, True)])
            saved = [layers * (f - b) for f, b in row]
            total = [t + s for t, s in zip(total, saved)]
            print(f"{c:8} {side:4} {'yes' if residual else 'no':>8} {layers:6} {size / 1e6:7.0f} "
                  f"{row[0][0]:8.0f} ->{row[0][1]:5.0f} {row[1][0]:8.0f} ->{row[1][1]:5.0f} {sum(saved):12.0f}")
        print(f"saved: apply {total[0] / 1e3:.2f} GB, backward {total[1] / 1e3:.2f} GB, "
              f"{sum(total) * 1e6 / a.bandwidth * 1e3:.2f} ms at {a.bandwidth / 1e12:.1f} TB/s\n")


if __name__ == "__main__":
    main()
