"""One thread of a kernel, followed through its machine code (sm_90): how many instructions it takes, which bytes of which
tensor it touches, and how often it waits for memory.

Only what decides the way is computed: integers, addresses, predicates and branches. Arithmetic on data is not, and gives
zeros, as every load does. So the way is that of a thread whose data are zeros: branches on data go one way. The
way through the parameters (sizes, null pointers, loops) is exact.
"""
import re

from integers import FULL, MASK, Integers, float_bits

BASE = 40  # tensor number n begins at address n << BASE


class Unknown(Exception):
    """Machine code that this file does not follow."""


def parse(text):
    """cuobjdump -sass: {kernel: [(address, predicate, opcode, operands)]}."""
    kernels, code = {}, None
    for line in text.splitlines():
        if found := re.match(r"\s+Function : (\S+)", line):
            code = kernels.setdefault(found.group(1), [])
        elif (found := re.match(r"\s+/\*([0-9a-f]{4,5})\*/\s+(?:@(!?U?P\w+)\s+)?(\S+?)(?:\s+(.*?))?\s*;", line)) and code is not None:
            operands = [o.strip() for o in re.split(r",(?![^\[]*\])", found.group(4) or "")] if found.group(4) else []
            code.append((int(found.group(1), 16), found.group(2), found.group(3), operands))
    return kernels


# What arithmetic on data gives, and whether its result has two registers.
DATA = {"FADD": 1, "FMUL": 1, "FFMA": 1, "FSEL": 1, "FMNMX": 1, "F2FP": 1, "HADD2": 1, "HMUL2": 1, "HFMA2": 1, "F2F": 1,
        "FCHK": 0, "DADD": 2, "DMUL": 2, "DFMA": 2, "FRND": 1, "FSET": 1, "IDP": 1, "HMMA": 4, "FSWZADD": 1, "DMNMX": 2,
        "REDUX": 1, "IMMA": 4, "HMNMX2": 1, "CS2R": 2, "MATCH": 1}
NOTHING = {"NOP", "BSSY", "BSYNC", "BAR", "MEMBAR", "WARPSYNC", "DEPBAR", "ERRBAR", "CCTL", "YIELD", "LDGDEPBAR", "RED",
           "REDG", "BREAK", "BMOV", "SYNCS", "FENCE", "UTMACMDFLUSH", "NANOSLEEP", "CGAERRBAR", "WARPGROUP"}


