"""What the checks of the tree share: its files, and how a check ends."""
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


def files():
    """The paths of the files that are or will be in the repository: those that git tracks or does not ignore."""
    listed = subprocess.run(["git", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                            capture_output=True, text=True, check=True)
    found = sorted({path for path in listed.stdout.split("\0") if path and (ROOT / path).exists()})
    if not found:  # as in a copy of the tree that lies in a folder which git ignores
        sys.exit(f"error: git lists no files in {ROOT}, so nothing was checked")
    return found


def end(errors, summary):
    """Ends the program: with a line for each error and exit code 1, or with the summary and exit code 0."""
    for line in errors:
        print(f"error: {line}", file=sys.stderr)
    if not errors:
        print(summary)
    sys.exit(bool(errors))
