#!/usr/bin/env python3
"""Retrieval and neighbours against pytorch-metric-learning's, FAISS's and scikit-learn's on the same features.

  tests/golden/check_search.py [--build build/release] [--features FEATURES.npz --figures FIGURES.json]

Without --features: trains a small encoder on a drawn set, and takes the features that embed writes and the figures of
`evaluate --retrieval`. With it: a file of embed, and what `evaluate --retrieval --json` wrote of the same images.

Compared: recall@1 with precision_at_1, R-precision and MAP@R of pytorch-metric-learning's AccuracyCalculator on rows of
unit length; recall@5 and @10 with what its nearest neighbours give; and of the small run what `similar search` finds with
scikit-learn's neighbours, and with FAISS's where Python has it. On random features with a class of one image, and with
copies, also the definitions by plain loops with all of these.

Tolerances: images whose cosines single precision does not tell apart may change places, so figures may differ by 2 places of
all images; cosines by 1e-5, and by 1e-4 where images were embedded in batches of other sizes. The packages are those that
Python has, or pip brings them into the build tree; torch must be there already, else plain loops stand in for
pytorch-metric-learning. It is an error if nothing was compared.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "scripts"))
import from_pip

FOLDER = from_pip.TOOLS / "search"
NEIGHBOURS = 7


def packages():
    """numpy, scikit-learn's NearestNeighbors, and where there is torch: torch, the AccuracyCalculator and CustomKNN, else None;
    None if numpy or scikit-learn is missing. torch is too large to be brought for this."""
    def load():
        import numpy
        from sklearn.neighbors import NearestNeighbors
        return numpy, NearestNeighbors
    def metric_learning():
        import torch
        from pytorch_metric_learning.distances import CosineSimilarity
        from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
        from pytorch_metric_learning.utils.inference import CustomKNN
        return torch, AccuracyCalculator, lambda: CustomKNN(CosineSimilarity(), batch_size=256)
    loaded = []
    for what, package, options in ((load, "scikit-learn", ()), (metric_learning, "pytorch-metric-learning==2.9.0", ("--no-deps",))):
        try:
            loaded.append(what())
            continue
        except ImportError as error:
            if error.name == "torch":
                loaded.append(None)
                continue
        from_pip.bring(package, *options, into=FOLDER)
        if str(FOLDER) not in sys.path:
            sys.path.insert(0, str(FOLDER))
        try:
            loaded.append(what())
        except ImportError as error:
            print(f"without {error.name}")
            loaded.append(None)
    return None if loaded[0] is None else (*loaded[0], loaded[1])


def by_package(features, labels):
    """The package's figures, by the names of Kindred's JSON."""
    numpy, _, (torch, calculator, knn) = PEERS
    unit = features / numpy.maximum(numpy.linalg.norm(features.astype(numpy.float64), axis=1, keepdims=True), 1e-300)
    unit = torch.from_numpy(unit.astype(numpy.float32))
    tensor = torch.from_numpy(labels.astype(numpy.int64))
    names = ("precision_at_1", "r_precision", "mean_average_precision_at_r")
    figures = calculator(include=names, k="max_bin_count", device=torch.device("cpu"), knn_func=knn()).get_accuracy(unit, tensor)
    counts = torch.bincount(tensor)
    asks = counts[tensor] > 1
    deepest = min(10, len(labels) - 1)
    nearest = tensor[knn()(unit, deepest, unit, True)[1]]
    found = (nearest == tensor[:, None])[asks]
    result = {f"recall@{k}": found[:, :k].any(1).double().mean().item() for k in (5, 10)}
    result |= {"recall@1": figures["precision_at_1"], "r_precision": figures["r_precision"],
               "map_at_r": figures["mean_average_precision_at_r"], "queries": int(asks.sum())}
    return result


def by_definition(features, labels):
    """The same by plain loops over the definitions, in double precision; of equal cosines the earlier image first."""
    numpy = PEERS[0]
    unit = features.astype(numpy.float64)
    unit /= numpy.maximum(numpy.linalg.norm(unit, axis=1, keepdims=True), 1e-300)
    sums, queries = dict.fromkeys(("recall@1", "recall@5", "recall@10", "r_precision", "map_at_r"), 0.0), 0
    for query, label in enumerate(labels):
        classmates = int((labels == label).sum()) - 1
        if classmates == 0:
            continue
        queries += 1
        order = numpy.argsort(-(unit @ unit[query]), kind="stable")
        right = labels[order[order != query]] == label
        for k in (1, 5, 10):
            sums[f"recall@{k}"] += bool(right[:k].any())
        within = right[:classmates]
        sums["r_precision"] += within.mean()
        precision = numpy.cumsum(within) / numpy.arange(1, classmates + 1)
        sums["map_at_r"] += (precision * within).sum() / classmates
    return {name: value / queries for name, value in sums.items()} | {"queries": queries}


def by_kindred(figures):
    return {f"recall@{k}": figures["recall"][str(k)] for k in (1, 5, 10)} | {
        name: figures[name] for name in ("r_precision", "map_at_r", "queries")}


def differences(what, ours, theirs, images):
    for name in sorted(ours.keys() | theirs.keys()):
        a, b = ours.get(name), theirs.get(name)
        if a is None or b is None or not abs(a - b) <= 2 / images:  # not: of a NaN too
            yield f"{what}: {name} is {a}, expected {b}"


def random_features():
    """Clusters that overlap, a class of one image, copies."""
    numpy = PEERS[0]
    random = numpy.random.default_rng(3)
    labels = random.integers(0, 12, 900)
    labels[5] = 40
    features = (random.normal(size=(900, 24)) + 0.6 * random.normal(size=(41, 24))[labels]).astype(numpy.float32)
    features[10], features[20] = features[11], features[21]
    return features, labels


def run(*command):
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}:\n{done.stdout}{done.stderr}")
    return done.stdout


def figures_of_a_small_run(apps, folder):
    run(apps / "make_toy_dataset", folder / "set", "--classes", 5, "--per-class", 40, "--image-size", 32)
    run(apps / "pretrain", folder / "set", "--out", folder / "run", "--model", "resnet20", "--image-size", 32, "-b", 32, "-j", 1,
        "--epochs", 2, "--device", "cpu")
    encoder = ["--encoder", folder / "run/encoder.safetensors", "--split", "train", "--device", "cpu"]
    run(apps / "embed", folder / "set", *encoder, "--out", folder / "features.npz")
    run(apps / "evaluate", folder / "set", *encoder, "--retrieval", "--json", folder / "figures.json")
    return folder / "features.npz", folder / "figures.json"


def cosines(features):
    numpy = PEERS[0]
    unit = features.astype(numpy.float64)
    return unit / numpy.linalg.norm(unit, axis=1, keepdims=True)


def nearest_cosines(unit, k):
    """Of each row the cosines with its k nearest rows, itself among them, by every package: {name: [rows, k]}."""
    numpy, nearest_neighbors, _ = PEERS
    by = {"plain loops": -numpy.sort(-(unit @ unit.T), axis=1)[:, :k]}
    by["scikit-learn"] = 1 - nearest_neighbors(n_neighbors=k, metric="cosine", algorithm="brute").fit(unit).kneighbors(unit)[0]
    try:
        import faiss
    except ImportError:
        return by
    rows = numpy.ascontiguousarray(unit, dtype=numpy.float32)
    index = faiss.IndexFlatIP(rows.shape[1])
    index.add(rows)
    by["FAISS"] = index.search(rows, k)[0]
    return by


def neighbour_differences(features):
    by = nearest_cosines(cosines(features), NEIGHBOURS)
    for name, found in by.items():
        if not abs(found - by["plain loops"]).max() <= 1e-5:
            yield f"{name}: the nearest rows are not those of plain loops"


def search_differences(apps, folder):
    """What `similar search` finds for each training image in an index of the whole set."""
    numpy = PEERS[0]
    encoder = ["--encoder", folder / "run/encoder.safetensors", "--device", "cpu"]
    run(apps / "similar", "index", folder / "set", *encoder, "--out", folder / "index")
    answers = json.loads(run(apps / "similar", "search", folder / "index", folder / "set/train", "--device", "cpu", "--json", "-k",
                             NEIGHBOURS))
    tables = []
    for part in ("train", "val"):
        run(apps / "embed", folder / "set", *encoder, "--split", part, "--out", folder / "part.npz")
        tables.append(numpy.load(folder / "part.npz"))
    paths = [pathlib.Path(path).resolve() for table in tables for path in table["paths"]]
    row_of = {path: row for row, path in enumerate(paths)}
    by = nearest_cosines(cosines(numpy.concatenate([table["features"] for table in tables])), NEIGHBOURS)
    if len(answers) != len(tables[0]["paths"]) or not answers:
        yield f"similar search answered for {len(answers)} images of {len(tables[0]['paths'])}"
    for answer in answers:
        found = numpy.array([near["similarity"] for near in answer["neighbours"]])
        for name, expected in by.items():
            wanted = expected[row_of[pathlib.Path(answer["path"]).resolve()]]
            if found.shape != wanted.shape or not abs(found - wanted).max() <= 1e-4:
                yield f"similar search: of {answer['path']} the nearest are at {found}, {name} finds {wanted}"


def main():
    global PEERS
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release")
    parser.add_argument("--features", type=pathlib.Path)
    parser.add_argument("--figures", type=pathlib.Path)
    a = parser.parse_args()
    if (a.features is None) != (a.figures is None):
        parser.error("--features and --figures belong together")
    PEERS = packages()
    if PEERS is None:
        print("skipped: pip cannot bring scikit-learn")
        return
    numpy = PEERS[0]
    has_package = PEERS[2] is not None
    judge = by_package if has_package else by_definition
    features, labels = random_features()
    found = list(differences("random rows", by_definition(features, labels), judge(features, labels), len(labels)))
    found += neighbour_differences(features)
    with tempfile.TemporaryDirectory() as folder:
        if a.features is None:
            a.features, a.figures = figures_of_a_small_run(a.build / "apps", pathlib.Path(folder))
            found += search_differences(a.build / "apps", pathlib.Path(folder))
        table = numpy.load(a.features)
        features, labels = table["features"], table["labels"]
        ours = by_kindred(json.loads(a.figures.read_text())["retrieval"])
    if len(labels) != len(features) or len(labels) < 2:
        sys.exit(f"search: nothing was compared: {len(features)} rows of features with {len(labels)} labels")
    theirs = judge(features, labels)
    found += differences("evaluate --retrieval", ours, theirs, len(labels))
    # A planted difference must be seen.
    planted = ours | {"map_at_r": ours["map_at_r"] + 3 / len(labels)}
    if not list(differences("planted", planted, ours, len(labels))):
        found.append("a planted MAP@R was not noticed")
    for line in found:
        print(line)
    if found:
        sys.exit(1)
    peer = "pytorch-metric-learning's" if has_package else "those of plain loops (no torch, so no pytorch-metric-learning)"
    print(f"search: the retrieval figures of {len(labels)} images are {peer}: " +
          ", ".join(f"{name} {ours[name]:.4f} ({theirs[name]:.4f})" for name in sorted(ours) if name != "queries"))


if __name__ == "__main__":
    main()
