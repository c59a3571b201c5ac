#!/usr/bin/env python3
"""Looks at pages in a real browser, without a window: the system's Chromium.

    scripts/browser/check_pages.py PAGE.html... [--shots DIR]

A page is a file, or the address of one that `serve` shows. Refused are: errors of scripts, requests to outside of the page, text
whose contrast is below 4.5 and other serious complaints of axe (light, dark and narrow), a page that is wider than a small
phone, and a map that draws fewer frames a second than --frames while it is dragged. In DIR lie screenshots of each page, light,
dark and narrow, and what the printer gets. Before, a page with an error of each kind is made, and every one must be found.
Needs chromium; Playwright and axe come from this Python or from pip. Without one of them it says "skipped: ..." and ends with code 3.
"""
import argparse
import pathlib
import sys
import tempfile

from browser import Browser, Missing, skip
from looking import NARROW, class_styles, hard_to_read, load, pan_maps, too_wide, watch

LOOKS = (("light", {}), ("dark", {"dark": True}), ("narrow", {"width": NARROW, "height": 780, "density": 2, "touch": True}),
         ("narrow-dark", {"width": NARROW, "height": 780, "density": 2, "touch": True, "dark": True}))

PLANTED = """<!doctype html><html lang="en"><meta charset="utf-8"><title>planted</title><main><h1>Planted</h1>
<p style="color: #aaa; background: #fff">pale</p><div style="width: 700px">wide</div></main>
<script>fetch("http://127.0.0.1:9/outside").catch(() => {}); console.error("planted"); absent();</script>"""
PLANTED_PROBLEMS = ("console: planted", "script: absent is not defined", "request to outside", "color-contrast",
                    "narrow: the page is 7")


def address_of(page):
    return page if page.startswith(("http://", "https://")) else pathlib.Path(page).resolve().as_uri()


def name_of(page):
    return pathlib.Path(page.split("?")[0].rstrip("/")).stem.replace(":", "-") or "page"


def look(browser, address, shots, name, problems, least_rings=0):
    """Looks at the page in every way. Returns what is said of it if all is well; None if it did not load."""
    measured = skipped = 0
    for look_name, how in LOOKS:
        page = browser.page(**how)
        watch(page, address, problems)
        if not load(page, address, problems):
            page.context.close()
            return None
        if shots:
            page.screenshot(path=shots / f"{name}-{look_name}.png", full_page=True)
        if how.get("width") == NARROW:
            too_wide(page, problems)
        rings = class_styles(page, problems)
        if rings < least_rings:
            problems.append(f"{look_name}: {rings} images without a class on its maps; at least {least_rings} are expected")
        counts = hard_to_read(browser, page, problems, look_name)
        measured, skipped = measured + counts[0], skipped + counts[1]
        if shots and look_name == "light":
            page.pdf(path=shots / f"{name}.pdf", format="A4", print_background=False,
                     margin={side: "15mm" for side in ("top", "right", "bottom", "left")})
        page.context.close()
    return f"contrast of {measured} texts computed ({skipped} could not be)"


def drag(browser, address, least, seconds, problems):
    """Drags the page's maps, with each way of drawing points."""
    said = []
    for drawer in ("", "canvas", "webgl"):
        page = browser.page()
        if load(page, address + (f"#points={drawer}" if drawer else ""), problems):
            for name, speed in pan_maps(page, seconds):
                text = (f"map {name} of {speed['points']} points, {drawer or 'as chosen'} ({speed['drawer']}): {speed['frames']:.0f} "
                        f"frames a second, the longest took {speed['longest']:.0f} ms")
                said.append(text)
                # WebGL without a GPU is only measured: the page itself does not choose it.
                if drawer != "webgl" and speed["frames"] < least:
                    problems.append(f"{text}; at least {least:g} are expected")
        page.context.close()
        if not said:
            break
    return said


def check_planted(browser):
    """The errors of a page that has one of each kind, and that nobody may miss."""
    with tempfile.TemporaryDirectory() as folder:
        page, problems = pathlib.Path(folder) / "planted.html", []
        page.write_text(PLANTED)
        look(browser, page.as_uri(), None, "planted", problems)
        missing = []
        look(browser, (page.parent / "absent.html").as_uri(), None, "absent", missing)
    missed = [planted for planted in PLANTED_PROBLEMS if not any(planted in problem for problem in problems)]
    return [f"a planted error was not found: {planted}" for planted in missed] + (
        [] if missing else ["a page that does not exist was not refused"])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", nargs="+", metavar="PAGE")
    parser.add_argument("--shots", type=pathlib.Path, help="the folder for screenshots")
    parser.add_argument("--frames", type=float, default=30, help="the least of a map, a second; 0 measures none (%(default)g)")
    parser.add_argument("--seconds", type=float, default=2, help="for which a map is dragged (%(default)g)")
    parser.add_argument("--rings", metavar="PAGE", help="one of the pages: its map has images without a class")
    parser.add_argument("--chromium", help="the browser; by default the system's chromium")
    flags = parser.parse_args()
    if flags.shots:
        flags.shots.mkdir(parents=True, exist_ok=True)
    try:
        with Browser(flags.chromium) as browser:
            found = check_planted(browser)
            for page in flags.pages:
                problems, address = [], address_of(page)
                lines = [look(browser, address, flags.shots, name_of(page), problems, 1 if page == flags.rings else 0)]
                if lines[0] and flags.frames > 0:
                    lines += drag(browser, address, flags.frames, flags.seconds, problems)
                for line in filter(None, lines):
                    print(f"{page}: {line}", flush=True)
                found += [f"{page}: {problem}" for problem in dict.fromkeys(problems)]
    except Missing as missing:
        skip(missing)
    for line in found:
        print(f"error: {line}", file=sys.stderr)
    if not found:
        print(f"browser: {len(flags.pages)} page{'s' if len(flags.pages) > 1 else ''} without a complaint, "
              f"{len(PLANTED_PROBLEMS) + 1} planted errors found")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
