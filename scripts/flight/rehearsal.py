"""gpu_flight.sh --rehearse: packs, unpacks, puts the emulation in place of the device, flies two calls of two parts, and
plants what may go wrong: it must be noticed, and must not cost the other steps their time."""
import os
import pathlib
import shutil
import subprocess
import tarfile
import tempfile
import time
import types

import pack
import part_a
import part_b
import part_c
import part_d
from steps import OUT_BYTES, OUT_FILES, TABLE_LINES, fail

HERE = pathlib.Path(__file__).resolve().parent
SECONDS = {"a": 300, "b": 120, "c": 120, "d": 120}  # far more than they need
MOST_SECONDS = 600


class Rehearsal:
    def __init__(self, build, work):
        self.build, self.work, self.problems, self.start = build, work, [], time.monotonic()
        self.package = work / "unpacked/flight"
        self.environment = {**os.environ, "PATH": f"{work / 'bin'}:{os.environ['PATH']}",
                            "LD_LIBRARY_PATH": f"{build / 'tests/stand_ins'}:{os.environ.get('LD_LIBRARY_PATH', '')}".rstrip(":")}
        shutil.copytree(HERE / "stand_ins", work / "bin")

    def expect(self, condition, what):
        if not condition:
            self.problems.append(what)
            print(f"REHEARSAL: {what}", flush=True)

    def unpack(self):
        """The package as it would travel, with programs of this machine's build, and the emulation in place of the device."""
        file = self.work / "flight.tar.gz"
        stage = self.work / "stage"
        pack.install(self.build, stage)
        refused = pack.write(stage, self.work / "small.tar", most_bytes=1 << 20)
        self.expect(refused and "may travel" in refused and not (self.work / "small.tar").exists(), "a package over the limit was not refused")
        self.expect(pack.write(stage, file) is None, "the package is too large")
        with tarfile.open(file) as tar:
            tar.extractall(self.work / "unpacked")
        share = self.package / "share/kindred"
        shutil.copy(self.build / "tests/emulated_tests", share / "bin/kindred_tests")
        for folder, target in (("apps", self.package / "bin"), ("bench", share / "bin")):
            programs = sorted((self.build / folder / "emulated").iterdir())
            self.expect(programs, f"no emulated programs in {folder}")
            for program in programs:
                shutil.copy(program, target / program.name)
        (self.package / "bin/emulated").symlink_to(".")  # where tests look for programs with the emulation
        self.script = share / "scripts/gpu_flight.sh"

    def fly(self, part, out, *more, seconds=None, environment=None, planted=None):
        """Runs a part as it would run on the GPU's machine; returns its exit code and its table. What is `planted` makes it red
        on purpose, so its red lines are only shown when they are not as they should be."""
        begun = time.monotonic()
        seconds = max(10, int(min(seconds or SECONDS[part], self.start + MOST_SECONDS - begun)))
        command = [self.script, "--part", part, "--seconds", seconds, "--out", out, "--small", "--allow-missing", "torch",
                   "--allow-missing", "cupti", *more]
        result = subprocess.run(list(map(str, command)), env={**self.environment, **(environment or {})}, text=True,
                                stdout=subprocess.PIPE if planted else None, stderr=subprocess.STDOUT if planted else None)
        code, self.said = result.returncode, result.stdout
        took = time.monotonic() - begun
        self.expect(took <= seconds, f"part {part} took {took:.0f} s of {seconds} s")
        path = out / f"{part}_table.txt"
        table = path.read_text().splitlines() if path.exists() else []
        self.expect(0 < len(table) <= TABLE_LINES, f"part {part}: a table of {len(table)} lines")
        return code, table

    def whole_flight(self):
        first, second, known = self.work / "out1", self.work / "out2", self.work / "known.tgz"
        (self.work / "a_plan").write_text("known\n")
        with tarfile.open(known, "w:gz") as tar:
            tar.add(self.work / "a_plan", "kindred/a_plan")
        for part, module, out, more in (("a", part_a, first, ["--plans", known]), ("b", part_b, first, ["--plans", first / "plans.tgz"]),
                                        ("c", part_c, second, ["--plans", first / "plans.tgz"]),
                                        ("d", part_d, second, ["--plans", second / "plans.tgz"])):
            code, table = self.fly(part, out, *more)
            self.expect(code == 0, f"part {part}: exit code {code}")
            names = []
            module.steps(types.SimpleNamespace(step=lambda name, share, function: names.append(name),
                                               small=True, scratch=self.work))
            for name in names:
                self.expect(any(line[4:18].strip() == name[:14] for line in table), f"part {part}: no line of the step {name!r}")
            if part == "a":
                self.cases = table[-1] if table else ""
                ran = self.cases.removeprefix("GPU cases: ").removesuffix(" ran").split(" of ")
                self.expect(len(ran) == 2 and ran[0] == ran[1] != "0", f"part a ended with {self.cases!r}")
        for out in (first, second):
            files = list(out.iterdir())
            self.expect(len(files) <= OUT_FILES and all(f.is_file() and f.stat().st_size <= OUT_BYTES for f in files),
                        f"{out.name}: what lies there would not come back: {[f.name for f in files]}")
            with tarfile.open(out / "plans.tgz") as tar:
                self.expect("kindred/a_plan" in tar.getnames(), f"{out.name}: plans got lost on the way")
        kernels = first / "b_kernels.txt"
        if (self.build / "tests/stand_ins/libcupti.so.13").exists():
            self.expect(kernels.exists() and "(85.7 %)" in kernels.read_text().splitlines()[0] and
                        "first_plane" in kernels.read_text(),
                        "the kernels' times are not those that the stand-in for CUPTI gave")

    def planted_cases(self):
        """A failing, a crashing, a hanging and a skipped case; and plans that are too large to come back."""
        out, plans = self.work / "planted", self.work / "large_plans.tgz"
        (self.work / "noise").write_bytes(os.urandom(OUT_BYTES + (1 << 20)))
        with tarfile.open(plans, "w:gz", compresslevel=1) as tar:
            tar.add(self.work / "noise", "noise")
        before = len(self.problems)
        code, table = self.fly("a", out, "--cases", "planted on a GPU*,supcon on cuda: a row alone", "--case-seconds", 4,
                               "--plans", plans, seconds=40, planted=True,
                               environment={"KINDRED_PLANTED": "failure crash hang skip"})
        text = "\n".join(table)
        self.expect(code == 1, f"planted cases: exit code {code}, not 1")
        for what in ("a failure: planted_test.cpp", "a crash: ended by signal", "a hang: killed after", "a skip: did not run",
                     "1 passed", "was refused 1 files: noise of 17.0 MiB"):
            self.expect(what in text, f"planted cases: {what!r} is not in the table")
        self.expect(table and table[-1] == "GPU cases: 3 of 5 ran", f"planted cases: ended with {table[-1:]}")
        self.report_planted(before, "a case that fails, one that crashes, one that hangs, one that is skipped, too large a file")

    def planted_hang(self):
        """nvidia-smi never answers, and --out is full: the cases must run all the same."""
        out = self.work / "full"
        out.mkdir()
        for i in range(OUT_FILES):
            (out / f"{i}").write_text("left here earlier\n")
        before = len(self.problems)
        code, table = self.fly("a", out, "--cases", "supcon on cuda: a row alone", seconds=30, planted=True,
                               environment={"KINDRED_STAND_IN": "hang"})
        text = "\n".join(table)
        self.expect(code == 1, f"a step that hangs: exit code {code}, not 1")
        self.expect("RED machine        nvidia-smi was killed" in text, "a step that hangs was not killed, or not named")
        self.expect("1 of 1 ran, 1 passed" in text, "a step that hangs took the cases' time")
        self.expect(f"only {OUT_FILES} come back" in text, "too many files were not refused")
        self.report_planted(before, "a step that hangs, too many files")

    def planted_hazard(self):
        before = len(self.problems)
        code, table = self.fly("c", self.work / "hazard", "--only", "racecheck", seconds=40, planted=True,
                               environment={"KINDRED_STAND_IN": "hazard"})
        self.expect(code == 1 and any("RED racecheck" in line for line in table), "a race that was found did not make the part red")
        self.report_planted(before, "a race that racecheck finds")

    def report_planted(self, problems_before, what):
        noticed = len(self.problems) == problems_before
        print(f"planted: {what}: {'noticed' if noticed else 'NOT NOTICED'}" + ("" if noticed else f"\n{self.said}"), flush=True)


def rehearse(a):
    build = pathlib.Path(a.build or pack.ROOT / "build/release").absolute()
    for needed in ("tests/emulated_tests", "apps/emulated/pretrain", "bench/emulated/bench_train_step", "tests/kindred_tests"):
        if not (build / needed).exists():
            fail(f"{build / needed} is missing: build first (scripts/build.sh)")
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="kindred_rehearsal_") as work:
        rehearsal = Rehearsal(build, pathlib.Path(work))
        rehearsal.unpack()
        print(f"== packed and unpacked, {time.monotonic() - begun:.0f} s")
        rehearsal.planted_hang()
        rehearsal.planted_cases()
        rehearsal.planted_hazard()
        print(f"== what was planted is through, {time.monotonic() - begun:.0f} s; now the flight, which must be all right")
        rehearsal.whole_flight()
    for problem in rehearsal.problems:
        print(f"rehearsal: {problem}")
    print(f"rehearsal: {'FAILED' if rehearsal.problems else 'passed'}, {time.monotonic() - begun:.0f} s")
    print(getattr(rehearsal, "cases", "GPU cases: none ran"))
    return 1 if rehearsal.problems else 0
