#!/usr/bin/env python3
"""The maps of map_embedding against those of scikit-learn's t-SNE and umap-learn's UMAP: how far neighbours on the map are
neighbours in the features (scikit-learn's trustworthiness).

  tests/golden/check_map.py [--build build/release] [--margin 0.02]

On scikit-learn's digits and on random clusters, all by cosine distances, as map_embedding makes its maps. Ours must be at most
`--margin` below each of theirs, and its principal components must be scikit-learn's. pip installs umap-learn, which brings
scikit-learn, into the build tree if it is missing.
"""
import argparse
import csv
import pathlib
import subprocess
import sys
import tempfile
import warnings

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "scripts"))
import from_pip

FOLDER = from_pip.TOOLS / "map"
NEIGHBOURS = 10


def libraries():
    """Whether everything can be imported."""
    try:
        import sklearn
        import umap
    except ImportError:
        if not FOLDER.exists():
            from_pip.bring("umap-learn==0.5.12", into=FOLDER)
        sys.path.insert(0, str(FOLDER))
        try:
            import sklearn
            import umap
        except ImportError:
            return False
    return True


def tables():
    """Name, features and labels of each set."""
    import numpy as np
    from sklearn.datasets import load_digits
    digits = load_digits()
    yield "digits", digits.data.astype(np.float32), digits.target
    for rows, dim, clusters in ((600, 32, 12), (2000, 128, 20)):  # repulsion pair by pair, and on a grid
        random = np.random.default_rng(rows)
        labels = random.integers(0, clusters, rows)
        spreads = random.uniform(0.4, 1.2, clusters)
        centres = random.normal(size=(clusters, dim))
        noise = random.normal(size=(rows, dim)) * spreads[labels][:, None]
        yield f"{clusters} clusters", (centres[labels] + noise).astype(np.float32), labels


def our_map(program, features, labels, *flags):
    """The places of map_embedding, [rows, 2], and what it printed."""
    import numpy as np
    with tempfile.TemporaryDirectory() as folder:
        given, out = pathlib.Path(folder, "features.npz"), pathlib.Path(folder, "map.csv")
        np.savez(given, features=features, paths=np.array([f"{i}.png" for i in range(len(features))]),
                 labels=labels.astype(np.int64), classes=np.array([str(i) for i in range(labels.max() + 1)]))
        done = subprocess.run([program, given, "--out", out, *flags], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode != 0:
            sys.exit(f"{program} ended with code {done.returncode}:\n{done.stdout}")
        rows = list(csv.DictReader(out.open()))
        if [row["path"] for row in rows] != [f"{i}.png" for i in range(len(features))]:
            sys.exit("the table of the map has other rows than the features")
        return np.array([[float(row["x"]), float(row["y"])] for row in rows])


def their_maps(unit):
    from sklearn.manifold import TSNE
    from umap import UMAP
    yield "scikit-learn's t-SNE", TSNE(metric="cosine", init="pca", random_state=0).fit_transform(unit)
    yield "umap-learn's UMAP", UMAP(metric="cosine", random_state=0).fit_transform(unit)


def problems(program, margin):
    import numpy as np
    from sklearn.decomposition import PCA
    from sklearn.manifold import trustworthiness
    for name, features, labels in tables():
        unit = features / np.linalg.norm(features, axis=1, keepdims=True)

        def measured(places):
            return trustworthiness(unit, places, n_neighbors=NEIGHBOURS, metric="cosine")

        ours = measured(our_map(program, features, labels))
        print(f"{name}, {len(features)} x {features.shape[1]}: map_embedding {ours:.4f}", end="", flush=True)
        for peer, places in their_maps(unit):
            theirs = measured(places)
            print(f", {peer} {theirs:.4f}", end="", flush=True)
            if not ours >= theirs - margin:
                yield f"{name}: map_embedding's trustworthiness of {ours:.4f} is more than {margin} below {peer}'s {theirs:.4f}"
        print(flush=True)
        components = our_map(program, features, labels, "--method", "pca")
        expected = PCA(2, svd_solver="full").fit_transform(unit.astype(np.float64))
        difference = np.abs(np.abs(components) - np.abs(expected)).max()  # signs are a matter of taste
        if not difference < 1e-3 * np.abs(expected).max():
            yield f"{name}: principal components differ from scikit-learn's by {difference:.2g}"
        shuffled = np.random.default_rng(0).permutation(components)
        if measured(shuffled) > ours - 5 * margin:
            yield f"{name}: a map in a random order was not noticed"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release")
    parser.add_argument("--margin", type=float, default=0.02)
    a = parser.parse_args()
    warnings.simplefilter("ignore")
    if not libraries():
        print("skipped: map: pip cannot bring umap-learn")
        return
    found = list(problems(a.build / "apps/map_embedding", a.margin))
    for line in found:
        print(line)
    if found:
        sys.exit(1)
    print(f"map: neighbours are kept as well as by scikit-learn's t-SNE and umap-learn's UMAP, within {a.margin}")


if __name__ == "__main__":
    main()
