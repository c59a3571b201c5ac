#!/usr/bin/env python3
"""ImageNet-C's corruptions against the libraries that the authors' program uses.

    python3 tests/golden/check_corruptions.py [--build build/release]

Needs numpy, pillow, opencv-python(-headless) and scipy. Runs tests/golden/corrupt_image (built with the tests), which
applies one corruption without the final JPEG step, and compares: the mean absolute difference must be below 1 level of
255. Corruptions with random numbers are not compared as a whole: their deterministic parts have unit tests.
"""
import argparse
import pathlib
import subprocess
import sys

import cv2
import numpy as np
from PIL import Image
from scipy.ndimage import zoom

SIDE = 224
DEFOCUS = [(3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5)]
ZOOMS = [np.arange(1, 1.11, 0.01), np.arange(1, 1.16, 0.01), np.arange(1, 1.21, 0.02), np.arange(1, 1.26, 0.02),
         np.arange(1, 1.31, 0.03)]
PIXELATE = [0.6, 0.5, 0.4, 0.3, 0.25]
CONTRAST = [0.4, 0.3, 0.2, 0.1, 0.05]


def picture():
    rng = np.random.default_rng(0)
    small = rng.integers(0, 256, (28, 28, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(small).resize((SIDE, SIDE), Image.BICUBIC))


def defocus_blur(image, severity):
    radius, sigma = DEFOCUS[severity]
    reach, size = (8, 3) if radius <= 8 else (radius, 5)
    y, x = np.mgrid[-reach:reach + 1, -reach:reach + 1]
    disk = (x ** 2 + y ** 2 <= radius ** 2).astype(np.float32)
    disk = cv2.GaussianBlur(disk / disk.sum(), ksize=(size, size), sigmaX=sigma)
    return np.clip(cv2.filter2D(image / 255.0, -1, disk), 0, 1) * 255


def zoomed(image, factor):
    part = int(np.ceil(SIDE / factor))
    top = (SIDE - part) // 2
    large = zoom(image[top:top + part, top:top + part], (factor, factor, 1), order=1)
    trim = (large.shape[0] - SIDE) // 2
    return large[trim:trim + SIDE, trim:trim + SIDE]


def zoom_blur(image, severity):
    image = (image / 255.0).astype(np.float32)
    total = image + sum(zoomed(image, factor) for factor in ZOOMS[severity])
    return np.clip(total / (len(ZOOMS[severity]) + 1), 0, 1) * 255


def contrast(image, severity):
    image = image / 255.0
    mean = image.mean(axis=(0, 1), keepdims=True)
    return np.clip((image - mean) * CONTRAST[severity] + mean, 0, 1) * 255


def brightness(image, severity):
    hsv = cv2.cvtColor((image / 255.0).astype(np.float32), cv2.COLOR_RGB2HSV)
    hsv[..., 2] = np.clip(hsv[..., 2] + 0.1 * (severity + 1), 0, 1)
    return np.clip(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB), 0, 1) * 255


def pixelate(image, severity):
    side = int(SIDE * PIXELATE[severity])
    small = Image.fromarray(image).resize((side, side), Image.BOX)
    return np.asarray(small.resize((SIDE, SIDE), Image.BOX))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=pathlib.Path("build/release"))
    a = parser.parse_args()
    image = picture()
    failed = False
    for reference in (defocus_blur, zoom_blur, contrast, brightness, pixelate):
        for severity in range(5):
            result = subprocess.run([a.build / "tests/corrupt_image", reference.__name__, str(severity + 1)],
                                    input=image.tobytes(), stdout=subprocess.PIPE, check=True)
            ours = np.frombuffer(result.stdout, np.uint8).reshape(image.shape).astype(float)
            theirs = np.uint8(reference(image, severity)).astype(float)
            mean, most = np.abs(ours - theirs).mean(), np.abs(ours - theirs).max()
            print(f"{reference.__name__} {severity + 1}: mean difference {mean:.3f}, largest {most:.0f} of 255")
            failed = failed or mean > 1
    sys.exit("too far" if failed else 0)


if __name__ == "__main__":
    main()
