#!/usr/bin/env python3
"""Predicts the training step of ResNet-50 on 1 to 4,096 GPUs, from a step on one GPU and from bytes and latencies of links.

    bench/scale/predict.py                          prints the tables of docs/scale_predictions.md
    bench/scale/predict.py --write                  puts them into that page
    bench/scale/predict.py --plot                   draws docs/scale.png (needs matplotlib)
    bench/scale/predict.py --self-test              checks the formulas against simulated messages, and the page's tables; needs only Python
    --links FILE        another table than links.json beside this program
    --step FILE --views N   what `pretrain --dry-run --gpu GPU --prediction FILE` wrote for N views on a GPU, or a measured
                        {"step_ms": 41.2}
"""
import argparse
import json
import pathlib
import sys

import network
import self_test
import step
from step import VIEWS

HERE = pathlib.Path(__file__).resolve().parent
PAGE = HERE.parent.parent / "docs/scale_predictions.md"
PICTURE = HERE.parent.parent / "docs/scale.png"
SIZES = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096]
BATCH = 6144  # of the recipe imagenet
WORTH_IT = 0.8  # of the speed that a GPU has alone


def read_links(arguments):
    links = json.loads(pathlib.Path(arguments.links).read_text())
    if arguments.step:
        given = json.loads(pathlib.Path(arguments.step).read_text())
        table = links["step"]
        known = sum(table["forward_ms"].values()) + sum(table["backward_ms"].values()) + table["optimizer_ms"]
        factor = given["step_ms"] / known
        for part in ("forward_ms", "backward_ms"):
            table[part] = {name: factor * ms for name, ms in table[part].items()}
        table["optimizer_ms"] *= factor
        table["views"] = arguments.views
        if "kinds" in given:
            table["launches"] = sum(kind["launches"] for kind in given["kinds"])
    return links


# ---- tables in Markdown


def ms(seconds):
    return f"{1e3 * seconds:.1f}" if seconds >= 0.01 else f"{1e3 * seconds:.2f}"


def markdown(head, rows):
    return "\n".join(["| " + " | ".join(head) + " |", "|" + "---|" * len(head)] +
                     ["| " + " | ".join(row) + " |" for row in rows])


def step_row(size, images, links):
    s, alone = step.predict(images, size, links), step.predict(images, 1, links)
    return [f"{size:,}", f"{images:,}", f"{images * size:,}", ms(s.compute), ms(s.norms_forward), ms(s.norms_backward),
            ms(s.gather), ms(s.loss), ms(s.gradients), ms(s.exposed), ms(s.seconds),
            f"{size * images / s.seconds:,.0f}", f"{100 * efficiency(s, alone):.0f} %"]


def efficiency(s, alone):
    """Of the speed that each GPU would have with the same images alone."""
    return alone.compute / s.seconds if s.seconds else 0.0


STEP_HEAD = ["GPUs", "images of a GPU", "batch", "network, ms", "norms forward", "norms backward", "gather of features",
             "loss", "gradients", "of it not hidden", "step, ms", "images/s", "of one GPU's speed"]


def weak_table(images, links):
    return markdown(STEP_HEAD, [step_row(size, images, links) for size in SIZES])


def strong_sizes(batch):
    return [size for size in SIZES if batch % size == 0]


