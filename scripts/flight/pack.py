"""gpu_flight.sh --pack: everything that a flight needs in one file, except CUDA's and Python's libraries."""
import lzma
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import tempfile

from steps import fail

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
MOST_BYTES = 55 << 20


def run(command, quiet=False):
    # Output of the tools is not important here; the last line of this program is the answer.
    result = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE if quiet else sys.stderr,
                            stderr=subprocess.STDOUT if quiet else None, text=True)
    if result.returncode != 0:
        sys.stderr.write(result.stdout or "")
        fail(f"{' '.join(map(str, command))}: exit code {result.returncode}", 1)


def build_programs(build):
    if not (build / "build.ninja").exists():
        # Machine code for Hopper only, because this package is not for other GPUs.
        run(["cmake", "-S", ROOT, "-B", build, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release", "-DKINDRED_CUDA=ON",
             "-DCMAKE_CUDA_ARCHITECTURES=90-real"])
    run(["cmake", "--build", build, "--target", "programs", "kindred_tests", "bench_train_step", "bench_loss"])


def pack_images(data, build, stage):
    """The images as a pack, or in their original archive, whichever is smaller."""
    target = stage / "share/kindred/data"
    target.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as scratch:
        folder = data
        if data.is_file():
            shutil.unpack_archive(data, scratch)
            folder = next((f for f in [pathlib.Path(scratch), *sorted(pathlib.Path(scratch).iterdir())]
                           if (f / "train").is_dir()), None)
            if folder is None:
                fail(f"--data {data}: no folder in it holds train/<class>/", 3)
        pack = target / "images.kpack"
        run([build / "apps/pack_dataset", folder, pack])
        if data.is_file() and data.stat().st_size < compressed_size(pack):
            pack.unlink()
            shutil.copy(data, target / data.name)


def compressed_size(path):
    compressor, size = lzma.LZMACompressor(), 0
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            size += len(compressor.compress(block))
    return size + len(compressor.flush())


def install(build, stage):
    for component in ("programs", "portable"):
        run(["cmake", "--install", build, "--component", component, "--prefix", stage, "--strip"], quiet=True)


def check_file(file):
    """Checks that the file can be written, before minutes are spent on its content."""
    if not file.name.endswith((".tar.xz", ".tar.gz", ".tar")):
        fail(f"--pack {file}: expected a name that ends in .tar.xz (the smallest), .tar.gz or .tar")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=file.parent).close()
    except OSError as error:
        refuse_file(file, error)


def refuse_file(file, error):
    fail(f"--pack {file}: {error.strerror}; expected a file in a folder that can be made and written to", 6)


def write(stage, file, most_bytes=MOST_BYTES):
    """Packs the folder. Returns None, or a line that says what is large if the package is too large."""
    kind = file.name.rsplit(".", 1)[-1]
    with tarfile.open(file, f"w:{kind.replace('tar', '')}", **({"compresslevel": 3} if kind == "gz" else {})) as tar:
        tar.add(stage, "flight")
    size = file.stat().st_size
    if size <= most_bytes:
        return None
    file.unlink()
    files = sorted((p for p in stage.rglob("*") if p.is_file() and not p.is_symlink()), key=lambda p: -p.stat().st_size)
    large = ", ".join(f"{p.relative_to(stage)} {p.stat().st_size / 2**20:.1f}" for p in files[:6])
    return f"{file} would be {size / 2**20:.1f} MiB, at most {most_bytes / 2**20:.0f} may travel; unpacked, in MiB: {large}"


def pack(a):
    file, build = pathlib.Path(a.pack), pathlib.Path(a.build or ROOT / "build/flight").absolute()
    if a.data and not os.path.exists(a.data):
        fail(f"--data {a.data}: there is no such folder or file", 3)
    check_file(file)
    if not a.build:
        build_programs(build)
    elif not (build / "tests/kindred_tests").exists():
        fail(f"--build {build}: no tests in it; build it first, or leave --build out")
    with tempfile.TemporaryDirectory() as scratch:
        stage = pathlib.Path(scratch) / "flight"
        install(build, stage)
        if a.data:
            pack_images(pathlib.Path(a.data).absolute(), build, stage)
        try:
            too_large = write(stage, file)
        except OSError as error:
            refuse_file(file, error)
        if too_large:
            fail(too_large)
        count = sum(1 for p in stage.rglob("*") if p.is_file())
    print(f"{file}: {file.stat().st_size / 2**20:.1f} MiB of {MOST_BYTES >> 20}, {count} files; "
          f"to unpack: python3 -m tarfile -e {file.name} DIR")
    return 0
