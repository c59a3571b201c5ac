#!/usr/bin/env python3
"""Checks the parts of bench/hopper/table.py by small texts whose answers are known: machine code, a log, the model, and a
comparison. Needs neither a build nor NVIDIA's tools.

    python3 bench/hopper/self_test.py
"""
import contextlib
import io
import pathlib
import random
import sys
import tempfile

import integers as whole_numbers
import kernels as of_kernels
import measured
import model
import table
import thread


def code_of(*lines):
    """Machine code as cuobjdump prints it, from instructions with labels: "L: ISETP..." and "BRA L"."""
    labels, plain = {}, []
    for line in lines:
        if ": " in line:
            label, line = line.split(": ", 1)
            labels[label] = 16 * len(plain)
        plain.append(line)
    text = "\t\tFunction : planted\n"
    for i, line in enumerate(plain):
        for label, address in labels.items():
            line = line.replace(f"BRA {label}", f"BRA {address:#x}")
        text += f"        /*{16 * i:04x}*/                   {line} ;      /* 0x0000000000007918 */\n                 /* 0x000fe20000000f00 */\n"
    return thread.parse(text)["planted"]


def followed(lines, constants=b"", ids=None, **more):
    bank = bytearray(0x1000)
    bank[0x210:0x210 + len(constants)] = constants
    return thread.Thread(code_of(*lines), bytes(bank), ids or {}, **more).run()


def expect(found, wanted, what):
    if found != wanted:
        raise AssertionError(f"{what}: {found}, expected {wanted}")


def sums_and_shifts():
    draw = random.Random(2)
    for _ in range(300):
        a, b = draw.getrandbits(64), draw.getrandbits(64)
        words = a.to_bytes(8, "little") + b.to_bytes(8, "little")
        t = followed(["ULDC.64 UR4, c[0x0][0x210]", "LDC.64 R2, c[0x0][0x218]", "IADD3 R6, P0, R2, UR4, RZ",
                      "IADD3.X R7, R3, UR5, RZ, P0, !PT", "IADD3 R8, P1, -R2, UR4, RZ", "IADD3.X R9, ~R3, UR5, RZ, P1, !PT",
                      "ISETP.GE.U32.AND P2, PT, R2, UR4, PT", "ISETP.GE.AND.EX P2, PT, R3, UR5, PT, P2",
                      "IMAD.WIDE.U32 R10, R2, UR4, RZ", "IMAD.WIDE R12, R2, UR4, R6", "LEA R14, P3, R2, UR4, 0x3",
                      "LEA.HI.X R15, R2, UR5, R3, 0x3, P3", "SHF.R.S64 R16, R2, 0x5, R3", "SHF.R.U32.HI R17, RZ, 0x7, R3",
                      "IADD3 R20, P4, P5, R2, R2, UR4", "IADD3.X R21, R3, R3, UR5, P4, P5", "IADD3 R22, P4, P5, -R2, -R2, UR4",
                      "IADD3.X R23, ~R3, ~R3, UR5, P4, P5", "LOP3.LUT R18, R2, UR4, R3, 0x96, !PT", "PRMT R19, R2, 0x6521, R3", "EXIT"], words)
        pair = lambda n: t.r[n] | t.r[n + 1] << 32
        low_a, low_b = a & thread.MASK, b & thread.MASK
        expect(pair(6), a + b & thread.FULL, "a sum of 64 bits")
        expect(pair(8), a - b & thread.FULL, "a difference of 64 bits")
        expect(pair(20), a + 2 * b & thread.FULL, "a sum of three, which may carry twice")
        expect(pair(22), a - 2 * b & thread.FULL, "a difference of three")
        expect(t.p["P2"], whole_numbers.signed(b, 64) >= whole_numbers.signed(a, 64), "a comparison of 64 bits")
        expect(pair(10), low_a * low_b, "a wide product")
        expect(pair(12), whole_numbers.signed(low_a) * whole_numbers.signed(low_b) + pair(6) & thread.FULL, "a signed product and a sum")
        expect(pair(14), (b << 3) + a & thread.FULL, "an address")
        expect(t.r[16], whole_numbers.signed(b, 64) >> 5 & thread.MASK, "a funnel shift")
        expect(t.r[17], b >> 39, "a shift")
        expect(t.r[18], low_b ^ low_a ^ b >> 32, "an exclusive or of three")
        both = b.to_bytes(8, "little")
        expect(t.r[19].to_bytes(4, "little"), bytes([both[1], both[2], both[5], both[6]]), "a permutation of bytes")


