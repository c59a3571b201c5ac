"""ResNet-50 as messages see it: its parameters, its batch norms, and how the work of a step is divided among its layers."""
from typing import NamedTuple


class Layer(NamedTuple):
    name: str
    parameters: int
    multiply_adds: int  # of an image, forward
    outputs: int        # elements of an image that a batch norm reads; 0 of a linear layer
    channels: int       # of its batch norm; 0 if there is none


def convolution(name, inputs, outputs, kernel, side):
    """A convolution without bias whose result has side x side pixels, and the batch norm behind it."""
    weights = inputs * outputs * kernel * kernel
    return Layer(name, weights + 2 * outputs, weights * side * side, outputs * side * side, outputs)


def linear(name, inputs, outputs):
    return Layer(name, inputs * outputs + outputs, inputs * outputs, 0, 0)


def resnet50(head_dimension=128):
    """The layers in the order of the forward pass, with the head 2048-2048-128 of the recipe imagenet."""
    layers, inputs = [convolution("stem", 3, 64, 7, 112)], 64
    for stage, (blocks, width) in enumerate([(3, 64), (4, 128), (6, 256), (3, 512)]):
        side = 56 >> stage
        for block in range(blocks):
            name, before = f"layer{stage + 1}.{block}", side * 2 if stage > 0 and block == 0 else side
            layers.append(convolution(f"{name}.conv1", inputs, width, 1, before))
            layers.append(convolution(f"{name}.conv2", width, width, 3, side))
            layers.append(convolution(f"{name}.conv3", width, 4 * width, 1, side))
            if block == 0:
                layers.append(convolution(f"{name}.downsample", inputs, 4 * width, 1, side))
            inputs = 4 * width
    return layers + [linear("head.0", 2048, 2048), linear("head.2", 2048, head_dimension)]


def norms(layers):
    """The channels of each batch norm, in the order of the forward pass."""
    return [layer.channels for layer in layers if layer.channels]


def buckets(layers, bucket_bytes=25 << 20, bytes_of_number=4):
    """Bytes of each bucket of gradients and the number of layers that are done when it is complete, as backward goes: from
    the end, whole layers, closed at `bucket_bytes` or more (engine/communicator/gradient_sums.h)."""
    found, size = [], 0
    for done, layer in enumerate(reversed(layers), 1):
        size += layer.parameters * bytes_of_number
        if size >= bucket_bytes:
            found.append((size, done))
            size = 0
    return found + ([(size, len(layers))] if size else [])
