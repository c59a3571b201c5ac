"""A training step of ResNet-50 on `size` GPUs, divided into what each part costs. Milliseconds are for people; here are
seconds. What is not in it: waiting for the slowest GPU, reading images, and that messages slow down kernels beside them."""
from typing import NamedTuple

import collectives
import network

VIEWS = 2


class Step(NamedTuple):
    compute: float       # forward, backward and update, without the loss
    loss: float          # own rows against all columns
    norms_forward: float   # all_gather of two numbers a channel, a message for each norm
    norms_backward: float  # all_reduce of two numbers a channel
    gather: float        # of features, labels and three numbers of each anchor
    gradients: float     # all buckets, one after the other
    exposed: float       # of these: what is not hidden behind backward

    @property
    def norms(self):
        return self.norms_forward + self.norms_backward

    @property
    def seconds(self):
        return self.compute + self.loss + self.norms + self.gather + self.exposed


def compute_parts(views, links):
    """Seconds of forward, backward and update of `views` views on one GPU: kernels' launches, and work in proportion."""
    step = links["step"]
    launches = step["launches"] * step["launch_us"] * 1e-6
    forward, backward = (1e-3 * sum(step[part].values()) for part in ("forward_ms", "backward_ms"))
    share = views / step["views"]
    work = 1 - launches / (forward + backward)  # the part of the time that is not launches
    fixed = launches / (forward + backward)
    return forward * (fixed + work * share), backward * (fixed + work * share), 1e-3 * step["optimizer_ms"]


def backward_by_layer(views, layers, links):
    """Seconds of backward of each layer, in the order of the forward pass: convolutions by their multiply-adds, the rest by
    the elements that it reads."""
    backward = compute_parts(views, links)[1]
    times = links["step"]["backward_ms"]
    whole = sum(times.values())
    products, elements = (sum(getattr(layer, part) for layer in layers) for part in ("multiply_adds", "outputs"))
    of_products = backward * times["convolution"] / whole
    return [of_products * layer.multiply_adds / products + (backward - of_products) * layer.outputs / elements
            for layer in layers]


def loss_seconds(rows, columns, links):
    loss = links["loss"]
    pairs = rows * columns * loss["dimension"]
    return pairs / loss["multiply_add_per_s"]["forward"] + 2 * pairs / loss["multiply_add_per_s"]["backward"]


def exposed_seconds(ready, seconds, end):
    """Sums start when their bucket is ready and the one before is done. How long they go on after `end`."""
    done = 0.0
    for at, takes in zip(ready, seconds):
        done = max(done, at) + takes
    return max(0.0, done - end)


def predict(images_of_gpu, size, links, wire_bytes=4, layers=None):
    layers = layers or network.resnet50(links["loss"]["dimension"])
    rows = VIEWS * images_of_gpu
    forward, backward, update = compute_parts(rows, links)
    channels = network.norms(layers)
    forward_messages = [collectives.all_gather(8 * c, size, links) for c in channels]
    backward_messages = [collectives.all_reduce(8 * c, size, links) for c in channels]
    gather = sum(collectives.all_gather(n * rows, size, links)
                 for n in (4 * links["loss"]["dimension"], 4, 12))

    # When backward is done with the last layers of each bucket. Norms wait for their messages in the same order.
    of_layers, messages = backward_by_layer(rows, layers, links), iter(reversed(backward_messages))
    done_after, time = [], 0.0
    for layer, seconds in zip(reversed(layers), reversed(of_layers)):
        time += seconds + (next(messages) if layer.channels else 0.0)
        done_after.append(time)
    found = network.buckets(layers, bytes_of_number=wire_bytes)
    sums = [collectives.all_reduce(n, size, links) for n, _ in found]
    exposed = exposed_seconds([done_after[done - 1] for _, done in found], sums, time)
    return Step(forward + backward + update, loss_seconds(rows, rows * size, links), sum(forward_messages),
                sum(backward_messages), gather, sum(sums), exposed)


def rows_where_loss_is(share, images_of_gpu, links):
    """The rows of the whole batch at which the loss takes `share` of the compute of the network."""
    rows = VIEWS * images_of_gpu
    return share * sum(compute_parts(rows, links)) / loss_seconds(rows, 1, links)
