#!/usr/bin/env python3
"""Draws the pictures of docs/tour.md and docs/supcon_from_loops_to_tensor_cores.md; needs only Python.

    scripts/draw_pictures.py [BUILD]        default: build/release

docs/views.png         one picture of each class of a toy set, and a view of it after each step of its recipe
docs/supcon_tiles.png  the mask of a small batch, and how the tiles of SupCon cover it
"""
import json
import pathlib
import struct
import subprocess
import sys
import tempfile
import zlib

DOCS = pathlib.Path(__file__).resolve().parent.parent / "docs"

# ---- PNG files of 8-bit RGB; a picture is a list of rows, a row a bytearray


def write_png(path, rows):
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", len(rows[0]) // 3, len(rows), 8, 2, 0, 0, 0)
    body = zlib.compress(b"".join(b"\0" + bytes(row) for row in rows), 9)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b""))


def predicted(kind, left, up, corner):
    if kind == 4:  # Paeth: the neighbour that is nearest to left + up - corner
        return min((abs(up - corner), 0, left), (abs(left - corner), 1, up), (abs(left + up - 2 * corner), 2, corner))[2]
    return (0, left, up, (left + up) // 2)[kind]


def read_png(path):
    data, at, body = path.read_bytes(), 8, b""
    width = struct.unpack(">I", data[16:20])[0]
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at:at + 8])
        body += data[at + 8:at + 8 + length] if kind == b"IDAT" else b""
        at += 12 + length
    body, stride, rows = zlib.decompress(body), 3 * width, []
    above = bytearray(stride)
    for start in range(0, len(body), stride + 1):
        kind, row = body[start], bytearray(body[start + 1:start + 1 + stride])
        for i in range(stride):
            left, corner = (row[i - 3], above[i - 3]) if i >= 3 else (0, 0)
            row[i] = (row[i] + predicted(kind, left, above[i], corner)) & 255
        rows.append(row)
        above = row
    return rows


def blank(height, width):
    return [bytearray(b"\xff" * (3 * width)) for _ in range(height)]


def fill(rows, top, left, height, width, color):
    for row in rows[top:top + height]:
        row[3 * left:3 * (left + width)] = bytes(color) * width


COARSE = bytes(min(255, (value + 8) // 16 * 16) for value in range(256))  # noise would make the file large


def paste(rows, top, left, part):
    for row, from_part in zip(rows[top:], part):
        row[3 * left:3 * left + len(from_part)] = from_part.translate(COARSE)


# ---- a view after each step

MARGIN, NAMES, GAP, APART = 20, 180, 6, 12  # as in check_data's views.png (apps/survey/sheet_drawing.cpp)
STEPS = [{"step": "jitter", "probability": 1, "brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.1},
         {"step": "gray", "probability": 1}, {"step": "blur", "probability": 1, "sigma": [1.2, 2]}]


def drawn_by_check_data(apps, folder, recipe, side, classes):
    """The pictures and their views that check_data draws, without the titles."""
    (folder / "recipe.json").write_text(json.dumps(recipe))
    subprocess.run([apps / "check_data", folder / "toy", "--views=1", "--augment", folder / "recipe.json", "--image-size",
                    str(side), "--seed", "11", "--out", folder / "out"], check=True, stdout=subprocess.DEVNULL)
    rows = read_png(folder / "out/views.png")
    below_titles = len(rows) - MARGIN - classes * (side + GAP)
    left, second = MARGIN + NAMES, MARGIN + NAMES + side + GAP + APART
    cells = [rows[below_titles + c * (side + GAP):][:side] for c in range(classes)]
    cut = [[[row[3 * x:3 * (x + side)] for row in cell] for x in (left, second)] for cell in cells]
    return [pair[0] for pair in cut], [pair[1] for pair in cut]


def draw_views(apps):
    side, classes = 72, 2
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        subprocess.run([apps / "make_toy_dataset", folder / "toy", "--classes", str(classes), "--per-class", "4",
                        "--image-size", str(side)], check=True, stdout=subprocess.DEVNULL)
        # A view's random numbers are drawn in the order of its steps, so recipes with the same first steps draw the
        # same numbers for them.
        crop = {"crop": {"area": [0.2, 0.6], "ratio": [0.75, 1.3333]}}
        recipes = [crop, crop | {"flip": 1}] + [crop | {"flip": 1, "steps": STEPS[:n]} for n in (1, 2, 3)]
        columns = []
        for recipe in recipes:
            pictures, views = drawn_by_check_data(apps, folder, recipe, side, classes)
            columns = columns or [pictures]
            columns.append(views)
    sheet = blank(classes * (side + GAP) + GAP, len(columns) * (side + GAP) + GAP)
    for x, column in enumerate(columns):
        for y, cell in enumerate(column):
            paste(sheet, GAP + y * (side + GAP), GAP + x * (side + GAP), cell)
    write_png(DOCS / "views.png", sheet)


# ---- mask and tiles

POSITIVE, NEGATIVE, SELF = (214, 124, 44), (225, 225, 225), (20, 20, 20)
THREADS = [(66, 113, 174), (123, 166, 210), (168, 198, 226), (205, 223, 239)]
ROUNDS = [(20, 20, 20), (66, 113, 174), (214, 124, 44), (90, 160, 90), (160, 90, 160), (200, 180, 60), (90, 170, 180),
          (200, 40, 40)]


def draw_tiles():
    labels = [3, 0, 2, 3, 1, 0, 2, 2, 1, 3, 0, 1] * 2  # two views of twelve images
    rows, blocks, cell, gap = len(labels), 8, 12, 36
    side = rows * cell
    picture = blank(side, 3 * side + 2 * gap)
    for i in range(rows):
        for j in range(rows):
            color = SELF if i == j else POSITIVE if labels[i] == labels[j] else NEGATIVE
            fill(picture, i * cell, j * cell, cell - 1, cell - 1, color)
    block = side // blocks
    left = side + gap  # wide tiles, row after row; each thread has a band of rows
    for i in range(blocks):
        for j in range(blocks // 2):
            fill(picture, i * block, left + 2 * j * block, block - 1, 2 * block - 1, THREADS[i // 2])
    left = 2 * (side + gap)  # half of the square: every block meets every other once, in rounds
    circle = blocks - 1
    for a in range(blocks):
        fill(picture, a * block, left + a * block, block - 1, block - 1, ROUNDS[0])
    for turn in range(circle):
        for k in range(blocks // 2):
            a, b = (turn + k) % circle, circle if k == 0 else (turn - k + circle) % circle
            fill(picture, min(a, b) * block, left + max(a, b) * block, block - 1, block - 1, ROUNDS[turn + 1])
    write_png(DOCS / "supcon_tiles.png", picture)


if __name__ == "__main__":
    if len(sys.argv) > 2 or sys.argv[1:2] in (["-h"], ["--help"]):
        sys.exit(__doc__)
    draw_tiles()
    draw_views(pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "build/release").resolve() / "apps")
