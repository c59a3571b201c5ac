"""The system's Chromium, driven by Playwright, and axe, which finds text that is hard to read. Playwright and axe come from this
Python or from pip; the browser is never downloaded.

    scripts/browser/browser.py      says what it would drive; code 3 and "skipped: ..." if something is missing
"""
import importlib
import os
import pathlib
import shutil
import sys

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent))
import from_pip  # noqa: E402

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")


# The exit code of a check that could not begin, for scripts that skip it then.
NOTHING_CHECKED = 3


class Missing(Exception):
    """The browser or a package is not there; says what to install."""


def skip(missing):
    print(f"skipped: {missing}")
    sys.exit(NOTHING_CHECKED)


def module(name, requirement):
    sys.path.append(str(from_pip.TOOLS))
    for attempt in range(2):
        try:
            return importlib.import_module(name)
        except ImportError:
            if attempt == 0:
                from_pip.bring(requirement)
                importlib.invalidate_caches()
    raise Missing(f"{requirement} is missing and pip could not bring it: python3 -m pip install {requirement}")


def executable(given=None):
    found = given or next(filter(None, map(shutil.which, NAMES)), None)
    if not found or not shutil.which(str(found)):
        raise Missing(f"{given or 'chromium'} was not found: apt-get install chromium, or name a browser by --chromium")
    return str(found)


class Browser:
    """with Browser() as browser: page = browser.page(dark=True, width=360) ..."""

    def __init__(self, chromium=None):
        self.executable = executable(chromium)
        self.playwright = module("playwright.sync_api", "playwright").sync_playwright()
        self.axe = module("axe_playwright_python.sync_playwright", "axe-playwright-python").Axe()

    def __enter__(self):
        # Root has no sandbox, and in a container /dev/shm is often too small for the browser.
        flags = ["--disable-dev-shm-usage", "--force-color-profile=srgb"] + (["--no-sandbox"] if os.geteuid() == 0 else [])
        self.started = self.playwright.start()
        self.chromium = self.started.chromium.launch(executable_path=self.executable, args=flags)
        return self

    def __exit__(self, *_):
        self.chromium.close()
        self.started.stop()

    def page(self, dark=False, width=1280, height=900, density=1, touch=False):
        context = self.chromium.new_context(viewport={"width": width, "height": height}, device_scale_factor=density,
                                            color_scheme="dark" if dark else "light", has_touch=touch, accept_downloads=True)
        return context.new_page()


if __name__ == "__main__":
    try:
        print(Browser().executable)
    except Missing as missing:
        skip(missing)
