"""The places of programs, tests, benchmarks and images: in an unpacked package, or in the source tree after a build."""
import glob
import os
import pathlib
import tarfile

from steps import fail

HERE = pathlib.Path(__file__).resolve().parent


def extract(archive, folder):
    """Unpacks a tar file. Python refuses files outside `folder`, and removes write permission for others."""
    with tarfile.open(archive) as tar:
        if hasattr(tarfile, "data_filter"):
            tar.extractall(folder, filter="data")
        else:
            tar.extractall(folder)


class Places:
    def __init__(self, build=None):
        share = HERE.parent.parent
        self.bench_scripts = share / "bench"
        self.data = None
        if build is None and (share / "bin/kindred_tests").exists():  # a package
            self.programs, self.benches, self.tests = share / "bin", share / "bin", share / "bin/kindred_tests"
            self.golden = share / "tests/golden"
            inside = sorted((share / "data").glob("*"))
            self.data = inside[0] if inside else None
            return
        folders = [pathlib.Path(build).resolve()] if build else [share / "build/flight", share / "build/release"]
        found = [f for f in folders if (f / "tests/kindred_tests").exists()]
        if not found:
            fail(f"no tests in {' or '.join(map(str, folders))}: build first (scripts/build.sh)")
        self.programs, self.benches, self.tests = found[0] / "apps", found[0] / "bench", found[0] / "tests/kindred_tests"
        self.golden = share / "tests/golden"

    def environment(self):
        return {"KINDRED_EXPECT_GPU": "1", "KINDRED_GOLDEN_DIR": str(self.golden), "KINDRED_APPS_DIR": str(self.programs),
                "PYTHONUNBUFFERED": "1"}

    def images(self, step, scratch, small):
        """The packed images, ready to read; if there are none, the toy set is drawn here."""
        if self.data is not None and self.data.suffix == ".kpack":
            return self.data
        folder = scratch / "images"
        if not folder.exists():
            if self.data is None:
                step.run([self.programs / "make_toy_dataset", folder, "--per-class", 8 if small else 100], check=True)
            else:
                extract(self.data, folder)
        inside = [f for f in (folder, *sorted(folder.iterdir())) if (f / "train").is_dir()]
        if not inside:
            raise RuntimeError(f"{self.data}: no folder in it holds train/")
        return inside[0]


def find_tool(name, folders):
    """A program on the PATH or in one of `folders`, which may be patterns; the newest of several."""
    for folder in [*os.environ.get("PATH", "").split(":"), *folders]:
        for path in sorted(glob.glob(f"{folder}/{name}"), reverse=True):
            if os.access(path, os.X_OK) and os.path.isfile(path):
                return path
    return None
