"""Checks the formulas of collectives.py, network.py and step.py against counted messages (simulation.py) and published numbers,
and plants errors in them, which the same checks must see."""
import collectives
import network
import simulation
import step


def close(a, b, relative=1e-9):
    return abs(a - b) <= relative * max(abs(a), abs(b), 1e-30)


def links_like(cluster, links):
    """A table in which one protocol is all that there is: the cluster's hops and bandwidth, and calls that are free."""
    hop = {"near": {"tree": 1e6 * cluster.near, "ring": 1e6 * cluster.near},
           "far": {"tree": 1e6 * cluster.far, "ring": 1e6 * cluster.far}}
    rules = {"call": {"tree": 0, "ring": 0}, "nvlink": hop["near"], "network": hop["far"], "share_of_bandwidth": 1.0}
    return {**links, "gpus_of_a_node": {"value": cluster.per_node},
            "nvlink": {"gb_per_s": 1e-9 * cluster.bandwidth, "reached": 1},
            "network": {"gb_per_s": 1e-9 * cluster.bandwidth / cluster.per_node, "reached": 1},
            "protocols": {name: rules for name in collectives.PROTOCOLS}}


CLUSTERS = [(1, 2), (1, 8), (2, 4), (4, 2), (8, 1), (4, 8)]


def complaints_about_collectives(links, all_gather, latency):
    found = []
    for nodes, per_node in CLUSTERS:
        # Hops alone, and bytes alone. A ring's last part may cross one border of nodes more than NCCL counts.
        for near, far, bandwidth in [(1e-6, 7e-6, 1e30), (0.0, 0.0, 1e9)]:
            cluster = simulation.Cluster(nodes, per_node, near, far, bandwidth)
            like, own, where = links_like(cluster, links), 1000, f"{nodes} nodes of {per_node}"
            wires, end, holds = simulation.ring_all_gather(cluster, own)
            if any(held != set(range(cluster.size)) for held in holds):
                found.append(f"{where}: the simulated gather is incomplete")
            if wires.messages != cluster.size * (cluster.size - 1):
                found.append(f"{where}: all_gather: {wires.messages} messages")
            if set(wires.sent_by) != {(cluster.size - 1) * own}:
                found.append(f"{where}: all_gather: a rank sends {wires.sent_by[0]} bytes")
            predicted = all_gather(own, cluster.size, like)
            if not (close(predicted, end) or predicted < end <= predicted + (far - near) * (1 + 1e-9)):
                found.append(f"{where}: all_gather takes {end}, predicted {predicted}")

            wires, end, values = simulation.ring_all_reduce(cluster, own * cluster.size)
            everything = [{(rank, part) for rank in range(cluster.size)} for part in range(cluster.size)]
            if any(value != everything for value in values):
                found.append(f"{where}: the simulated ring does not sum everything")
            predicted = latency("ring", "simple", 2, cluster.size, like) + \
                2 * (cluster.size - 1) / cluster.size * own * cluster.size / bandwidth
            if not (close(predicted, end) or predicted < end <= predicted + 2 * (far - near) * (1 + 1e-9)):
                found.append(f"{where}: ring all_reduce takes {end}, predicted {predicted}")
            if not close(wires.bytes, 2 * (cluster.size - 1) * own * cluster.size):
                found.append(f"{where}: ring all_reduce: {wires.bytes} bytes")

            wires, end, values = simulation.tree_all_reduce(cluster, own)
            if any(value != set(range(cluster.size)) for value in values):
                found.append(f"{where}: the simulated tree does not sum everything")
            if bandwidth == 1e30 and not close(latency("tree", "LL", 2, cluster.size, like), end):
                found.append(f"{where}: tree all_reduce takes {end}, predicted {latency('tree', 'LL', 2, cluster.size, like)}")
            if wires.messages != 2 * (cluster.size - 1):
                found.append(f"{where}: tree all_reduce: {wires.messages} messages")
    return found


