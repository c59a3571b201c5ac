#!/usr/bin/env python3
"""Checks that the graphs of `export --format onnx` give the same results in onnxruntime as Kindred's own programs.

    scripts/check_onnx.py [--build build/release]

Trains two small networks for a step, exports the encoder alone, with its head and with a classifier, and runs the graphs on
the pictures' pixels, normalized as the graphs' metadata say, in batches of 1, 5 and all. Features and logits are compared
with those of `embed`, embeddings with the head's weights (`export --format npz --head`) applied to the features. A
difference of a hundredth in the pixels must be found. Graphs with the preparation take pictures that are no squares, and are
compared with `embed` for each way to resize. onnxruntime and NumPy come from this Python or from pip. Without
them, or if Kindred was built without libonnx, nothing is checked, and a message says so.
"""
import argparse
import importlib
import json
import pathlib
import random
import struct
import subprocess
import sys
import tempfile
import zlib

import from_pip

ROOT = pathlib.Path(__file__).resolve().parent.parent
LIMIT = 1e-5  # of the largest magnitude
PREPARED_LIMIT = 2e-2  # where a pixel may be off by one level of 255
SIDE, IMAGES = 32, 12
TALL = 50  # rows of pictures of SIDE columns


def find_onnxruntime():
    """onnxruntime and numpy, or None. This older onnxruntime is half as large as the newest and is sufficient."""
    sys.path.append(str(from_pip.TOOLS))
    for name, choices in (("numpy", ["numpy"]), ("onnxruntime", ["onnxruntime==1.20.*", "onnxruntime"])):
        for choice in [None, *choices]:
            if choice:
                from_pip.bring(choice, "--no-deps", "--upgrade")
                importlib.invalidate_caches()
            try:
                importlib.import_module(name)
                break
            except ImportError:
                sys.modules.pop(name, None)
        else:
            return None
    return sys.modules["onnxruntime"], sys.modules["numpy"]


