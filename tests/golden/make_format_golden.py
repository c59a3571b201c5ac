#!/usr/bin/env python3
"""Writes decode_formats.json: small pictures of the formats that libraries of the system read, made and decoded by Pillow
(for tests/golden/decode_formats_test.cpp).

Run in an environment with pip's pillow and pillow-heif: python3 tests/golden/make_format_golden.py
"""
import io
import json
import pathlib

import numpy as np
import PIL
import pillow_heif
from PIL import Image

pillow_heif.register_heif_opener()
HEIGHT, WIDTH = 21, 30
y, x, c = np.mgrid[0:HEIGHT, 0:WIDTH, 0:4]
values = ((x * 9 + y * 5 * (c + 1) + x * y // 3 + 60 * c) % 256).astype(np.uint8)
rgb = Image.fromarray(values[..., :3])
rgba = Image.fromarray(values)
gray = Image.fromarray(values[..., 0])
cases = []


def add_file(name, data, pixels, tolerance=0):
    """`tolerance`: the largest difference of a level that another version of the same library may make."""
    cases.append({"name": name, "file": data.hex(), "pixels": np.asarray(pixels, np.uint8).tobytes().hex(),
                  "tolerance": tolerance})


def add(name, image, form, tolerance=0, **options):
    file = io.BytesIO()
    image.save(file, form, **options)
    with Image.open(io.BytesIO(file.getvalue())) as back:
        add_file(name, file.getvalue(), back.convert("RGB"), tolerance)


add("WebP", rgb, "WEBP", quality=80)
add("WebP lossless", rgb, "WEBP", lossless=True)
add("WebP with alpha", rgba, "WEBP", quality=80)
add("WebP lossless with alpha", rgba, "WEBP", lossless=True, exact=True)
add("WebP animation", rgb, "WEBP", save_all=True, append_images=[rgb.rotate(180)], duration=40, lossless=True)
for kind, image in (("gray", gray), ("RGB", rgb), ("palette", rgb.quantize(16)), ("one bit", gray.convert("1")),
                    ("CMYK", Image.fromarray(values, "CMYK"))):
    # Versions of Pillow round the products of CMYK differently.
    add(f"TIFF {kind}", image, "TIFF", tolerance=1 if kind == "CMYK" else 0)
    add(f"TIFF {kind}, LZW", image, "TIFF", tolerance=1 if kind == "CMYK" else 0, compression="tiff_lzw")
add("TIFF RGBA", rgba, "TIFF")
add("TIFF gray and alpha", Image.fromarray(values[..., :2].copy(), "LA"), "TIFF")
add("TIFF deflate", rgb, "TIFF", compression="tiff_deflate")
add("TIFF JPEG", rgb, "TIFF", compression="jpeg")
add("TIFF fax", gray.convert("1"), "TIFF", compression="group4")
add("TIFF with two pictures", rgb, "TIFF", save_all=True, append_images=[rgb.rotate(180)])
# 16 bits: Pillow clips them to white, Kindred keeps the high byte.
deep = values[..., 0].astype(np.uint16) * 256 + 77
file = io.BytesIO()
Image.fromarray(deep).save(file, "TIFF")
add_file("TIFF gray with 16 bits", file.getvalue(), np.repeat(values[..., :1], 3, axis=2))
add("GIF", rgb.quantize(100), "GIF", interlace=0)
add("GIF interlaced", rgb.quantize(100), "GIF", interlace=1)
add("GIF gray", gray, "GIF")
add("GIF transparent colour", rgb.quantize(16), "GIF", transparency=3)
add("GIF animation", rgb.quantize(16), "GIF", save_all=True, append_images=[rgb.rotate(180).quantize(16)], duration=40)
add("HEIC", rgb, "HEIF", tolerance=3, quality=90, chroma=444)
add("AVIF", rgb, "AVIF", tolerance=3, quality=90, subsampling="4:4:4")
add("PPM", rgb, "PPM")
add("PGM", gray, "PPM")
header = b"P6 # with a comment\n30 # and another\n21\n100\n"
few = (values[..., :3] % 101).astype(np.uint8)
add_file("PPM up to 100", header + few.tobytes(), np.floor(few / 100 * 255 + 0.5))
add_file("PGM with 16 bits", b"P5 30 21 65535\n" + deep.astype(">u2").tobytes(),
         np.repeat(np.floor(deep[..., None] / 65535 * 255 + 0.5), 3, axis=2))

target = pathlib.Path(__file__).parent / "decode_formats.json"
target.write_text(json.dumps({"made_by": f"Pillow {PIL.__version__}, pillow-heif {pillow_heif.__version__}", "height": HEIGHT,
                              "width": WIDTH, "cases": cases}, indent=0) + "\n")
print(f"{target}: {len(cases)} cases, {target.stat().st_size} bytes")
