"""Packages that a check needs and the system lacks: pip installs them into the build tree."""
import pathlib
import subprocess
import sys

TOOLS = pathlib.Path(__file__).resolve().parent.parent / "build/tools"


def bring(requirement, *options, into=TOOLS):
    """Installs a package into the folder `into`, silently. If that fails, the caller finds it missing."""
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *options,
                    "--target", into, requirement], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
