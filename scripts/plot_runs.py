#!/usr/bin/env python3
"""Plots loss and nearest-neighbour accuracy by epoch of one or more runs into a PNG.

    scripts/plot_runs.py OUT.png RUN [RUN...]        needs Debian's python3-matplotlib
"""
import json
import pathlib
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4), constrained_layout=True)
    chance = None
    for run in map(pathlib.Path, sys.argv[2:]):
        rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        chance = rows[-1]["chance_loss"]
        epochs = [row["epoch"] for row in rows]
        left.plot(epochs, [row["loss"] for row in rows], marker=".", label=run.name)
        known = [row for row in rows if row["knn_top1"] is not None]
        right.plot([row["epoch"] for row in known], [row["knn_top1"] for row in known], marker=".", label=run.name)
        probe = run / "probe/result.json"
        if probe.exists():
            right.plot(epochs[-1], json.loads(probe.read_text())["top1"], marker="*", markersize=11, color=right.lines[-1].get_color())
    left.axhline(chance, color="grey", linestyle=":", label="all features the same")
    left.set(title="training loss", xlabel="epoch", ylabel="SupCon loss")
    right.set(xlabel="epoch", ylabel="accuracy", title="dots: neighbours, star: linear probe")
    right.margins(y=0.12)
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    figure.savefig(sys.argv[1], dpi=110)


if __name__ == "__main__":
    main()
