#!/usr/bin/env python3
"""What share of a run its pages and events take (aim: under 1 % on CIFAR-10).

    python3 bench/seen.py DIR [--build build/release] [PRETRAIN_FLAG...]     by default --preset cifar-quick

Runs `pretrain DIR --report` as it is, and reads from outside when it does what. After the line of an epoch it writes metrics,
events and, now and then, a page, so the newest time of these files says when it was done; after its last line it writes the
projector's files and the page with images. All that counts, metrics.jsonl as well. Prints the parts, and their share of the
time of the whole process.
"""
import argparse
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import time

AIM = 0.01
WRITTEN = ("metrics.jsonl", "report.html", "tensorboard/*")
EPOCH = re.compile(r"epoch +\d+")


def newest(run):
    """When the last of the files that show the run was written, in seconds since 1970."""
    times = []
    for file in (file for pattern in WRITTEN for file in run.glob(pattern)):
        try:
            times.append(file.stat().st_mtime)
        except FileNotFoundError:  # it is being replaced
            pass
    return max(times, default=0)


def watch(command, run):
    """Runs the command. Returns when it ended, the times at which it wrote lines, with the lines, and those of the files."""
    lines, written = [], set()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=sys.stderr, text=True) as program:
        reader = threading.Thread(target=lambda: lines.extend((time.time(), line) for line in program.stdout))
        reader.start()
        while program.poll() is None:
            written.add(newest(run))
            time.sleep(0.02)
        end = time.time()
        reader.join()
    if program.returncode != 0:
        sys.exit(f"error: pretrain ended with code {program.returncode}")
    return end, lines, sorted(written)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dir")
    parser.add_argument("--build", default="build/release")
    a, flags = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as folder:
        run = pathlib.Path(folder) / "run"
        start = time.time()
        end, lines, written = watch([f"{a.build}/apps/pretrain", a.dir, "--out", run, "--report",
                                     *(flags or ["--preset", "cifar-quick"])], run)
        size = (run / "report.html").stat().st_size
    epochs = [told for told, line in lines if EPOCH.match(line)]
    if not epochs:
        sys.exit("error: pretrain has said nothing of an epoch")
    said_all = lines[-1][0]
    # What is written in the second half of the time until the next line belongs to that one, which is read a little late.
    in_epochs = sum(max((at - told for at in written if told <= at < (told + until) / 2), default=0.0)
                    for told, until in zip(epochs, [*epochs[1:], said_all]))
    whole, at_end = end - start, end - said_all
    print(f"{whole:.1f} s for {len(epochs)} epochs: {in_epochs:.2f} s for metrics, events and pages of epochs, {at_end:.2f} s "
          f"for the files and the page at the end ({size / 1e6:.1f} MB)")
    print(f"share {100 * (in_epochs + at_end) / whole:.2f} % (aim: under {100 * AIM:g} %), at the end alone "
          f"{100 * at_end / whole:.2f} %")


if __name__ == "__main__":
    main()