def strong_table(links):
    rows = []
    alone = step.predict(BATCH, 1, links).seconds
    for size in strong_sizes(BATCH):
        s = step.predict(BATCH // size, size, links)
        rows.append(step_row(size, BATCH // size, links)[:-1] + [f"{100 * alone / s.seconds / size:.0f} %"])
    return markdown(STEP_HEAD[:-1] + ["of a linear speed-up"], rows)


def hours(size, links):
    data = links["data"]
    steps = data["epochs"] * (data["images"] // BATCH)
    return steps * step.predict(BATCH // size, size, links).seconds / 3600


def kept_gib(images):
    """Activations that backward needs, in bf16: what every convolution gives and what its norm makes of it, and a bit of
    ReLU for each element."""
    elements = sum(layer.outputs for layer in network.resnet50()) * VIEWS * images
    return elements * (2 + 2 + 1 / 8) / 2**30


def recipe_table(links):
    rows = []
    for size in (8, 32, 128):
        images = BATCH // size
        s = step.predict(images, size, links)
        rows.append([f"{size}", f"{images}", f"{kept_gib(images):.1f} GiB", ms(s.seconds),
                     f"{100 * s.norms / s.seconds:.0f} %", f"{BATCH / s.seconds:,.0f}", f"{hours(size, links):.1f}"])
    return markdown(["GPUs", "images of a GPU", "activations of a GPU", "step, ms", "of it for batch norm's messages",
                     "images/s", "hours of 350 epochs"], rows)


def largest_size(images, links, accepted):
    """The largest number of GPUs, of powers of two up to 2^20, for which `accepted(step, alone)` holds."""
    good = 1
    for power in range(1, 21):
        if not accepted(step.predict(images, 2**power, links), step.predict(images, 1, links)):
            return good
        good = 2**power
    return good


def worth_table(links):
    rows = []
    for images in (48, 192, 768):
        size = largest_size(images, links, lambda s, alone: efficiency(s, alone) >= WORTH_IT)
        s = step.predict(images, 2 * size, links)
        parts = {"batch norm's messages": s.norms, "the loss": s.loss, "the gather of features": s.gather,
                 "gradients": s.exposed}
        # Where it is faster: means first, then variances around them, two sums that travel in trees.
        without = largest_size(
            images, links,
            lambda s, alone: alone.compute / (s.seconds - max(0.0, s.norms_forward - 2 * s.norms_backward)) >= WORTH_IT)
        rows.append([f"{images}", f"{size:,}", f"{size * images:,}", max(parts, key=parts.get),
                     f"{without:,}", f"{without * images:,}"])
    return markdown(["images of a GPU", "GPUs", "batch", "what stops the next doubling", "GPUs if norms were summed in trees",
                     "batch"], rows)


def loss_table(links):
    rows = []
    for share in (0.01, 0.1, 1.0):
        at = step.rows_where_loss_is(share, 768, links)
        rows.append([f"{100 * share:.0f} %", f"{at:,.0f}", f"{at / VIEWS:,.0f}", f"{at * 4 * links['loss']['dimension'] / 1e9:.2f} GB"])
    return markdown(["loss, of the network's time", "rows of the batch", "images", "features on each GPU"], rows)


def tables(links):
    return {"recipe": recipe_table(links), "strong": strong_table(links), "weak-768": weak_table(768, links),
            "weak-192": weak_table(192, links), "loss": loss_table(links), "worth": worth_table(links)}


def page_with(found):
    text = PAGE.read_text()
    for name, table in found.items():
        begin, end = f"<!-- {name} -->\n", f"\n<!-- end of {name} -->"
        if begin not in text or end not in text:
            sys.exit(f"{PAGE}: no place for the table {name}")
        text = text[:text.index(begin) + len(begin)] + table + text[text.index(end):]
    return text


# ---- the picture


def plot(links):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    parts = [("network", lambda s: s.compute, "#9ecae1"), ("loss", lambda s: s.loss, "#31a354"),
             ("norms forward", lambda s: s.norms_forward, "#fd8d3c"), ("norms backward", lambda s: s.norms_backward, "#fdd0a2"),
             ("gather of features", lambda s: s.gather, "#756bb1"), ("gradients, not hidden", lambda s: s.exposed, "#636363")]
    figure, axes = plt.subplots(1, 3, figsize=(12, 3.8), constrained_layout=True)
    for axis, sizes, images_of, title in [
            (axes[0], SIZES, lambda _: 768, "768 images a GPU"),
            (axes[1], strong_sizes(BATCH), lambda size: BATCH // size, f"a batch of {BATCH:,} images")]:
        steps = [step.predict(images_of(size), size, links) for size in sizes]
        bottom = [0.0] * len(sizes)
        for name, of, colour in parts:
            shares = [100 * of(s) / s.seconds for s in steps]
            axis.bar(range(len(sizes)), shares, bottom=bottom, color=colour, label=name, width=0.85)
            bottom = [b + share for b, share in zip(bottom, shares)]
        axis.set(title=title, xlabel="GPUs", ylabel="share of the step, %", ylim=(0, 100))
        axis.set_xticks(range(0, len(sizes), 2), [f"{size:,}" for size in sizes[::2]])
    axes[0].legend(fontsize=7, loc="lower left")
    for images, marker in ((768, "o"), (192, "s"), (48, "^")):
        rates = [size * images / step.predict(images, size, links).seconds for size in SIZES]
        axes[2].loglog(SIZES, rates, marker=marker, markersize=4, label=f"{images} images a GPU")
    sizes = strong_sizes(BATCH)
    axes[2].loglog(sizes, [BATCH / step.predict(BATCH // size, size, links).seconds for size in sizes], color="black",
                   linestyle="--", marker=".", label=f"a batch of {BATCH:,}")
    axes[2].set(title="speed", xlabel="GPUs", ylabel="images/s")
    axes[2].grid(alpha=0.3)
    axes[2].legend(fontsize=7)
    figure.savefig(PICTURE, dpi=100)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--links", default=HERE / "links.json")
    parser.add_argument("--step")
    parser.add_argument("--views", type=int, default=256)
    for flag in ("--write", "--plot", "--self-test"):
        parser.add_argument(flag, action="store_true")
    arguments = parser.parse_args()
    links = read_links(arguments)
    found = tables(links)
    if arguments.self_test:
        good = self_test.run(links)
        if page_with(found) != PAGE.read_text():
            sys.exit(f"{PAGE.name}: its tables are not those of this program; run {sys.argv[0]} --write --plot")
        sys.exit(0 if good else 1)
    if arguments.write:
        PAGE.write_text(page_with(found))
    if arguments.plot:
        plot(links)
    if not arguments.write and not arguments.plot:
        for name, table in found.items():
            print(f"{name}\n\n{table}\n")


if __name__ == "__main__":
    main()
