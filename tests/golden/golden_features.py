"""Features of pictures, from the file to the last average: torchvision's ResNet-18 on torchvision's own transforms.

features.json holds

    model, bn_bias                the parameters are formula's; running means formula(name, -0.3, 0.3), running variances
                                  formula(name, 0.5, 2)
    cases                         for each: size, the side of a view; resize, what the short side becomes; height and
                                  width of the picture (formula_picture); first, norm and projections of its 512
                                  features, as for the logits in golden_resnet.py, under the name "features"

A picture goes through Resize, CenterCrop, ToTensor and Normalize (ImageNet's mean and deviation) on Pillow images, and
from there through the network in float64.
"""

import numpy as np
import torch
import torchvision
from PIL import Image
from torchvision import transforms

from golden_formula import BN_BIAS, fill_parameters, formula, norm, projections

# Views of up to 64 pixels are the whole short side, larger ones the middle 7/8 of it.
CASES = [
    (224, 256, 300, 240), (224, 256, 230, 411),
    (96, 110, 100, 150), (96, 110, 130, 101),
    (64, 64, 90, 71), (64, 64, 50, 120),
    (32, 32, 32, 32), (32, 32, 45, 37),
]


def formula_picture(height, width):  # tests/data/test_images.cpp has the same
    y, x, c = np.mgrid[0:height, 0:width, 0:3]
    return Image.fromarray(((x * 11 + y * 7 * (c + 1) + x * y * (3 - c) // 5 + 60 * c) % 256).astype(np.uint8))


def make_features():
    model = torchvision.models.resnet18(weights=None).double()
    fill_parameters(model, BN_BIAS)
    for name, buffer in model.named_buffers():
        if buffer.dim() > 0:
            low, high = (0.5, 2) if name.endswith("running_var") else (-0.3, 0.3)
            buffer.copy_(torch.from_numpy(formula(name, buffer.numel(), low, high)))
    model.fc = torch.nn.Identity()
    model.eval()
    cases = []
    for size, resize, height, width in CASES:
        prepare = transforms.Compose([
            transforms.Resize(resize), transforms.CenterCrop(size), transforms.ToTensor(),
            transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ])
        with torch.no_grad():
            features = model(prepare(formula_picture(height, width))[None].double())[0].numpy()
        cases.append({"size": size, "resize": resize, "height": height, "width": width, "first": features[:16].tolist(),
                      "norm": norm(features), "projections": projections("features", features, 4)})
    return {"made_by": f"torchvision {torchvision.__version__}", "model": "resnet18", "bn_bias": BN_BIAS, "cases": cases}