def write_png(path, pixels):
    """Writes rows of RGB bytes, without a filter."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = [b"\0" + pixels[at:at + 3 * SIDE] for at in range(0, len(pixels), 3 * SIDE)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", SIDE, len(rows), 8, 2, 0, 0, 0))
                     + chunk(b"IDAT", zlib.compress(b"".join(rows))) + chunk(b"IEND", b""))


def draw_set(folder, height=SIDE):
    """Draws two classes of random pictures, by default of the size of a view, so a view is the picture itself. Returns
    their pixels in the set's order."""
    dice, pixels = random.Random(5), []
    for i in range(IMAGES):
        mean = dice.randrange(40, 200)
        pixels.append(bytes(min(255, mean + dice.randrange(56)) for _ in range(3 * SIDE * height)))
        write_png(folder / "train" / f"{i * 2 // IMAGES}" / f"{i:02}.png", pixels[-1])
    return pixels


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release")
    apps = parser.parse_args().build.resolve() / "apps"

    def run(program, *arguments):
        return subprocess.run([apps / program, *map(str, arguments)], capture_output=True, text=True)

    def must_run(program, *arguments):
        result = run(program, *arguments)
        if result.returncode:
            sys.exit(f"{program} {' '.join(map(str, arguments))}\n{result.stdout}{result.stderr}")

    if "libonnx" in run("export", "none", "--format", "onnx", "--out", "none.onnx").stderr:
        print("skipped: graphs in onnxruntime: built without libonnx")
        return
    found = find_onnxruntime()
    if not found:
        print("skipped: graphs in onnxruntime: no onnxruntime and NumPy (pip install onnxruntime numpy)")
        return
    onnxruntime, np = found
    differences, wrong, unnoticed = [], [], []

    def check_graph(what, path, pixels, expected):
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        known = session.get_modelmeta().custom_metadata_map
        mean, deviation = (np.array(json.loads(known[key]), np.float32) for key in ("pixel_mean", "pixel_std"))
        images = np.frombuffer(b"".join(pixels), np.uint8).reshape(-1, SIDE, SIDE, 3) / np.float32(255)
        images = ((images - mean) / deviation).astype(np.float32).transpose(0, 3, 1, 2)

        def difference(batch, scale=np.float32(1)):
            theirs = session.run(None, {session.get_inputs()[0].name: np.ascontiguousarray(scale * images[:batch])})[0]
            return float(np.abs(theirs - expected[:batch]).max() / np.abs(expected[:batch]).max())

        for batch in (1, 5, IMAGES):
            differences.append(difference(batch))
            if not differences[-1] <= LIMIT:
                wrong.append(f"{what}, batch of {batch}: off by {differences[-1]:.1e}")
        if difference(IMAGES, np.float32(1.01)) <= LIMIT:
            unnoticed.append(what)

    def check_prepared(what, path, pixels, expected):
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        images = np.frombuffer(b"".join(pixels), np.uint8).reshape(-1, TALL, SIDE, 3)
        theirs = session.run(None, {session.get_inputs()[0].name: images})[0]
        difference = float(np.abs(theirs - expected).max() / np.abs(expected).max())
        if not difference <= PREPARED_LIMIT:
            wrong.append(f"{what}: off by {difference:.1e}")

    with tempfile.TemporaryDirectory() as name:
        work = pathlib.Path(name)
        pixels = draw_set(work / "set")
        tall = draw_set(work / "tall", TALL)
        for model, stem, statistics in (("resnet20", "cifar", "cifar100"), ("resnet18", "imagenet", "imagenet")):
            out = work / model
            must_run("pretrain", work / "set", "--device", "cpu", "--model", model, "--stem", stem, "--pixels", statistics,
                     "--image-size", SIDE, "-b", IMAGES, "--epochs", 1, "--warmup-epochs", 0, "--knn-every", 0, "--out", out)
            encoder, classifier = out / "encoder.safetensors", out / "probe/classifier.safetensors"
            must_run("linear_probe", work / "set", "--device", "cpu", "--encoder", encoder, "--val-fraction", 0.5, "--out",
                     out / "probe", "--epochs", 2)
            given = [work / "set", "--device", "cpu", "--split", "train", "--encoder", encoder, "--out", out / "given.npz"]
            must_run("embed", *given)
            features = np.load(out / "given.npz")["features"]
            must_run("embed", *given, "--classifier", classifier)
            logits = np.load(out / "given.npz")["logits"]
            must_run("export", out, "--format", "npz", "--head", "--out", out / "weights.npz")
            head = np.load(out / "weights.npz")
            hidden = np.maximum(features @ head["head.0.weight"].T + head["head.0.bias"], 0)
            embeddings = hidden @ head["head.2.weight"].T + head["head.2.bias"]
            embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
            for what, flags, expected in (("features", [], features), ("embeddings", ["--head"], embeddings),
                                          ("logits", ["--classifier", classifier], logits)):
                must_run("export", out, "--format", "onnx", *flags, "--out", out / "model.onnx")
                check_graph(f"{model}, {what}", out / "model.onnx", pixels, expected)
            for mode in ("crop", "pad", "squash"):
                must_run("embed", work / "tall", "--device", "cpu", "--split", "train", "--encoder", encoder, "--resize", mode,
                         "--out", out / "given.npz")
                must_run("export", out, "--format", "onnx", "--with-preparation", "--resize", mode, "--out",
                         out / "model.onnx")
                check_prepared(f"{model}, pictures of {SIDE} x {TALL}, {mode}", out / "model.onnx", tall,
                               np.load(out / "given.npz")["features"])
    print(f"graphs in onnxruntime {onnxruntime.__version__}: {len(differences)} outputs compared, off by at most "
          f"{max(differences):.1e}, {len(wrong)} too far")
    wrong += [f"{what}: pixels that are off by a hundredth were not noticed" for what in unnoticed]
    if wrong:
        sys.exit("\n".join(wrong))


if __name__ == "__main__":
    main()
