"""Losses from other implementations, for losses_golden_test.cpp.

variants.json: cases [ {
    name, views, images, dim, groups [images], temperature,
    features [M][dim] (view-major, rows of length 1),
    losses { key: {loss, gradient [M][dim]} }
  } ]
Keys:
    google/<out|in>/<all|one_positive|only_negatives>/<views: all|one>/<cap>
        The conventions of google-research's supcon/losses.py, from its formulas, over boolean matrices: positives
        and negatives are two masks; the denominator is one of three sums; a cap of 0 is none. The mean over all
        anchors, without Google's scale (times T). Which positives a cap keeps is Kindred's rule (supcon.h).
    hobbitlong/<all|one>
        HobbitLong/SupContrast, from its formula: log-probabilities over everything but the anchor, the mean over
        positives, times T / 0.07.
    pml/supcon, pml/nt_xent, pml/triplet/<batch_all|batch_hard|semi_hard>
        pytorch-metric-learning's SupConLoss and NTXentLoss, and TripletMarginLoss with its BatchHardMiner and
        TripletMarginMiner("semihard"), on squared distances, margin 0.2, the mean over active triplets. With three or
        more views its NTXentLoss has only one positive in the denominator, not all.

Needs pytorch-metric-learning (pip install --no-deps pytorch-metric-learning tqdm scikit-learn) beside PyTorch.
"""

import numpy as np
import torch

from golden_formula import formula

MARGIN = 0.2


def supcon_by_masks(z, groups, views, temperature, inside, denominator, one_view, cap):
    images = len(groups)
    rows = views * images
    image = torch.arange(rows) % images
    label = torch.tensor(groups)[image]
    itself = torch.eye(rows, dtype=torch.bool)
    positive = (label[:, None] == label[None, :]) & ~itself
    negative = label[:, None] != label[None, :]
    if cap > 0:
        for i in range(rows):
            ring = [((int(image[i]) + k // views) % images) + k % views * images for k in range(rows)]
            kept = [j for j in ring if positive[i, j]][:cap]
            positive[i] = False
            positive[i, kept] = True
    anchors = images if one_view else rows
    positive, negative = positive[:anchors], negative[:anchors]
    e = torch.exp(z[:anchors] @ z.T / temperature)
    below = (e * negative).sum(1, keepdim=True)
    if denominator == "all":
        below = below + (e * positive).sum(1, keepdim=True)
    elif denominator == "one_positive":
        below = below + e
    ratio = e / below
    count = positive.sum(1)
    if inside:
        losses = -((ratio * positive).sum(1) / count).log()
    else:
        losses = -(ratio.log() * positive).sum(1) / count
    return losses.mean()


def hobbitlong(z, groups, views, temperature, one_view):
    images = len(groups)
    same = torch.tensor(groups)[:, None] == torch.tensor(groups)[None, :]
    anchor_views = 1 if one_view else views
    anchors = z[: anchor_views * images]
    logits = anchors @ z.T / temperature
    logits = logits - logits.max(1, keepdim=True).values.detach()
    mask = same.repeat(anchor_views, views).double()
    others = torch.ones_like(mask)
    others[torch.arange(len(anchors)), torch.arange(len(anchors))] = 0
    mask = mask * others
    log_probability = logits - (logits.exp() * others).sum(1, keepdim=True).log()
    return -(temperature / 0.07) * ((mask * log_probability).sum(1) / mask.sum(1)).mean()


def pml_losses(groups, views, temperature):
    from pytorch_metric_learning import distances, losses, miners, reducers

    labels = torch.tensor(groups * views)
    images = torch.arange(len(groups)).repeat(views)
    squared = dict(distance=distances.LpDistance(normalize_embeddings=False, power=2))
    plain = dict(distance=distances.DotProductSimilarity(normalize_embeddings=False))  # the rows have length 1 already
    triplet = losses.TripletMarginLoss(margin=MARGIN, reducer=reducers.AvgNonZeroReducer(), **squared)
    hard = miners.BatchHardMiner(**squared)
    semi_hard = miners.TripletMarginMiner(margin=MARGIN, type_of_triplets="semihard", **squared)
    return {
        "pml/supcon": lambda z: losses.SupConLoss(temperature=temperature, **plain)(z, labels),
        "pml/nt_xent": lambda z: losses.NTXentLoss(temperature=temperature, **plain)(z, images),
        "pml/triplet/batch_all": lambda z: triplet(z, labels),
        "pml/triplet/batch_hard": lambda z: triplet(z, labels, hard(z, labels)),
        "pml/triplet/semi_hard": lambda z: triplet(z, labels, semi_hard(z, labels)),
    }


def losses_of(groups, views, temperature):
    """Name -> function of the features."""
    table = {}
    for variant in ("out", "in"):
        for denominator in ("all", "one_positive", "only_negatives"):
            for contrast in ("all", "one"):
                for cap in (0, 3):
                    table[f"google/{variant}/{denominator}/{contrast}/{cap}"] = (
                        lambda z, v=variant, d=denominator, c=contrast, k=cap: supcon_by_masks(
                            z, groups, views, temperature, v == "in", d, c == "one", k
                        )
                    )
    for contrast in ("all", "one"):
        table[f"hobbitlong/{contrast}"] = lambda z, c=contrast: hobbitlong(z, groups, views, temperature, c == "one")
    table.update(pml_losses(groups, views, temperature))
    return table


def make_variants():
    cases = []
    for name, views, dim, temperature, groups in [
        ("two_views", 2, 5, 0.2, [3, 0, 2, 3, 0, 3]),
        ("three_views", 3, 4, 0.5, [1, 0, 1, 1]),
    ]:
        rows = views * len(groups)
        features = formula(f"variants/{name}", rows * dim, -1, 1).reshape(rows, dim)
        features /= np.linalg.norm(features, axis=1, keepdims=True)
        stored = {}
        for key, function in losses_of(groups, views, temperature).items():
            z = torch.tensor(features, dtype=torch.float64, requires_grad=True)
            loss = function(z)
            loss.backward()
            stored[key] = {"loss": loss.item(), "gradient": [float(f"{g:.10g}") for g in z.grad.flatten()]}
        cases.append({
            "name": name, "views": views, "images": len(groups), "dim": dim, "groups": groups,
            "temperature": temperature, "features": features.flatten().tolist(), "losses": stored,
        })
    return {"cases": cases}
