#!/usr/bin/python3
"""Import and export of weights, against the other programs.

    python3 tests/golden/check_weights.py [--build build/release] [--models resnet18,resnet50] [--onnx-python PYTHON]

Needs Debian's python3-torch, python3-torchvision, python3-pil and python3-numpy, and from pip safetensors and
optionally timm. The ONNX part needs an interpreter with onnx, onnxruntime and numpy (--onnx-python, default: this one);
without them it is left out, with a message. Takes a few minutes; no download: weights and images are random.

For each model:
  in    torchvision's (and timm's) state_dict as safetensors -> `embed --weights`: features and logits are theirs
  out   `export` of what Kindred trained -> load_state_dict(strict=True) in torchvision, timm and SupContrast's layout:
        features and logits are Kindred's
  onnx  the exported graph passes onnx's checker; onnxruntime's outputs, for batches of 1 and 3, are PyTorch's
Differences are relative to the largest magnitude of the reference; the limit is 1e-4.
"""

import argparse
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import torch
import torchvision
from PIL import Image
from safetensors.torch import load_file, save_file

LIMIT = 1e-4
MEAN = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
STD = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
failures = []


def compare(what, ours, theirs):
    ours, theirs = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    error = float(np.abs(ours - theirs).max() / np.abs(theirs).max())
    print(f"  {what}: {error:.1e} {'ok' if error <= LIMIT else 'TOO FAR'}")
    if not error <= LIMIT:
        failures.append(what)


def randomized(model, seed):
    """Random weights that keep activations at a moderate size, and random running statistics."""
    torch.manual_seed(seed)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_mean, -0.3, 0.3)
            torch.nn.init.uniform_(module.running_var, 0.5, 2.0)
            torch.nn.init.uniform_(module.weight, 0.5, 1.0)
            torch.nn.init.uniform_(module.bias, -0.3, 0.3)
            module.num_batches_tracked.fill_(11)
    return model.eval()


def draw_images(folder, size):
    """Random pictures that Kindred's resize does not change: 256 pixels are resized to 256, then the middle is
    taken."""
    rng = np.random.default_rng(0)
    full = size * 256 // 224 if size > 64 else size
    tensors = []
    for split in ("train", "val"):
        for k in range(8):
            path = folder / split / f"c{k % 2}" / f"{k:02}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            coarse = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
            pixels = np.asarray(Image.fromarray(coarse).resize((full, full), Image.BICUBIC))
            Image.fromarray(pixels).save(path)
            if split == "val":
                tensors.append((path, pixels))
    begin = (full - size) // 2
    order = sorted(tensors, key=lambda item: str(item[0]))
    images = [torch.from_numpy(p[begin:begin + size, begin:begin + size].copy()).permute(2, 0, 1).float() / 255
              for _, p in order]
    return torch.stack([(image - MEAN) / STD for image in images])


