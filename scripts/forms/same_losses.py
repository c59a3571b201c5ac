#!/usr/bin/env python3
"""Trains on the same pixels in every form that people keep them in, and expects the same losses.

    /usr/bin/python3 scripts/forms/same_losses.py SET [--apps build/release/apps] [--images 12]

SET holds train/<class>/*, and val/ or test/. The first images of each class are read by Pillow (python3-pil), and
written to a temporary folder as: PNG with val and test; PNG as DIR/<class>/* alone; the same named by a CSV list; turned
PNG with an EXIF orientation that says so (--exif apply); WebP without loss; TIFF; a pack. `pretrain` runs two epochs on each,
and `linear_probe` follows. Ends with code 1 if the losses, or the figures of forms with the same images for evaluation,
differ.
"""
import argparse
import csv
import json
import pathlib
import subprocess
import sys
import tempfile

from PIL import Image

# How a picture is stored whose EXIF orientation is given: what Pillow's exif_transpose undoes.
TURNED = {1: None, 2: Image.FLIP_LEFT_RIGHT, 3: Image.ROTATE_180, 4: Image.FLIP_TOP_BOTTOM, 5: Image.TRANSPOSE,
          6: Image.ROTATE_90, 7: Image.TRANSVERSE, 8: Image.ROTATE_270}
ORIENTATION = 0x0112


def pictures(folder, most):
    """(class, name, RGB picture) of each image; at most `most` of each class."""
    for class_folder in sorted(path for path in folder.iterdir() if path.is_dir()):
        for file in sorted(class_folder.iterdir())[:most]:
            yield class_folder.name, file.stem, Image.open(file).convert("RGB")


def write(folder, named, ending, **options):
    for i, (name, stem, picture) in enumerate(named):
        place = folder / name
        place.mkdir(parents=True, exist_ok=True)
        if ending == "turned":
            orientation = 1 + i % 8
            turn = TURNED[orientation]
            exif = Image.Exif()
            exif[ORIENTATION] = orientation
            (picture.transpose(turn) if turn is not None else picture).save(place / f"{stem}.png", exif=exif)
        else:
            picture.save(place / f"{stem}.{ending}", **options)


def run(*command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\nended with {done.returncode}: {done.stdout}{done.stderr}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set", metavar="SET", type=pathlib.Path)
    parser.add_argument("--apps", type=pathlib.Path, default="build/release/apps")
    parser.add_argument("--images", type=int, default=12, help="of each class")
    a = parser.parse_args()
    parts = {part: list(pictures(a.set / part, a.images)) for part in ("train", "val", "test")
             if (a.set / part).is_dir()}
    with tempfile.TemporaryDirectory(prefix="kindred-forms-") as temporary:
        forms = pathlib.Path(temporary)
        for form, ending, options in (("png", "png", {}), ("turned", "turned", {}), ("webp", "webp", {"lossless": True}),
                                      ("tiff", "tiff", {})):
            for part, named in parts.items():
                write(forms / form / part, named, ending, **options)
        write(forms / "alone", parts["train"], "png")
        with open(forms / "list.csv", "w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["path", "label"])
            rows.writerows([f"{name}/{stem}.png", name] for name, stem, _ in reversed(parts["train"]))
        run(a.apps / "pack_dataset", forms / "png", forms / "pack")

        # Held out of the training images: the same ones wherever the classes and their images are the same.
        held_out = ["--val-fraction", "0.25"]
        test = ["--split", "test"] if "test" in parts else []
        compared = {
            "with its evaluation images": {"png": ["png"], "turned": ["turned", "--exif", "apply"], "webp": ["webp"],
                                           "tiff": ["tiff"], "pack": ["pack"]},
            "a quarter held out": {"png": ["png", *held_out], "alone": ["alone", *held_out],
                                   "list": ["alone", "--labels", forms / "list.csv", *held_out]},
        }
        wrong = 0
        for kind, ways in compared.items():
            first = None
            for way, (folder, *flags) in ways.items():
                out = forms / f"{kind}-{way}".replace(" ", "-")
                if folder == "pack":
                    folder = next((forms / "pack").glob("*.kpack"), None) if (forms / "pack").is_dir() else "pack"
                data = [forms / folder, *flags]
                run(a.apps / "pretrain", *data, "--out", out, "--device", "cpu", "--model", "resnet20", "--image-size",
                    "32", "-b", "30", "--epochs", "2", "--lr", "0.05")
                probe = ["linear_probe", *data, *(test if kind == "with its evaluation images" else [])]
                run(a.apps / probe[0], *probe[1:], "--encoder", out, "--out", out / "probe", "--epochs", "5")
                lines = [json.loads(line) for line in open(out / "metrics.jsonl")]
                result = json.load(open(out / "probe/result.json"))
                figures = ([line["loss"] for line in lines], [line["knn_top1"] for line in lines],
                           result["top1"], result["evaluated_on"]["images"])
                first = first or figures
                same = figures == first
                wrong += not same
                print(f"{kind}: {way:7} losses {figures[0]}, probe top-1 {figures[2]:.4f} on {figures[3]} images"
                      f"{'' if same else '   DIFFERENT'}", flush=True)
    print("all forms of the set gave the same figures" if wrong == 0 else f"{wrong} forms gave other figures")
    return wrong > 0


if __name__ == "__main__":
    sys.exit(main())
