"""The formula that stands in for weight files: numbers that Python and C++ (formula.h) compute with the same bits.

formula(name, n, low, high)[i], for i = 0 .. n-1:

    seed  = FNV-1a, 64 bits, of the name's UTF-8 bytes
    block = philox4x32-10(counter = (i // 4, 0, 0, 6), key = (seed's low 32 bits, seed's high 32 bits))
    u     = (block[i % 4] >> 8) * 2**-24                       in [0, 1), exact in float32
    value = float32(low + (high - low) * u)                    then held as a float64

It is the stream RandomStream(seed, Purpose::test) of engine/random/philox.h with epoch, sample and view 0. low, high
and (high - low) are float32; the product and the sum are taken in float64, where they are exact, and rounded to float32
once. So a compiler that contracts a*b+c into a fused multiply-add gives the same bits.

What "flat index i" means:
    filters   [out, in, kh, kw]   as torchvision's files have them, NOT Kindred's [out, kh, kw, in]
    linear    [out, in]
    images, activations   [N, H, W, C]   as Kindred has them, NOT torch's [N, C, H, W]

The ranges, by kind of parameter (fan_in = in * kh * kw, or in); the name is the parameter's torchvision name:
    conv weight     +-float32(sqrt(6 / fan_in))                that is, sqrt(3 / fan_in) with gain sqrt(2)
    linear weight   +-float32(sqrt(3 / fan_in))
    linear bias     +-0.1
    BN weight       0.5 .. 1.5,   running mean 0,   running variance 1
    BN bias         +-0.3; calm: 0.7 .. 1.3, ResNet-18 1.6 .. 2.4 ("bn_bias" in each fixture)
    images          +-2

Calm fixtures are for float32. A float32 forward pass has errors of 1e-6 or more, so a few of the millions of inputs of
ReLU change their sign, and each of these changes the gradient by a finite amount. The change is about the square root
of the share of such inputs: 1e-3 to 3e-2 of a gradient's norm in PyTorch's own float32 ResNet-50. Fifty training steps
amplify that to a tenth of the loss. With BN biases around 1 the network is nearer to linear, rounding grows less and
fewer inputs lie near zero (about one in six is still cut off): the comparison then measures the program, not the
amplified rounding. Around 2 (one in fifty is cut off) every gradient of ResNet-18 agrees within 1e-3 for any order of a
convolution's sums. In ResNet-50 the gradients of early biases then vanish, so it stays at 1. The masks of ReLU are
compared in float64, on the plain fixtures.

A tensor too large to store is compared by its norm and by projections: projection k of a tensor called NAME is its
dot product with formula("projection{k}:NAME", n, -1, 1), both flat in the order above. For an error vector e of any
direction the mean of (projection of e)**2 is |e|**2 / 3, so the sum over three projections estimates |e|**2 without
bias.
"""

import math

import numpy as np

PURPOSE_TEST = 6
BN_BIAS = (-0.3, 0.3)
CALM_BN_BIAS = (0.7, 1.3)
STILL_BN_BIAS = (1.6, 2.4)
_LOW_32 = np.uint64(0xFFFFFFFF)
_CHUNK = 1 << 18  # blocks at a time, so that the temporaries stay in the cache


