"""Six steps of each optimizer on three small parameters, and the first values of each schedule, in float64.

Parameters "weight" [12], "filter" [8], "bias" [5]: the first two decay and adapt; the bias is exempt where a case
says so.
w: parameter, g: gradient, wd: weight decay, lr_k: the learning rate of step k, which changes from step to step.

    sgd       torch.optim.SGD: g += wd*w; v = momentum*v + g (v = 0 at first); w -= lr_k * v
              nesterov: w -= lr_k * (g + momentum*v) instead
    rmsprop   tf.compat.v1.train.RMSPropOptimizer, which the SupCon paper's code uses:
              g += wd*w; s = rho*s + (1-rho)*g*g; m = momentum*m + lr_k * g / sqrt(s + eps); w -= m
              eps is inside the root; the learning rate is applied before the momentum; m = 0 at first, and s starts at
              `initial_mean_square`: 1 in TF1, 0 in Keras and torch
    lars      You et al. 2017 (arXiv 1708.03888): v = momentum*v + lr_k * local * (g + wd*w); w -= v; v = 0 at first
              local = eta*|w| / (|g| + wd*|w|); 1 where |w| or |g| is 0; exempt parameters: local = 1 and wd = 0.
              trust_norm "combined" instead: local = eta*|w| / |g + wd*w| (1 where either is 0), as in the SupCon
              paper's code
    adamw     torch.optim.AdamW: w -= lr_k*wd*w; m = beta1*m + (1-beta1)*g; s = beta2*s + (1-beta2)*g*g (both 0 at first);
              w -= lr_k * (m / (1-beta1**t)) / (sqrt(s / (1-beta2**t)) + eps), t = k+1

optimizers.json:
    parameters   {name: size}
    initial      {name: [size]}, formula("optimizer/NAME", size, -1, 1)
    gradients    [6]{name: [size]}, formula("optimizer/NAME/gradient{k}", size, -1, 1), the same whatever w is
    lr           [6]
    cases        [ {name, optimizer, its options, exempt [names], initial and gradients where the case has its own,
                 after [6]{name: [size]}: the parameters after each step} ]
    schedules    [ {name, schedule, lr, warmup_steps, its options, values [steps]} ]

Schedules: every one has lr_k = lr * (k+1) / warmup_steps for k < warmup_steps; after that, with k counted from the
first step and K the number of all steps:

    constant      lr
    cosine        lr * (1 + cos(pi*k/K)) / 2
    step          lr * factor ** (how many of `milestones` are <= k)
    exponential   lr * factor ** (k / period); if staircase (the SupCon paper's code), factor ** floor(k / period)
"""

import math

import numpy as np
import torch

from golden_formula import formula

STEPS = 6
SIZES = {"weight": 12, "filter": 8, "bias": 5}
RATES = [0.1, 0.2, 0.3, 0.15, 0.05, 0.01]


def initial_values():
    return {name: formula(f"optimizer/{name}", size, -1, 1) for name, size in SIZES.items()}


def gradient_values():
    return [
        {name: formula(f"optimizer/{name}/gradient{k}", size, -1, 1) for name, size in SIZES.items()}
        for k in range(STEPS)
    ]


def run_torch(make, initial, gradients, exempt, weight_decay):
    """The values after each step of the optimizer that `make` returns for groups of parameters."""
    parameters = {name: torch.nn.Parameter(torch.from_numpy(value.copy())) for name, value in initial.items()}
    optimizer = make([
        {"params": [p], "weight_decay": 0.0 if name in exempt else weight_decay} for name, p in parameters.items()
    ])
    after = []
    for rate, gradient in zip(RATES, gradients):
        for name, parameter in parameters.items():
            parameter.grad = torch.from_numpy(gradient[name].copy())
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()
        after.append({name: p.detach().numpy().copy() for name, p in parameters.items()})
    return after


def run_sgd(initial, gradients, exempt, momentum, nesterov, weight_decay):
    return run_torch(lambda groups: torch.optim.SGD(groups, RATES[0], momentum, nesterov=nesterov), initial, gradients,
                     exempt, weight_decay)


def run_adamw(initial, gradients, exempt, beta1, beta2, eps, weight_decay):
    return run_torch(lambda groups: torch.optim.AdamW(groups, RATES[0], (beta1, beta2), eps), initial, gradients, exempt,
                     weight_decay)


def run_rmsprop(initial, gradients, exempt, rho, momentum, eps, initial_mean_square, weight_decay):
    w = {name: value.copy() for name, value in initial.items()}
    mean_square = {name: np.full_like(value, initial_mean_square) for name, value in initial.items()}
    velocity = {name: np.zeros_like(value) for name, value in initial.items()}
    after = []
    for rate, gradient in zip(RATES, gradients):
        for name in w:
            g = gradient[name] + (0.0 if name in exempt else weight_decay) * w[name]
            mean_square[name] = rho * mean_square[name] + (1 - rho) * g * g
            velocity[name] = momentum * velocity[name] + rate * g / np.sqrt(mean_square[name] + eps)
            w[name] = w[name] - velocity[name]
        after.append(dict(w))
    return after


def lars_local_rate(w, g, eta, weight_decay, trust_norm):
    w_norm = np.linalg.norm(w)
    if trust_norm == "combined":
        g_norm = np.linalg.norm(g + weight_decay * w)
        return eta * w_norm / g_norm if w_norm > 0 and g_norm > 0 else 1.0
    g_norm = np.linalg.norm(g)
    return eta * w_norm / (g_norm + weight_decay * w_norm) if w_norm > 0 and g_norm > 0 else 1.0


