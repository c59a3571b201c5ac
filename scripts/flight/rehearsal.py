"""gpu_flight.sh --rehearse: packs, unpacks, replaces the device by the emulation, runs two calls of two parts, and
plants errors. They must be noticed, and must not use up the time of other steps."""
import os
import pathlib
import shutil
import signal
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
from steps import OUT_BYTES, OUT_FILES, TABLE_LINES, end_group, fail

HERE = pathlib.Path(__file__).resolve().parent
# Far more than is needed: a machine that other programs use, too, must not make a rehearsal red.
SECONDS = {"a": 900, "b": 400, "c": 400, "d": 400}
CASE_SECONDS = 400
MOST_SECONDS = 2400
TIMES = 1, 5  # as many seconds for what is planted, at first, and once more if that was not noticed as it should be


class OutOfTime(Exception):
    """The rehearsal's own seconds are used up."""


class Rehearsal:
    def __init__(self, build, work, seconds):
        self.build, self.work, self.problems = build, work, []
        self.begun = time.monotonic()
        self.end = self.begun + seconds
        self.cases = "GPU cases: none ran"
        self.package = work / "unpacked/flight"
        self.environment = {**os.environ, "PATH": f"{work / 'bin'}:{os.environ['PATH']}",
                            "LD_LIBRARY_PATH": f"{build / 'tests/stand_ins'}:{os.environ.get('LD_LIBRARY_PATH', '')}".rstrip(":")}
        shutil.copytree(HERE / "stand_ins", work / "bin")

    def expect(self, condition, what):
        if not condition:
            self.problems.append(what)
            print(f"REHEARSAL: {what}", flush=True)

    def all_of_it(self):
        self.unpack()
        print(f"== packed and unpacked, {time.monotonic() - self.begun:.0f} s", flush=True)
        self.planted(self.planted_places, "places that cannot be written, no nvidia-smi, a rehearsal that takes too long")
        self.planted(self.planted_hang, "a step that hangs, too many files")
        self.planted(self.planted_cases, "a case that fails, one that crashes, one that hangs, one that is skipped, too large a file")
        self.planted(self.planted_hazard, "a race that racecheck finds")
        print(f"== what was planted is through, {time.monotonic() - self.begun:.0f} s; now the flight, which must be all right",
              flush=True)
        self.whole_flight()

    def planted(self, check, what):
        before = len(self.problems)
        for times in TIMES:
            del self.problems[before:]
            folder = self.work / f"{check.__name__}_{times}"
            folder.mkdir()
            check(folder, times)
            if len(self.problems) == before:
                print(f"planted: {what}: noticed", flush=True)
                return
        print(f"planted: {what}: NOT NOTICED\n{self.said}", flush=True)

    def unpack(self):
        """The package, but with the programs of this machine's build, and with the emulation in place of the device."""
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
        for folder in ("apps", "bench"):
            programs = sorted((self.build / folder / "emulated").iterdir())
            self.expect(programs, f"no emulated programs in {folder}")
            for program in programs:
                (share / "bin" / program.name).unlink(missing_ok=True)  # a link to bin/kindred would be written through
                shutil.copy(program, share / "bin" / program.name)
        (share / "bin/emulated").symlink_to(".")  # here tests look for programs with the emulation
        self.script = share / "scripts/gpu_flight.sh"

    def fly(self, part, out, *more, seconds=None, environment=None, planted=None):
        """Runs a part as it would run on the GPU's machine; returns its exit code and its table. What is `planted` makes it red
        on purpose, so its red lines are only shown when they are not as they should be."""
        begun = time.monotonic()
        seconds = max(10, int(min(seconds or SECONDS[part], self.end - begun)))
        command = [self.script, "--part", part, "--seconds", seconds, "--out", out, "--small", "--allow-missing", "torch",
                   "--allow-missing", "cupti", *([] if planted else ["--case-seconds", CASE_SECONDS]), *more]
        code, self.said = self.run(command, environment, shown=not planted)
        took = time.monotonic() - begun
        self.expect(took <= seconds, f"part {part} took {took:.0f} s of {seconds} s")
        path = out / f"{part}_table.txt"
        table = path.read_text().splitlines() if path.exists() else []
        self.expect(0 < len(table) <= TABLE_LINES, f"part {part}: a table of {len(table)} lines")
        return code, table

    def run(self, command, environment=None, shown=False):
        """Returns the exit code, and the output if it is not shown. Processes that still run when the rehearsal's time
        is up are ended."""
        process = subprocess.Popen(list(map(str, command)), env={**self.environment, **(environment or {})}, text=True,
                                   start_new_session=True, stdout=None if shown else subprocess.PIPE,
                                   stderr=None if shown else subprocess.STDOUT)
        try:
            said = process.communicate()[0]
        except BaseException:
            end_group(process)
            raise
        return process.returncode, said

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
            for name, *_ in module.steps(types.SimpleNamespace(small=True, scratch=self.work)):
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

    def planted_cases(self, folder, times):
        """A failing, a crashing, a hanging and a skipped case; and plans that are too large to come back."""
        plans = folder / "large_plans.tgz"
        (folder / "noise").write_bytes(os.urandom(OUT_BYTES + (1 << 20)))
        with tarfile.open(plans, "w:gz", compresslevel=1) as tar:
            tar.add(folder / "noise", "noise")
        code, table = self.fly("a", folder / "out", "--cases", "planted on a GPU*,supcon on cuda: a row alone",
                               "--case-seconds", 4 * times, "--plans", plans, seconds=40 * times, planted=True,
                               environment={"KINDRED_PLANTED": "failure crash hang skip"})
        text = "\n".join(table)
        self.expect(code == 1, f"planted cases: exit code {code}, not 1")
        for what in ("a failure: planted_test.cpp", "a crash: ended by signal", "a hang: killed after", "a skip: did not run",
                     "1 passed", "was refused 1 files: noise of 17.0 MiB"):
            self.expect(what in text, f"planted cases: {what!r} is not in the table")
        self.expect(table and table[-1] == "GPU cases: 3 of 5 ran", f"planted cases: ended with {table[-1:]}")

    def planted_hang(self, folder, times):
        """nvidia-smi never answers, and --out is full: the cases must still run."""
        out = folder / "full"
        out.mkdir()
        for i in range(OUT_FILES):
            (out / f"{i}").write_text("left here earlier\n")
        code, table = self.fly("a", out, "--cases", "supcon on cuda: a row alone", seconds=30 * times, planted=True,
                               environment={"KINDRED_STAND_IN": "hang"})
        text = "\n".join(table)
        self.expect(code == 1, f"a step that hangs: exit code {code}, not 1")
        self.expect("RED machine        nvidia-smi was killed" in text, "a step that hangs was not killed, or not named")
        self.expect("1 of 1 ran, 1 passed" in text, "a step that hangs took the cases' time")
        self.expect(f"only {OUT_FILES} come back" in text, "too many files were not refused")

    def planted_hazard(self, folder, times):
        code, table = self.fly("c", folder / "out", "--only", "racecheck", seconds=40 * times, planted=True,
                               environment={"KINDRED_STAND_IN": "hazard"})
        self.expect(code == 1 and any("RED racecheck" in line for line in table), "a race that was found did not make the part red")

    def planted_places(self, folder, times):
        """An --out that cannot be written, one that is full when the table comes, a machine without nvidia-smi, and a
        rehearsal that takes too long."""
        tools = folder / "tools"
        part = [self.script, "--part", "a", "--seconds", 20 * times, "--small", "--only", "machine", "--out"]
        code, said = self.run([*part, "/proc/x"])
        self.expect(code == 6 and said.startswith("error: --out /proc/x: ") and said.count("\n") == 1,
                    f"a folder that cannot be made: exit code {code}: {said}")
        for name in ("a_table.txt", "a_log.txt"):
            full = folder / f"full_disk_{name}"
            full.mkdir()
            (full / name).symlink_to("/dev/full")
            code, said = self.run([*part, full])
            self.expect(code == 6 and said.splitlines()[-1].startswith(f"error: --out {full}: No space left") and
                        "Traceback" not in said and "ok  machine" in said, f"a disk that is full: exit code {code}: {said}")
        tools.mkdir()
        for tool in ("bash", "dirname", "nproc", "python3"):
            (tools / tool).symlink_to(shutil.which(tool))
        code, said = self.run([*part, folder / "no_tool"], {"PATH": str(tools)})
        self.expect(code == 1 and "RED machine        nvidia-smi could not be started: No such file" in said,
                    f"no nvidia-smi: exit code {code}: {said}")
        code, said = self.run([pack.ROOT / "scripts/gpu_flight.sh", "--pack", "/proc/x/flight.tar.xz"])
        self.expect(code == 6 and said.startswith("error: --pack /proc/x/flight.tar.xz: ") and said.count("\n") == 1,
                    f"a package that cannot be written: exit code {code}: {said}")
        begun = time.monotonic()
        code, self.said = self.run([pack.ROOT / "scripts/gpu_flight.sh", "--rehearse", "--build", self.build, "--seconds", 2])
        took = time.monotonic() - begun
        self.expect(code == 1 and "rehearsal: stopped after 2 s" in self.said and took < 10 * times,
                    f"a rehearsal that takes too long: exit code {code} after {took:.0f} s")


def rehearse(a):
    build = pathlib.Path(a.build or pack.ROOT / "build/release").absolute()
    for needed in ("tests/emulated_tests", "apps/emulated/pretrain", "bench/emulated/bench_train_step", "tests/kindred_tests"):
        if not (build / needed).exists():
            fail(f"{build / needed} is missing: build first (scripts/build.sh)")
    begun, seconds = time.monotonic(), a.seconds or MOST_SECONDS

    def stop(number, frame):
        raise OutOfTime

    signal.signal(signal.SIGALRM, stop)
    with tempfile.TemporaryDirectory(prefix="kindred_rehearsal_", ignore_cleanup_errors=True) as work:
        rehearsal = Rehearsal(build, pathlib.Path(work), seconds)
        try:
            signal.setitimer(signal.ITIMER_REAL, seconds)
            rehearsal.all_of_it()
        except OutOfTime:
            rehearsal.problems.append(f"stopped after {seconds} s, before its end")
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    for problem in rehearsal.problems:
        print(f"rehearsal: {problem}")
    print(f"rehearsal: {'FAILED' if rehearsal.problems else 'passed'}, {time.monotonic() - begun:.0f} s")
    print(rehearsal.cases)
    return 1 if rehearsal.problems else 0
