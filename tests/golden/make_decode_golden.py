#!/usr/bin/env python3
"""Writes decode.json: small pictures of every kind, made and decoded by Pillow (for tests/golden/decode_golden_test.cpp).

Run with Debian's python3-pil: /usr/bin/python3 tests/golden/make_decode_golden.py
"""
import io
import json
import pathlib

import numpy as np
import PIL
from PIL import Image

HEIGHT, WIDTH = 21, 30
y, x, c = np.mgrid[0:HEIGHT, 0:WIDTH, 0:4]
values = ((x * 9 + y * 5 * (c + 1) + x * y // 3 + 60 * c) % 256).astype(np.uint8)
rgb = Image.fromarray(values[..., :3])
gray = Image.fromarray(values[..., 0])
cases = []


def add(name, image, form, **options):
    file = io.BytesIO()
    image.save(file, form, **options)
    with Image.open(io.BytesIO(file.getvalue())) as back:
        pixels = np.asarray(back.convert("RGB"))
    cases.append({"name": name, "file": file.getvalue().hex(), "pixels": pixels.tobytes().hex()})


for subsampling in (0, 1, 2):
    for progressive in (False, True):
        add(f"JPEG {['4:4:4', '4:2:2', '4:2:0'][subsampling]}{' progressive' if progressive else ''}", rgb, "JPEG", quality=85,
            subsampling=subsampling, progressive=progressive)
add("JPEG gray", gray, "JPEG", quality=85)
add("JPEG CMYK", Image.fromarray(values, "CMYK"), "JPEG", quality=85)
add("JPEG broken EXIF", rgb, "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff garbage")
rotated = Image.Exif()
rotated[0x0112] = 6  # orientation: ignored
add("JPEG EXIF orientation", rgb, "JPEG", exif=rotated.tobytes())
add("PNG RGB", rgb, "PNG")
add("PNG RGBA", Image.fromarray(values), "PNG")
add("PNG gray", gray, "PNG")
add("PNG gray and alpha", Image.fromarray(values[..., :2].copy(), "LA"), "PNG")
add("PNG palette", rgb.quantize(16), "PNG")
add("PNG palette, transparent colour", rgb.quantize(16), "PNG", transparency=3)
add("PNG one bit", gray.convert("1"), "PNG")
add("BMP RGB", rgb, "BMP")
add("BMP gray", gray, "BMP")
add("BMP palette", rgb.quantize(200), "BMP")
add("BMP one bit", gray.convert("1"), "BMP")

target = pathlib.Path(__file__).parent / "decode.json"
target.write_text(json.dumps({"made_by": f"Pillow {PIL.__version__}", "height": HEIGHT, "width": WIDTH, "cases": cases},
                             indent=0) + "\n")
print(f"{target}: {len(cases)} cases")