def comparisons():
    """Of 64 bits, also of numbers that differ in one half alone."""
    compare = {"EQ": lambda a, b: a == b, "NE": lambda a, b: a != b, "LT": lambda a, b: a < b, "LE": lambda a, b: a <= b,
               "GT": lambda a, b: a > b, "GE": lambda a, b: a >= b}
    numbers = [0, 1, 5, 1 << 32, (1 << 32) + 1, (5 << 32) + 1, 1 << 63, thread.FULL]
    for kind, right in compare.items():
        for a in numbers:
            for b in numbers:
                t = followed(["ULDC.64 UR4, c[0x0][0x210]", "LDC.64 R2, c[0x0][0x218]", f"ISETP.{kind}.U32.AND P2, PT, R2, UR4, PT",
                              f"ISETP.{kind}.AND.EX P3, PT, R3, UR5, PT, P2", "LOP3.LUT P4, RZ, R2, 0x1, RZ, 0xc0, P3", "EXIT"],
                             b.to_bytes(8, "little") + a.to_bytes(8, "little"))
                answer = right(whole_numbers.signed(a, 64), whole_numbers.signed(b, 64))
                expect(t.p["P3"], answer, f"{a} {kind} {b}")
                expect(t.p["P4"], bool(a & 1) or answer, "a bit, or what was known before")


