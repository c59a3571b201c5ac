"""The losses alone, in float64: SupCon (L_out), its published golden vectors, and cross-entropy.

SupCon (Khosla et al. 2020, eq. 2). Rows are view-major: row v*B + i is view v of image i, M = V*B rows; P(i) = the
other rows in i's group (its label; for SimCLR its image), A(i) = all other rows:

    L_i = -1/|P(i)| * sum_{p in P(i)} log( exp(z_i.z_p / T) / sum_{a in A(i)} exp(z_i.z_a / T) )
    L_i = 0 where P(i) is empty

    loss                  sum of L_i / M                        mean over all anchors; unscaled (no base temperature)
    loss_over_positives   sum of L_i / anchors_with_positives   mean over the anchors that have a positive
    gradient              of `loss` with respect to the rows z given to the loss, not to the rows before normalisation;
                          that of loss_over_positives is M / anchors_with_positives times it

supcon.json:
    golden    published vectors (T 1, not normalised): features [6][3], groups [6], temperature, per_anchor [6],
              loss, loss_over_positives, anchors_with_positives, gradient [6][3]; and per_image_out [3],
              per_image_in [3], the per-image losses of L_out and L_in (eq. 3), each the mean of the image's two rows
    cases     [ {name, views, images, dim, temperature, groups [images] (one for each image, the same for every view),
              per_anchor [M], loss, loss_over_positives, anchors_with_positives,
              gradient_norm, gradient_projections [3] (the tensor's name is name + "/gradient"),
              gradient [M][dim] where M*dim <= 100} ]
              features = formula(name + "/features", M*dim, -1, 1), each row divided by its norm in float64

cross_entropy.json: n, classes, smoothing, labels [n], per_row [n], loss (mean), gradient [n][classes];
    logits = formula("cross_entropy/logits", n*classes, -3, 3). The target is (1 - s) * onehot + s / classes.
"""

import numpy as np
import torch

from golden_formula import formula, formula_labels, norm, projections

# From the paper's authors (google-research, supcon/losses_test.py): view 0 of three images, then view 1, and the losses.
GOLDEN_FEATURES = [
    [0.01, 0.02, 0.14], [0.86, 0.97, 0.33], [0.32, 0.64, 0.28],
    [0.38, 0.61, 0.50], [0.26, 0.68, 0.45], [0.45, 0.74, 0.73],
]
GOLDEN_LABELS = [0, 0, 1]
GOLDEN_OUT = [1.6755850, 1.7973775, 1.5847100]
GOLDEN_IN = [1.6356677, 1.7135873, 1.5847100]


def supcon_per_anchor(features, groups, temperature, inside=False):
    """L_i for every row, [M]. features: torch [M, D]; groups: torch int [M]. inside: L_in, eq. 3, instead of L_out."""
    rows = len(features)
    itself = torch.eye(rows, dtype=torch.bool)
    positive = (groups[:, None] == groups[None, :]) & ~itself
    count = positive.sum(1)
    similarity = (features @ features.T / temperature).masked_fill(itself, float("-inf"))
    log_probability = similarity - similarity.logsumexp(1, keepdim=True)
    if inside:
        losses = -(log_probability.exp() * positive).sum(1).div(count.clamp(min=1)).log()
    else:
        losses = -log_probability.masked_fill(~positive, 0.0).sum(1) / count.clamp(min=1)
    return torch.where(count > 0, losses, torch.zeros_like(losses)), count


def evaluate_supcon(features, groups, temperature):
    """Both means, the per-anchor losses and the gradient, as plain numbers and one numpy array [M, D]."""
    features = torch.as_tensor(features, dtype=torch.float64).clone().requires_grad_()
    losses, count = supcon_per_anchor(features, torch.as_tensor(groups), temperature)
    losses.mean().backward()
    with_positives = int((count > 0).sum())
    return {
        "per_anchor": losses.tolist(),
        "loss": losses.mean().item(),
        "loss_over_positives": losses.sum().item() / max(with_positives, 1),
        "anchors_with_positives": with_positives,
    }, features.grad.numpy()


def golden_case():
    groups = GOLDEN_LABELS * 2
    result, gradient = evaluate_supcon(GOLDEN_FEATURES, groups, 1.0)
    features = torch.tensor(GOLDEN_FEATURES, dtype=torch.float64)
    inside, _ = supcon_per_anchor(features, torch.tensor(groups), 1.0, inside=True)
    per_image_out = np.reshape(result["per_anchor"], (2, 3)).mean(0)
    per_image_in = inside.numpy().reshape(2, 3).mean(0)
    # The published numbers were computed in float32: 2e-7 relative is their last digit.
    np.testing.assert_allclose(per_image_out, GOLDEN_OUT, rtol=2e-7)
    np.testing.assert_allclose(per_image_in, GOLDEN_IN, rtol=2e-7)
    return {
        "features": GOLDEN_FEATURES,
        "groups": groups,
        "temperature": 1.0,
        **result,
        "gradient": gradient.tolist(),
        "per_image_out": per_image_out.tolist(),
        "per_image_in": per_image_in.tolist(),
    }


def make_supcon():
    cases = [  # name, views, dim, temperature, one group for each image
        ("introduction", 2, 8, 0.07, [3, 0, 2, 3]),
        ("one_view_lonely_anchors", 1, 6, 0.5, [0, 1, 0, 2, 0]),
        ("simclr", 2, 16, 0.1, list(range(8))),
        ("simclr_image_drawn_twice", 3, 5, 0.2, [0, 1, 2, 1, 4]),
        ("one_class", 3, 10, 1.0, [7] * 6),
        ("odd_sizes", 2, 33, 0.1, formula_labels("odd_sizes/labels", 37, 7)),
        ("batch_64", 2, 128, 0.1, formula_labels("batch_64/labels", 64, 10)),
    ]
    stored = []
    for name, views, dim, temperature, groups in cases:
        rows = views * len(groups)
        features = formula(f"{name}/features", rows * dim, -1, 1).reshape(rows, dim)
        features /= np.linalg.norm(features, axis=1, keepdims=True)
        result, gradient = evaluate_supcon(features, groups * views, temperature)
        stored.append({
            "name": name,
            "views": views,
            "images": len(groups),
            "dim": dim,
            "temperature": temperature,
            "groups": groups,
            **result,
            "gradient_norm": norm(gradient),
            "gradient_projections": projections(f"{name}/gradient", gradient, 3),
            **({"gradient": gradient.tolist()} if gradient.size <= 100 else {}),
        })
    return {"golden": golden_case(), "cases": stored}


def make_cross_entropy():
    n, classes, smoothing = 7, 13, 0.05
    values = formula("cross_entropy/logits", n * classes, -3, 3).reshape(n, classes)
    logits = torch.from_numpy(values).requires_grad_()
    labels = torch.tensor([5 * i % classes for i in range(n)])
    losses = torch.nn.functional.cross_entropy(logits, labels, label_smoothing=smoothing, reduction="none")
    losses.mean().backward()
    return {
        "n": n,
        "classes": classes,
        "smoothing": smoothing,
        "labels": labels.tolist(),
        "per_row": losses.tolist(),
        "loss": losses.mean().item(),
        "gradient": logits.grad.tolist(),
    }
