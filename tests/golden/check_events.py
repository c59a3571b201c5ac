#!/usr/bin/env python3
"""What TensorBoard itself reads of a run, against the run's own files: names, steps and values of metrics.jsonl, the picture
views.jpg, and in the projector the features that `embed` gives.

  tests/golden/check_events.py [--build build/release]

Trains a small run, kills it (SIGKILL) after some epochs, cuts its file of events off in the middle of a record, goes on with
it, and reads the files with the tensorboard package, which pip installs into the build tree at first use: its reader of events,
and the functions with which its server answers the page of the projector. A class has a tab and the end of a line in its name.
Also compares metrics.csv.
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
HOSTILE = "ring\tand\nrings <b>"


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
    for part in ("train", "val"):
        sorted((folder / "set" / part).iterdir())[0].rename(folder / "set" / part / HOSTILE)
    run = folder / "run"
    command = [apps / "pretrain", folder / "set", "--out", run, "--model", "resnet20", "--image-size", "32", "-b", "8", "-j", "1",
               "--epochs", str(EPOCHS), "--online-probe", "--metrics-csv", "--device", "cpu"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as first:
        while epochs_of(run) < KILL_AFTER and first.poll() is None:
            time.sleep(0.005)
        first.send_signal(signal.SIGKILL)
    for file in (run / "tensorboard").glob("events*"):
        file.write_bytes(file.read_bytes()[:-7])
    subprocess.run([*command, "--resume"], check=True, stdout=subprocess.DEVNULL)
    subprocess.run([apps / "embed", folder / "set", "--encoder", run, "--split", "val", "--device", "cpu", "--out",
                    folder / "features.npz"], check=True, stdout=subprocess.DEVNULL)
    return run


def differences_of_figures(run, reader):
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


def differences_of_picture(run, reader):
    """The picture is there once, at step 0, with the bytes of the file and the size that these say."""
    file = (run / "views.jpg").read_bytes()
    events = reader.EventAccumulator(str(run / "tensorboard"), {reader.IMAGES: 0})
    events.Reload()
    names = events.Tags()["images"]
    if names != ["views"]:
        yield f"TensorBoard reads the pictures {names}, not views alone"
        return
    steps = [image.step for image in events.Images("views")]
    if steps != [0]:
        yield f"views.jpg has the steps {steps}, and not 0 once"
    for image in events.Images("views"):
        header = file.index(b"\xff\xc0") + 5
        size = tuple(int.from_bytes(file[at:at + 2], "big") for at in (header, header + 2))
        if image.encoded_image_string != file:
            yield "the picture that TensorBoard reads is not views.jpg"
        if (image.height, image.width) != size:
            yield f"the picture's size is {size}, and TensorBoard reads {image.height} x {image.width}"


def projector_answers(run):
    """What TensorBoard's server answers the page of its projector."""
    from tensorboard.backend.event_processing import data_provider, plugin_event_multiplexer
    from tensorboard.plugins import base_plugin
    from tensorboard.plugins.projector import projector_plugin
    from werkzeug import test
    logdir = str(run / "tensorboard")
    multiplexer = plugin_event_multiplexer.EventMultiplexer()
    multiplexer.AddRunsFromDirectory(logdir)
    multiplexer.Reload()
    context = base_plugin.TBContext(logdir=logdir, data_provider=data_provider.MultiplexerDataProvider(multiplexer, logdir))
    routes = projector_plugin.ProjectorPlugin(context).get_plugin_apps()

    def ask(route, **query):
        answer = test.Client(routes[route]).get(query_string=query)
        if answer.status_code != 200:
            raise RuntimeError(f"{route} {query}: {answer.status} {answer.get_data(as_text=True)}")
        return answer.get_data()

    runs = json.loads(ask("/runs"))
    config = json.loads(ask("/info", run=".")) if runs == ["."] else {}
    if len(config.get("embeddings", [])) != 1:
        raise RuntimeError(f"it has the runs {runs} with {config}")
    name = config["embeddings"][0]["tensorName"]
    return config["embeddings"][0], *(ask(route, run=".", name=name) for route in ("/tensor", "/metadata", "/sprite_image"))


def visible(name):
    return name.replace("\t", "\\t").replace("\n", "\\n")


def differences_of_projector(run):
    """The features are those of `embed` at unit length, in its order and with its names."""
    import numpy as np
    try:
        embedding, tensor, metadata, sprite = projector_answers(run)
    except (RuntimeError, ValueError) as error:
        yield f"the projector: {error}"
        return
    with np.load(run.parent / "features.npz") as file:
        features, paths, classes = file["features"], file["paths"], file["classes"][file["labels"]]
    features = features / np.linalg.norm(features, axis=1, keepdims=True)
    rows = len(features)
    if embedding["tensorShape"] != list(features.shape) or embedding["tensorName"] != f"features after epoch {EPOCHS}":
        yield f"the projector has {embedding['tensorName']} of shape {embedding['tensorShape']}, not of {features.shape}"
        return
    shown = np.frombuffer(tensor, dtype="<f4").reshape(features.shape)
    if not np.abs(features).max() > 0.01 or np.abs(shown - features).max() > 1e-5:
        yield f"the projector's features are not those of embed: {np.abs(shown - features).max()} apart"
    names = [f"{visible(str(one))}\t{visible(str(path))}" for one, path in zip(classes, paths)]
    lines = metadata.decode().split("\n")
    if lines != ["class\tpath", *names, ""] or visible(HOSTILE) not in lines[1]:
        yield f"the projector's names are {lines[:3]} ..., not {names[:2]} ..."
    side, across = embedding["sprite"]["singleImageDim"][0], int(np.ceil(np.sqrt(rows)))
    header = sprite.index(b"\xff\xc0") + 5
    size = [int.from_bytes(sprite[at:at + 2], "big") for at in (header, header + 2)]
    if size != [-(-rows // across) * side, across * side] or sprite != (run / "tensorboard/projector_sprite.jpg").read_bytes():
        yield f"the sprite of {rows} thumbnails of {side} pixels is of {size}"


def differences(run, reader):
    yield from differences_of_figures(run, reader)
    yield from differences_of_picture(run, reader)
    yield from differences_of_projector(run)


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
        # What is not as it was measured must be seen.
        features, names = run / "tensorboard/projector_features.tsv", run / "tensorboard/projector_metadata.tsv"
        for file, planted in ((run / "metrics.jsonl", lambda text: text.replace(b'"epoch":5,', b'"epoch":4,')),
                              (run / "views.jpg", lambda text: text[:-9] + b"!" + text[-8:]),
                              (features, lambda text: b"0.5" + text[text.index(b"\t"):]),
                              (names, lambda text: text[:text.rindex(b"\n", 0, -1) + 1])):
            before = file.read_bytes()
            file.write_bytes(planted(before))
            if file.read_bytes() == before or not list(differences(run, reader)):
                found.append(f"a planted error in {file.name} was not noticed")
            file.write_bytes(before)
    for line in found:
        print(line)
    if found:
        sys.exit(1)
    print(f"events: TensorBoard reads {EPOCHS} epochs of a run that was killed, each once, as metrics.jsonl and metrics.csv have "
          "them, its views.jpg once, and in the projector the features of embed")


if __name__ == "__main__":
    main()
