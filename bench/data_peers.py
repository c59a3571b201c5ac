"""The other programs of bench/data.py: torchvision on Pillow images, torchvision v2 on tensors, NVIDIA DALI on the CPU.

Makes one repeat for every line on standard input and answers with its milliseconds; one thread.
"""
import argparse
import os
import pathlib
import sys
import time

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


def files(data, count):
    """The same files as Kindred's evenly_spread selects."""
    every = sorted(pathlib.Path(data, "train").glob("*/*"), key=lambda p: (os.fsencode(p.parent.name), os.fsencode(p.name)))
    count = min(count, len(every))
    return [str(every[i * len(every) // count]) for i in range(count)]


def jitter(transforms, strength):
    b, c, s, h = strength
    return transforms.RandomApply([transforms.ColorJitter(b, c, s, h)], p=0.8)


def pipeline(transforms, work, size, antialias):
    crop = {"scale": (0.2, 1.0) if work == "cifar" else (0.08, 1.0)}
    if antialias:
        crop["antialias"] = True
    steps = [transforms.RandomResizedCrop(size, **crop), transforms.RandomHorizontalFlip()]
    if work == "cifar":
        steps += [jitter(transforms, (0.4, 0.4, 0.4, 0.1)), transforms.RandomGrayscale(0.2)]
    if work == "sim":
        kernel = size // 10 + (size // 10 + 1) % 2
        steps += [jitter(transforms, (0.8, 0.8, 0.8, 0.2)), transforms.RandomGrayscale(0.2),
                  transforms.RandomApply([transforms.GaussianBlur(kernel, (0.1, 2.0))], p=0.5)]
    return steps


def pillow(work, data, count):
    """ImageFolder's loader and transforms, as in training scripts."""
    import torch
    from PIL import Image
    from torchvision import transforms
    torch.set_num_threads(1)
    size, views = (32, 2) if work == "cifar" else (224, 1 if work == "crop" else 2)
    transform = transforms.Compose(
        pipeline(transforms, work, size, False) + [transforms.ToTensor(), transforms.Normalize(MEAN, STD)])
    paths = files(data, count)

    def load(path):
        with open(path, "rb") as file:
            return Image.open(file).convert("RGB")

    if work == "cifar":  # torchvision.datasets.CIFAR10 keeps arrays and makes an image from one on request
        import numpy as np
        arrays = [np.asarray(load(p)) for p in paths]
        return lambda: [transform(image) for image in map(Image.fromarray, arrays) for _ in range(views)]
    if work == "decode":
        return lambda: [load(p) for p in paths]
    return lambda: [transform(image) for image in map(load, paths) for _ in range(views)]


def tensor(work, data, count):
    """torchvision v2 on uint8 tensors, decoded by torchvision.io (libjpeg-turbo)."""
    import torch
    from torchvision.io import ImageReadMode, decode_image, read_file
    from torchvision.transforms import v2
    torch.set_num_threads(1)
    size, views = (32, 2) if work == "cifar" else (224, 1 if work == "crop" else 2)
    transform = v2.Compose(pipeline(v2, work, size, True) + [v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, STD)])
    paths = files(data, count)

    def load(path):
        return decode_image(read_file(path), mode=ImageReadMode.RGB)

    if work == "cifar":
        images = [load(p) for p in paths]
        return lambda: [transform(image) for image in images for _ in range(views)]
    if work == "decode":
        return lambda: [load(p) for p in paths]
    return lambda: [transform(image) for image in map(load, paths) for _ in range(views)]


def dali(work, data, count):
    """NVIDIA DALI, CPU operators, one thread; one decoding for both views."""
    from nvidia.dali import fn, pipeline_def, types
    paths = files(data, count)
    size, views = 224, 1 if work == "crop" else 2

    def view(image):
        image = fn.random_resized_crop(image, size=size, random_area=[0.08, 1.0])
        if work == "sim":
            use = fn.random.coin_flip(probability=0.8, dtype=types.BOOL)
            if use:
                image = fn.color_twist(image, brightness=fn.random.uniform(range=[0.2, 1.8]),
                                       contrast=fn.random.uniform(range=[0.2, 1.8]),
                                       saturation=fn.random.uniform(range=[0.2, 1.8]),
                                       hue=fn.random.uniform(range=[-72.0, 72.0]))
            gray = fn.random.coin_flip(probability=0.2, dtype=types.BOOL)
            if gray:
                image = fn.hsv(image, saturation=0.0)
            blur = fn.random.coin_flip(probability=0.5, dtype=types.BOOL)
            if blur:
                image = fn.gaussian_blur(image, window_size=23, sigma=fn.random.uniform(range=[0.1, 2.0]))
        return fn.crop_mirror_normalize(image, mirror=fn.random.coin_flip(), mean=[m * 255 for m in MEAN],
                                        std=[s * 255 for s in STD], output_layout="HWC")

    @pipeline_def(batch_size=16, num_threads=1, device_id=None, enable_conditionals=True, prefetch_queue_depth=1)
    def views_of():
        encoded, _ = fn.readers.file(files=paths, shuffle_after_epoch=False)
        if work == "crop":  # its own way of decoding only a part
            image = fn.decoders.image_random_crop(encoded, random_area=[0.08, 1.0])
            image = fn.resize(image, size=[size, size])
            return fn.crop_mirror_normalize(image, mirror=fn.random.coin_flip(), mean=[m * 255 for m in MEAN],
                                            std=[s * 255 for s in STD], output_layout="HWC")
        image = fn.decoders.image(encoded)
        return tuple(view(image) for _ in range(views))

    made = views_of()
    made.build()
    return lambda: [made.run() for _ in range(len(paths) // 16)]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--work", choices=["decode", "crop", "sim", "cifar"], required=True)
    parser.add_argument("--peer", choices=["pillow", "tensor", "dali"], required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--images", type=int, default=200)
    a = parser.parse_args()
    repeat = {"pillow": pillow, "tensor": tensor, "dali": dali}[a.peer](a.work, a.data, a.images)
    for _ in sys.stdin:
        start = time.perf_counter()
        repeat()
        print(f"{(time.perf_counter() - start) * 1e3:.3f}", flush=True)


if __name__ == "__main__":
    main()