def run_lars(initial, gradients, exempt, momentum, eta, weight_decay, trust_norm):
    w = {name: value.copy() for name, value in initial.items()}
    velocity = {name: np.zeros_like(value) for name, value in initial.items()}
    after = []
    for rate, gradient in zip(RATES, gradients):
        for name in w:
            g = gradient[name]
            local, decay = 1.0, 0.0
            if name not in exempt:
                local, decay = lars_local_rate(w[name], g, eta, weight_decay, trust_norm), weight_decay
            velocity[name] = momentum * velocity[name] + rate * local * (g + decay * w[name])
            w[name] = w[name] - velocity[name]
        after.append(dict(w))
    return after


def as_lists(values):
    return {name: value.tolist() for name, value in values.items()}


def optimizer_cases():
    initial, gradients = initial_values(), gradient_values()
    run = {"sgd": run_sgd, "rmsprop": run_rmsprop, "lars": run_lars, "adamw": run_adamw}

    sgd = {"momentum": 0.0, "nesterov": False, "weight_decay": 0.0}
    rmsprop = {"rho": 0.9, "momentum": 0.9, "eps": 1e-3, "initial_mean_square": 1.0, "weight_decay": 0.0}
    lars = {"momentum": 0.9, "eta": 0.1, "weight_decay": 0.05, "trust_norm": "separate"}
    adamw = {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": 0.05}
    cases = [  # name, optimizer, options, exempt from decay (and adaptation)
        ("sgd_plain", "sgd", sgd, []),
        ("sgd_momentum", "sgd", {**sgd, "momentum": 0.9}, []),
        ("sgd_nesterov", "sgd", {**sgd, "momentum": 0.9, "nesterov": True}, []),
        ("sgd_weight_decay", "sgd", {**sgd, "momentum": 0.9, "weight_decay": 0.05}, []),
        ("sgd_weight_decay_exempt", "sgd", {**sgd, "momentum": 0.9, "nesterov": True, "weight_decay": 0.05}, ["bias"]),
        ("rmsprop", "rmsprop", rmsprop, []),
        ("rmsprop_weight_decay_exempt", "rmsprop", {**rmsprop, "weight_decay": 0.05}, ["bias"]),
        ("rmsprop_from_zero", "rmsprop", {**rmsprop, "initial_mean_square": 0.0}, []),
        ("lars", "lars", lars, ["bias"]),
        ("lars_combined", "lars", {**lars, "trust_norm": "combined"}, ["bias"]),
        ("adamw", "adamw", adamw, []),
        ("adamw_large_epsilon_exempt", "adamw", {**adamw, "beta1": 0.5, "beta2": 0.8, "eps": 0.1}, ["bias"]),
    ]
    stored = []
    for name, optimizer, options, exempt in cases:
        after = run[optimizer](initial, gradients, exempt, **options)
        case = {"name": name, "optimizer": optimizer, **options, "exempt": exempt}
        stored.append({**case, "after": list(map(as_lists, after))})

    # LARS if a norm is zero: the filter starts at 0, the weight's gradient is 0 in steps 0 and 3.
    zero_initial = {**initial, "filter": np.zeros(SIZES["filter"])}
    zero_gradients = [{**g, "weight": np.zeros(SIZES["weight"])} if k in (0, 3) else g for k, g in enumerate(gradients)]
    after = run_lars(zero_initial, zero_gradients, ["bias"], **lars)
    stored.append({
        "name": "lars_zero_norms",
        "optimizer": "lars",
        **lars,
        "exempt": ["bias"],
        "initial": as_lists(zero_initial),
        "gradients": list(map(as_lists, zero_gradients)),
        "after": list(map(as_lists, after)),
    })
    return stored


def schedule_value(k, schedule, lr, warmup_steps, steps=None, milestones=(), factor=1.0, period=1.0, staircase=False):
    """The learning rate of step k, k = 0, 1, ...; see the formulas at the head of this file."""
    if k < warmup_steps:
        return lr * (k + 1) / warmup_steps
    if schedule == "constant":
        return lr
    if schedule == "cosine":
        return lr * (1 + math.cos(math.pi * k / steps)) / 2
    if schedule == "step":
        return lr * factor ** sum(milestone <= k for milestone in milestones)
    assert schedule == "exponential"
    return lr * factor ** (k // period if staircase else k / period)


def schedule_cases():
    constant = {"schedule": "constant", "lr": 0.3}
    cosine = {"schedule": "cosine", "lr": 0.1}
    step = {"schedule": "step", "lr": 5.0, "milestones": [3, 6, 8], "factor": 0.2}
    exponential = {"schedule": "exponential", "lr": 0.05, "factor": 0.97, "period": 2.5}
    cases = [  # name, number of values, options
        ("constant", 4, {**constant, "warmup_steps": 0}),
        ("constant_warmup", 6, {**constant, "warmup_steps": 4}),
        ("cosine", 10, {**cosine, "warmup_steps": 0, "steps": 10}),
        ("cosine_warmup", 12, {**cosine, "warmup_steps": 3, "steps": 12}),
        ("step", 10, {**step, "warmup_steps": 0}),
        ("step_warmup", 10, {**step, "warmup_steps": 4}),
        ("exponential", 8, {**exponential, "warmup_steps": 0, "staircase": False}),
        ("exponential_staircase_warmup", 12, {**exponential, "warmup_steps": 2, "staircase": True}),
    ]
    return [
        {"name": name, **options, "values": [schedule_value(k, **options) for k in range(count)]}
        for name, count, options in cases
    ]


def make_optimizers():
    return {
        "parameters": SIZES,
        "initial": as_lists(initial_values()),
        "gradients": list(map(as_lists, gradient_values())),
        "lr": RATES,
        "cases": optimizer_cases(),
        "schedules": schedule_cases(),
    }