class Thread(Integers):
    """`constants` are bytes: bank 0, with the parameters at 0x210. `tables` are the bytes of tensors that are known, by number.
    After `most` instructions it is given up. `limits` are the
    bytes of tensors, by number; nothing beyond them may be touched."""

    def __init__(self, code, constants, ids, tables=None, latency=(600, 30), most=60_000, limits=None):
        self.code, self.constants, self.ids, self.most = code, constants, ids, most
        self.at = {address: i for i, (address, *_) in enumerate(code)}
        self.r, self.u, self.p, self.up = {}, {}, {}, {}
        self.local, self.shared, self.tables, self.limits = {}, {}, tables or {}, limits
        self.global_latency, self.shared_latency = latency
        self.count = 0  # instructions
        self.products = 0  # of tensor cores
        self.spilled = 0  # loads and stores of local memory
        self.bytes_read, self.bytes_written = {}, {}  # by the number of the tensor
        self.clock, self.waits, self.pending = 0, 0, {}  # cycles of a thread that is alone
        self.finished = True
        self.global_loads = 0

    # ---- operands
    def get(self, operand, bits=32):
        text = operand.replace(".reuse", "")
        negative = inverted = absolute = False
        while text and text[0] in "-~|":
            negative ^= text[0] == "-"
            inverted ^= text[0] == "~"
            absolute ^= text[0] == "|"
            text = text[1:]
        text = text.rstrip("|")
        if found := re.match(r"(U?R)(\d+|Z)", text):
            value = self.register(found.group(1), found.group(2), bits)
        elif text.startswith("c["):
            value = self.constant(text, bits)
        elif re.match(r"0x[0-9a-f]+$", text):
            value = int(text, 16)
        elif text.startswith("SR_") or text.startswith("SRZ"):
            value = self.ids.get(text, 0)
        elif text in ("+INF", "INF"):
            value = 0x7f800000
        elif "QNAN" in text:
            value = 0x7fffffff
        else:
            try:
                value = float_bits(float(text))
            except ValueError:
                raise Unknown(f"operand {operand}") from None
        mask = (1 << bits) - 1
        if inverted:
            value = ~value
        if negative:
            value = -value
        return value & mask

    def register(self, kind, number, bits):
        if number == "Z":
            return 0
        file, n = (self.r if kind == "R" else self.u), int(number)
        if kind == "R" and self.pending:
            self.wait_for(n)
            if bits == 64:
                self.wait_for(n + 1)
        value = file.get(n, 0)
        return value | file.get(n + 1, 0) << 32 if bits == 64 else value

    def wait_for(self, n):
        ready = self.pending.pop(n, None)
        if ready is not None and ready > self.clock:
            self.waits += ready - self.clock > self.global_latency // 4
            self.clock = ready

    def constant(self, text, bits):
        found = re.match(r"c\[(0x\w+)\]\[(.+)\]", text)
        if not found:
            raise Unknown(f"operand {text}")
        offset = 0
        for part in found.group(2).split("+"):
            offset += int(part, 16) if part.startswith(("0x", "-0x")) else self.get(part)
        if found.group(1) != "0x0":
            return 0  # the compiler's own constants: data
        data = self.constants[offset:offset + bits // 8]
        return int.from_bytes(data, "little")

    def set(self, operand, value, bits=32):
        found = re.match(r"(U?R)(\d+|Z)", operand)
        if not found:
            raise Unknown(f"result {operand}")
        if found.group(2) == "Z":
            return
        file, n = (self.r if found.group(1) == "R" else self.u), int(found.group(2))
        file[n] = value & MASK
        if found.group(1) == "R":
            self.pending.pop(n, None)
        if bits >= 64:
            for i in range(1, bits // 32):
                file[n + i] = value >> (32 * i) & MASK
                if found.group(1) == "R":
                    self.pending.pop(n + i, None)

    def predicate(self, text):
        inverted = text.startswith("!")
        name = text.lstrip("!")
        value = True if name in ("PT", "UPT") else (self.up if name[0] == "U" else self.p).get(name, False)
        return value != inverted

    def set_predicate(self, name, value):
        if name not in ("PT", "UPT"):
            (self.up if name[0] == "U" else self.p)[name] = bool(value)

    # ---- running
    def run(self):
        i, code, handlers = 0, self.code, self.HANDLERS
        while i < len(code):
            address, guard, opcode, operands = code[i]
            self.count += 1
            self.clock += 1
            if self.count > self.most:
                self.finished = False
                break
            i += 1
            if guard is not None and not self.predicate(guard):
                continue
            base, *rest = opcode.split(".")
            uniform = base[0] == "U" and base[1:] in handlers
            name = base[1:] if uniform else base
            if name == "EXIT":
                break
            if name == "BRA":
                for operand in operands[:-1]:
                    if not self.predicate(operand.split()[0]):
                        break
                else:
                    target = operands[-1].split()
                    if rest[:1] == ["DIV"]:  # lanes that differ: they do not
                        continue
                    if len(target) > 1 and not self.predicate(target[0]):
                        continue
                    i = self.index(int(target[-1], 16))
                continue
            if name == "CALL":
                i = self.index(int(operands[-1].split()[-1], 16))
                continue
            if name == "RET":
                found = re.match(r"R(\d+)\s+(-?0x[0-9a-f]+)", operands[0])
                target = self.register("R", found.group(1), 64) + int(found.group(2), 16)
                i = self.index(target & FULL)
                continue
            if name in NOTHING:
                continue
            if name in DATA:
                self.data(name, operands)
                continue
            handler = handlers.get(name)
            if handler is None:
                raise Unknown(f"instruction {opcode}")
            handler(self, rest, operands)
        return self

    def index(self, address):
        found = self.at.get(address)
        if found is None:
            raise Unknown(f"a branch to {address:#x}")
        return found

    def data(self, name, operands):
        self.products += name in ("HMMA", "IMMA")
        for operand in operands[1:]:
            if re.match(r"[-~|]*R\d", operand):
                n = int(re.search(r"R(\d+)", operand).group(1))
                for k in range(4 if name in ("HMMA", "IMMA") else 2 if name[0] == "D" else 1):
                    if self.pending:
                        self.wait_for(n + k)
        if operands and re.match(r"R\d", operands[0]):
            self.set(operands[0], 0, 32 * max(1, DATA[name]))
        elif operands and re.match(r"P\d", operands[0]):
            self.set_predicate(operands[0], False)

    # ---- the thread and its neighbours
    def s2r(self, rest, ops):
        self.set(ops[0], self.ids.get(ops[1], 0))

    def r2ur(self, rest, ops):
        if re.match(r"U?P", ops[0]):
            ops = ops[1:]
        self.set(ops[0], self.get(ops[1]))

    def shfl(self, rest, ops):
        if re.match(r"P", ops[0]):
            self.set_predicate(ops[0], True)
            ops = ops[1:]
        self.set(ops[0], self.get(ops[1]))

    def vote(self, rest, ops):
        # every lane votes alike
        vote = self.predicate(ops[-1])
        if re.match(r"U?R", ops[0]):
            self.set(ops[0], MASK if vote else 0)
            ops = ops[1:]
        if re.match(r"U?P", ops[0]):
            self.set_predicate(ops[0], vote)

    def elect(self, rest, ops):
        for operand in ops:
            if re.match(r"U?P", operand):
                self.set_predicate(operand, True)

    # ---- memory
    def address(self, operand):
        inner = operand[operand.rindex("[") + 1:operand.rindex("]")]
        total = 0
        for part in re.findall(r"[+-]?[^+-]+", inner):
            part = part.lstrip("+")
            if "R" in part:
                total += self.get(part.split(".")[0], 64 if ".64" in part or ".U32" in part and "U" in part[:1] else 32)
            else:
                total += int(part, 16)
        return total & FULL

    @staticmethod
    def size(rest):
        for r in rest:
            if r in ("U8", "S8"):
                return 1
            if r in ("U16", "S16"):
                return 2
            if r in ("64", "128"):
                return int(r) // 8
        return 4

    def ldg(self, rest, ops):
        if re.match(r"P\d|PT", ops[0]):
            ops = ops[1:]
        address, size = self.address(ops[1]), self.size(rest)
        self.touch(self.bytes_read, address, size)
        table, at = self.tables.get(address >> BASE), address & (1 << BASE) - 1
        self.load(ops[0], size, self.global_latency, int.from_bytes(table[at:at + size], "little") if table else 0)
        self.global_loads += 1

    def touch(self, where, address, size):
        # A way that leaves its tensor was followed wrongly, and must not pass for fewer bytes.
        if self.limits is not None and (address & (1 << BASE) - 1) + size > self.limits.get(address >> BASE, 0):
            raise Unknown(f"byte {address & (1 << BASE) - 1} of tensor {address >> BASE}, which has {self.limits.get(address >> BASE, 0)}")
        where[address >> BASE] = where.get(address >> BASE, 0) + size

    def load(self, operand, size, latency, value=0):
        self.set(operand, value, max(32, 8 * size))
        found = re.match(r"R(\d+)", operand)
        if found:
            for k in range(max(1, size // 4)):
                self.pending[int(found.group(1)) + k] = self.clock + latency

    def stg(self, rest, ops):
        address, size = self.address(ops[0]), self.size(rest)
        if self.pending and (found := re.match(r"R(\d+)", ops[1])):
            for k in range(max(1, size // 4)):
                self.wait_for(int(found.group(1)) + k)
        self.touch(self.bytes_written, address, size)

    def lds(self, rest, ops):
        address = self.address(ops[1])
        size = self.size(rest)
        value = 0
        for k in range(max(1, size // 4)):
            value |= self.shared.get(address + 4 * k, 0) << (32 * k)
        self.load(ops[0], size, self.shared_latency, value)

    def sts(self, rest, ops):
        self.keep(self.shared, ops, rest)

    def keep(self, where, ops, rest):
        address, size = self.address(ops[0]), self.size(rest)
        found = re.match(r"R(\d+|Z)", ops[1])
        for k in range(max(1, size // 4)):
            number = found.group(1) if found.group(1) == "Z" else str(int(found.group(1)) + k)
            where[address + 4 * k] = self.register("R", number, 32)

    def ldl(self, rest, ops):
        address, size = self.address(ops[1]), self.size(rest)
        self.spilled += 1
        value = 0
        for k in range(max(1, size // 4)):
            value |= self.local.get(address + 4 * k, 0) << (32 * k)
        self.load(ops[0], size, self.shared_latency, value)

    def stl(self, rest, ops):
        self.spilled += 1
        self.keep(self.local, ops, rest)

    def ldc(self, rest, ops):
        size = self.size(rest)
        value = self.constant(ops[1], 8 * size if size > 4 else 32)
        if size < 4:
            value &= (1 << 8 * size) - 1
        self.set(ops[0], value, max(32, 8 * size))

    def ldgsts(self, rest, ops):
        if re.match(r"!?U?P", ops[-1]) and not self.predicate(ops[-1]):
            return  # zeros, and nothing is read: what lies past the end
        self.touch(self.bytes_read, self.address(ops[1]), self.size(rest))
        self.global_loads += 1

    def atom(self, rest, ops):
        for operand in ops:
            if re.match(r"P", operand):
                self.set_predicate(operand, False)
        result = next((o for o in ops if re.match(r"R\d", o)), None)
        if result:
            self.load(result, 4, self.global_latency)

    def ldsm(self, rest, ops):
        self.load(ops[0], 16, self.shared_latency)

    HANDLERS = {"MOV": Integers.mov, "IMAD": Integers.imad, "IADD3": Integers.iadd3, "VIADD": Integers.viadd, "LEA": Integers.lea, "SHF": Integers.shf, "LOP3": Integers.lop3,
                "PLOP3": Integers.plop3, "ISETP": Integers.isetp, "FSETP": Integers.fsetp, "DSETP": Integers.dsetp, "SEL": Integers.sel, "IMNMX": Integers.mnmx, "VIMNMX": Integers.mnmx,
                "VIADDMNMX": Integers.viaddmnmx, "IABS": Integers.iabs, "PRMT": Integers.prmt, "POPC": Integers.popc, "FLO": Integers.flo, "BREV": Integers.brev, "BMSK": Integers.bmsk,
                "SGXT": Integers.sgxt, "R2P": Integers.r2p, "P2R": Integers.p2r, "I2F": Integers.i2f, "I2FP": Integers.i2f, "F2I": Integers.f2i, "MUFU": Integers.mufu, "S2R": s2r,
                "S2UR": s2r, "R2UR": r2ur, "SHFL": shfl, "VOTE": vote, "VOTEU": vote, "ELECT": elect, "LDG": ldg, "STG": stg,
                "LDS": lds, "STS": sts, "LDL": ldl, "STL": stl, "LDC": ldc, "LDGSTS": ldgsts, "ATOM": atom, "ATOMG": atom,
                "ATOMS": atom, "LDSM": ldsm}
    HANDLERS["UMOV"] = Integers.mov
    HANDLERS["ULDC"] = ldc
