"""The drill of hundred_kills.py --processes: a run of several processes of which one is killed at a random moment,
again and again, until it has finished.

After every kill: the command ends with code 9 and one line that names the rank, and no process of it is left. At the
end: every step of every attempt had the loss of that step in an undisturbed run, so every image of an epoch was seen once;
the weights are those of the undisturbed run, to rounding, and to the byte if the number of processes stayed the same.
A run on a set with one other image shows that a single image would have been noticed.
"""
import array
import hashlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

from processes.tree import alive, descendants, environment_of, is_program

ENCODERS = ("encoder.safetensors", "best_encoder.safetensors")
LOST = 9           # engine/error.h
SECONDS_TO_END = 40  # after a kill
# Losses are printed with four digits. Sums are added in another order, and a small network makes a hundredth of a gradient out
# of that; so the rate is low, and weights are the same to a small part of what the run changes in them.
LOSS_TOLERANCE, WEIGHT_TOLERANCE = 3e-4, 2e-5
STEP = re.compile(r"^step (\d+)/\d+  loss ([\d.]+)", re.MULTILINE)
LOST_LINE = re.compile(r"error: rank (\d+) on \S+ ")


def weights(path):
    """All numbers of a safetensors file that are f32."""
    data = path.read_bytes()
    header = int.from_bytes(data[:8], "little")
    numbers = array.array("f")
    for name, tensor in sorted(json.loads(data[8:8 + header]).items()):
        if name != "__metadata__" and tensor["dtype"] == "F32":
            begin, end = (8 + header + offset for offset in tensor["data_offsets"])
            numbers.frombytes(data[begin:end])
    return numbers


def distance(one, other):
    """Of the difference, relative to the first, norm-wise."""
    squares = sum((a - b) ** 2 for a, b in zip(one, other, strict=True))
    return (squares / sum(a * a for a in one)) ** 0.5


