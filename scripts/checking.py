"""What the checks of the tree share: its files, and how a check ends."""
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


def files():
    """The paths of the files that are or will be in the repository: those that git tracks or does not ignore."""
    listed = subprocess.run(["git", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                            capture_output=True, text=True, check=True)
    return sorted({path for path in listed.stdout.split("\0") if path and (ROOT / path).exists()})


def end(errors, summary):
    """Ends the program: with a line for each error and exit code 1, or with the summary and exit code 0."""
    for line in errors:
        print(f"error: {line}", file=sys.stderr)
    if not errors:
        print(summary)
    sys.exit(bool(errors))
