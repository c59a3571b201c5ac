#!/usr/bin/env python3
"""Writes augment.json: what torchvision makes of formula-made Pillow images (for tests/data/augment_test.cpp).

Run with Debian's python3-torchvision: /usr/bin/python3 tests/golden/make_augment_golden.py
"""
import json
import pathlib

import numpy as np
import PIL
import torchvision
import torchvision.transforms.functional as F
from PIL import Image


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