def complaints_about_network(layers):
    encoder = [layer for layer in layers if layer.channels]
    products = sum(layer.multiply_adds for layer in encoder)
    expected = {"batch norms": (len(network.norms(layers)), 53), "their channels": (sum(network.norms(layers)), 26560),
                # torchvision's ResNet-50 has 25,557,032 parameters, of which fc has 2,049,000.
                "parameters": (sum(layer.parameters for layer in encoder), 25557032 - 2049000),
                # 4.09 GMAC of an image, as torchvision says, of which fc has 2 million.
                "multiply-adds": (round(products / 1e7), 409)}
    found = [f"ResNet-50: {what} {is_} instead of {should}" for what, (is_, should) in expected.items() if is_ != should]
    buckets = network.buckets(layers)
    if sum(size for size, _ in buckets) != 4 * sum(layer.parameters for layer in layers) or buckets[-1][1] != len(layers):
        found.append("buckets: they do not hold all gradients once")
    return found


def complaints_about_steps(links, exposed_seconds):
    found, layers = [], network.resnet50()
    for images, size in [(48, 8), (48, 128), (4, 512), (192, 32), (1, 2)]:
        rows = step.VIEWS * images
        seconds = list(reversed(step.backward_by_layer(rows, layers, links)))
        if not close(sum(seconds), step.compute_parts(rows, links)[1]):
            found.append("the layers' times do not add up to backward's")
        messages = [collectives.all_reduce(8 * layer.channels, size, links) if layer.channels else 0.0
                    for layer in reversed(layers)]
        buckets = network.buckets(layers)
        ready, time = [], 0.0
        for done, (one, message) in enumerate(zip(seconds, messages), 1):
            time += one + message
            ready += [time for _, layers_done in buckets if layers_done == done]
        for slower in (100, 1):  # a slow network too, where sums wait for each other
            sums = [slower * collectives.all_reduce(n, size, links) for n, _ in buckets]
            backward_end, end = simulation.backward_with_sums(seconds, messages, buckets, sums)
            predicted = exposed_seconds(ready, sums, time)
            if not close(backward_end, time) or abs(end - backward_end - predicted) > 1e-9:
                found.append(f"{images} images on {size}: {end - backward_end} s exposed, predicted {predicted}")
        whole = step.predict(images, size, links)
        if abs(whole.exposed - (end - backward_end)) > 1e-9:
            found.append(f"{images} images on {size}: the step says {whole.exposed} s exposed")
    alone = step.predict(128, 1, links)
    if alone.norms or alone.gather or alone.gradients or alone.exposed:
        found.append("a step on one GPU sends messages")
    if not 0.0390 < alone.seconds < 0.0405:  # 39.5 ms, docs/performance.md; the loss's matrix is not halved here
        found.append(f"128 images on one GPU take {alone.seconds} s")
    if not close(step.loss_seconds(96, 2 * 12288, links), 2 * step.loss_seconds(96, 12288, links)):
        found.append("the loss does not grow with the columns")
    return found


def planted(links):
    """Each must be seen."""
    gather, latency = collectives.all_gather, collectives.latency
    exposed = step.exposed_seconds
    return {
        "a gather that sends its own part to itself": complaints_about_collectives(
            links, lambda n, size, l: gather(n, size, l) * size / (size - 1), latency),
        "a gather of which every rank gets only one part": complaints_about_collectives(
            links, lambda n, size, l: gather(n / size, size, l), latency),
        "hops between nodes that count as hops in a node": complaints_about_collectives(
            links, gather, lambda a, p, d, size, l: latency(a, p, d, size, {**l, "gpus_of_a_node": {"value": 10**6}})),
        "a tree that is walked only upwards": complaints_about_collectives(
            links, gather, lambda a, p, d, size, l: latency(a, p, d if a == "ring" else 1, size, l)),
        "a network without its downsampling": complaints_about_network(
            [layer for layer in network.resnet50() if "downsample" not in layer.name]),
        "sums that do not wait for the one before": complaints_about_steps(
            links, lambda ready, seconds, end: max(0.0, max(r + s for r, s in zip(ready, seconds)) - end)),
        "sums that start at the end of backward": complaints_about_steps(
            links, lambda ready, seconds, end: sum(seconds)),
    }


def run(links):
    found = complaints_about_collectives(links, collectives.all_gather, collectives.latency)
    found += complaints_about_network(network.resnet50()) + complaints_about_steps(links, step.exposed_seconds)
    errors = planted(links)
    found += [f"the checks do not see {what}" for what, complaints in errors.items() if not complaints]
    for complaint in found:
        print(complaint)
    if not found:
        print(f"scale: formulas agree with {len(CLUSTERS)} simulated clusters and 5 steps; {len(errors)} planted errors seen")
    return not found