def fnv1a64(name):
    """FNV-1a hash (64 bits) of a string."""
    value = 0xCBF29CE484222325
    for byte in name.encode():
        value = ((value ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return value


def philox4x32(counter, key0, key1):
    """Ten rounds of Philox 4x32 (Salmon et al. 2011). counter: four uint64 arrays that hold 32-bit words."""
    c0, c1, c2, c3 = counter
    for _ in range(10):
        a = np.uint64(0xD2511F53) * c0
        b = np.uint64(0xCD9E8D57) * c2
        c0, c1, c2, c3 = (
            (b >> np.uint64(32)) ^ c1 ^ np.uint64(key0),
            b & _LOW_32,
            (a >> np.uint64(32)) ^ c3 ^ np.uint64(key1),
            a & _LOW_32,
        )
        key0 = (key0 + 0x9E3779B9) & 0xFFFFFFFF
        key1 = (key1 + 0xBB67AE85) & 0xFFFFFFFF
    return c0, c1, c2, c3


class RandomStream:
    """engine/random/philox.h's RandomStream: an endless stream of 32-bit words, here taken many at a time from its start."""

    def __init__(self, seed, purpose, epoch=0, sample=0, view=0):
        self.key = (seed & 0xFFFFFFFF, seed >> 32)
        self.counter = (epoch, sample, (view << 8) | purpose)

    def bits(self, n):
        """The first n words, as uint32 [n]."""
        words = np.empty((-(-n // 4), 4), np.uint32)
        for start in range(0, len(words), _CHUNK):
            block = np.arange(start, min(start + _CHUNK, len(words)), dtype=np.uint64)
            counter = (block, *(np.full_like(block, word) for word in self.counter))
            for column, word in enumerate(philox4x32(counter, *self.key)):
                words[start : start + len(block), column] = word
        return words.reshape(-1)[:n]

    def uniform(self, n):
        """The first n uniforms in [0, 1), multiples of 2**-24, as float64 [n]."""
        return (self.bits(n) >> np.uint32(8)).astype(np.float64) * 2.0**-24


def formula(name, n, low, high):
    """n values in [low, high) that depend on the name, as float64 [n]; see the head of this file."""
    low, high = np.float32(low), np.float32(high)
    u = RandomStream(fnv1a64(name), PURPOSE_TEST).uniform(n)
    return (np.float64(low) + np.float64(high - low) * u).astype(np.float32).astype(np.float64)


def formula_labels(name, n, classes):
    """n integers in {0, ..., classes-1}: floor(classes * u) in float64, with u = formula(name, n, 0, 1)."""
    return [int(classes * u) for u in formula(name, n, 0, 1)]


def conv_bound(fan_in):
    return np.float32(math.sqrt(6.0 / fan_in))


def linear_bound(fan_in):
    return np.float32(math.sqrt(3.0 / fan_in))


def parameter_range(module, kind, bn_bias):
    """(low, high) of the parameter called `kind` ("weight" or "bias") of a torch module."""
    import torch

    if isinstance(module, torch.nn.BatchNorm2d):
        return (0.5, 1.5) if kind == "weight" else bn_bias
    if kind == "bias":
        return (-0.1, 0.1)
    bound = (conv_bound if isinstance(module, torch.nn.Conv2d) else linear_bound)(module.weight[0].numel())
    return (-bound, bound)


def fill_parameters(model, bn_bias=BN_BIAS):
    """Sets every parameter of a torch model by the formula, and its running statistics to 0 and 1."""
    import torch

    for prefix, module in model.named_modules():
        for kind, parameter in module.named_parameters(recurse=False):
            values = formula(f"{prefix}.{kind}", parameter.numel(), *parameter_range(module, kind, bn_bias))
            parameter.data = torch.from_numpy(values).reshape(parameter.shape).to(parameter.dtype)
        if isinstance(module, torch.nn.BatchNorm2d):
            module.reset_running_stats()


def formula_images(name, images, size):
    """Images [N, 3, size, size] for torch; the formula's flat index runs over [N, H, W, C]."""
    import torch

    values = formula(name, images * size * size * 3, -2, 2).reshape(images, size, size, 3)
    return torch.from_numpy(np.ascontiguousarray(values.transpose(0, 3, 1, 2)))


def norm(values):
    return float(np.linalg.norm(np.asarray(values, np.float64).reshape(-1)))


def projections(name, values, count):
    """The first `count` projections of an array called `name`; see the head of this file."""
    flat = np.asarray(values, np.float64).reshape(-1)
    return [float(flat @ formula(f"projection{k}:{name}", flat.size, -1, 1)) for k in range(count)]


def summary(name, values, count):
    """What a fixture stores of a large array: {"norm": number, "projections": [count]}."""
    return {"norm": norm(values), "projections": projections(name, values, count)}


def check_values():
    """formula.json: the values that formula_test.cpp compares the C++ formula with."""
    pi = [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344, 0xA4093822, 0x299F31D0]
    counters_and_keys = [[0] * 6, [0xFFFFFFFF] * 6, pi]  # the inputs of Random123's own known-answer test
    names = ["", "a", "conv1.weight", "projection2:layer4.0.downsample.0.weight"]
    bound = conv_bound(147)
    tensors = [
        ("conv1.weight", 9, -1.5, 1.5),
        ("conv1.weight", 10, -bound, bound),
        ("bn1.weight", 6, 0.5, 1.5),
        ("bn1.bias", 5, *CALM_BN_BIAS),
        ("fc.bias", 5, -0.1, 0.1),
        ("step3/noise", 4, -2, 2),
        ("", 3, 0, 1),
    ]
    long_name, long_size = "a long tensor", 1_500_003
    long = formula(long_name, long_size, -1, 1)
    seven = np.arange(7) - 2.5
    return {
        "philox": {
            "counter_key": counters_and_keys,
            "words": [
                [int(word) for word in philox4x32([np.uint64(c) for c in row[:4]], *row[4:])]
                for row in counters_and_keys
            ],
        },
        # Hexadecimal strings, because not every JSON reader keeps a 64-bit integer.
        "fnv1a64": {name: f"{fnv1a64(name):016x}" for name in names},
        "formula": [
            {
                "name": name,
                "low": float(np.float32(low)),
                "high": float(np.float32(high)),
                "values": formula(name, n, low, high).tolist(),
            }
            for name, n, low, high in tensors
        ],
        "long": {
            "name": long_name,
            "n": long_size,
            "low": -1.0,
            "high": 1.0,
            "sum": math.fsum(long),
            "sum_of_squares": math.fsum(long * long),
            "last": float(long[-1]),
        },
        "labels": {"name": "step0/labels", "classes": 10, "values": formula_labels("step0/labels", 32, 10)},
        "bounds": {
            "conv": {str(fan_in): float(conv_bound(fan_in)) for fan_in in (27, 147, 4608)},
            "linear": {str(fan_in): float(linear_bound(fan_in)) for fan_in in (64, 512, 2048)},
        },
        "summary": {"name": "seven", "values": seven.tolist(), **summary("seven", seven, 3)},
    }