class Drill:
    def __init__(self, apps, folder, dice):
        self.apps, self.folder, self.dice = apps, folder, dice
        self.whole = {}    # by number of processes: the folder of an undisturbed run
        self.losses = {}   # by step
        self.kills = self.of_launcher = self.attempts = 0

    def command(self, run, processes, images="set"):
        return [self.apps / "pretrain", self.folder / images, "--out", run, "--model", "resnet20", "--image-size", "32",
                "-b", "24", "--epochs", "6", "--checkpoint-every", "1", "--knn-every", "3", "-j", "1", "--log-every", "1",
                "--device", "cpu", "--lr", "0.00003", "--warmup-epochs", "0", "--processes", str(processes), "--resume"]

    def run(self, run, processes, images="set"):
        environment = dict(os.environ, OMP_NUM_THREADS="1", OMP_WAIT_POLICY="passive", TMPDIR=str(self.folder))
        return subprocess.Popen(self.command(run, processes, images), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                text=True, env=environment)

    def undisturbed(self, processes, images="set"):
        run = self.folder / f"whole{processes}{images}"
        if not run.exists():
            output, errors = (process := self.run(run, processes, images)).communicate()
            if process.returncode != 0:
                sys.exit(f"error: {processes} processes without a kill: code {process.returncode}: {errors}")
            if images == "set":
                self.compare_steps(output, f"{processes} processes without a kill")
        return run

    def compare_steps(self, output, what):
        for step, loss in STEP.findall(output):
            wanted = self.losses.setdefault(int(step), float(loss))
            if abs(float(loss) - wanted) > LOSS_TOLERANCE * max(1.0, wanted):
                sys.exit(f"error: {what}: step {step} has loss {loss}, and {wanted} in an undisturbed run: other images")

    def kill_one(self, process, processes):
        """Waits for a random time and kills a random process of the run. Returns its rank, None for the launcher, and
        "done" if there was nothing to kill any more; and all processes that there were before."""
        end = time.monotonic() + self.dice.uniform(0.4, 4)
        while process.poll() is None and time.monotonic() < end:
            time.sleep(0.002)
        if process.poll() is not None:
            return "done", []
        family = descendants(process.pid)
        workers = [pid for pid in family if is_program(pid, "pretrain")]
        if processes == 1 or not workers or self.dice.random() < 0.1:
            process.send_signal(signal.SIGKILL)
            return None, family
        victim = self.dice.choice(workers)
        rank = environment_of(victim).get("OMPI_COMM_WORLD_RANK")
        try:
            os.kill(victim, signal.SIGKILL)
        except ProcessLookupError:
            return "done", []
        return rank, family

    def attempt(self, run, processes):
        """Returns True if the run finished."""
        self.attempts += 1
        process = self.run(run, processes)
        # Output is short, so the pipes never fill while nobody reads.
        killed, family = self.kill_one(process, processes)
        try:
            output, errors = process.communicate(timeout=SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            sys.exit(f"error: kill {self.kills}: {SECONDS_TO_END} s after rank {killed} was killed the run has not ended")
        self.compare_steps(output, f"attempt {self.attempts} with {processes} processes")
        if process.returncode == 0:
            return True
        if killed == "done":
            sys.exit(f"error: after {self.kills} kills: code {process.returncode}: {errors}")
        self.kills += 1
        self.of_launcher += killed is None
        end = time.monotonic() + SECONDS_TO_END
        while (left := [pid for pid in family if alive(pid)]) and time.monotonic() < end:
            time.sleep(0.01)
        if left:
            sys.exit(f"error: kill {self.kills}: processes {left} were left behind")
        if killed is None:
            return False
        named = LOST_LINE.search(errors)
        if process.returncode != LOST or errors.count("\n") != 1 or not named or named[1] != killed:
            sys.exit(f"error: kill {self.kills}, of rank {killed} of {processes}: code {process.returncode}: {errors}")
        return False

    def until_finished(self, run, fixed):
        """Kills a run until it has finished; `fixed` is its number of processes, or None for another one each time."""
        while not self.attempt(run, fixed or self.dice.randint(1, 4)):
            pass
        reference = self.undisturbed(fixed or 1)
        for name in ENCODERS:
            if fixed and (run / name).read_bytes() != (reference / name).read_bytes():
                sys.exit(f"error: {fixed} processes: after {self.kills} kills a run ended with other bytes in {name}")
            far = distance(weights(reference / name), weights(run / name))
            if not far < WEIGHT_TOLERANCE:
                sys.exit(f"error: after {self.kills} kills a run ended with other weights in {name}: {far:.1e}")


def drill(apps, folder, dice, kills):
    drawn = [apps / "make_toy_dataset", folder / "set", "--classes", "4", "--per-class", "24", "--image-size", "32"]
    subprocess.run(drawn, check=True, stdout=subprocess.DEVNULL)
    here = Drill(apps, folder, dice)
    one = weights(here.undisturbed(1) / ENCODERS[0])
    shutil.copytree(folder / "set", folder / "other")
    pictures = sorted(pathlib.Path(folder / "other" / "train").glob("*/*"))
    shutil.copyfile(pictures[1], pictures[0])
    with_other_image = distance(one, weights(here.undisturbed(1, "other") / ENCODERS[0]))
    if with_other_image < 5 * WEIGHT_TOLERANCE:
        sys.exit(f"error: one other image moves the weights by only {with_other_image:.1e}: the drill would not see it")
    runs = 0
    while here.kills < kills:
        here.until_finished(folder / f"run{runs}", fixed=(None, 2, None, 3)[runs % 4])
        runs += 1
    digest = hashlib.sha256((here.undisturbed(1) / ENCODERS[0]).read_bytes()).hexdigest()
    print(f"{here.kills} kills in {runs} runs of 1 to 4 processes, {here.of_launcher} of them of the first process itself: every "
          f"step saw its images, every run ended with the weights {digest[:12]} within {WEIGHT_TOLERANCE:g} (one other image: "
          f"{with_other_image:.1e}), and with the same bytes where the number of processes stayed; nothing was left behind")
