#!/usr/bin/env python3
"""Search in an index of images, and making one: Kindred's index and FAISS from Python on the same features.

    python3 bench/search/search.py [--build build/release] [--python /usr/bin/python3] [--repeats 9] [--threads 2]
                            [--rows 100000] [--dim 512] [--queries 1 1000] [--factory Flat IVF1024,Flat]

Makes an index of drawn features in a temporary folder. Both programs stay alive and do one repeat each in turn; FAISS reads
the features from the index's own .npy file. Prints the median milliseconds of each with the quartiles, and the ratio (below
1: Kindred is faster).

A search of Kindred's compares what FAISS has found once more in double precision, so that the order of neighbours does not
depend on the number of queries; that is part of its time. Making an index is from features in memory to files that are on
the disk (fsync) for both. Kindred's also has a line of text for each image and checksums.

--python needs the package python3-faiss. `--peer` is for this script alone: it starts itself as the other side.
"""
import argparse
import os
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from interleave import Contender, race, spread


def peer(a):
    """FAISS: one repeat for each line on standard input."""
    import faiss
    import numpy

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
    for _ in sys.stdin:
        start = time.perf_counter()
        if a.peer == "search":
            index.search(queries, a.neighbours)
        else:
            path = f"{a.folder}/peer.faiss"
            faiss.write_index(make(), path)
            file = os.open(path, os.O_RDONLY)
            os.fsync(file)
            os.close(file)
        print(1e3 * (time.perf_counter() - start), flush=True)


def compare(a, what, ours, theirs, env):
    contenders = [Contender("kindred", ours, env), Contender("faiss", theirs, env)]
    race(contenders, a.repeats, warmup=1)
    (own, low, high), (other, other_low, other_high) = (spread(c.times) for c in contenders)
    print(f"{what:44} kindred {own:9.1f} ms ({low:.1f} to {high:.1f})   faiss {other:9.1f} ms"
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
    parser.add_argument("--peer", choices=["search", "index"])
    parser.add_argument("--folder")
    parser.add_argument("--peer-index")
    a = parser.parse_args()
    if a.peer:
        return peer(a)
    env = {**os.environ, "OMP_NUM_THREADS": str(a.threads), "OPENBLAS_NUM_THREADS": str(a.threads)}
    for factory in a.factory:
        for queries in a.queries:
            with tempfile.TemporaryDirectory() as folder:
                measure(a, factory, queries, folder, env, with_index=queries == a.queries[-1])


def measure(a, factory, queries, folder, env, with_index):
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
    compare(a, f"{where}: {queries} searched for", [*ours, *effort, "--task", "search"], [*theirs, "search"], env)
    if with_index:
        compare(a, f"{where}: made", [*ours, "--task", "index"], [*theirs, "index"], env)


if __name__ == "__main__":
    main()
