"""A part of the flight: steps that share its seconds, a table of their results, and the files that they write.

No step can use another step's time: it gets its share and what earlier steps left over, and is killed at its limit. Its
rows up to then stay in the table.
"""
import collections
import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

OUT_FILES, OUT_BYTES = 8, 16 << 20  # limits on what comes back from a GPU's machine
TABLE_LINES = 60
TABLE_SECONDS = 4  # at the end, for the table and the files
GRACE_SECONDS = 1  # between the request to end and the end

Result = collections.namedtuple("Result", "code text killed")


class Overtime(Exception):
    """The part's seconds are used up, or somebody ended it."""


class Stopped(Exception):
    """A command was killed at the limit of its step."""


class MayBeMissing(Exception):
    """A step cannot run here because `name` is missing: red, unless --allow-missing NAME permits it."""

    def __init__(self, name, why):
        super().__init__(why)
        self.name = name


def end_group(process):
    """Ends a process that leads its own session, and all processes that it started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            pass
        try:
            process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            continue
        if number == signal.SIGTERM:  # a child that ignores the signal is still running
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                pass
        return


class Log:
    """All output, in one file that never exceeds the limit of what can come back. Threads may share it."""

    def __init__(self, path):
        self.file, self.left, self.lock = open(path, "w", errors="replace"), OUT_BYTES - (1 << 16), threading.Lock()
        self.error = None  # of writing

    def write(self, text):
        with self.lock:
            if self.left <= 0:
                return
            text = text[:self.left]
            self.left -= len(text.encode(errors="replace"))
            try:
                self.file.write(text if self.left > 0 else text + "\n(cut here: the file is full)\n")
                self.file.flush()
            except OSError as error:  # land() reports it; until then the part continues and prints its results
                self.left, self.error = 0, error
                with contextlib.suppress(OSError):
                    self.file.close()


class Step:
    """The argument of a step's function."""

    def __init__(self, flight, name, deadline):
        self.flight, self.name, self.deadline, self.log = flight, name, deadline, flight.log

    def left(self):
        return 0 if self.flight.over else self.deadline - time.monotonic()

    def row(self, text, ok=True):
        """Adds a line to the table: red if not ok, and "--" if ok is None, which means not run, as permitted."""
        self.flight.add_row(self.name, text, ok)

    def run(self, command, seconds=None, env=None, cwd=None, feed=None, check=False):
        """Runs a command until it ends or the step's time is up."""
        left = self.left() - (GRACE_SECONDS if self.left() > 3 * GRACE_SECONDS else 0)
        limit = max(0.1, left if seconds is None else min(seconds, left))
        title = f"\n$ {' '.join(map(str, command))}\n"
        try:
            process = subprocess.Popen(list(map(str, command)), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                       stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True, cwd=cwd,
                                       env=self.flight.environment(env))
        except OSError as error:
            self.log.write(f"{title}{error}\n")
            if check:
                raise RuntimeError(f"{pathlib.Path(command[0]).name} could not be started: {error.strerror}")
            return Result(127, str(error), False)
        self.flight.running.add(process)
        killed = False
        try:
            text = process.communicate(feed, timeout=limit)[0]
        except subprocess.TimeoutExpired:
            killed = True
            end_group(process)
            text = process.communicate()[0]
        except BaseException:
            end_group(process)
            raise
        finally:
            self.flight.running.discard(process)
        self.log.write(title + text + (f"\nkilled after {limit:.0f} s\n" if killed else f"\nexit code {process.returncode}\n"))
        if check and killed:
            raise Stopped(f"{pathlib.Path(command[0]).name} was killed after {limit:.0f} s")
        if check and process.returncode != 0:
            raise RuntimeError(f"{pathlib.Path(command[0]).name}: exit code {process.returncode}: {last_line(text)}")
        return Result(process.returncode, text, killed)


def last_line(text):
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"


