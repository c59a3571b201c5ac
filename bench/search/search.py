#!/usr/bin/env python3
"""Search in an index of images, and making one: Kindred's index and FAISS from Python on the same features.

    python3 bench/search/search.py [--build build/release] [--python /usr/bin/python3] [--repeats 9] [--threads 2]
                            [--rows 100000] [--dim 512] [--queries 1 1000] [--factory Flat IVF1024,Flat]
                            [--blas system openblas FOLDER]

Makes an index of drawn features in a temporary folder. Both programs stay alive and do one repeat each in turn; FAISS reads
the features from the index's own .npy file. Prints the median milliseconds of each with the quartiles, and the ratio (below
1: Kindred is faster).

A search of Kindred's compares what FAISS has found once more in double precision, so that the order of neighbours does not
depend on the number of queries; that is part of its time.

Making an index is from features in memory to files on the same disk, brought there by fsync, for both. It is compared twice:
"made", the whole of Kindred's index, which has a line of text for each image and checksums beside what FAISS writes; and
"its file alone", the file in which search looks and nothing else, which is what FAISS makes.

Several queries at once are a product of matrices, which FAISS's Python package leaves to the system's BLAS. With --blas the
searches are repeated beside each one that is named, and the line says what was loaded:
  system    as it is installed; Debian's libblas3 is a plain one, and slow
  openblas  Debian's libopenblas0-pthread: downloaded by `apt-get download`, unpacked into a temporary folder, not installed
  FOLDER    one with a libblas.so.3 in it

--python needs the package python3-faiss. `--peer` is for this script alone: it starts itself as the other side.
"""
import argparse
import glob
import os
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from interleave import Contender, race, spread


def loaded_blas():
    """The files of BLAS that this process has mapped."""
    with open("/proc/self/maps", encoding="utf-8") as maps:
        paths = {os.path.realpath(line.split()[-1]) for line in maps if "blas" in line.split()[-1]}
    return " ".join(sorted(map(os.path.basename, paths))) or "none"


def unpacked_openblas(folder):
    """The folder of the package's libblas.so.3."""
    subprocess.run(["apt-get", "-qq", "download", "libopenblas0-pthread"], check=True, cwd=folder, stderr=subprocess.DEVNULL)
    (package,) = glob.glob(f"{folder}/libopenblas0-pthread_*.deb")
    subprocess.run(["dpkg-deb", "-x", package, folder], check=True)
    (library,) = glob.glob(f"{folder}/usr/lib/*/openblas-pthread/libblas.so.3")
    return os.path.dirname(library)


def peer(a):
    """FAISS: one repeat for each line on standard input."""
    import faiss
    import numpy

    if a.peer == "blas":
        print(loaded_blas())
        return
    faiss.omp_set_num_threads(a.threads)
    rows = numpy.array(numpy.load(f"{a.folder}/index/features-000.npy"))
    queries = numpy.array(numpy.load(f"{a.folder}/queries.npy"))

    def make():
        index = faiss.index_factory(rows.shape[1], a.factory[0], faiss.METRIC_INNER_PRODUCT)
        index.train(rows)
        index.add(rows)
        return index

    index = None
    if a.peer != "index":
        index = make() if a.factory[0] == "Flat" else faiss.read_index(a.peer_index, faiss.IO_FLAG_MMAP)
        if a.nprobe:
            index.nprobe = a.nprobe
    path = f"{a.folder}/peer.faiss"
    for _ in sys.stdin:
        start = time.perf_counter()
        if a.peer == "search":
            index.search(queries, a.neighbours)
        else:
            made = make()
            faiss.write_index(made, path)
            file = os.open(path, os.O_RDONLY)
            os.fsync(file)
            os.close(file)
        took = time.perf_counter() - start
        if a.peer == "index":  # neither side's time has its removal
            del made
            os.remove(path)
        print(1e3 * took, flush=True)


def compare(a, what, ours, theirs, env, their_env):
    contenders = [Contender("kindred", ours, env), Contender("faiss", theirs, their_env)]
    race(contenders, a.repeats, warmup=1)
    (own, low, high), (other, other_low, other_high) = (spread(c.times) for c in contenders)
    print(f"{what:60} kindred {own:9.1f} ms ({low:.1f} to {high:.1f})   faiss {other:9.1f} ms"
          f" ({other_low:.1f} to {other_high:.1f})   {own / other:.3f}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build/release")
    parser.add_argument("--python", default="/usr/bin/python3")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--queries", type=int, nargs="+", default=[1, 1000])
    parser.add_argument("--neighbours", type=int, default=10)
    parser.add_argument("--factory", nargs="+", default=["Flat", "IVF1024,Flat"])
    parser.add_argument("--nprobe", type=int, default=0, help="of IVF; a sixteenth of its lists by default")
    parser.add_argument("--blas", nargs="+", default=["system"], help="system, openblas, or a folder with a libblas.so.3")
    parser.add_argument("--peer", choices=["search", "index", "blas"])
    parser.add_argument("--folder")
    parser.add_argument("--peer-index")
    a = parser.parse_args()
    if a.peer:
        return peer(a)
    env = {**os.environ, "OMP_NUM_THREADS": str(a.threads), "OPENBLAS_NUM_THREADS": str(a.threads)}
    with tempfile.TemporaryDirectory() as unpacked:
        peers = []  # what was loaded, and the environment with it
        for blas in a.blas:
            their_env = dict(env)
            if blas != "system":
                folder = unpacked_openblas(unpacked) if blas == "openblas" else os.path.abspath(blas)
                their_env["LD_LIBRARY_PATH"] = folder
            loaded = subprocess.run([a.python, os.path.abspath(__file__), "--peer", "blas"], check=True, env=their_env,
                                    stdout=subprocess.PIPE, text=True).stdout.strip()
            peers.append((loaded, their_env))
        for factory in a.factory:
            for queries in a.queries:
                with tempfile.TemporaryDirectory() as folder:
                    measure(a, factory, queries, folder, env, peers, with_index=queries == a.queries[-1])


def measure(a, factory, queries, folder, env, peers, with_index):
    sizes = ["--rows", a.rows, "--dim", a.dim, "--queries", queries, "--neighbours", a.neighbours, "--factory", factory]
    ours = [f"{a.build}/bench/bench_search", folder, *map(str, sizes)]
    subprocess.run([*ours, "--task", "make"], check=True, env=env)
    nprobe = 0
    if factory.startswith("IVF"):
        lists = int("".join(filter(str.isdigit, factory.split(",")[0].split("_")[0])))
        nprobe = a.nprobe or min(lists, max(8, lists // 16))
    theirs = [a.python, os.path.abspath(__file__), "--folder", folder, "--threads", str(a.threads), "--factory", factory,
              "--neighbours", str(a.neighbours), "--nprobe", str(nprobe),
              "--peer-index", f"{folder}/index/search-001.faiss", "--peer"]
    effort = ["--nprobe", str(nprobe)] if nprobe else []
    where = f"{factory}, {a.rows} x {a.dim}"
    for loaded, their_env in peers:
        compare(a, f"{where}: {queries} searched for ({loaded})", [*ours, *effort, "--task", "search"],
                [*theirs, "search"], env, their_env)
    if with_index:
        their_env = peers[-1][1]
        compare(a, f"{where}: made", [*ours, "--task", "index"], [*theirs, "index"], env, their_env)
        compare(a, f"{where}: its file alone", [*ours, "--task", "file"], [*theirs, "index"], env, their_env)


if __name__ == "__main__":
    main()
