"""Fifty steps of the whole SupCon training: ResNet-20, projection head, SupCon, SGD with warm-up and cosine.

The network is the CIFAR family of He et al. 2015 with projection shortcuts; names are torchvision's. Parameters are
formula's, with the calm range of BN biases, 0.7 .. 1.3. Step k has 32 images in two views, so 64 rows (view-major) of
32 x 32 pixels:

    label of image i      floor(10 * formula("step{k}/labels", 32, 0, 1)[i])
    row r = v*32 + i      formula("class{label}", 32*32*3, -2, 2)                     [H, W, C], the same in every step
                        + 0.3 * formula("step{k}/noise", 64*32*32*3, -2, 2)[row r]    flat in [64, H, W, C]

So the network can learn a pattern for each class, under noise. The sum is computed in float64 and rounded to
float32 for the float32 run. Noise and BN biases are chosen so that rounding errors do not grow: with noise as strong as
the pattern and BN biases around 0, PyTorch's float32 losses differed from its float64 losses by 9 % within eleven
steps.

The loss is L_out, T = 0.1, unscaled, the mean over all anchors, of the normalised head output. SGD is torch's:
g += wd*w; v = momentum*v + g (v = 0 at first); w -= lr_k * v; weight decay on everything. The learning rate of step k
(k = 0 .. 49, K = 50, warm = 5):

    lr_k = lr * (k+1) / warm                  for k < warm
    lr_k = lr * (1 + cos(pi * k / K)) / 2     for k >= warm; k counts from the first step, not from the end of warm-up

supcon_steps.json:
    bn_bias [low, high], noise, batch, views, size, classes, temperature, lr, warmup_steps, momentum, weight_decay,
    steps
    lr_schedule [50], labels [50][32]
    losses_f64 [50], losses_f32 [50]   before step k's update; float32 sums depend on the machine in their last digits
    first_gradient_norms               {parameter: norm} of the first backward pass, without weight decay; float64
    final_parameter_norms              {parameter: norm} after all the steps; float64
    final_running_norms                {"bn1.running_mean", ...: norm} after all the steps; float64
"""

import functools
import math

import numpy as np
import torch
from torch import nn

from golden_formula import CALM_BN_BIAS, fill_parameters, formula, formula_labels, norm
from golden_losses import supcon_per_anchor

STEPS, WARMUP = 50, 5
BATCH, VIEWS, SIZE, CLASSES = 32, 2, 32, 10
RATE, MOMENTUM, DECAY, TEMPERATURE = 0.1, 0.9, 1e-4, 0.1
NOISE = 0.3


class Block(nn.Module):
    """Two 3x3 convolutions and a shortcut, which is a 1x1 convolution if the shape changes."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        if stride != 1 or inputs != outputs:
            convolution = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.downsample = nn.Sequential(convolution, nn.BatchNorm2d(outputs))
        else:
            self.downsample = nn.Identity()

    def forward(self, x):
        branch = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        return torch.relu(branch + self.downsample(x))


class SupConResNet20(nn.Module):
    """ResNet-20 without its classifier, and the head 64 -> 64 -> 128; gives L2-normalised rows [N, 128]."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = nn.Sequential(Block(16, 16, 1), Block(16, 16, 1), Block(16, 16, 1))
        self.layer2 = nn.Sequential(Block(16, 32, 2), Block(32, 32, 1), Block(32, 32, 1))
        self.layer3 = nn.Sequential(Block(32, 64, 2), Block(64, 64, 1), Block(64, 64, 1))
        self.head = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 128))

    def forward(self, x):
        x = torch.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return nn.functional.normalize(self.head(x.mean((2, 3))))


def learning_rate(k):
    if k < WARMUP:
        return RATE * (k + 1) / WARMUP
    return RATE * (1 + math.cos(math.pi * k / STEPS)) / 2


@functools.lru_cache(None)
def class_pattern(label):
    return formula(f"class{label}", SIZE * SIZE * 3, -2, 2)


def step_inputs(k):
    """Step k's images, torch [64, 3, 32, 32] float64, and its 32 labels."""
    labels = formula_labels(f"step{k}/labels", BATCH, CLASSES)
    row = SIZE * SIZE * 3
    pattern = np.stack([class_pattern(label) for label in labels * VIEWS])
    noise = formula(f"step{k}/noise", VIEWS * BATCH * row, -2, 2).reshape(VIEWS * BATCH, row)
    images = (pattern + NOISE * noise).reshape(VIEWS * BATCH, SIZE, SIZE, 3)
    return torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2))), labels


def train(dtype):
    """The fifty steps. Returns the losses and the norms that the fixture keeps."""
    model = SupConResNet20().to(dtype)
    fill_parameters(model, CALM_BN_BIAS)
    model.train()
    optimizer = torch.optim.SGD(model.parameters(), RATE, MOMENTUM, weight_decay=DECAY)
    losses, first_gradients = [], None
    for k in range(STEPS):
        images, labels = step_inputs(k)
        per_anchor, _ = supcon_per_anchor(model(images.to(dtype)), torch.tensor(labels * VIEWS), TEMPERATURE)
        loss = per_anchor.mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.param_groups[0]["lr"] = learning_rate(k)
        optimizer.step()
        losses.append(loss.item())
        if k == 0:
            first_gradients = {name: norm(p.grad.numpy()) for name, p in model.named_parameters()}
    return {
        "losses": losses,
        "first_gradient_norms": first_gradients,
        "final_parameter_norms": {name: norm(p.detach().numpy()) for name, p in model.named_parameters()},
        "final_running_norms": {name: norm(b.numpy()) for name, b in model.named_buffers() if b.dim() > 0},
    }


def make_supcon_steps():
    double = train(torch.float64)
    single = train(torch.float32)
    return {
        "bn_bias": CALM_BN_BIAS,
        "noise": NOISE,
        "batch": BATCH,
        "views": VIEWS,
        "size": SIZE,
        "classes": CLASSES,
        "temperature": TEMPERATURE,
        "lr": RATE,
        "warmup_steps": WARMUP,
        "momentum": MOMENTUM,
        "weight_decay": DECAY,
        "steps": STEPS,
        "lr_schedule": [learning_rate(k) for k in range(STEPS)],
        "labels": [formula_labels(f"step{k}/labels", BATCH, CLASSES) for k in range(STEPS)],
        "losses_f64": double.pop("losses"),
        "losses_f32": single["losses"],
        **double,
    }
