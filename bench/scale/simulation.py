"""A small simulation of GPUs that send messages to each other, to check the formulas against: it knows no formula, only what
each rank sends when, and that a message takes a hop's latency and its bytes' time on a link that carries one at a time."""
from typing import NamedTuple


class Cluster(NamedTuple):
    nodes: int
    per_node: int
    near: float       # seconds of a hop in a node
    far: float        # between nodes
    bandwidth: float  # of every link, bytes a second

    @property
    def size(self):
        return self.nodes * self.per_node

    def hop(self, a, b):
        return self.near if a // self.per_node == b // self.per_node else self.far


class Wires:
    """Counts messages, and says when one that is sent at `start` has arrived."""

    def __init__(self, cluster):
        self.cluster, self.free = cluster, {}
        self.messages, self.bytes, self.sent_by = 0, 0, [0] * cluster.size

    def send(self, a, b, n_bytes, start):
        begin = max(start, self.free.get((a, b), 0.0))
        self.free[a, b] = begin + n_bytes / self.cluster.bandwidth
        self.messages += 1
        self.bytes += n_bytes
        self.sent_by[a] += n_bytes
        return self.free[a, b] + self.cluster.hop(a, b)


def ring_all_gather(cluster, own_bytes):
    """Everybody passes on what came last. Returns the wires, when the last rank is done, and what each rank holds."""
    wires, size = Wires(cluster), cluster.size
    holds = [{rank} for rank in range(size)]
    arrived = [[0.0] * size for _ in range(size)]  # [rank][part]
    for step in range(size - 1):
        for rank in range(size):
            part, to = (rank - step) % size, (rank + 1) % size
            arrived[to][part] = wires.send(rank, to, own_bytes, arrived[rank][part])
            holds[to].add(part)
    return wires, max(map(max, arrived)), holds


def ring_all_reduce(cluster, n_bytes):
    """Parts travel once round to be summed and once more to be known; returns wires, the end, and each rank's sums."""
    wires, size = Wires(cluster), cluster.size
    values = [[{(rank, part)} for part in range(size)] for rank in range(size)]
    at = [[0.0] * size for _ in range(size)]
    for step in range(2 * (size - 1)):
        summing = step < size - 1
        for rank in range(size):
            part, to = (rank - step) % size, (rank + 1) % size
            at[to][part] = max(at[to][part] if summing else 0.0, wires.send(rank, to, n_bytes / size, at[rank][part]))
            values[to][part] = values[to][part] | values[rank][part] if summing else values[rank][part]
    return wires, max(map(max, at)), values


def tree_all_reduce(cluster, n_bytes):
    """In each node from the last rank to the first, then from each node to the node of half its number, and back."""
    wires = Wires(cluster)
    first = [node * cluster.per_node for node in range(cluster.nodes)]
    values = [{rank} for rank in range(cluster.size)]
    at = [0.0] * cluster.size
    edges = []  # (child, parent), the children of a rank before the rank itself
    for node in reversed(range(cluster.nodes)):
        edges += [(rank, rank - 1) for rank in reversed(range(first[node] + 1, first[node] + cluster.per_node))]
        if node > 0:
            edges.append((first[node], first[(node - 1) // 2]))
    for child, parent in edges:
        at[parent] = max(at[parent], wires.send(child, parent, n_bytes, at[child]))
        values[parent] |= values[child]
    for child, parent in reversed(edges):
        at[child] = wires.send(parent, child, n_bytes, at[parent])
        values[child] = values[parent]
    return wires, max(at), values


def backward_with_sums(layers, messages_of_norms, buckets, seconds_of_sums):
    """Two queues, as a GPU's streams are: `layers` are seconds of backward, in its order, each followed by the message of its
    norm (0 if it has none). Returns when backward is done and when the last sum is, in steps of the clock's events."""
    compute = []
    for seconds, message in zip(layers, messages_of_norms):
        compute.append(seconds + message)
    now, done_layers, sum_ends, next_sum = 0.0, 0, None, 0
    backward_end, layer_end = None, compute[0]
    while backward_end is None or next_sum < len(buckets) or sum_ends is not None:
        if sum_ends is None and next_sum < len(buckets) and buckets[next_sum][1] <= done_layers:
            sum_ends = now + seconds_of_sums[next_sum]
            next_sum += 1
            continue
        now = min(t for t in (layer_end, sum_ends) if t is not None)
        if now == sum_ends:
            sum_ends = None
        if now == layer_end:
            done_layers += 1
            layer_end = now + compute[done_layers] if done_layers < len(compute) else None
            backward_end = now if layer_end is None else None
    return backward_end, now
