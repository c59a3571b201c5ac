#!/usr/bin/env python3
"""Uses the page of `serve` in a real browser, without a window: the system's Chromium.

    scripts/browser/check_serve.py ENCODER IMAGES [--classifier C] [--index INDEX] [--build build/release] [--shots DIR]

Starts the server on a free port. 100 images of the folder IMAGES are dropped at once, then a file of 100 MB, a text file, a PNG
whose header promises 60,000 x 60,000 pixels, one of some hundred kB that unpacks to 7,000 x 7,000, an empty file and half a
JPEG; one is chosen by the keyboard alone, one pasted. Every image must get an answer, and every other file a sentence that says why it has
none. Then the same with a token, wrong and right, and a drop when the server has ended. Then, without the browser, eight
connections send forms of 32 PNGs of 8,000 x 8,000 pixels each, 48 GB of pixels in all; SIGTERM comes in the middle, and must end
the server within 10 seconds. Refused are: errors of scripts, statuses that are not expected, requests to outside of the page,
hard to read text and other complaints of axe, a page wider than a small phone, and a server that grows by more than --most-mib.
In DIR lie screenshots. Needs chromium; Playwright and axe come from this Python or from pip. --flood-alone needs neither.
"""
import argparse
import atexit
import base64
import http.client
import os
import pathlib
import re
import signal
import struct
import subprocess
import sys
import threading
import time
import zlib

from browser import Browser, Missing
from looking import NARROW, hard_to_read, load, too_wide, watch

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
TOKEN = "a-token-for-this-check-alone"
SECONDS = 120
ENDS_WITHIN = 10        # seconds from SIGTERM, with much work left
ENDINGS = (".jpg", ".jpeg", ".png")

# Files are made in the page and dropped on its zone, as a person would drop them.
DROP = """async ([files, event]) => {
    const data = new DataTransfer();
    for (const {name, type, text, size} of files) {
        const bytes = size ? new Uint8Array(size) : Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
        data.items.add(new File([bytes], name, {type}));
    }
    const target = document.getElementById("drop");
    if (event === "paste")
        target.dispatchEvent(new ClipboardEvent("paste", {clipboardData: data, bubbles: true, cancelable: true}));
    else for (const kind of ["dragenter", "dragover", "drop"])
        target.dispatchEvent(new DragEvent(kind, {dataTransfer: data, bubbles: true, cancelable: true}));
}"""


def png(width, height, rows):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    packer = zlib.compressobj(9)
    row = b"\0" * (1 + 3 * width)
    data = b"".join(packer.compress(row) for _ in range(rows)) + packer.flush()
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) +
            chunk(b"IDAT", data) + chunk(b"IEND", b""))


def dropped(name, data=b"", kind="", size=0):
    return {"name": name, "type": kind, "text": base64.b64encode(data).decode(), "size": size}


class Server:
    def __init__(self, args, *flags, **environment):
        command = [args.build / "apps/serve", args.encoder, "--port", "0", *flags]
        command += ["--classifier", args.classifier] * bool(args.classifier) + ["--index", args.index] * bool(args.index)
        self.process = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                        env={**os.environ, **environment})
        atexit.register(lambda: self.process.poll() is None and self.process.kill())
        self.said = []
        for line in self.process.stdout:
            self.said.append(line)
            found = re.match(r"serving on (http://\S+)", line)
            if found:
                self.address = found.group(1)
                return
        sys.exit("error: serve did not start: " + "".join(self.said))

    def peak_mib(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+)", status).group(1)) / 1024

    def end(self, problems, seconds=30):
        self.process.send_signal(signal.SIGTERM)
        try:
            rest, _ = self.process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return problems.append(f"serve did not end within {seconds} s of SIGTERM")
        if self.process.returncode != 0:
            problems.append(f"serve ended with {self.process.returncode}: {rest}")


def rows(page, text=""):
    return page.locator("#answers > li", has_text=text) if text else page.locator("#answers > li")


def wait_until_done(page, count, problems):
    try:
        page.wait_for_function("(n) => document.getElementById('progress').textContent.replaceAll(',', '') === "
                               "(n === 1 ? '1 image done' : n + ' images done')", arg=count, timeout=1000 * SECONDS)
    except Exception:  # Playwright's own
        problems.append(f"not all were done: {page.inner_text('#progress')!r} in place of {count}")


def expect_words(page, name, pattern, problems):
    row = rows(page, name)
    text = row.first.locator(".answer-state").inner_text() if row.count() else "(no such row)"
    if not re.search(pattern, text):
        problems.append(f"{name}: the page says {text!r}, and {pattern!r} is expected")


def expect_answer(page, args, name, problems):
    row = rows(page, name).first
    if row.locator("figure > img").count() == 0:
        problems.append(f"{name}: no picture of what the network sees")
    if args.classifier and row.locator(".bar").count() == 0:
        problems.append(f"{name}: no bars of classes")
    if args.index and row.locator(".group .picture").count() == 0:
        problems.append(f"{name}: no neighbours")


