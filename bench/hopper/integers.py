"""What the instructions of sm_90 that compute integers, predicates and addresses do. Part of thread.py, whose Thread has the
registers."""
import re
import struct

MASK = 0xffffffff
FULL = 0xffffffffffffffff


def signed(value, bits=32):
    return value - (1 << bits) if value >> (bits - 1) else value


def as_float(bits):
    return struct.unpack("<f", struct.pack("<I", bits & MASK))[0]


def float_bits(value):
    try:
        return struct.unpack("<I", struct.pack("<f", value))[0]
    except OverflowError:
        return 0x7f800000


def rounded_up(value):
    bits = float_bits(float(value))
    return bits + 1 if as_float(bits) < value else bits


def double_bits(value):
    return struct.unpack("<Q", struct.pack("<d", value))[0]


def as_double(bits):
    return struct.unpack("<d", struct.pack("<Q", bits & FULL))[0]


COMPARE = {"LT": lambda a, b: a < b, "GT": lambda a, b: a > b, "LE": lambda a, b: a <= b, "GE": lambda a, b: a >= b,
           "EQ": lambda a, b: a == b, "NE": lambda a, b: a != b, "T": lambda a, b: True, "F": lambda a, b: False}
COMBINE = {"AND": lambda a, b: a and b, "OR": lambda a, b: a or b, "XOR": lambda a, b: a != b}