class Flight:
    def __init__(self, part, seconds, out, environment, allow_missing=()):
        self.part, self.seconds, self.out = part, seconds, pathlib.Path(out)
        self.start = time.monotonic()
        self.deadline = self.start + seconds - min(TABLE_SECONDS, seconds / 10)
        self.extra_environment, self.allow_missing = environment, set(allow_missing)
        self.rows, self.red, self.running, self.last, self.over, self.incomplete = [], False, set(), None, False, False
        self.steps = []  # (name, its seconds on the scale of the other steps' shares, function)
        self.finished = False
        try:
            self.out.mkdir(parents=True, exist_ok=True)
            self.log = Log(self.out / f"{part}_log.txt")
        except OSError as error:
            self.refuse_out(error)
        signal.signal(signal.SIGALRM, self._overtime)
        signal.signal(signal.SIGTERM, self._overtime)
        signal.setitimer(signal.ITIMER_REAL, max(1, seconds - min(TABLE_SECONDS, seconds / 10) / 2))

    def refuse_out(self, error):
        fail(f"--out {self.out}: {error.strerror}; expected a folder that can be made and written to", 6)

    def _overtime(self, number, frame):
        self.over = True
        for process in list(self.running):
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        raise Overtime("the time is used up" if number == signal.SIGALRM else "ended from outside")

    def environment(self, more=None):
        return {**os.environ, **self.extra_environment, **(more or {})}

    def add_row(self, name, text, ok=True):
        self.red |= ok is False
        self.incomplete |= ok is None
        line = f"{ {True: 'ok ', False: 'RED', None: '-- '}[ok] } {name:<14} {' '.join(str(text).split())}"[:150]
        self.rows.append(line)
        print(f"[{time.monotonic() - self.start:4.0f} s] {line}", flush=True)
        self.log.write(f"\n== {line}\n")

    def choose(self, name):
        chosen = [step for step in self.steps if step[0] == name]
        if not chosen:
            fail(f"--only {name}: part {self.part} has {', '.join(step[0] for step in self.steps)}")
        self.steps, self.incomplete = chosen, True

    def fly(self):
        scale = (self.deadline - time.monotonic()) / sum(share for _, share, _ in self.steps)
        try:
            for i, (name, share, function) in enumerate(self.steps):
                later = scale * sum(share for _, share, _ in self.steps[i + 1:])
                self._fly_step(name, self.deadline - later, function)
        except Overtime as reason:
            self.add_row("limit", f"{reason}: the steps after {name!r} did not run", ok=False)
        finally:
            for process in list(self.running):
                end_group(process)

    def _fly_step(self, name, deadline, function):
        begun, rows = time.monotonic(), len(self.rows)
        try:
            function(Step(self, name, deadline))
            if len(self.rows) == rows:
                self.add_row(name, "the step said nothing", ok=False)
        except Overtime:
            raise
        except MayBeMissing as reason:
            self.add_row(name, f"could not run: {reason}", ok=None if reason.name in self.allow_missing else False)
        except (Stopped, RuntimeError, SystemExit) as reason:  # errors that this program raises itself
            self.add_row(name, reason, ok=False)
        except Exception as error:  # a step that fails does not stop the others
            self.add_row(name, f"{type(error).__name__}: {error}", ok=False)
        self.log.write(f"\n== {name}: {time.monotonic() - begun:.1f} s\n")

    def keep(self, path, name):
        """Puts a file into --out, if it may come back."""
        size = path.stat().st_size
        there = [p for p in self.out.iterdir() if p.name != name]
        table = self.out / f"{self.part}_table.txt"
        if len(there) + (0 if table in there else 1) + 1 > OUT_FILES:
            self.add_row("files", f"{name} was refused: {OUT_FILES} files come back, and {self.out} has {len(there)}", ok=False)
        elif size > OUT_BYTES:
            self.add_row("files", f"{name} was refused: {size / 2**20:.1f} MiB, {OUT_BYTES >> 20} MiB come back", ok=False)
        else:
            (self.out / name).write_bytes(path.read_bytes())

    def land(self):
        """Checks the files in --out, prints the table, and returns the exit code."""
        signal.setitimer(signal.ITIMER_REAL, 0)
        if not self.finished:
            self.add_row("end", "the part broke off before its end", ok=False)
        inside = sorted(self.out.iterdir())
        for path in inside:
            if path.is_dir() or path.stat().st_size > OUT_BYTES:
                self.add_row("files", f"{path.name} cannot come back: a folder, or over {OUT_BYTES >> 20} MiB", ok=False)
        if len({*inside, self.out / f"{self.part}_table.txt"}) > OUT_FILES:
            self.add_row("files", f"{len(inside)} files in {self.out}: only {OUT_FILES} come back", ok=False)
        verdict = ("RED" if self.red else "passed, but for what was allowed to be missing or left out" if self.incomplete else
                   "all that it promises ran and passed")
        lines = [f"== part {self.part}: {verdict}, {time.monotonic() - self.start:.0f} s of {self.seconds} s ==", *self.rows]
        room = TABLE_LINES - (1 if self.last else 0)
        if len(lines) > room:  # red lines first
            kept = sorted(range(1, len(lines)), key=lambda i: (not lines[i].startswith("RED"), i))[:room - 2]
            left_out = len(lines) - 1 - len(kept)
            lines = [lines[0], *(lines[i] for i in sorted(kept)), f"... {left_out} lines more in {self.part}_log.txt"]
        if self.last:
            lines.append(self.last)
        text = "\n".join(lines)
        print("\n" + text, flush=True)
        try:
            (self.out / f"{self.part}_table.txt").write_text(text + "\n")
            if self.log.error:
                raise self.log.error
        except OSError as error:
            self.refuse_out(error)
        return 1 if self.red else 0


def fail(text, code=2):
    print(f"error: {text}", file=sys.stderr)
    sys.exit(code)
