#!/usr/bin/env python3
"""What scripts/gpu_flight.sh runs. See docs/gpu_flight.md."""
import argparse
import pathlib
import shutil
import sys
import tarfile
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "bench"))

import pack
import part_a
import part_b
import part_c
import part_d
import rehearsal
from places import Places, extract
from steps import OUT_BYTES, Flight, MayBeMissing, Overtime

PARTS = {"a": part_a, "b": part_b, "c": part_c, "d": part_d}
USAGE = """scripts/gpu_flight.sh --pack FILE [--data FOLDER_OR_TAR] [--build FOLDER]
       scripts/gpu_flight.sh --part a|b|c|d --seconds N --out DIR [--plans FILE] [--python PYTHON] [--allow-missing NAME]...
       scripts/gpu_flight.sh --rehearse [--build FOLDER] [--seconds N]"""


class PartFlight(Flight):
    """A part, with everything that all of its steps need."""

    def __init__(self, a, scratch):
        self.scratch = pathlib.Path(scratch)
        self.places = Places(a.build)
        cache = self.scratch / "cache"
        cache.mkdir(mode=0o700)
        super().__init__(a.part, a.seconds, a.out, {**self.places.environment(), "XDG_CACHE_HOME": str(cache)}, a.allow_missing)
        self.python, self.small, self.cases, self.cache = a.python, a.small, a.cases, cache
        self.case_seconds = a.case_seconds
        if a.plans:
            self.take_plans(pathlib.Path(a.plans))

    def missing(self, step, name, why):
        raise MayBeMissing(name, why)

    def take_plans(self, path):
        """Plans are a cache: without them the part only takes longer, so errors here do not stop it."""
        try:
            extract(path, self.cache)
            self.add_row("known plans", f"{sum(1 for f in self.cache.rglob('*') if f.is_file())} files from {path}")
        except (OSError, tarfile.TarError) as error:
            self.add_row("known plans", f"{path}: {error}", ok=False)

    def leave_plans(self):
        """Choices are small, compiled kernels are large: if there is too much to return, the largest files are left
        out."""
        packed = self.scratch / "plans.tgz"
        files = sorted((f for f in self.cache.rglob("*") if f.is_file()), key=lambda f: f.stat().st_size)
        left_out = []
        while True:
            with tarfile.open(packed, "w:gz", compresslevel=3) as tar:
                for path in files:
                    tar.add(path, path.relative_to(self.cache))
            excess = packed.stat().st_size / OUT_BYTES
            if excess <= 1 or not files:
                break
            keep = sum(f.stat().st_size for f in files) / excess * 0.95
            while files and sum(f.stat().st_size for f in files) > keep:
                left_out.append(files.pop())
        if left_out:
            self.add_row("files", f"plans.tgz, {OUT_BYTES >> 20} MiB at most, was refused {len(left_out)} files: {left_out[0].name} of "
                         f"{left_out[0].stat().st_size / 2**20:.1f} MiB and smaller ones", ok=False)
        self.keep(packed, "plans.tgz")


def fly(a):
    scratch = tempfile.mkdtemp(prefix="kindred_flight_")
    try:
        return fly_part(a, PartFlight(a, scratch))
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def fly_part(a, flight):
    try:
        flight.steps = PARTS[a.part].steps(flight)
        if a.only:
            flight.choose(a.only)
        if a.small:  # a busy machine takes seconds to start a program
            flight.steps = [(name, max(share, 20), function) for name, share, function in flight.steps]
        flight.fly()
        try:
            flight.leave_plans()
        except (Overtime, OSError) as reason:
            flight.add_row("plans", f"plans.tgz was not written: {reason}", ok=False)
        flight.finished = True
    finally:
        code = flight.land()
    return code


def main():
    parser = argparse.ArgumentParser(usage=USAGE, add_help=True)
    parser.add_argument("--pack", metavar="FILE", help="build for H100 and H200, and pack what a flight needs (.tar.xz, .tar.gz)")
    parser.add_argument("--data", help="images to take along: a data set's folder, or a tar file of one")
    parser.add_argument("--build", help="a build folder, in place of build/flight")
    parser.add_argument("--part", choices=sorted(PARTS))
    parser.add_argument("--seconds", type=int, help=f"that the part, or the rehearsal, may take in all ({rehearsal.MOST_SECONDS})")
    parser.add_argument("--out", help="folder for the table, the log, plans and profiles: 8 files of 16 MiB at most")
    parser.add_argument("--plans", metavar="FILE", help="plans.tgz of an earlier part")
    parser.add_argument("--python", default="python3", help="one that has PyTorch")
    parser.add_argument("--allow-missing", action="append", default=[], choices=["torch", "cupti", "compute-sanitizer"],
                        help="what may be missing: its steps are then named, but not red")
    parser.add_argument("--cases", default="*", help="of part a: GPU cases that match, as doctest's --test-case")
    parser.add_argument("--case-seconds", type=int, default=90, help="for each test case")
    parser.add_argument("--only", metavar="STEP", help="this step of the part alone, by its name in the table")
    parser.add_argument("--rehearse", action="store_true", help="all of it without a GPU")
    parser.add_argument("--small", action="store_true", help=argparse.SUPPRESS)  # sizes for the emulation
    a = parser.parse_args()
    if sum(map(bool, (a.pack, a.part, a.rehearse))) != 1:
        parser.error("give one of --pack, --part and --rehearse")
    if a.part and (not a.out or not a.seconds or a.seconds < 10):
        parser.error("--part needs --out DIR and --seconds N, 10 or more")
    if a.rehearse and a.seconds is not None and a.seconds < 1:
        parser.error("--seconds of a rehearsal: 1 or more")
    if a.data and not a.pack:
        parser.error("--data is for --pack")
    if a.pack:
        return pack.pack(a)
    return rehearsal.rehearse(a) if a.rehearse else fly(a)


if __name__ == "__main__":
    sys.exit(main())
