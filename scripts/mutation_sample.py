#!/usr/bin/env python3
"""Measures how many errors the tests notice: draws random errors from the rooms, plants each, and runs the tests on it.

  scripts/mutation_sample.py --count 300                 # hours; continues where it was stopped
  scripts/mutation_sample.py --report                    # the table by room and the survivors, as Markdown
  scripts/mutation_sample.py --changed --seconds 150     # a few minutes, in the sources that the last commits changed

What is drawn depends on --seed and on the sources alone. Not counted are draws that do not compile, and those from
which the compiler makes the same instructions. A test that does not end within its time has noticed the error.
Exit code 1: less than --at-least of what was counted was noticed.
"""
import argparse
import collections
import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

from mutation.covering import Entered, pattern_of
from mutation.drawing import ROOMS, draw, sources, universalmutator
from mutation.planting import ROOT, CannotCompile, Planter, object_of

# By room, the rooms of tests that can see it: arrows point downwards only.
SEEN_BY = {"apps": ["apps"], "encoder": ["encoder", "apps"], "models": ["models", "apps"], "data": ["data", "apps"],
           "losses": ["losses", "gradcheck", "models", "apps"], "layers": ["layers", "gradcheck", "losses", "models", "apps"]}
# Files of tests that take most of the suite's time: they are run last, and only for the sources that they test.
SLOW = {"apps": ["survival", "bad_input", "beyond_the_batch", "stages", "weights_programs"],
        "encoder": ["stages", "weights_programs"],
        "models": ["resnet_golden", "recipe_golden", "micro_batches", "beyond_the_batch", "weights_programs"],
        "data": ["stages", "bad_input"], "losses": ["recipe_golden", "beyond_the_batch"],
        "layers": ["resnet_golden", "recipe_golden", "micro_batches"]}
# Sources that only a GPU or an emulated GPU runs.
FEEDING = ("input_feed", "training_steps", "recording")
GPU_SUITES = "needs a GPU,also on a GPU,needs an emulated GPU"
MOST_USERS_OF_A_HEADER = 8
FEWEST_TO_JUDGE = 4
SLICE_SECONDS = 5
# A group of cases has so many seconds, and so many times those that it took alone.
LEAST_SECONDS, TIMES_SLOWER = 120, 8


def files(names):
    return ",".join(f"*tests/{name}" for name in names)


def stages(source, on_gpu, without, groups=None):
    """What is run on an error in `source`, until something fails: program, arguments, seconds; never the files `without`.

    `on_gpu`: the source, or one that includes it, is compiled for the emulated GPU. `groups`: of the cases that can notice
    it, and the seconds that they take; None: whoever may.
    """
    room = source.split("/")[0]
    slow = files(f"*/{name}_test.cpp" for name in SLOW[room])
    left_out = files(f"*/{name}.cpp" for name in without)
    later = files(f"*/{name}_test.cpp" for name in sorted(set().union(*SLOW.values())))
    if on_gpu:
        emulated = [f"--test-suite={GPU_SUITES}", f"--source-file-exclude={left_out}"]
        yield "emulated_tests", [*emulated, f"--source-file={files([room + '/*'])}"], 900
        yield "emulated_tests", [*emulated, f"--source-file={files(['gradcheck/*', 'emulation/*'])}"], 900
        if source.endswith(".cu"):
            return
    if groups is not None:
        for patterns, seconds, _ in groups:
            yield ("kindred_tests", [f"--test-case={patterns}", f"--source-file-exclude={left_out}"],
                   LEAST_SECONDS + round(TIMES_SLOWER * seconds))
        yield from after_the_host(source, on_gpu, left_out)
        return
    beside = pathlib.Path(source).parent  # tests have the folders of what they test
    if (ROOT / "tests" / beside).is_dir() and str(beside) != room:
        yield "kindred_tests", [f"--source-file={files([f'{beside}/*'])}", f"--source-file-exclude={left_out}"], 600
    for tests in SEEN_BY[room]:
        yield "kindred_tests", [f"--source-file={files([tests + '/*'])}", f"--source-file-exclude={later},{left_out}"], 600
    yield "kindred_tests", [f"--source-file={slow}", f"--source-file-exclude={left_out}"], 900
    yield from after_the_host(source, on_gpu, left_out)


def after_the_host(source, on_gpu, left_out):
    """What of `source` only a GPU needs."""
    if pathlib.Path(source).stem in FEEDING:
        yield "emulated_tests", ["--test-suite=needs an emulated GPU", f"--source-file={files(['apps/*'])}"], 900
    if not on_gpu:
        emulated = [f"--test-suite={GPU_SUITES}", f"--source-file-exclude={left_out}"]
        yield "emulated_tests", [*emulated, f"--source-file={files([source.split('/')[0] + '/*'])}"], 900


def without_names(object_file):
    """The bytes of an object without the name of the file that it was compiled from."""
    stripped = object_file.with_suffix(".stripped")
    subprocess.run(["objcopy", "--strip-unneeded", object_file, stripped], check=True)
    try:
        return stripped.read_bytes()
    finally:
        stripped.unlink()


