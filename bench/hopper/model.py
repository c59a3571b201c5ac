"""How long a launch takes on an H200, by its bytes, its instructions and its waits.

    time = start + sqrt(memory^2 + issue^2 + latency^2)

memory   bytes / 4.3 TB/s, what a copy of a large tensor reaches. A tensor counts once for reading and once for writing,
         however often the kernel asks for a byte again: the rest comes from the caches.
issue    instructions of all warps over 132 multiprocessors of four schedulers at 1.755 GHz, of which a kernel of several
         warps fills 85 %. With tensor cores, which start a product every 6.2 cycles, the longer of the two over
         60 %: few warps, which wait for each other at barriers.
latency  what one thread takes that is alone, times the rounds of blocks. A load takes 700 cycles from memory and 300 from
         the L2 cache, where all that a launch touches is below 25 MB and so was just written.
start    2.0 us: between a kernel and the next that depends on it, within a CUDA graph.

The three parts overlap, but not entirely; the root of the sum of their squares is the longest where one dominates, and 1.4
of it where two are equal. None of this has been measured.
"""
import random

import thread

MULTIPROCESSORS, SCHEDULERS, CLOCK = 132, 4, 1.755e9
BANDWIDTH = 4.3e12
ISSUE, TENSOR_ISSUE, TENSOR_CYCLES = 0.85, 0.60, 6.2
MEMORY_LATENCY, L2_LATENCY, SHARED_LATENCY = 700, 300, 30
L2 = 25e6
START = 2.0e-6
SAMPLES, LONG = 6, 15_000  # threads of a launch that are followed; two, if they take more instructions than LONG


