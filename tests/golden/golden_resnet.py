"""Whole networks: torchvision's ResNets, one training forward and backward in float64, then an evaluation forward.

One fixture (resnet50.json, resnet50_calm.json, resnet18.json, resnet18_calm.json, resnet18_odd.json) holds:

    model, batch, size, classes, bn_bias [low, high]
                                  the case; parameters are formula's, and images = formula("images", ..., -2, 2)
    labels                        [batch], row i has (37 i) mod 1000
    loss                          mean cross-entropy of the training forward
    train, eval                   logits of the training forward; of a forward in evaluation mode afterwards, on the
                                  same images, with the running statistics that the training forward left:
        first                     [batch][16], the first logits of each row
        norm                      [batch]
        projections               [batch][4]: row . formula("projection{k}:logits", 1000, -1, 1), the same for all rows
    activations                   {"layer1".."layer4", "avgpool": {shape, norm, projections[1]}} of the training
                                  forward, flat in [N, H, W, C]: they show in which stage a difference starts
    gradients                     {parameter: {"norm", "projections"[3]}}, flat in torchvision's order
    running                       {"bn1.running_mean", ...: {"norm", "projections"[1]}} after one training forward
                                  (momentum 0.1; the variance that is kept is the unbiased one)
"""

import numpy as np
import torch
import torchvision

from golden_formula import BN_BIAS, CALM_BN_BIAS, STILL_BN_BIAS, fill_parameters, formula_images, norm, projections, summary

CLASSES = 1000
CASES = {  # fixture -> (model, batch, image size, range of the BN biases)
    "resnet50": ("resnet50", 8, 96, BN_BIAS),
    "resnet50_calm": ("resnet50", 8, 96, CALM_BN_BIAS),
    "resnet18": ("resnet18", 8, 128, BN_BIAS),
    "resnet18_calm": ("resnet18", 8, 128, STILL_BN_BIAS),
    "resnet18_odd": ("resnet18", 4, 97, BN_BIAS),  # 97 -> 49 -> 25 -> 13 -> 7 -> 4: every border is uneven
}


def summarize_logits(logits):
    rows = logits.detach().double().numpy()
    return {
        "first": rows[:, :16].tolist(),
        "norm": [norm(row) for row in rows],
        "projections": [projections("logits", row, 4) for row in rows],
    }


def nhwc(tensor):
    array = tensor.detach().double()
    return (array.permute(0, 2, 3, 1) if array.dim() == 4 else array).contiguous().numpy()


def run_network(model_name, batch, size, bn_bias, dtype):
    """One training forward and backward and one evaluation forward. Returns the fixture without its case."""
    model = getattr(torchvision.models, model_name)(weights=None).to(dtype)
    fill_parameters(model, bn_bias)
    images = formula_images("images", batch, size).to(dtype)
    labels = torch.tensor([i * 37 % CLASSES for i in range(batch)])

    activations = {}

    def keep(name):
        def hook(_module, _inputs, output):
            value = nhwc(output.flatten(1) if name == "avgpool" else output)
            activations[name] = {"shape": list(value.shape), **summary(name, value, 1)}

        return hook

    watched = ["layer1", "layer2", "layer3", "layer4", "avgpool"]
    hooks = [getattr(model, name).register_forward_hook(keep(name)) for name in watched]
    model.train()
    logits = model(images)
    loss = torch.nn.functional.cross_entropy(logits, labels)
    loss.backward()
    for hook in hooks:
        hook.remove()

    model.eval()
    with torch.no_grad():
        eval_logits = model(images)

    return {
        "labels": labels.tolist(),
        "loss": loss.item(),
        "train": summarize_logits(logits),
        "eval": summarize_logits(eval_logits),
        "activations": activations,
        "gradients": {name: summary(name, p.grad.numpy(), 3) for name, p in model.named_parameters()},
        "running": {name: summary(name, b.numpy(), 1) for name, b in model.named_buffers() if b.dim() > 0},
    }


def make_resnet(name):
    model, batch, size, bn_bias = CASES[name]
    case = {"model": model, "batch": batch, "size": size, "classes": CLASSES, "bn_bias": bn_bias}
    return {**case, **run_network(model, batch, size, bn_bias, torch.float64)}


def float32_deviation(name, fixture):
    """How far PyTorch's own float32 run is from the float64 fixture: no tolerance can be smaller. Not stored."""
    single = run_network(*CASES[name], torch.float32)

    def logits(mode):
        mine, theirs = (np.hstack([f[mode]["first"], f[mode]["projections"]]) for f in (single, fixture))
        return norm(mine - theirs) / norm(theirs)

    def summaries(key):
        worst = {}
        for tensor, theirs in fixture[key].items():
            difference = np.subtract(single[key][tensor]["projections"], theirs["projections"])
            worst[tensor] = norm(difference) * (3 / len(difference)) ** 0.5 / theirs["norm"]
        tensor = max(worst, key=worst.get)
        return f"{worst[tensor]:.1e} ({tensor}; median {np.median(list(worst.values())):.1e})"

    return (
        f"train logits {logits('train'):.1e}, eval logits {logits('eval'):.1e}, "
        f"gradients {summaries('gradients')}, running {summaries('running')}"
    )