def without_expected(problems, statuses):
    """Chromium writes each status of 400 and more to the console."""
    return [p for p in problems if not any(f"status of {status}" in p for status in statuses)]


def drop_everything(page, args, images, problems):
    page.evaluate(DROP, [[dropped(f"{i:03}-{p.name}", p.read_bytes(), "image/jpeg" if p.suffix != ".png" else "image/png")
                          for i, p in enumerate(images)], "drop"])
    wait_until_done(page, len(images), problems)
    if page.locator(".answer.refused").count():
        problems.append("an image has no answer: " + page.locator(".answer.refused").first.inner_text())
    for i, path in enumerate(images):
        expect_answer(page, args, f"{i:03}-{path.name}", problems)
    first = images[0].read_bytes()
    page.evaluate(DROP, [[dropped("hundred.bin", size=100_000_000), dropped("words.txt", b"no image\n" * 50, "text/plain"),
                          dropped("promise.png", png(60000, 60000, 10), "image/png"),
                          dropped("bomb.png", png(7000, 7000, 7000), "image/png"), dropped("empty.png", b"", "image/png"),
                          dropped("half.jpg", first[:len(first) // 2], "image/jpeg"),
                          dropped("<b>bold</b>.jpg", first, "image/jpeg")], "drop"])
    wait_until_done(page, len(images) + 7, problems)
    expect_words(page, "hundred.bin", r"95 MiB.*at most 32 MiB", problems)
    expect_words(page, "words.txt", "not an image", problems)
    expect_words(page, "promise.png", "pixels", problems)
    expect_words(page, "empty.png", "is empty", problems)
    expect_words(page, "half.jpg", r"\w+", problems)
    expect_answer(page, args, "bomb.png", problems)  # 49 million pixels are within the limits
    if page.locator("#answers b").count():
        problems.append("the name of a file is read as HTML")


def type_and_paste(page, image, before, problems):
    """By keys alone: the button takes the focus, and opens the browser's dialog."""
    page.locator("body").press("Tab")
    for _ in range(10):
        if page.evaluate("document.activeElement.id") == "choose":
            break
        page.keyboard.press("Tab")
    if page.evaluate("document.activeElement.id") != "choose":
        problems.append("ten times Tab do not reach the button that opens the browser's dialog")
        return
    for last in (False, False, True):
        try:
            with page.expect_file_chooser(timeout=15000) as chooser:
                page.keyboard.press("Enter")
            break
        except Exception as error:  # playwright can be imported only where there is a browser
            if type(error).__name__ != "TimeoutError":
                raise
            # A browser opens no dialog for a key that it was given seconds ago, as on a busy machine.
            if last:
                problems.append("the button does not open the browser's dialog")
                return
    chooser.value.set_files(str(image))
    wait_until_done(page, before + 1, problems)
    page.evaluate(DROP, [[dropped("pasted.png", image.read_bytes(), "image/jpeg")], "paste"])
    wait_until_done(page, before + 2, problems)


def check_open_page(browser, args, images):
    problems = []
    server = Server(args)
    before, grown = server.peak_mib(), 0
    page = browser.page()
    watch(page, server.address, problems)
    if load(page, server.address, problems):
        if args.shots:
            page.screenshot(path=args.shots / "serve-empty.png")
        drop_everything(page, args, images, problems)
        type_and_paste(page, images[0], len(images) + 7, problems)
        if args.shots:
            page.screenshot(path=args.shots / "serve-answers.png")
        grown = server.peak_mib() - before
        if grown > args.most_mib:
            problems.append(f"serve took {grown:.0f} MiB more at its peak; at most {args.most_mib} are expected")
        page.locator("#clear").click()
        if rows(page).count():
            problems.append("the list is not clear")
        server.end(problems)
        page.evaluate(DROP, [[dropped("late.jpg", images[0].read_bytes(), "image/jpeg")], "drop"])
        wait_until_done(page, 1, problems)
        expect_words(page, "late.jpg", "server has ended", problems)
    page.context.close()
    return [p for p in without_expected(problems, (422,)) if "ERR_CONNECTION_REFUSED" not in p], grown


def check_looks(browser, args, images):
    problems = []
    server = Server(args)
    looks = {"light": {}, "dark": {"dark": True}, "narrow": {"width": NARROW, "height": 780, "density": 2, "touch": True}}
    for name, how in looks.items():
        page = browser.page(**how)
        watch(page, server.address, problems)
        if load(page, server.address, problems):
            page.evaluate(DROP, [[dropped(p.name, p.read_bytes(), "image/jpeg") for p in images[:2]] +
                                 [dropped("words.txt", b"no image", "text/plain")], "drop"])
            wait_until_done(page, 3, problems)
            hard_to_read(browser, page, problems, name)
            if how.get("width") == NARROW:
                too_wide(page, problems)
            if args.shots:
                page.screenshot(path=args.shots / f"serve-{name}.png", full_page=True)
        page.context.close()
    server.end(problems)
    return without_expected(problems, (422,))


def check_token(browser, args, images):
    problems = []
    server = Server(args, KINDRED_TOKEN=TOKEN)
    page = browser.page()
    watch(page, server.address, problems)
    if load(page, server.address, problems):
        page.evaluate(DROP, [[dropped(p.name, p.read_bytes(), "image/jpeg") for p in images[:3]], "drop"])
        page.wait_for_timeout(500)
        for token in ("not-the-right-token", TOKEN):
            page.fill("#token-text", token)
            page.keyboard.press("Enter")
            page.wait_for_timeout(1000)
            if args.shots:
                page.screenshot(path=args.shots / f"serve-token-{'right' if token == TOKEN else 'wrong'}.png")
        wait_until_done(page, 3, problems)
        if page.locator(".answer.refused").count() or page.locator("#token").is_visible():
            problems.append("with the right token there are no answers")
        if page.evaluate("localStorage.length + sessionStorage.length + document.cookie.length"):
            problems.append("the page has stored something")
    page.context.close()
    server.end(problems)
    return without_expected(problems, (401,))


def ask(address, method, path, body=None, headers=None):
    connection = http.client.HTTPConnection(address.removeprefix("http://").rstrip("/"), timeout=SECONDS)
    try:
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def prepared(address):
    return int(re.search(rb"kindred_preparation_seconds_count (\d+)", ask(address, "GET", "/metrics")[1]).group(1))


def check_flood(args):
    """Returns the problems, the MiB by which the server grew, and the seconds from SIGTERM to its end."""
    problems, statuses = [], []
    large = png(8000, 8000, 8000)
    part = b'--B\r\nContent-Disposition: form-data; name="i"; filename="large.png"\r\n\r\n' + large + b"\r\n"
    form = part * 32 + b"--B--"
    server = Server(args)
    before = server.peak_mib()

    def send():
        try:
            statuses.append(ask(server.address, "POST", "/predict", form,
                                {"Content-Type": "multipart/form-data; boundary=B"})[0])
        except OSError as problem:
            statuses.append(str(problem))

    clients = [threading.Thread(target=send, daemon=True) for _ in range(8)]
    for client in clients:
        client.start()
    until = time.monotonic() + SECONDS
    while prepared(server.address) < 8:
        if time.monotonic() > until:
            return problems + [f"no 8 pictures were decoded within {SECONDS} s"], 0, 0
        time.sleep(0.1)
    if statuses:
        problems.append(f"8 forms of 32 large pictures at once: one has its answer already: {statuses}")
    grown = server.peak_mib() - before
    if grown > args.most_mib:
        problems.append(f"large pictures: serve took {grown:.0f} MiB more at its peak; at most {args.most_mib} are expected")
    start = time.monotonic()
    server.end(problems, ENDS_WITHIN)
    seconds = time.monotonic() - start
    for client in clients:
        client.join(SECONDS)
    if statuses != [503] * 8:
        problems.append(f"8 forms when the server ends: {statuses}, and 503 for each is expected")
    return problems, grown, seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("encoder")
    parser.add_argument("images", type=pathlib.Path, help="a folder with images, at any depth")
    parser.add_argument("--classifier")
    parser.add_argument("--index")
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release")
    parser.add_argument("--shots", type=pathlib.Path, help="folder for screenshots")
    parser.add_argument("--most-mib", type=float, default=1400)
    parser.add_argument("--chromium")
    parser.add_argument("--flood-alone", action="store_true", help="only what needs no browser")
    args = parser.parse_args()
    images = sorted(p for p in args.images.rglob("*") if p.suffix.lower() in ENDINGS)
    if not images:
        sys.exit(f"error: {args.images} has no images")
    images = (images * 100)[:100]
    if args.shots:
        args.shots.mkdir(parents=True, exist_ok=True)
    problems, flood_grown, seconds = check_flood(args)
    grown = 0
    if not args.flood_alone:
        try:
            with Browser(args.chromium) as browser:
                found, grown = check_open_page(browser, args, images)
                problems += found + check_looks(browser, args, images) + check_token(browser, args, images)
        except Missing as missing:
            sys.exit(f"error: {missing}")
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    if not problems:
        if not args.flood_alone:
            print("serve: 100 images dropped at once, files that are none, keyboard, paste, token: as expected; "
                  f"{grown:.0f} MiB more at the peak")
        print(f"serve: 256 pictures of 8,000 x 8,000 pixels on 8 connections: {flood_grown:.0f} MiB more at the peak, and "
              f"{seconds:.1f} s from SIGTERM to the end")
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
