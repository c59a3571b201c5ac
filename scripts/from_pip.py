"""What a check needs and the system lacks: pip brings it into the build tree."""
import pathlib
import subprocess
import sys

TOOLS = pathlib.Path(__file__).resolve().parent.parent / "build/tools"


def bring(requirement, *options, into=TOOLS):
    """Installs it into the folder `into`, silently; where it cannot be had the caller finds it missing."""
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *options,
                    "--target", into, requirement], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
