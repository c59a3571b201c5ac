#!/usr/bin/env python3
"""A map of an embedding by t-SNE: map_embedding beside openTSNE, on the same cores, in one run.

    python3 bench/search/map.py --python ENV/bin/python [--build build/release] [--rows 20000] [--dim 512] [--threads 2]
                                [--repeats 3]

Random clusters; both go from features in memory or in a file to a table of places, by the same steps: unit rows, 50 principal
directions, 90 neighbours, 250 iterations with exaggeration and 500 without, repulsion by FFT. map_embedding finds neighbours
exactly, openTSNE by Annoy. One repeat is a whole map, map_embedding's with the start of the program. The two take turns. Prints
medians with quartiles, the median ratio of the turns (openTSNE's time by Kindred's; the aim is 1), and the trustworthiness of
both maps on 2,000 of the rows. --python is one with openTSNE and scikit-learn.
"""
import argparse
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from interleave import Contender, race, spread

AIM = 1.0
CLUSTERS, JUDGED = 20, 2000


def draw(folder, rows, dim):
    """features.npz, as embed writes it."""
    import numpy as np
    random = np.random.default_rng(0)
    labels = random.integers(0, CLUSTERS, rows)
    spreads = random.uniform(0.4, 1.2, CLUSTERS)
    features = random.normal(size=(CLUSTERS, dim))[labels] + random.normal(size=(rows, dim)) * spreads[labels][:, None]
    np.savez(folder / "features.npz", features=features.astype(np.float32), labels=labels.astype(np.int64),
             paths=np.array([f"{i}.png" for i in range(rows)]), classes=np.array([str(i) for i in range(CLUSTERS)]))


def kindred_map(folder, build, threads):
    subprocess.run([f"{build}/apps/map_embedding", folder / "features.npz", "--out", folder / "kindred.csv", "--quiet"],
                   check=True, stdout=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": str(threads)})


def open_tsne_map(folder, _, threads):
    import numpy as np
    from openTSNE import TSNE
    from sklearn.decomposition import PCA
    features = np.load(folder / "features.npz")["features"]
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    reduced = PCA(50, random_state=0).fit_transform(unit) if unit.shape[1] > 50 else unit
    places = TSNE(negative_gradient_method="fft", n_jobs=threads, random_state=0).fit(reduced)
    np.savetxt(folder / "openTSNE.csv", np.asarray(places), delimiter=",", header="x,y", comments="")


MAPS = {"kindred": kindred_map, "openTSNE": open_tsne_map}


def contend(name, folder, build, threads):
    """A map, and the milliseconds that it took, for every line of standard input."""
    if name == "openTSNE":  # importing takes seconds, which are not the map's
        import openTSNE
        import sklearn.decomposition
    for _ in sys.stdin:
        start = time.perf_counter()
        MAPS[name](folder, build, threads)
        print(f"{(time.perf_counter() - start) * 1e3:.3f}", flush=True)


def judge(folder):
    """Prints the trustworthiness of both maps."""
    import csv
    import numpy as np
    from sklearn.manifold import trustworthiness
    features = np.load(folder / "features.npz")["features"]
    step = max(1, len(features) // JUDGED)
    for name in MAPS:
        with (folder / f"{name}.csv").open() as file:
            places = np.array([[float(row["x"]), float(row["y"])] for row in csv.DictReader(file)])
        kept = trustworthiness(features[::step], places[::step], n_neighbors=10, metric="cosine")
        print(f"{name:9} trustworthiness {kept:.4f}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build/release")
    parser.add_argument("--python", default=sys.executable, help="one with openTSNE and scikit-learn")
    parser.add_argument("--rows", type=int, default=20000)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", choices=["draw", "judge", *MAPS], help=argparse.SUPPRESS)  # one part, in --folder
    parser.add_argument("--folder", type=pathlib.Path, help=argparse.SUPPRESS)
    a = parser.parse_args()
    if a.only == "draw":
        return draw(a.folder, a.rows, a.dim)
    if a.only == "judge":
        return judge(a.folder)
    if a.only:
        return contend(a.only, a.folder, a.build, a.threads)
    with tempfile.TemporaryDirectory() as folder:
        def part(name):
            return [a.python, __file__, "--only", name, "--folder", folder, "--build", a.build, "--rows", str(a.rows), "--dim",
                    str(a.dim), "--threads", str(a.threads)]
        subprocess.run(part("draw"), check=True)
        # Waiting threads of either would take the core from the other.
        env = {**os.environ, "OMP_NUM_THREADS": str(a.threads), "NUMBA_NUM_THREADS": str(a.threads)}
        contenders = [Contender(name, part(name), env) for name in MAPS]
        race(contenders, a.repeats, warmup=0 if a.rows > 30000 else 1)
        for c in contenders:
            median, low, high = spread(c.times)
            print(f"{c.name:9} {median / 1e3:8.1f} s ({low / 1e3:.1f} to {high / 1e3:.1f})")
        ratio = statistics.median(theirs / ours for ours, theirs in zip(contenders[0].times, contenders[1].times))
        print(f"{a.rows} x {a.dim}, {a.threads} threads: kindred is {ratio:.2f}x (aim {AIM})", flush=True)
        subprocess.run(part("judge"), check=True)


if __name__ == "__main__":
    main()