def run(program, *arguments):
    command = [program, *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\n{result.stdout}{result.stderr}")
    return result.stdout


class SupConResNet(torch.nn.Module):
    """The layout of SupContrast's files: encoder and head."""

    def __init__(self, encoder, dim):
        super().__init__()
        encoder.fc = torch.nn.Identity()
        self.encoder = encoder
        self.head = torch.nn.Sequential(torch.nn.Linear(dim, dim), torch.nn.ReLU(), torch.nn.Linear(dim, 128))

    def forward(self, x):
        return torch.nn.functional.normalize(self.head(self.encoder(x)), dim=1)


def features_and_logits(model, images):
    fc, model.fc = model.fc, torch.nn.Identity()
    features = model(images)
    model.fc = fc
    return features, fc(features)


def check_model(name, apps, work, onnx_python):
    size = 224
    images = draw_images(work / "images", size)
    data, dim = work / "images", 2048 if name == "resnet50" else 512
    print(f"{name}:")

    # In: torchvision's weights, and timm's.
    theirs = randomized(getattr(torchvision.models, name)(num_classes=10), 1)
    makers = {"torchvision": lambda: theirs}
    try:
        import timm
        makers["timm"] = lambda: randomized(timm.create_model(name, num_classes=10), 2)
    except ImportError:
        print("  timm is not installed: left out")
    for maker, make in makers.items():
        model = make()
        path = work / f"{maker}.safetensors"
        save_file(model.state_dict(), str(path))
        features, logits = features_and_logits(model, images)
        run(apps / "embed", data, "--weights", path, "--out", work / "f.npz")
        compare(f"in, {maker}: features", np.load(work / "f.npz")["features"], features)
        run(apps / "embed", data, "--weights", path, "--classifier", path, "--out", work / "l.npz")
        compare(f"in, {maker}: logits", np.load(work / "l.npz")["logits"], logits)

    # Out: what Kindred trained, in one step that begins with those weights.
    runs = work / "run"
    run(apps / "pretrain", data, "--out", runs, "--model", name, "--image-size", 64, "--stem", "imagenet", "--pixels",
        "imagenet", "-b", 8, "--epochs", 1, "--lr", 0.001, "--weights", work / "torchvision.safetensors")
    encoder = runs / "encoder.safetensors"
    run(apps / "linear_probe", data, "--encoder", encoder, "--image-size", size, "--out", runs / "probe", "-b", 4,
        "--epochs", 3)
    # The probe's classifier must arrive unchanged. Logits are compared with a random classifier: after one step from
    # random weights the features hardly differ, so in any framework the probe's logits are small differences of large
    # numbers.
    probe = runs / "probe/classifier.safetensors"
    run(apps / "export", runs, "--format", "torchvision", "--classifier", probe, "--out", work / "probe.safetensors")
    for key, value in load_file(str(probe)).items():
        assert torch.equal(load_file(str(work / "probe.safetensors"))[key], value)
    drawn = torch.nn.Linear(dim, 10)
    classifier = work / "classifier.safetensors"
    save_file({"fc.weight": drawn.weight.data, "fc.bias": drawn.bias.data}, str(classifier))
    run(apps / "embed", data, "--encoder", encoder, "--image-size", size, "--out", work / "f.npz")
    run(apps / "embed", data, "--encoder", encoder, "--image-size", size, "--classifier", classifier, "--out",
        work / "l.npz")
    ours, our_logits = np.load(work / "f.npz")["features"], np.load(work / "l.npz")["logits"]

    for maker in makers:
        out = work / f"out_{maker}.safetensors"
        run(apps / "export", runs, "--format", maker, "--classifier", classifier, "--out", out)
        make = timm.create_model if maker == "timm" else torchvision.models.get_model
        model = make(name, num_classes=10)
        model.load_state_dict(load_file(str(out)), strict=True)
        assert model.bn1.num_batches_tracked.item() == 1
        features, logits = features_and_logits(model.eval(), images)
        compare(f"out, {maker}: strict=True, features", ours, features)
        compare(f"out, {maker}: strict=True, logits", our_logits, logits)
        run(apps / "export", runs, "--format", maker, "--out", out)
        model = timm.create_model(name, num_classes=0) if maker == "timm" else getattr(torchvision.models, name)()
        if maker == "torchvision":
            model.fc = torch.nn.Identity()
        model.load_state_dict(load_file(str(out)), strict=True)
        compare(f"out, {maker}: strict=True without a classifier", ours, model.eval()(images))

    out = work / "supcontrast.safetensors"
    run(apps / "export", runs, "--format", "supcontrast", "--out", out)
    state = {key.replace(".shortcut.", ".downsample."): value for key, value in load_file(str(out)).items()}
    assert any(".shortcut." in key for key in load_file(str(out)))
    model = SupConResNet(getattr(torchvision.models, name)(), dim)
    model.load_state_dict(state, strict=True)
    embeddings = model.eval()(images)
    compare("out, supcontrast: strict=True, features", ours, model.encoder(images))

    # .npz, which needs only NumPy.
    run(apps / "export", runs, "--format", "npz", "--out", work / "weights.npz")
    arrays = np.load(work / "weights.npz")
    assert all(np.array_equal(arrays[key], value) for key, value in load_file(str(encoder)).items() if key in arrays)
    assert len(arrays) == sum("tracked" not in key for key in load_file(str(encoder)))

    if onnx_python is None:
        return
    np.save(work / "images.npy", images.numpy())
    for what, flags, expected in (("encoder", [], ours), ("head", ["--head"], embeddings),
                                  ("classifier", ["--classifier", classifier], our_logits)):
        run(apps / "export", runs, "--format", "onnx", *flags, "--image-size", size, "--out", work / "m.onnx")
        run(onnx_python, "-c", ONNX_SCRIPT, work)
        for batch in (1, 3, 8):
            compare(f"out, onnx {what}: checked, batch {batch}", np.load(work / f"onnx{batch}.npy"), expected[:batch])


ONNX_SCRIPT = """
import sys, numpy as np, onnx, onnxruntime
work = sys.argv[1]
model = onnx.load(work + '/m.onnx')
onnx.checker.check_model(model, full_check=True)
assert model.opset_import[0].version == 17
session = onnxruntime.InferenceSession(work + '/m.onnx', providers=['CPUExecutionProvider'])
images = np.load(work + '/images.npy')
for batch in (1, 3, 8):
    np.save(work + f'/onnx{batch}.npy', session.run(None, {session.get_inputs()[0].name: images[:batch]})[0])
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=pathlib.Path("build/release"))
    parser.add_argument("--models", default="resnet18,resnet50")
    parser.add_argument("--onnx-python", default=sys.executable)
    a = parser.parse_args()
    onnx_python = a.onnx_python
    if subprocess.run([onnx_python, "-c", "import onnx, onnxruntime"], capture_output=True).returncode != 0:
        print(f"{onnx_python} has no onnx and onnxruntime: the ONNX part is left out")
        onnx_python = None
    torch.set_grad_enabled(False)
    torch.set_num_threads(os.cpu_count() or 1)
    for name in a.models.split(","):
        with tempfile.TemporaryDirectory() as work:
            check_model(name, (a.build / "apps").resolve(), pathlib.Path(work), onnx_python)
    if failures:
        sys.exit("too far: " + ", ".join(failures))


if __name__ == "__main__":
    main()
