"""bench/gpu.py's contenders as rows of a step."""
import time

import gpu  # of bench/
from steps import last_line


class Measured(gpu.Work):
    """Kindred first, only one contender in memory at a time; each row is printed as soon as it is known."""

    def __init__(self, step, flight, name, rows):
        super().__init__(name, rows, say=step.row)
        self.step, self.flight = step, flight

    def contender(self, name, command, repeats, seconds=None, required=True):
        """Returns why it was left out, or None. If a required contender is left out, the step is red."""
        deadline = self.step.deadline - 1
        if seconds is not None:
            deadline = min(deadline, time.monotonic() + seconds)
        self.required = required
        with open(self.flight.scratch / "said.txt", "w+b") as log:
            reason = self.alone(name, list(map(str, command)), repeats, log=log, deadline=deadline,
                                env=self.flight.environment())
        self.step.log.write(f"\n$ {' '.join(map(str, command))}\n{self.said()}\n{reason or ''}\n")
        return reason

    def said(self):
        return (self.flight.scratch / "said.txt").read_text(errors="replace")

    def leave_out(self, name, reason):
        self.step.row(f"{self.name} {name} left out: {reason}: {last_line(self.said())}", ok=False if self.required else None)