def division():
    """The sequence that nvcc makes of a division without a sign."""
    draw = random.Random(3)
    for _ in range(200):
        a, b = draw.getrandbits(32), draw.getrandbits(draw.randrange(1, 32)) + 1
        t = followed(["I2F.U32.RP R0, c[0x0][0x214]", "ISETP.NE.U32.AND P2, PT, RZ, c[0x0][0x214], PT", "MUFU.RCP R0, R0",
                      "VIADD R2, R0, 0xffffffe", "F2I.FTZ.U32.TRUNC.NTZ R3, R2", "IMAD.MOV.U32 R2, RZ, RZ, RZ",
                      "IMAD.MOV R5, RZ, RZ, -R3", "IMAD R5, R5, c[0x0][0x214], RZ", "IMAD.HI.U32 R3, R3, R5, R2",
                      "IMAD.HI.U32 R3, R3, c[0x0][0x210], RZ", "IMAD.MOV R5, RZ, RZ, -R3",
                      "IMAD R0, R5, c[0x0][0x214], R20", "MOV R4, c[0x0][0x210]", "IMAD R0, R5, c[0x0][0x214], R4",
                      "ISETP.GE.U32.AND P0, PT, R0, c[0x0][0x214], PT", "@P0 IADD3 R0, R0, -c[0x0][0x214], RZ", "@P0 IADD3 R3, R3, 0x1, RZ",
                      "ISETP.GE.U32.AND P1, PT, R0, c[0x0][0x214], PT", "@P1 IADD3 R3, R3, 0x1, RZ", "EXIT"],
                     a.to_bytes(4, "little") + b.to_bytes(4, "little"))
        expect(t.r[3], a // b, f"{a} / {b}")


LOOP = ["MOV R1, c[0x0][0x28]", "S2R R0, SR_TID.X", "ULDC.64 UR4, c[0x0][0x210]", "MOV R5, RZ", "L: LEA R2, P0, R0, UR4, 0x4",
        "LEA.HI.X R3, R0, UR5, RZ, 0x4, P0", "LDG.E.128 R8, desc[UR6][R2.64]", "IADD3 R5, R5, 0x1, RZ", "IADD3 R0, R0, 0x20, RZ",
        "FADD R9, R8, R9", "ISETP.GE.AND P1, PT, R5, c[0x0][0x218], PT", "@!P1 BRA L", "STG.E desc[UR6][R2.64+0x8], R9", "EXIT"]


def loops():
    for rounds in (1, 7, 100):
        pointer = 3 << thread.BASE
        t = followed(LOOP, pointer.to_bytes(8, "little") + rounds.to_bytes(8, "little"), {"SR_TID.X": 5}, latency=(500, 30))
        expect(t.count, 4 + 8 * rounds + 2, "instructions of a loop")
        expect(t.bytes_read, {3: 16 * rounds}, "bytes read")
        expect(t.bytes_written, {3: 4}, "bytes written")
        expect(t.waits, rounds, "waits: each round asks and then needs it")
        if not 500 * rounds <= t.clock <= 520 * rounds + 20:
            raise AssertionError(f"the clock of {rounds} rounds is {t.clock}")
    t = followed(["L: BRA L"], most=1000)
    expect(t.finished, False, "a loop without an end")


def unknown():
    try:
        followed(["NONSENSE R1, R2", "EXIT"])
    except thread.Unknown:
        return
    raise AssertionError("an instruction that nobody knows was followed")


def bounds():
    """A thread that leaves its tensor is refused, on both sides: it must not count as one that moves less."""
    pointer = 3 << thread.BASE
    for offset, right in ((0, True), (240, True), (244, False), (256, False), (-4, False)):
        bank = (pointer + offset).to_bytes(8, "little")
        try:
            followed(["LDC.64 R2, c[0x0][0x210]", "LDG.E.128 R4, desc[UR4][R2.64]", "EXIT"], bank, limits={3: 256})
        except thread.Unknown:
            expect(right, False, f"16 bytes at {offset} of 256")
        else:
            expect(right, True, f"16 bytes at {offset} of 256")


def copies_past_the_end():
    for whole in (0, 1):
        t = followed(["LDC.64 R2, c[0x0][0x210]", "ISETP.NE.AND P1, PT, RZ, c[0x0][0x218], PT", "LDGSTS.E.BYPASS.128 [R4+0x20], desc[UR6][R2.64], P1", "EXIT"],
                     (3 << thread.BASE).to_bytes(8, "little") + whole.to_bytes(8, "little"), limits={3: 16 * whole})
        expect(t.bytes_read, {3: 16} if whole else {}, "a copy that reads, and one that writes zeros")


def known_tables():
    t = followed(["LDC.64 R2, c[0x0][0x210]", "LDG.E R4, desc[UR4][R2.64+0x4]", "IADD3 R5, R4, 0x1, RZ", "EXIT"],
                 (1 << thread.BASE).to_bytes(8, "little"), tables={1: b"\1\0\0\0\52\0\0\0"})
    expect(t.r[5], 43, "a table's second number, and one")


def headers():
    usage = " Function _Z1fPf:\n  REG:38 STACK:16 SHARED:1024 LOCAL:0 CONSTANT[0]:560 TEXTURE:0\n"
    expect(of_kernels.of_usage(usage), {"_Z1fPf": {"registers": 38, "stack": 16, "shared": 1024}}, "registers")
    elf = (".nv.info\n\n.nv.info._Z1fPf\n\tAttribute:\tEIATTR_KPARAM_INFO\n\tValue:\tIndex : 0x0\tOrdinal : 0x1\tOffset  : 0x8\tSize    : 0x4\n"
           "\tValue:\tIndex : 0x0\tOrdinal : 0x0\tOffset  : 0x0\tSize    : 0x8\n")
    expect(of_kernels.of_elf(elf), {"_Z1fPf": {1: (8, 4), 0: (0, 8)}}, "parameters")
    expect(of_kernels.plain("_ZN7kindred39_GLOBAL__N__1a7b8a2c_7_cuda_cu_4a2fd98011sums_kernelEv"), "_ZN7kindred12_GLOBAL__N_111sums_kernelEv",
           "a name that does not depend on the build")
    expect(table.kind_of("layers/batch_norm/cuda.cu", "sums_kernel<8, Moments<BFloat16, 8> >"), "norm: statistics", "a kind")
    expect(table.kind_of("layers/new_layer/cuda.cu", "f"), "new_layer", "the kind of what is new")


KERNEL = {"code": code_of(*LOOP), "parameters": {0: (0, 8), 1: (8, 8)}, "registers": 32, "stack": 0, "shared": 0,
          "source": "layers/planted/cuda.cu"}


def predictions():
    expect(model.occupancy(32, 0, 256), 8, "2,048 threads")
    expect(model.occupancy(80, 0, 256), 3, "registers")
    expect(model.occupancy(32, 100 << 10, 256), 2, "shared memory")
    rounds, blocks, threads = 64, 4000, 256
    asked = 16 * rounds * blocks * threads
    one = model.predict(KERNEL, [blocks, 1, 1], threads, 0, [(asked, asked, None), rounds])
    expect(one["bytes"], asked + 4 * blocks * threads, "bytes: each once")
    expect(one["instructions"], (6 + 8 * rounds) * blocks * threads // 32, "instructions")
    if one["seconds"] < max(one["memory"], one["issue"], one["latency"]) + model.START:
        raise AssertionError("a time below its parts")
    cached = model.predict(KERNEL, [blocks, 1, 1], threads, 0, [(asked // 64, asked // 64, None), rounds])
    expect(cached["bytes"], asked // 64 + 4 * blocks * threads, "bytes that all blocks ask for move once")
    part = model.predict(KERNEL, [blocks, 1, 1], threads, 0, [(4096, asked, None), rounds])
    expect(part["bytes"], 2 * 4096, "a parameter's part of a block")


LOG = ("data\t7\t2a000000\nmark\tsteps 2\nlaunch\tplanted\t9 1 1\t32\t0\t@64/64 1\nrecord\t\nlaunch\tplanted\t4000 1 1\t256\t0\t@8192/8192=7 3\n"
       "conv\t0\tbf16\tbf16\t4\t56\t56\t64\t64\t1\t1\t1\t0\t56\t56\nlaunch\tplanted\t4000 1 1\t256\t0\t@8192/8192=7 3\nrecorded\t\nreplay\t\n")
RATES = {"tflop_per_s": {f"conv2d.{p}.{k}": {"bf16": 400.0} for p in ("forward", "data", "filter") for k in ("1x1", "3x3", "stem", "strided")},
         "bandwidth": {"conv2d": {"tb_per_s": 4.0}}}


def logs():
    steps, tables, events = table.read_log(LOG.splitlines(keepends=True))
    expect((steps, len(events), tables), (2, 3, {"7": b"\x2a\0\0\0"}), "what is recorded")
    expect(table.words_of(events[0][1][4], tables), [(8192, 8192, b"\x2a\0\0\0"), 3], "words")
    rows, problems = table.rows_of(events, tables, {"planted": KERNEL}, RATES)
    expect(problems, [], "problems")
    _, problems = table.rows_of(events, tables, {"planted": {**KERNEL, "code": code_of("NONSENSE R1, R2", "EXIT")}}, RATES)
    expect(len(problems), 1, "a kernel that is not followed is a problem, not a short one")
    total = table.summed(rows, (), steps)[()]
    expect(total["launches"], 1.5, "launches of a step")
    each = {row["source"]: row["bytes"] for row in rows}
    expect(total["bytes"], each["layers/planted/cuda.cu"] + each["cuDNN"] / 2, "bytes of a step: two steps were recorded")
    of_conv = next(r for r in rows if r["source"] == "cuDNN")
    expect(of_conv["operations"], 2 * 4 * 56 * 56 * 64 * 64, "operations of a convolution")
    expect(of_conv["bytes"], 2 * (2 * 4 * 56 * 56 * 64 + 64 * 64), "its bytes")
    text = table.markdown("planted", rows, steps, 4)
    for part in ("**convolutions forward** | 0.50", "| planted | 1 |", "views/s"):
        if part not in text:
            raise AssertionError(f"{part!r} is not in the table:\n{text}")
    try:
        table.read_log(["mark\tend\n"])
    except ValueError:
        pass
    else:
        raise AssertionError("a log without a recording was read")
    after = [dict(r) for r in table.kept(rows, steps)]
    before = [{**r, "seconds": r["seconds"] * 2, "registers": r["registers"] + 8} for r in after]
    both = table.side_by_side(before, after)
    if f"{-total['seconds'] * 1e3:+.3f}" not in both or "40 -> 32" not in both:
        raise AssertionError(f"a comparison:\n{both}")


def measurements():
    head = "# a step: 1 us\n# us a step\tshare\ttimes a step\tus each\tgrid\tblock\tregisters\tshared bytes\tname\n"
    line = "{}\t1 %\t{}\t1\t1,1,1\t256,1,1\t32\t0\t{}\n"
    text = head + line.format(100, 2, "void kindred::(anonymous namespace)::apply_kernel<kindred::BFloat16, true>(int, float*)")
    text += line.format(50, 1, "void kindred::(anonymous namespace)::apply_kernel<kindred::BFloat16, true>(int, float*)")
    text += line.format(300, 3, "sm90_xmma_fprop_implicit_gemm_bf16_kernel_trt") + line.format(7, 1, "fill")
    text += line.format(20, 4, "void kindred::(anonymous namespace)::forgotten_kernel(int)")
    text += "\nPyTorch's\n1\t2\n"
    found = measured.read_measured(text)
    expect(found["apply_kernel<BFloat16, true>"], (3.0, 150e-6), "sums over shapes")
    predicted = [{"kind": "norm: apply", "name": "apply_kernel<BFloat16, true>", "launches": 3, "seconds": 100e-6},
                 {"kind": "convolutions forward", "name": "56x56x64 to 64, 1x1", "launches": 3, "seconds": 200e-6},
                 {"kind": "head", "name": "product 1 x 2 x 3", "launches": 1, "seconds": 10e-6},
                 {"kind": "loss", "name": "mean_kernel", "launches": 1, "seconds": 5e-6}]
    rows = measured.compared(predicted, found)
    by_name = {row[0]: row[1:] for row in rows}
    expect(rows[0][0], measured.LIBRARIES, "the largest difference comes first")
    for name, figures in (("apply_kernel<BFloat16, true>", [3, 3, 100, 150]), (measured.LIBRARIES, [4, 3, 210, 300]),
                          ("forgotten_kernel", [0, 4, 0, 20]), ("mean_kernel", [1, 0, 5, 0]), ("copies and fills", [0, 1, 0, 7])):
        expect([round(f * (1e6 if i > 1 else 1), 6) for i, f in enumerate(by_name[name])], figures, name)
    shown = measured.markdown(rows)
    for part in ("| 1.50 |", "not predicted", "not measured"):
        if part not in shown:
            raise AssertionError(f"{part!r} is not in the comparison:\n{shown}")
    for wrong in ("", head, head + "1\t2\n"):
        try:
            measured.read_measured(wrong)
        except ValueError:
            continue
        raise AssertionError(f"{wrong!r} was read")


def bad_files():
    with tempfile.TemporaryDirectory() as folder:
        for text in ("", "[]", '{"step": "resnet50"}', "{"):
            path = pathlib.Path(folder) / "kept.json"
            path.write_text(text)
            try:
                with contextlib.redirect_stderr(io.StringIO()):
                    table.read_kept(path)
            except SystemExit as end:
                if "--against" in str(end.code):
                    continue
            raise AssertionError(f"figures {text!r} were read")


def main():
    for check in (sums_and_shifts, comparisons, division, loops, unknown, bounds, copies_past_the_end, known_tables, headers, predictions, logs, measurements,
                  bad_files):
        try:
            check()
        except AssertionError as why:
            sys.exit(f"self_test.py: {check.__name__}: {why}")
    print("bench/hopper: machine code, logs, predictions and comparisons as expected")


if __name__ == "__main__":
    main()
