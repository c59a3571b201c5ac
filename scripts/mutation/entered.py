#!/usr/bin/env python3
"""Which functions each case of the tests enters, so that an error need be shown only to the cases that can notice it.

  scripts/mutation/entered.py [--build build/entered]     # builds the programs once more, and runs each case by itself

Writes BUILD/entered.json, which scripts/mutation_sample.py --entered reads: the cases with their seconds and whether they
start programs, and for each source the lines at which its functions begin, with the numbers of the cases that enter them.
"""
import argparse
import array
import collections
import concurrent.futures
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

from covering import pattern_of

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PROGRAMS = ("tests/kindred_tests", "apps/kindred")  # between them they hold every function
LONGEST_CASE = 1800  # seconds


def build(folder):
    """Builds tests and programs with gcc's calls at the start of each function of ours."""
    folder.mkdir(parents=True, exist_ok=True)
    recorder = folder / "librecorder.so"
    source = pathlib.Path(__file__).with_name("recorder.c")
    subprocess.run(["cc", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o", recorder, source], check=True)
    flags = "-g1 -finstrument-functions -finstrument-functions-exclude-file-list=/usr/,/doctest,tests/"
    # The linkers of some distributions leave out a library that nothing before it on the line calls.
    link = f"-Wl,--no-as-needed {recorder} -Wl,--as-needed -Wl,-rpath,{folder}"
    subprocess.run(["cmake", "--preset", "release", "-B", folder, f"-DCMAKE_CXX_FLAGS={flags}", "-DKINDRED_CUDA=OFF",
                    "-DKINDRED_BENCH=OFF", f"-DCMAKE_EXE_LINKER_FLAGS={link}", f"-DCMAKE_SHARED_LINKER_FLAGS={link}"],
                   cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["ninja", "-C", folder, "kindred_tests", "programs"], check=True, stdout=subprocess.DEVNULL)


def cases_of(tests):
    listed = subprocess.run([tests, "--list-test-cases", "--no-version"], capture_output=True, text=True, check=True).stdout
    return [line for line in listed.splitlines() if line and not line.startswith(("[doctest]", "====", "GPU cases"))]


def run_case(tests, case):
    """Seconds, whether it passed, and what it and its programs entered."""
    with tempfile.TemporaryDirectory() as folder:
        table = pathlib.Path(folder) / "table"
        os.chmod(folder, 0o755)
        start = time.monotonic()
        environment = dict(os.environ, KINDRED_ENTERED=str(table), OMP_NUM_THREADS="2", OMP_WAIT_POLICY="passive")
        done = subprocess.run([tests, f"--test-case={pattern_of(case)}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              env=environment, timeout=LONGEST_CASE)
        entries = array.array("Q")
        entries.frombytes(table.read_bytes() if table.exists() else b"")
        return time.monotonic() - start, done.returncode == 0, {entry for entry in entries if entry}


def hash_of(name):
    """As recorder.c has it."""
    value = 14695981039346656037
    for byte in name.encode():
        value = (value ^ byte) * 1099511628211 % 2**64
    return (value ^ value >> 16 ^ value >> 32) % 2**16


def places_of(program, addresses):
    """(source, line) by address, of those whose source is in the tree."""
    addresses = sorted(addresses)
    if not addresses:
        return {}
    text = subprocess.run(["addr2line", "-e", program], input="\n".join(map(hex, addresses)), capture_output=True, text=True,
                          check=True).stdout.splitlines()
    places = {}
    for address, line in zip(addresses, text):
        file, _, number = line.split(" ")[0].rpartition(":")
        name = os.path.normpath(file)
        if "include/kindred/" in file:
            name = file.split("include/kindred/")[1]
        elif name.startswith(f"{ROOT}/"):
            name = name[len(f"{ROOT}/"):]
        if number.isdigit() and not name.startswith("/"):
            places[address] = (name, int(number))
    return places


def functions_of(program):
    """(source, line) of every function in it."""
    named = subprocess.run(["nm", "--defined-only", program], capture_output=True, text=True, check=True).stdout
    addresses = {int(words[0], 16) for words in map(str.split, named.splitlines()) if len(words) > 2 and words[1] in "tTwW"}
    return set(places_of(program, addresses).values())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/entered")
    parser.add_argument("-j", "--jobs", type=int, default=3, help="cases at once; many of them wait")
    a = parser.parse_args()
    folder = a.build.resolve()
    build(folder)
    tests = folder / "tests/kindred_tests"
    names = cases_of(tests)
    cases, entered_by = [], collections.defaultdict(list)
    with concurrent.futures.ThreadPoolExecutor(a.jobs) as pool:
        for number, (case, (seconds, passed, entries)) in enumerate(zip(names, pool.map(lambda c: run_case(tests, c), names))):
            starts_programs = any(entry >> 48 != hash_of(tests.name) for entry in entries)
            cases.append({"name": case, "seconds": round(seconds, 2), "passed": passed, "programs": starts_programs})
            for entry in entries:
                entered_by[entry].append(number)
            if number == 20 and not entered_by:
                pool.shutdown(wait=False, cancel_futures=True)
                sys.exit("the first cases have entered no function: the programs do not call the recorder")
            if number % 100 == 99:
                print(f"{number + 1} of {len(names)} cases", flush=True)

    sources = collections.defaultdict(lambda: collections.defaultdict(set))
    for program in PROGRAMS:
        for source, line in functions_of(folder / program):
            sources[source][line]  # also those that no case enters
    programs = {hash_of(file.name): file for file in [tests, *(folder / "apps").iterdir()] if os.access(file, os.X_OK)}
    by_program = collections.defaultdict(set)
    for entry in entered_by:
        by_program[entry >> 48].add(entry % 2**48)
    for key, addresses in by_program.items():
        if key not in programs:
            continue
        for address, (source, line) in places_of(programs[key], addresses).items():
            sources[source][line].update(entered_by[key << 48 | address])
    result = {"cases": cases, "functions": {source: {line: sorted(by) for line, by in sorted(lines.items())}
                                            for source, lines in sorted(sources.items())}}
    (folder / "entered.json").write_text(json.dumps(result))
    failed = [case["name"] for case in cases if not case["passed"]]
    print(f"{len(cases)} cases, {len(failed)} of which failed; {len(result['functions'])} sources")
    for name in failed:
        print(f"  {name}")


if __name__ == "__main__":
    main()