def run_for(command, seconds, environment):
    """Exit code and standard output of a program; code None: it did not end within `seconds`, and was killed.

    Waits in slices, so that the hours in which somebody stopped this script (SIGSTOP) count as one slice. The programs
    that a test started are killed with it: one that hangs holds the pipe.
    """
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment, errors="replace",
                          text=True, process_group=0) as program:
        for _ in range(0, seconds, SLICE_SECONDS):
            try:
                output, _ = program.communicate(timeout=SLICE_SECONDS)
                return program.returncode, output
            except subprocess.TimeoutExpired:
                pass
        os.killpg(program.pid, signal.SIGKILL)
        program.communicate()
        return None, ""


def first_failure(tests, arguments, seconds, environment):
    """The first case that fails, and fails again alone: what a busy machine fails now and then has not noticed an error.
    None: there is no such case."""
    by_chance = []
    while True:
        without = [f"--test-case-exclude={','.join(by_chance)}"] if by_chance else []
        returncode, output = run_for([tests, "--abort-after=1", *arguments, *without], seconds, environment)
        if returncode is None:
            return f"no end within {seconds} s"
        if returncode == 0:
            return None
        cases = re.findall(r"^TEST CASE: +(.*)$", output, re.MULTILINE)
        if not cases:
            return f"exit code {returncode}"
        pattern = pattern_of(cases[-1])
        alone = [argument for argument in arguments if not argument.startswith("--test-case=")]
        if run_for([tests, *alone, f"--test-case={pattern}"], seconds, environment)[0] != 0:
            return cases[-1]
        by_chance.append(pattern)


class Sample:
    def __init__(self, planter, without, entered=None):
        self.entered = entered
        self.planter = planter
        self.without = without
        self.headers = None
        self.compiled_straight = {}
        self.lock = threading.Lock()

    def users(self, header):
        """The sources that include `header`, according to the build."""
        with self.lock:
            if self.headers is None:
                self.headers = collections.defaultdict(set)
                by_object = {}
                emulated = str(self.planter.build / "emulated") + "/"
                for file, entries in self.planter.compiled.items():
                    if file.suffix == ".cu":
                        continue  # nvcc's, which no test runs here
                    source = str(file)
                    source = source[len(emulated):-len(".cpp")] if source.startswith(emulated) else os.path.relpath(file, ROOT)
                    by_object.update(dict.fromkeys((object_of(entry) for entry in entries), source))
                deps = subprocess.run(["ninja", "-C", self.planter.build, "-t", "deps"], capture_output=True, text=True)
                user = None
                for line in deps.stdout.splitlines():
                    if line and not line.startswith(" "):
                        user = by_object.get(line.split(":")[0])
                    elif user and "include/kindred/" in line:
                        self.headers[line.split("include/kindred/")[1]].add(user)
            return sorted(self.headers[header])

    def straight(self, user):
        """The object of a source as it stands: as the build made it. A kernel is compiled again, without its error."""
        with self.lock:
            if user not in self.compiled_straight:
                to = self.planter.work / (user.replace("/", "_") + ".straight.o")
                if user.endswith(".cu"):
                    self.planter.compile(user, (ROOT / user).read_text(), to)
                else:
                    shutil.copy(self.planter.build / object_of(self.planter.compiled[ROOT / user][0]), to)
                self.compiled_straight[user] = without_names(to)
                to.unlink()
            return self.compiled_straight[user]

    def compile(self, source, text, through):
        """The objects with the error, or None where the compiler makes the same of it."""
        objects = self.planter.plant(source, text, through)
        if any(without_names(planted) != self.straight(user)
               for planted, user in zip(dict.fromkeys(objects.values()), through or [source])):
            return objects
        return None

    def judge(self, number, source, line, before, after):
        """What becomes of one draw, as a record."""
        record = {"number": number, "source": source, "line": line, "before": before, "after": after}
        lines = (ROOT / source).read_text().splitlines(keepends=True)
        lines[line - 1] = after
        through = self.users(source) if source.endswith((".h", ".cuh")) else []
        if source.endswith((".h", ".cuh")) and not 0 < len(through) <= MOST_USERS_OF_A_HEADER:
            return dict(record, verdict="not drawn: too many users, or none")
        try:
            objects = self.compile(source, "".join(lines), through)
        except (CannotCompile, KeyError):
            return dict(record, verdict="does not compile")
        if objects is None:
            return dict(record, verdict="same instructions")
        folder = next(iter(objects.values())).with_suffix(".programs")
        shutil.rmtree(folder, ignore_errors=True)
        try:
            on_gpu = any(user.endswith(".cu") for user in through or [source])
            numbers = None
            if self.entered and not on_gpu:
                numbers = self.entered.cases_of(source, line, "".join(lines))
            return dict(record, **self.run(source, on_gpu, objects, folder, numbers))
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            for object_file in set(objects.values()):
                object_file.unlink()

    def run(self, source, on_gpu, objects, folder, numbers):
        groups = None if numbers is None else list(self.entered.groups(numbers))
        environment = dict(os.environ, KINDRED_APPS_DIR=str(folder), OMP_NUM_THREADS="2", OMP_WAIT_POLICY="passive")
        for program, arguments, seconds in stages(source, on_gpu, self.without, groups):
            tests = folder / program
            if not folder.exists():
                folder.mkdir()
            starts_programs = "tests/apps/" in " ".join(arguments) or any(
                starts and patterns in arguments[0] for patterns, _, starts in groups or [])
            if starts_programs and not (folder / "pretrain").exists():
                self.planter.link_programs(objects, folder)
            if program == "emulated_tests":
                self.planter.link_programs(objects, folder, emulated=True)
            if not tests.exists() and not self.planter.link(f"tests/{program}", objects, tests):
                tests = self.planter.build / "tests" / program
            if case := first_failure(tests, arguments, seconds, environment):
                return {"verdict": "noticed", "case": case}
        return {"verdict": "survived"}