def occupancy(registers, shared, threads):
    """Blocks of a multiprocessor at the same time."""
    warps = -(-threads // 32)
    allocated = -(-registers * 32 // 256) * 256
    by_registers = (65536 // allocated // 4 * 4) // (-(-warps // 4) * 4) if allocated else 32
    by_shared = (227 << 10) // (shared + 1024)
    return max(1, min(32, 2048 // (warps * 32), by_registers, by_shared))


def constants_of(kernel, grid, threads, words, whole, changes=None):
    """Constant bank 0 as the kernel finds it, and of its tensors, by number, the bytes, the contents where they are known,
    and the bytes that may be touched. `whole`: a pointer stands for its
    block, not for the parameter of the model that it points to."""
    bank, extents, limits, tables, w = bytearray(0x2000), {}, {}, {}, 0
    for ordinal in sorted(kernel["parameters"]):
        offset, size = kernel["parameters"][ordinal]
        for at in range(0, size, 8):
            word = (changes or {}).get(w, words[w])
            w += 1
            if isinstance(word, tuple):
                part, block, table = word
                number = len(extents) + 1
                value = number << thread.BASE
                extents[number], limits[number] = block if whole else part, block
                if table is not None:
                    tables[number] = table
            else:
                value = word
            held = min(8, size - at)
            bank[0x210 + offset + at:0x210 + offset + at + held] = value.to_bytes(8, "little")[:held]
    for i, value in enumerate((threads, 1, 1, *grid)):
        bank[4 * i:4 * i + 4] = value.to_bytes(4, "little")
    bank[0x28:0x2c] = (0x1000).to_bytes(4, "little")  # the stack
    return bytes(bank), extents, tables, limits


def follow(kernel, grid, threads, constants, tables, limits, latency):
    """Some threads of the grid, drawn."""
    draw, followed = random.Random(1), []
    for _ in range(SAMPLES):
        x = draw.randrange(threads)
        ids = {"SR_TID.X": x, "SR_LANEID": x % 32, "SR_CTAID.X": draw.randrange(grid[0]), "SR_CTAID.Y": draw.randrange(grid[1]),
               "SR_CTAID.Z": draw.randrange(grid[2])}
        one = thread.Thread(kernel["code"], constants, ids, tables, (latency, SHARED_LATENCY), limits=limits).run()
        followed.append(one)
        if not one.finished:
            return None
        if one.count > LONG and len(followed) >= 2:
            break  # blocks that share work evenly differ little
    return followed


def area_word(kernel, words):
    """Where the columns of SupCon's area stand among the words, for launches too long to follow whole."""
    w = 0
    for ordinal in sorted(kernel["parameters"]):
        size = kernel["parameters"][ordinal][1]
        if size == 56 and all(not isinstance(words[w + k], tuple) for k in range(7)):
            return w + 3
        w += -(-size // 8)
    return None


def predict(kernel, grid, threads, shared, words, whole=False):
    """The prediction of one launch, as a dictionary; times in seconds."""
    blocks = grid[0] * grid[1] * grid[2]
    changes, factor = {}, 1
    constants, extents, tables, limits = constants_of(kernel, grid, threads, words, whole)
    latency = L2_LATENCY if sum(extents.values()) < L2 else MEMORY_LATENCY
    followed = follow(kernel, grid, threads, constants, tables, limits, latency)
    while followed is None:
        at = area_word(kernel, words)
        if at is None or factor > 4096:
            raise thread.Unknown("a thread that does not end")
        factor *= 4
        changes[at] = max(64, words[at] // factor // 64 * 64)
        constants, extents, tables, limits = constants_of(kernel, grid, threads, words, whole, changes)
        followed = follow(kernel, grid, threads, constants, tables, limits, latency)
    if changes:
        factor = words[at] / changes[at]
    share = blocks * threads / len(followed)
    read = {n: sum(t.bytes_read.get(n, 0) for t in followed) * share for n in extents}
    written = {n: sum(t.bytes_written.get(n, 0) for t in followed) * share for n in extents}
    moved = sum(min(read[n], extents[n]) + min(written[n], extents[n]) for n in extents)
    warps = blocks * -(-threads // 32)
    count = factor * sum(t.count for t in followed) / len(followed)
    products = factor * sum(t.products for t in followed) / len(followed)
    clock = factor * max(t.clock for t in followed)
    resident = occupancy(kernel["registers"], kernel["shared"] + shared, threads)
    rounds = blocks / (resident * MULTIPROCESSORS)
    memory = moved / BANDWIDTH
    # Fewer blocks than multiprocessors leave some without work.
    per_scheduler = warps / (min(blocks, MULTIPROCESSORS) * SCHEDULERS)
    per_scheduler = max(per_scheduler, 1.0)
    issue = per_scheduler * count / CLOCK / ISSUE
    if products:
        issue = per_scheduler * max(count, products * TENSOR_CYCLES) / CLOCK / TENSOR_ISSUE
    waiting = max(1.0, rounds) * clock / CLOCK
    if products:
        waiting = clock / CLOCK * max(1.0, rounds) / 2  # loads of the next tile come while this one is multiplied
    return {"bytes": moved, "instructions": count * warps, "memory": memory, "issue": issue, "latency": waiting,
            "seconds": START + (memory ** 2 + issue ** 2 + waiting ** 2) ** 0.5, "rounds": rounds, "blocks": blocks,
            "spilled": sum(t.spilled for t in followed) / len(followed) * factor, "waits": max(t.waits for t in followed) * factor,
            "resident": resident}


def convolution(rates, which, type_name, shape):
    """By operations and bytes, at the shares that FACTS of the GPU's table give (apps/training/gpu_rates/h200.json)."""
    n, h, w, c, k, kh, kw, stride, pad, out_h, out_w = shape
    kind = "stem" if c <= 8 else "strided" if stride > 1 else "1x1" if kh == kw == 1 else "3x3"
    pass_name = ("forward", "data", "filter")[which]
    per_element = {"f32": 4}.get(type_name, 2)
    colours = 3 if kind == "stem" else c
    operations = 2 * n * out_h * out_w * k * colours * kh * kw
    seen = n * h * w * c if kh >= stride else n * out_h * out_w * kh * kw * c
    moved = per_element * (seen + n * out_h * out_w * k + k * kh * kw * c)
    if which == 1:
        moved = per_element * (n * h * w * c + n * out_h * out_w * k + k * kh * kw * c)
    rate = rates["tflop_per_s"][f"conv2d.{pass_name}.{kind}"][type_name] * 1e12
    bandwidth = rates["bandwidth"]["conv2d"]["tb_per_s"] * 1e12
    return {"bytes": moved, "operations": operations, "memory": moved / bandwidth, "issue": operations / rate, "latency": 0,
            "seconds": START + max(moved / bandwidth, operations / rate)}


def product(rates, type_name, result, m, n, k):
    size, out = {"f32": 4}.get(type_name, 2), {"f32": 4}.get(result, 2)
    moved = size * (m * k + n * k) + out * m * n
    rate = rates["tflop_per_s"]["linear"][type_name if type_name in ("bf16", "f16", "f32") else "tf32"] * 1e12
    memory, issue = moved / BANDWIDTH, 2 * m * n * k / rate
    return {"bytes": moved, "operations": 2 * m * n * k, "memory": memory, "issue": issue, "latency": 0,
            "seconds": START + max(memory, issue)}
