#!/usr/bin/env python3
"""What TensorBoard itself reads of a run, against metrics.jsonl: the same names, steps and values.

  tests/golden/check_events.py [--build build/release]

Trains a small run, kills it (SIGKILL) after some epochs, cuts its file of events off in the middle of a record, goes on with
it, and reads the files with the tensorboard package, which pip installs into the build tree at first use. Also compares
metrics.csv.
"""
import argparse
import csv
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "scripts"))
import from_pip

FOLDER = from_pip.TOOLS / "tensorboard"
EPOCHS, KILL_AFTER = 12, 3


def event_accumulator():
    """TensorBoard's reader, or None."""
    if not FOLDER.exists():
        from_pip.bring("tensorboard==2.18.0", into=FOLDER)
    sys.path.insert(0, str(FOLDER))
    try:
        from tensorboard.backend.event_processing import event_accumulator as module
    except ImportError:
        return None
    return module


def epochs_of(run):
    metrics = run / "metrics.jsonl"
    return len(metrics.read_text().splitlines()) if metrics.exists() else 0


def numbers_of(value, prefix=""):
    """Every number of a line, by the name that its scalar has."""
    for name, inside in value.items():
        if isinstance(inside, dict):
            yield from numbers_of(inside, prefix + name + "/")
        elif isinstance(inside, (int, float)) and not isinstance(inside, bool):
            yield prefix + name, inside


def train_with_a_kill(apps, folder):
    subprocess.run([apps / "make_toy_dataset", folder / "set", "--classes", "3", "--per-class", "8", "--image-size", "32"],
                   check=True, stdout=subprocess.DEVNULL)
    run = folder / "run"
    command = [apps / "pretrain", folder / "set", "--out", run, "--model", "resnet20", "--image-size", "32", "-b", "8", "-j", "1",
               "--epochs", str(EPOCHS), "--online-probe", "--metrics-csv", "--device", "cpu"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as first:
        while epochs_of(run) < KILL_AFTER and first.poll() is None:
            time.sleep(0.005)
        first.send_signal(signal.SIGKILL)
    for file in (run / "tensorboard").iterdir():
        file.write_bytes(file.read_bytes()[:-7])
    subprocess.run([*command, "--resume"], check=True, stdout=subprocess.DEVNULL)
    return run


def differences(run, reader):
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    expected = {}
    for line in lines:
        for name, value in numbers_of(line):
            if name != "epoch":
                expected.setdefault(name, []).append((line["epoch"], value))
    events = reader.EventAccumulator(str(run / "tensorboard"), {reader.SCALARS: 0, reader.HISTOGRAMS: 0})
    events.Reload()
    read = {name: [(event.step, event.value) for event in events.Scalars(name)] for name in events.Tags()["scalars"]}
    for name in sorted(expected.keys() | read.keys()):
        want, got = expected.get(name, []), read.get(name, [])
        near = len(want) == len(got) and all(a[0] == b[0] and abs(a[1] - b[1]) <= 1e-6 * abs(a[1]) for a, b in zip(want, got))
        if not near:
            yield f"{name}: metrics.jsonl has {want}, TensorBoard reads {got}"
    counts = [(line["epoch"], sum(n for _, n in line["features"]["positives_histogram"])) for line in lines if line["features"]]
    read_counts = [(e.step, e.histogram_value.num) for e in events.Histograms("features/positives_histogram")]
    if counts != read_counts:
        yield f"histogram of positives: {counts}, TensorBoard reads {read_counts}"
    rows = list(csv.DictReader((run / "metrics.csv").open()))
    for line, row in zip(lines, rows, strict=True):
        for name, value in numbers_of(line):
            if float(row[name]) != value:
                yield f"metrics.csv: {name} of epoch {line['epoch']} is {row[name]}, not {value}"
    if len(lines) != EPOCHS or "loss" not in expected or "features/uniformity" not in expected:
        yield f"the run has {len(lines)} epochs, and of its figures {sorted(expected)}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release")
    a = parser.parse_args()
    reader = event_accumulator()
    if reader is None:
        print("skipped: events: pip cannot bring tensorboard")
        return
    os.environ["OMP_NUM_THREADS"] = "2"
    with tempfile.TemporaryDirectory() as folder:
        run = train_with_a_kill(a.build / "apps", pathlib.Path(folder))
        found = list(differences(run, reader))
        # A value that is not what was measured must be seen.
        metrics = run / "metrics.jsonl"
        metrics.write_text(metrics.read_text().replace('"epoch":5,', '"epoch":4,'))
        if not list(differences(run, reader)):
            found.append("a planted step of another epoch was not noticed")
    for line in found:
        print(line)
    if found:
        sys.exit(1)
    print(f"events: TensorBoard reads {EPOCHS} epochs of a run that was killed, each once, as metrics.jsonl and metrics.csv have them")


if __name__ == "__main__":
    main()