def counted(records):
    return [r for r in records if r["verdict"] in ("noticed", "survived")]


def report(records):
    """Prints the table by room, and every survivor."""
    print("| room | planted | noticed |\n|---|---|---|")
    for room in (*ROOMS, "all"):
        here = [r for r in counted(records) if room == "all" or r["source"].startswith(room + "/")]
        noticed = sum(r["verdict"] == "noticed" for r in here)
        print(f"| {room} | {len(here)} | {noticed} ({100 * noticed / max(len(here), 1):.0f} %) |")
    left_out = collections.Counter(r["verdict"] for r in records if r not in counted(records))
    print("Not counted: " + ", ".join(f"{n} ({why})" for why, n in left_out.most_common()))
    for r in counted(records):
        if r["verdict"] == "survived":
            print(f"SURVIVED {r['number']}: {r['source']}:{r['line']}: {r['before'].strip()!r} -> {r['after'].strip()!r}")


def changed_sources(commits):
    named = subprocess.run(["git", "-C", ROOT, "log", f"-{commits}", "--name-only", "--format="], capture_output=True,
                           text=True, check=True).stdout.split()
    return sorted(set(sources()).intersection(named))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release")
    parser.add_argument("--count", type=int, default=300, help="stop when so many were counted")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--room", action="append", choices=ROOMS, help="only of this room (may be repeated)")
    parser.add_argument("--changed", action="store_true", help="only sources that the last --commits commits changed")
    parser.add_argument("--commits", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="draw no more after so many")
    parser.add_argument("--without", action="append", default=[], metavar="FILE",
                        help="a file of tests (by_hand_test) that is not run: what it adds is the difference")
    parser.add_argument("--entered", type=pathlib.Path, metavar="FILE",
                        help="of scripts/mutation/entered.py: runs only the cases that enter the function of an error")
    parser.add_argument("--at-least", type=float, default=0.9, help="the share that must be noticed")
    parser.add_argument("--results", type=pathlib.Path, help="default: BUILD/mutation/sample.jsonl")
    parser.add_argument("--report", action="store_true", help="print what is known, and draw nothing")
    parser.add_argument("-j", "--jobs", type=int, default=2)
    a = parser.parse_args()
    if not a.report and universalmutator() is None:
        print("skipped: errors drawn by chance: pip cannot bring universalmutator")
        return
    planter = Planter(a.build, a.build / "mutation")
    results = a.results or planter.work / "sample.jsonl"
    records = [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []
    if not a.report:
        among = changed_sources(a.commits) if a.changed else sources(a.room or ROOMS)
        known = {r["number"] for r in records}
        errors = (error for error in draw(a.seed, among) if error[0] not in known)
        sample = Sample(planter, a.without, Entered(a.entered) if a.entered else None)
        until = time.monotonic() + a.seconds
        with concurrent.futures.ThreadPoolExecutor(a.jobs) as pool, results.open("a") as file:
            waiting = set()
            while True:
                enough = len(counted(records)) + len(waiting) >= a.count or time.monotonic() > until
                if not enough and len(waiting) < a.jobs and (error := next(errors, None)):
                    waiting.add(pool.submit(sample.judge, *error))
                    continue
                if not waiting:
                    break
                done, waiting = concurrent.futures.wait(waiting, return_when=concurrent.futures.FIRST_COMPLETED)
                for record in (future.result() for future in done):
                    records.append(record)
                    file.write(json.dumps(record) + "\n")
                    file.flush()
                    print(f"{record['source']}:{record['line']}: {record['before'].strip()} -> "
                          f"{record['after'].strip()}: {record['verdict']} {record.get('case', '')}", flush=True)
    report(records)
    planted = counted(records)
    if len(planted) < FEWEST_TO_JUDGE:
        print(f"skipped: {len(planted)} errors are too few to say what share is noticed")
    elif sum(r["verdict"] == "noticed" for r in planted) < a.at_least * len(planted):
        sys.exit(1)


if __name__ == "__main__":
    main()
