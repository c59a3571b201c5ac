#!/usr/bin/env python3
"""Runs several programs side by side, one repeat of each in turn, and prints medians and ratios.

The machine may be shared and its speed may drift from minute to minute, so figures are only compared if they come from
one run of this script. Each program does one repeat for every line that it reads on standard input and answers with one
line: the milliseconds that it took. All programs stay alive, so start-up and compilation are paid once.
"""
import os
import select
import signal
import statistics
import subprocess
import time


class Contender:
    """`log`: a file for other output. `deadline`: when to kill it, as time.monotonic()."""

    def __init__(self, name, command, env=None, log=None, deadline=None):
        self.name, self.times, self.deadline, self.read = name, [], deadline, b""
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=env,
                                        start_new_session=deadline is not None)

    def repeat(self):
        try:
            self.process.stdin.write(b"go\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # the program has ended, and so has its output
        while b"\n" not in self.read:
            wait = None if self.deadline is None else max(0, self.deadline - time.monotonic())
            if not select.select([self.process.stdout], [], [], wait)[0]:
                self.kill()
                raise SystemExit(f"{self.name} was killed at its limit")
            chunk = os.read(self.process.stdout.fileno(), 1 << 16)
            if not chunk:
                raise SystemExit(f"{self.name} ended early (exit code {self.process.wait()})")
            self.read += chunk
        line, self.read = self.read.split(b"\n", 1)
        return float(line)

    def close(self):
        self.process.stdin.close()
        try:
            self.process.wait(None if self.deadline is None else max(0.1, self.deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.kill()
            raise SystemExit(f"{self.name} was killed at its limit")

    def kill(self):
        """Ends the program, and if it leads a session also the processes that it started."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL) if self.deadline is not None else self.process.kill()
        except ProcessLookupError:
            pass
        self.process.wait()


def race(contenders, repeats, warmup=2):
    """Fills each contender's times. The order of the contenders rotates from repeat to repeat."""
    for contender in contenders:
        for _ in range(warmup):
            contender.repeat()
    for i in range(repeats):
        turn = i % len(contenders)
        for contender in contenders[turn:] + contenders[:turn]:
            contender.times.append(contender.repeat())
    for contender in contenders:
        contender.close()


def spread(times):
    """Median and the quartiles around it."""
    if len(times) < 2:
        return times[0], times[0], times[0]
    low, middle, high = statistics.quantiles(times, n=4)
    return middle, low, high
