"""How long all_reduce and all_gather take between GPUs of several nodes, by the formulas that NCCL chooses algorithms with: a
call, hops one after the other, and bytes over the slowest link. `links` is the content of links.json. Seconds and bytes.

  ring all_gather    size - 1 hops; a rank sends (size - 1) / size of the result
  ring all_reduce    twice that
  tree all_reduce    up and down again: through the node's GPUs one after the other, and by halves through the nodes
"""
import math

PROTOCOLS = ("LL", "LL128", "simple")


def nodes_of(size, links):
    """Nodes, and GPUs of each."""
    per_node = min(size, links["gpus_of_a_node"]["value"])
    return -(-size // per_node), per_node


def bandwidth(size, protocol, links):
    """Bytes a second through a GPU of a ring. Each GPU of a node has its own card, and rings begin at different cards, so all
    cards of a node work together."""
    nodes, per_node = nodes_of(size, links)
    reached = links["nvlink"]["gb_per_s"] * links["nvlink"]["reached"]
    if nodes > 1:
        reached = min(reached, per_node * links["network"]["gb_per_s"] * links["network"]["reached"])
    rules = links["protocols"][protocol]
    limits = rules.get("most_gb_per_s", [math.inf])
    return 1e9 * min(reached * rules["share_of_bandwidth"], limits[min(nodes, len(limits)) - 1])


def hops(algorithm, size, links):
    """Hops over NVLink and over the network that follow one another, in one direction."""
    nodes, per_node = nodes_of(size, links)
    if algorithm == "ring":
        return size - nodes, nodes - 1
    return per_node - 1, math.floor(math.log2(nodes))


def latency(algorithm, protocol, directions, size, links):
    rules = links["protocols"][protocol]
    near, far = hops(algorithm, size, links)
    return 1e-6 * (rules["call"][algorithm] +
                   directions * (near * rules["nvlink"][algorithm] + far * rules["network"][algorithm]))


def all_gather(own_bytes, size, links):
    """Every rank gives own_bytes, and gets those of all. NCCL has only the ring for it, except with one GPU a node."""
    if size == 1:
        return 0.0
    return min(latency("ring", p, 1, size, links) + (size - 1) * own_bytes / bandwidth(size, p, links) for p in PROTOCOLS)


def all_reduce(n_bytes, size, links):
    if size == 1:
        return 0.0
    ring = [latency("ring", p, 2, size, links) + 2 * (size - 1) / size * n_bytes / bandwidth(size, p, links)
            for p in PROTOCOLS]
    tree = [latency("tree", p, 2, size, links) + 2 * n_bytes / (0.92 * bandwidth(size, p, links)) for p in PROTOCOLS]
    return min(ring + tree)
