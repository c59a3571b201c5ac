#!/usr/bin/env python3
"""Runs several programs side by side, one repeat of each in turn, and prints medians and ratios.

The machine may be shared and its speed may drift from minute to minute, so figures are only compared when they come
from one run of this script. Each program does one repeat for every line that it reads on standard input and answers
with one line: the milliseconds that it took. All programs stay alive, so start-up and compilation are paid once.
"""
import statistics
import subprocess


class Contender:
    def __init__(self, name, command, env=None):
        self.name, self.times = name, []
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)

    def repeat(self):
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.name} ended early (exit code {self.process.wait()})")
        return float(line)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def race(contenders, repeats, warmup=2):
    """Fills each contender's times; the order of the contenders turns from repeat to repeat."""
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
