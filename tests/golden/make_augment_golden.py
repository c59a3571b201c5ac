#!/usr/bin/env python3
"""Writes torchvision's results for Pillow images that are made by formula (for tests/data/augment_test.cpp and
augment_operations_test.cpp):

    augment.json              crops, colours and blur
    augment_operations.png    results of the operations of AutoAugment and RandAugment, 24 x 24 each, in rows of 16
    augment_operations.json   which operation made which, and torchvision's tables of policies and strengths

Run with Debian's python3-torchvision: /usr/bin/python3 tests/golden/make_augment_golden.py
"""
import json
import pathlib

import numpy as np
import PIL
import torchvision
import torchvision.transforms.functional as F
from PIL import Image
from torchvision.transforms import autoaugment


def formula_image(height, width):  # tests/data/test_images.cpp has the same
    y, x, c = np.mgrid[0:height, 0:width, 0:3]
    return Image.fromarray(((x * 11 + y * 7 * (c + 1) + x * y * (3 - c) // 5 + 60 * c) % 256).astype(np.uint8))


def hexed(image):
    return np.asarray(image).tobytes().hex()


cases = []

# Crops of a 48 x 40 image (top, left, height, width), resized to 16 x 16.
photo = formula_image(48, 40)
for box in [(0, 0, 48, 40), (3, 5, 37, 29), (10, 7, 9, 8), (20, 11, 16, 16), (1, 2, 30, 5)]:
    cases.append({"op": "crop", "box": box, "out": hexed(F.resized_crop(photo, *box, [16, 16]))})
    if box[0] == 3:
        out = F.hflip(F.resized_crop(photo, *box, [16, 16]))
        cases.append({"op": "flipped_crop", "box": box, "out": hexed(out)})

# Evaluation: short side 16, centre crop.
cases.append({"op": "none", "out": hexed(F.center_crop(F.resize(photo, 16), 16))})

# Colour operations and blur on a 24 x 24 image.
square = formula_image(24, 24)
for factor in [0.2, 0.7, 1.3, 1.8]:
    cases.append({"op": "brightness", "factor": factor, "out": hexed(F.adjust_brightness(square, factor))})
    cases.append({"op": "contrast", "factor": factor, "out": hexed(F.adjust_contrast(square, factor))})
    cases.append({"op": "saturation", "factor": factor, "out": hexed(F.adjust_saturation(square, factor))})
for turns in [-0.2, -0.07, 0.1, 0.2]:
    cases.append({"op": "hue", "factor": turns, "out": hexed(F.adjust_hue(square, turns))})
cases.append({"op": "gray", "out": hexed(F.to_grayscale(square, 3))})
for kernel, sigma in [(3, 0.5), (9, 1.2), (23, 2.0)]:
    out = F.gaussian_blur(square, kernel, sigma)
    cases.append({"op": "blur", "kernel": kernel, "factor": sigma, "out": hexed(out)})

target = pathlib.Path(__file__).parent / "augment.json"
made_by = f"torchvision {torchvision.__version__}, Pillow {PIL.__version__}"
target.write_text(json.dumps({"made_by": made_by, "cases": cases}, indent=0) + "\n")
print(f"{target}: {len(cases)} cases")


# The operations of AutoAugment and RandAugment.

SIDE, PER_ROW = 24, 16


def source_image(name):  # tests/data/augment_operations_test.cpp has the same
    values = np.asarray(square).astype(np.int32)
    if name == "pale":  # few levels, without the ends of the scale
        values = values // 4 + 100
    if name == "steps":  # three levels, two of them rare: special cases of equalize
        values = np.where(values < 16, 3, np.where(values > 240, 250, 77))
    if name == "flat":
        values = np.full_like(values, 90)
    return Image.fromarray(values.astype(np.uint8))


operations, tiles = [], []


def add(name, value, out, source="square", **style):
    operations.append({"operation": name, "value": value, "source": source, **style})
    tiles.append(np.asarray(out))


def warped(torch_name, name, value):
    for bilinear, fill in [(False, 0), (True, 128)]:
        mode = F.InterpolationMode.BILINEAR if bilinear else F.InterpolationMode.NEAREST
        # torchvision turns None into black; a tuple reaches Pillow as a colour.
        out = autoaugment._apply_op(square, torch_name, value, mode, None if fill == 0 else (fill,) * 3)
        add(name, value, out, bilinear=bilinear, fill=fill)


for value in [-0.3, -0.1, 0.2, 0.3]:
    warped("ShearX", "shear_x", value)
    warped("ShearY", "shear_y", value)
for value in [-30.0, -13.0, 7.5, 30.0, 90.0, 180.0]:
    warped("Rotate", "rotate", value)
for value in [-10, -1, 4, 23]:
    warped("TranslateX", "translate_x", value)
    warped("TranslateY", "translate_y", value)
for source in ["square", "pale"]:
    image = source_image(source)
    for factor in [0.1, 0.5, 1.4, 1.9]:
        add("sharpness", factor, F.adjust_sharpness(image, factor), source)
    for factor in [0.1, 1.9]:
        add("color", factor, F.adjust_saturation(image, factor), source)
        add("contrast", factor, F.adjust_contrast(image, factor), source)
        add("brightness", factor, F.adjust_brightness(image, factor), source)
for bits in [0, 1, 4, 5, 7, 8]:
    add("posterize", bits, F.posterize(square, bits))
for threshold in [0.0, 28.333334, 128.0, 255.0, 256.0]:
    add("solarize", threshold, F.solarize(square, threshold))
for addition in [0, 34, 110]:  # neither library has it: computed with Pillow's table lookup
    table = [min(255, level + addition) if level < 128 else level for level in range(256)]
    add("solarize_add", addition, square.point(table * 3))
for source in ["square", "pale", "steps", "flat"]:
    image = source_image(source)
    add("autocontrast", 0, F.autocontrast(image), source)
    add("equalize", 0, F.equalize(image), source)
    add("invert", 0, F.invert(image), source)

sheet = np.zeros((-(-len(tiles) // PER_ROW) * SIDE, PER_ROW * SIDE, 3), np.uint8)
for i, tile in enumerate(tiles):
    top, left = i // PER_ROW * SIDE, i % PER_ROW * SIDE
    sheet[top:top + SIDE, left:left + SIDE] = tile
folder = pathlib.Path(__file__).parent
Image.fromarray(sheet).save(folder / "augment_operations.png", optimize=True)


def policy(name):
    pairs = autoaugment.AutoAugment()._get_policies(autoaugment.AutoAugmentPolicy(name))
    return [[[op, p, -1 if level is None else level] for op, p, level in pair] for pair in pairs]


def strengths(space):
    return {op: [values.tolist() if values.ndim else [], signed] for op, (values, signed) in space.items()}


tables = {
    "policies": {"imagenet": policy("imagenet"), "cifar10": policy("cifar10")},
    # for views of 224 and 32 pixels, by the number of levels
    "strengths": {
        "10": {str(side): strengths(autoaugment.AutoAugment()._augmentation_space(10, (side, side)))
               for side in [32, 224]},
        "31": {str(side): strengths(autoaugment.RandAugment()._augmentation_space(31, (side, side)))
               for side in [32, 224]},
    },
    "randaugment": list(autoaugment.RandAugment()._augmentation_space(31, (32, 32))),
}
target = folder / "augment_operations.json"
target.write_text(json.dumps({"made_by": made_by, "cases": operations, **tables}) + "\n")
print(f"{target}: {len(operations)} cases")
