#!/usr/bin/env python3
"""The test of the tests: plants the errors of a list, one at a time, and expects the cases named beside each to fail.

An error that survives means that a check cannot fail, which is a defect of the suite. scripts/mutation_sample.py draws
errors at random.
"""
import argparse
import concurrent.futures
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys

from mutation import (errors_beside, errors_in_features, errors_in_findings, errors_in_kernels, errors_in_programs, errors_in_vectors,
                      errors_on_hopper)
from mutation.planting import ROOT, Planter


def text_with(source, before, after):
    text = (ROOT / source).read_text()
    if text.count(before) != 1:
        sys.exit(f"mutation test: {source} has {text.count(before)} times {before!r}, expected once")
    return text.replace(before, after)


def red(program, cases, **environment):
    """True if `cases` of the test program fail. A crash, a hang, or names without a case would prove nothing."""
    if "*" in cases.split(","):  # a name with a comma was split
        sys.exit(f"mutation test: {cases!r} names every case")
    try:
        result = subprocess.run([program, "--abort-after=1", f"--test-case={cases}"], stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL, env=dict(os.environ, OMP_WAIT_POLICY="passive", **environment),
                                timeout=600)
    except subprocess.TimeoutExpired:
        return False
    return result.returncode == 1  # doctest's code for failed checks


def noticed_by(tests, planter, source, before, after, cases=errors_in_kernels.GRADIENT_TESTS, through=None):
    objects = planter.plant(source, text_with(source, before, after), [through] if through else [])
    program = next(iter(objects.values())).with_suffix(".tests")
    planter.link(tests, objects, program)
    try:
        return red(program, cases)
    finally:
        program.unlink()


def noticed_in_kernel(planter, *error):
    return noticed_by("tests/emulated_tests", planter, *error)  # there kernels of the GPU run on the host


def noticed_in_library(planter, source, *error):
    # Cases that need no GPU are known to pass only in the program that runs them in every run of the tests.
    of_gpu = source.endswith(".cu") or source.startswith("third_party/nccl/")
    tests = "tests/emulated_tests" if of_gpu else "tests/kindred_tests"
    return noticed_by(tests, planter, source, *error)


def noticed_in_program(planter, source, before, after, cases):
    objects = planter.plant(source, text_with(source, before, after))
    folder = next(iter(objects.values())).with_suffix(".programs")
    shutil.rmtree(folder, ignore_errors=True)
    planter.link_programs(objects, folder)
    tests = folder / "kindred_tests"
    if not planter.link("tests/kindred_tests", objects, tests):
        tests = planter.build / "tests/kindred_tests"
    try:
        return red(tests, cases, KINDRED_APPS_DIR=str(folder))
    finally:
        shutil.rmtree(folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release")
    parser.add_argument("--force", action="store_true", help="run even when nothing changed since the last pass")
    parser.add_argument("--only", default="", metavar="TEXT", help="only errors in sources whose path contains TEXT")
    parser.add_argument("--all", action="store_true", help="the lists beside as well: half an hour more")
    a = parser.parse_args()
    planter = Planter(a.build, a.build / "mutation")
    state = hashlib.sha256()
    lists = [pathlib.Path(m.__file__) for m in (errors_in_kernels, errors_in_programs)]
    programs = [a.build / "tests/kindred_tests", a.build / "tests/emulated_tests", a.build / "apps/pretrain"]
    for path in [*programs, *lists, pathlib.Path(__file__)]:
        state.update(path.read_bytes())
    stamp = planter.work / "passed"
    if not (a.force or a.only or a.all) and stamp.exists() and stamp.read_text() == state.hexdigest():
        print("mutation test: nothing changed since it last passed")
        return
    planted = [(noticed_in_kernel, e) for e in errors_in_kernels.ERRORS]
    planted += [(noticed_in_program, e) for e in errors_in_programs.ERRORS]
    if a.all:
        planted += [(noticed_in_kernel, e) for e in errors_on_hopper.ERRORS]
        planted += [(noticed_in_program, e) for e in
                    errors_beside.ERRORS + errors_in_features.ERRORS_IN_PROGRAMS + errors_in_findings.ERRORS_IN_PROGRAMS]
        planted += [(noticed_in_library, e) for e in errors_in_vectors.ERRORS + errors_in_features.ERRORS_IN_LIBRARY + errors_in_findings.ERRORS_IN_LIBRARY]
    planted = [(notice, error) for notice, error in planted if a.only in error[0]]
    for _, error in planted:
        text_with(*error[:3])  # check that all texts are in their sources, before hours are spent
    survivors = 0
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        verdicts = pool.map(lambda p: p[0](planter, *p[1]), planted)
        for (_, (source, before, after, *more)), noticed in zip(planted, verdicts):
            cases = more[0] if more else errors_in_kernels.GRADIENT_TESTS
            survivors += not noticed
            verdict = f"noticed by {cases!r}" if noticed else "SURVIVED"
            print(f"mutation test: {source}: {before!r} -> {after!r}: {verdict}", flush=True)
    if survivors:
        sys.exit(f"mutation test: {survivors} planted errors of {len(planted)} were not noticed")
    print(f"mutation test: all {len(planted)} planted errors were noticed")
    if not a.only:  # --all would need more than the requested error
        stamp.write_text(state.hexdigest())


if __name__ == "__main__":
    main()
