#!/usr/bin/env python3
"""Kills a small training with SIGKILL at random moments, again and again, until it has finished, and compares the
weights, those of the last step and of the best epoch, with an undisturbed run. Every tenth process is killed as soon as it writes a checkpoint.
With --processes the training has several processes, of which a random one is killed (scripts/processes/killing.py).

    scripts/processes/hundred_kills.py [--kills 100] [--build build/release] [--seed 0] [--processes]
"""
import argparse
import hashlib
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "scripts"))
from processes.killing import drill  # noqa: E402

ENCODERS = ("encoder.safetensors", "best_encoder.safetensors")


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def wait_for(process, seconds, folder):
    """Waits until the process ends, the time is up, or (if a folder is given) a file is being written in it."""
    end = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < end:
        if folder and any(folder.glob("**/.kindred-*.tmp")):
            return
        time.sleep(0.001)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", action="store_true")
    a = parser.parse_args()
    apps, dice = a.build.resolve() / "apps", random.Random(a.seed)
    environment = dict(os.environ, OMP_NUM_THREADS="2")
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        if a.processes:
            return drill(apps, folder, dice, a.kills)
        subprocess.run([apps / "make_toy_dataset", folder / "set", "--classes", "4", "--per-class", "16", "--image-size", "32"],
                       check=True, stdout=subprocess.DEVNULL)

        def command(run, workers):
            return [apps / "pretrain", folder / "set", "--out", run, "--model", "resnet20", "--image-size", "32", "-b", "16",
                    "--epochs", "6", "--checkpoint-every", "1", "--knn-every", "3", "-j", str(workers), "--resume"]

        subprocess.run(command(folder / "whole", 1), check=True, stdout=subprocess.DEVNULL, env=environment)
        wanted = {name: digest(folder / "whole" / name) for name in ENCODERS}
        kills = in_save = runs = 0
        while kills < a.kills:
            run = folder / f"run{runs}"
            runs += 1
            while True:
                process = subprocess.Popen(command(run, dice.randrange(4)), stdout=subprocess.DEVNULL,
                                           stderr=subprocess.PIPE, env=environment)
                watch = run if dice.random() < 0.5 else None
                wait_for(process, dice.uniform(0.02, 0.7), watch)
                if process.poll() is None:
                    in_save += any(run.glob("**/.kindred-*.tmp"))
                    process.send_signal(signal.SIGKILL)
                    process.wait()
                    kills += 1
                    continue
                if process.returncode != 0:
                    sys.exit(f"after {kills} kills: exit code {process.returncode}: {process.stderr.read().decode()}")
                break
            for name in ENCODERS:
                if digest(run / name) != wanted[name]:
                    sys.exit(f"after {kills} kills: run {runs} ended with another {name}")
        print(f"{kills} kills in {runs} runs, {in_save} of them inside a save: every run ended with the same weights, "
              f"{' and '.join(wanted.values())}")


if __name__ == "__main__":
    main()