class Integers:
    """A method for each instruction: `rest` are the parts of its name behind the first point, `ops` its operands."""

    def mov(self, rest, ops):
        self.set(ops[0], self.get(ops[1]))

    def imad(self, rest, ops):
        carry_out = ops[1] if re.match(r"U?P(\d|T)", ops[1]) else None
        if carry_out:
            ops = [ops[0], *ops[2:]]
        carry = self.predicate(ops[4]) if "X" in rest and len(ops) > 4 else False
        unsigned = "U32" in rest
        if "WIDE" in rest or "HI" in rest:
            a, b = self.get(ops[1]), self.get(ops[2])
            if not unsigned:
                a, b = signed(a), signed(b)
            c = self.get(ops[3], 64)
            total = a * b + c + carry
            if carry_out:
                self.set_predicate(carry_out, (a * b & FULL) + c + carry >> 64)
            if "HI" in rest:
                self.set(ops[0], total >> 32)
            else:
                self.set(ops[0], total & FULL, 64)
            return
        self.set(ops[0], self.get(ops[1]) * self.get(ops[2]) + self.get(ops[3]) + carry)

    def iadd3(self, rest, ops):
        carries = []
        ops = list(ops)
        result = ops.pop(0)
        while re.match(r"U?P(\d|T)$", ops[0]):
            carries.append(ops.pop(0))
        total = sum(self.added(o) for o in ops[:3])
        if "X" in rest:
            # a term that is subtracted is inverted here, and the carry adds its one
            total = sum(self.get(o) for o in ops[:3])
            total += sum(self.predicate(o) for o in ops[3:])
        self.set(result, total)
        # three terms may carry twice
        for i, carry in enumerate(carries):
            self.set_predicate(carry, total >> 32 > i)

    def added(self, operand):
        """A term of a sum whose carry matters: minus x is the complement of x plus one."""
        if operand.startswith("-"):
            value = self.get(operand[1:])
            return (~value & MASK) + 1
        return self.get(operand)

    def viadd(self, rest, ops):
        self.set(ops[0], sum(self.get(o) for o in ops[1:3]))

    def lea(self, rest, ops):
        ops = list(ops)
        result = ops.pop(0)
        carry_out = ops.pop(0) if re.match(r"U?P(\d|T)$", ops[0]) else None
        carry = False
        if "X" in rest:
            carry = self.predicate(ops.pop()) if re.match(r"!?U?P", ops[-1]) else False
        if "HI" in rest:
            if "SX32" in rest:
                shift = self.get(ops[2]) if len(ops) > 2 else 0
                total = (signed(self.get(ops[0])) << shift >> 32 & MASK) + self.get(ops[1]) + carry
            else:
                shift = self.get(ops[3]) if len(ops) > 3 else 0
                both = self.get(ops[0]) | self.get(ops[2]) << 32
                total = (both << shift >> 32 & MASK) + self.get(ops[1]) + carry
        else:
            total = (self.added(ops[0]) << self.get(ops[2]) & MASK) + self.get(ops[1]) + carry
        self.set(result, total)
        if carry_out:
            self.set_predicate(carry_out, total >> 32)

    def shf(self, rest, ops):
        low, amount, high = self.get(ops[1]), self.get(ops[2]), self.get(ops[3])
        both = low | high << 32
        wide = "U64" in rest or "S64" in rest
        amount = amount & 63 if wide else amount & 31 if "W" in rest else min(amount, 32)
        if "L" in rest:
            total = both << amount
            self.set(ops[0], total >> 32 if "HI" in rest else total if not wide or "U64" in rest else total)
            if "HI" not in rest and not wide and "U32" in rest:
                self.set(ops[0], low << amount)
            return
        if "HI" in rest:
            self.set(ops[0], (signed(high) if "S32" in rest or "S64" in rest else high) >> amount)
        else:
            self.set(ops[0], (signed(both, 64) if "S64" in rest else both) >> amount)

    def lop3(self, rest, ops):
        ops = list(ops)
        flag = ops.pop(0) if re.match(r"U?P(\d|T)$", ops[0]) else None
        a, b, c, lut = self.get(ops[1]), self.get(ops[2]), self.get(ops[3]), self.get(ops[4])
        total = 0
        for i in range(8):
            if lut >> i & 1:
                total |= (a if i & 4 else ~a) & (b if i & 2 else ~b) & (c if i & 1 else ~c)
        total &= MASK
        self.set(ops[0], total)
        if flag:
            self.set_predicate(flag, total != 0 or len(ops) > 5 and self.predicate(ops[5]))

    def plop3(self, rest, ops):
        values = [self.predicate(o) for o in ops[2:5]]
        index = values[0] * 4 + values[1] * 2 + values[2]
        self.set_predicate(ops[0], self.get(ops[5]) >> index & 1)
        if len(ops) > 6:
            self.set_predicate(ops[1], self.get(ops[6]) >> index & 1)

    def isetp(self, rest, ops):
        a, b = self.get(ops[2]), self.get(ops[3])
        if "U32" not in rest:
            a, b = signed(a), signed(b)
        result = COMPARE[rest[0]](a, b)
        if "EX" in rest:
            low = self.predicate(ops[5])
            if rest[0] == "EQ":
                result = a == b and low
            elif rest[0] == "NE":
                result = a != b or low
            elif a == b:
                result = low
        combine = next(COMBINE[r] for r in rest if r in COMBINE)
        other = self.predicate(ops[4])
        self.set_predicate(ops[0], combine(result, other))
        self.set_predicate(ops[1], combine(not result, other))

    def fsetp(self, rest, ops):
        a, b = as_float(self.get(ops[2])), as_float(self.get(ops[3]))
        self.compare_floats(rest, ops, a, b)

    def dsetp(self, rest, ops):
        self.compare_floats(rest, ops, 0.0, 0.0)

    def compare_floats(self, rest, ops, a, b):
        unordered = a != a or b != b
        kind = rest[0]
        if kind == "NAN":
            result = unordered
        elif kind == "NUM":
            result = not unordered
        elif kind in COMPARE:
            result = COMPARE[kind](a, b) and not unordered
        elif kind in ("MAX", "MIN"):
            result = False
        else:
            result = unordered or COMPARE[kind[:-1]](a, b)
        combine = next(COMBINE[r] for r in rest if r in COMBINE)
        other = self.predicate(ops[4])
        self.set_predicate(ops[0], combine(result, other))
        self.set_predicate(ops[1], combine(not result, other))

    def sel(self, rest, ops):
        a, b = self.get(ops[1]), self.get(ops[2])
        self.set(ops[0], a if self.predicate(ops[3]) else b)

    def mnmx(self, rest, ops):
        a, b = self.get(ops[1]), self.get(ops[2])
        key = (lambda v: v) if "U32" in rest else signed
        least = self.predicate(ops[3])
        self.set(ops[0], min(a, b, key=key) if least else max(a, b, key=key))

    def viaddmnmx(self, rest, ops):
        a, b = self.get(ops[1]) + self.get(ops[2]) & MASK, self.get(ops[3])
        key = (lambda v: v) if "U32" in rest else signed
        self.set(ops[0], min(a, b, key=key) if self.predicate(ops[4]) else max(a, b, key=key))

    def iabs(self, rest, ops):
        self.set(ops[0], abs(signed(self.get(ops[1]))))

    def prmt(self, rest, ops):
        both = self.get(ops[1]) | self.get(ops[3]) << 32
        selector, total = self.get(ops[2]), 0
        for i in range(4):
            pick = selector >> (4 * i) & 15
            byte = both >> (8 * (pick & 7)) & 255
            total |= (255 * (byte >> 7) if pick & 8 else byte) << (8 * i)
        self.set(ops[0], total)

    def popc(self, rest, ops):
        self.set(ops[0], self.get(ops[1]).bit_count())

    def flo(self, rest, ops):
        value = self.get(ops[1])
        self.set(ops[0], value.bit_length() - 1 if value else MASK)

    def brev(self, rest, ops):
        self.set(ops[0], int(f"{self.get(ops[1]):032b}"[::-1], 2))

    def bmsk(self, rest, ops):
        self.set(ops[0], ((1 << min(32, self.get(ops[2]))) - 1) << self.get(ops[1]))

    def sgxt(self, rest, ops):
        width = self.get(ops[2])
        value = self.get(ops[1]) & ((1 << width) - 1)
        self.set(ops[0], value if "U32" in rest or not width else signed(value, width))

    def r2p(self, rest, ops):
        value, mask = self.get(ops[1]), self.get(ops[2])
        for i in range(7):
            if mask >> i & 1:
                self.p[f"P{i}"] = bool(value >> i & 1)

    def p2r(self, rest, ops):
        mask = self.get(ops[3])
        bits = sum(1 << i for i in range(7) if self.p.get(f"P{i}", False))
        self.set(ops[0], self.get(ops[2]) & ~mask | bits & mask)

    # ---- conversions, which divisions of integers use
    def i2f(self, rest, ops):
        wide = "U64" in rest or "S64" in rest
        value = self.get(ops[1], 64 if wide else 32)
        if "F64" in rest:
            self.set(ops[0], double_bits(float(value)), 64)
            return
        if "U32" not in rest and "U64" not in rest and "U16" not in rest and "RP" not in rest:
            value = signed(value, 64 if wide else 32)
        self.set(ops[0], rounded_up(value) if "RP" in rest else float_bits(float(value)))

    def f2i(self, rest, ops):
        if "F64" in rest:
            self.set(ops[0], 0)
            return
        value = as_float(self.get(ops[1]))
        whole = 0 if value != value or abs(value) == float("inf") else int(value)
        self.set(ops[0], whole, 64 if "U64" in rest or "S64" in rest else 32)

    def mufu(self, rest, ops):
        value = as_float(self.get(ops[1]))
        self.set(ops[0], float_bits(1 / value) if rest[:1] == ["RCP"] and value else 0)
