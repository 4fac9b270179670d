"""The reader of calls.tbl and environment.tbl: lines of text become a few plain objects.

The grammar stands in README.md. Every mistake in a table ends here, with file and line;
the writers (c_out, rust_out, docs_out in generate.py) only walk what this module returns.
"""

import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent

LEVELS = ("full", "partial", "errno", "pass")
COUNTERS = (
    "read", "write", "open", "stat", "opendir", "readdir", "link", "unlink",
    "rdlink", "seek", "mkdir", "rmdir", "rename", "mmap",
)

# The constants a lowering or a condition may name. They are equal on x86_64 and aarch64
# except for O_DIRECTORY, which only the Rust side needs and takes from libc. AT_BY_NUMBER is
# our own: AT_EMPTY_PATH, and a mark (ops/attr.rs).
CONSTANTS = {
    "O_CREAT": 0o100, "O_WRONLY": 1, "O_TRUNC": 0o1000,
    "AT_SYMLINK_NOFOLLOW": 0x100, "AT_REMOVEDIR": 0x200, "AT_EACCESS": 0x200,
    "AT_EMPTY_PATH": 0x1000, "AT_BY_NUMBER": 0x40001000, "F_DUPFD": 0, "F_DUPFD_CLOEXEC": 1030,
}
AT_FDCWD = -100


@dataclass(frozen=True)
class Source:
    """Where one argument of the general operation comes from."""
    index: int      # the call's own argument, or -1: none
    bits: int       # or-ed to it (or the value itself when there is no argument)
    empty: bool = False  # the address of an empty string


@dataclass
class Kernel:
    """One kernel call number that lowers to an operation."""
    name: str
    numbers: dict
    lowering: list
    unpatched: bool = False
    reason: str = ""   # of a call without an operation: why it passes


@dataclass
class Symbol:
    """One exported libc function that lowers to an operation."""
    name: str
    returns: str
    params: list    # (type, name)
    variadic: tuple  # (type, name) of the optional last argument, or None
    lowering: list
    guard: str = ""
    error_number: bool = False


@dataclass
class Operation:
    """A general operation, in the words of the kernel."""
    name: str
    args: list
    line: int
    classes: list = field(default_factory=list)   # (word, [numbers], extra)
    level: str = ""
    errno: str = ""
    declines: list = field(default_factory=list)  # error names that mean: DFS has it not
    report: str = ""
    report_if: tuple = None   # (counter, argument, constant)
    note: str = ""
    kernels: list = field(default_factory=list)
    symbols: list = field(default_factory=list)

    def has(self, word):
        """Whether the operation carries the class `word`."""
        return any(c[0] == word for c in self.classes)

    def places(self):
        """Arguments that say what a call is about: (descriptor, paths), -1 and [] where there is none."""
        fds = [numbers[0] for word, numbers, _ in self.classes if word in ("fd", "mmapfd") and numbers]
        fds += [0 for word, _, _ in self.classes if word in ("rights", "address")]
        paths = [numbers[-1] for word, numbers, _ in self.classes if word in ("at", "path")]
        dirs = [numbers[0] for word, numbers, _ in self.classes if word == "at"]
        return (fds + dirs + [-1])[0], paths

    @property
    def ident(self):
        """The C and Rust name (all our names are already identifiers)."""
        return self.name

    @property
    def in_rust(self):
        """Served by a function of its own in the VFS."""
        if self.level not in ("full", "partial") or self.has("signal"):
            return False
        return [c[0] for c in self.classes] != ["after"]


class TableError(Exception):
    """A line that the grammar does not know."""


def lowering(text, count):
    """Parses `AT_FDCWD 0 =O_CREAT|O_TRUNC 4|AT_EMPTY_PATH` into sources."""
    sources = []
    for word in text.split():
        if word == "AT_FDCWD":
            sources.append(Source(-1, AT_FDCWD))
        elif word == "EMPTY":
            sources.append(Source(-1, 0, empty=True))
        elif word == "NULL":
            sources.append(Source(-1, 0))
        elif word.startswith("="):
            sources.append(Source(-1, constant(word[1:])))
        else:
            index, _, bits = word.partition("|")
            sources.append(Source(int(index), constant(bits) if bits else 0))
    if len(sources) > 6:
        raise TableError(f"more than six arguments: {text}")
    del count
    return sources


def constant(text):
    """The value of `O_CREAT|O_TRUNC`, `-1` or `0`."""
    value = 0
    for word in text.split("|"):
        if re.fullmatch(r"-?\d+", word):
            value |= int(word)
        elif word in CONSTANTS:
            value |= CONSTANTS[word]
        else:
            raise TableError(f"unknown constant {word}")
    return value


def identity(count):
    """Arguments as they come."""
    return [Source(i, 0) for i in range(min(count, 6))]


def prototype(text):
    """Splits `int open(const char *path, int flags, ...mode_t mode)`."""
    m = re.fullmatch(r"(.+?[ *])(\w+)\((.*)\)", text.strip())
    if not m:
        raise TableError(f"not a prototype: {text}")
    params, variadic = [], None
    for part in [p.strip() for p in m[3].split(",")] if m[3].strip() != "void" else []:
        optional = part.startswith("...")
        pm = re.fullmatch(r"(.+?[ *])(\w+)", part.lstrip("."))
        if not pm:
            raise TableError(f"not a parameter: {part}")
        if optional:
            variadic = (pm[1].strip(), pm[2])
        else:
            params.append((pm[1].strip(), pm[2]))
    return m[1].strip(), m[2], params, variadic


def parse_class(text):
    """Parses `at 0,1; at 2,3; birth` into (word, numbers, extra)."""
    known = {"fd", "target", "at", "path", "birth", "cwd", "map", "mmapfd", "process",
             "after", "signal", "rights", "address", "cancel", "names"}
    out = []
    for item in [t.strip() for t in text.split(";")]:
        word, _, rest = item.partition(" ")
        if word not in known:
            raise TableError(f"unknown class {word}")
        if word == "birth" and "=" in rest:
            arg, _, names = rest.partition("=")
            out.append((word, [int(arg)], tuple(CONSTANTS[n] for n in names.split(","))))
        elif word == "birth":
            out.append((word, [], "memory" if rest == "in memory" else ""))
        else:
            out.append((word, [int(n) for n in rest.split(",") if n], ""))
    return out


def symbol_row(line, count, error_number):
    """Parses what follows `sym`."""
    text, _, guard = line.partition(" if ")
    proto, colon, low = text.partition(" : ")
    returns, name, params, variadic = prototype(proto)
    given = params + ([variadic] if variadic else [])
    sources = lowering(low, count) if colon else identity(len(given))
    return Symbol(name, returns, params, variadic, sources, guard.strip(), error_number)


def kernel_row(line, count):
    """Parses what follows `nr`."""
    text, colon, low = line.partition(" : ")
    words = text.split()
    numbers = {arch: int(n) for arch, n in zip(("x86_64", "aarch64"), words[1:3]) if n != "-"}
    sources = lowering(low, count) if colon else identity(count)
    return Kernel(words[0], numbers, sources, "unpatched" in words[3:])


def read_calls(path=HERE / "calls.tbl"):
    """Returns (operations, passes): passes is a list of Kernel without an operation."""
    operations, passes, op, reason = [], [], None, ""
    for number, raw in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        line = raw.split("#", 1)[0].rstrip() if raw.lstrip().startswith("#") else raw.rstrip()
        if not line:
            continue
        try:
            word, _, rest = line.strip().partition(" ")
            rest = rest.strip()
            if word == "op":
                m = re.fullmatch(r"(\w+)\((.*)\)", rest)
                args = [] if m[2] == "void" else [a.strip() for a in m[2].split(",")]
                op = Operation(m[1], args, number)
                operations.append(op)
            elif word == "pass":
                op, reason = None, rest
                if not reason:
                    raise TableError("a pass without a reason")
            elif word == "nr" and op is None and reason:
                for entry in rest.split(","):
                    passes.append(kernel_row(entry.strip(), 0))
                    passes[-1].reason = reason
            elif op is None:
                raise TableError("a row outside of an operation")
            elif word == "class":
                op.classes = parse_class(rest)
            elif word == "level":
                op.level, _, op.errno = rest.partition(" ")
                if op.level not in LEVELS:
                    raise TableError(f"unknown level {op.level}")
            elif word == "report":
                first, _, second = rest.partition(";")
                op.report = first.strip()
                if second:
                    counter, _, cond = second.strip().partition(" if ")
                    arg, _, name = cond.partition("&")
                    op.report_if = (counter.strip(), int(arg), name.strip())
            elif word == "declines":
                op.declines = [name.strip() for name in rest.split(",")]
            elif word == "note":
                op.note = rest
            elif word == "nr":
                op.kernels.append(kernel_row(rest, len(op.args)))
            elif word in ("sym", "symerr"):
                op.symbols.append(symbol_row(rest, len(op.args), word == "symerr"))
            elif word == "also":
                base = op.symbols[-1]
                for name in rest.split():
                    op.symbols.append(Symbol(name, base.returns, base.params, base.variadic,
                                             base.lowering, base.guard, base.error_number))
            else:
                raise TableError(f"unknown word {word}")
        except (TableError, ValueError, TypeError, IndexError, KeyError) as error:
            sys.exit(f"{path.name}:{number}: {error}")
    check(path, operations, passes)
    return operations, passes


def check(path, operations, passes):
    """What no single line can know: names, numbers and counters are used once."""
    def fail(op, text):
        sys.exit(f"{path.name}:{op.line}: {op.name}: {text}")

    names, symbols, numbers = set(), set(), set()
    for op in operations:
        if op.name in names:
            fail(op, "said twice")
        names.add(op.name)
        if not op.level:
            fail(op, "no level")
        if op.level == "pass" and not op.note and not op.classes:
            fail(op, "passes without a note that says why")
        if op.report and op.report not in COUNTERS:
            fail(op, f"unknown counter {op.report}")
        for sym in op.symbols:
            if sym.name in symbols:
                fail(op, f"symbol {sym.name} said twice")
            symbols.add(sym.name)
    for kernel in [k for op in operations for k in op.kernels] + passes:
        for key in kernel.numbers.items():
            if key in numbers:
                sys.exit(f"{path.name}: number {key} ({kernel.name}) said twice")
            numbers.add(key)


@dataclass
class Variable:
    """One environment variable."""
    name: str
    kind: str
    default: str
    meaning: str
    group: str


def read_abi():
    """abi.map: the public functions of each version, in its order."""
    versions, names = {}, None
    for line in (HERE / "abi.map").read_text(encoding="utf-8").splitlines():
        if line.startswith("\t"):
            names.append(line.strip())
        elif line.strip() and not line.startswith("#"):
            names = versions.setdefault(line.strip(), [])
    return versions


def read_environment(path=HERE / "environment.tbl"):
    """Returns the variables in the order of the table."""
    out, group = [], ""
    for number, raw in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not raw.strip() or raw.startswith("#"):
            continue
        if raw.startswith("["):
            group = raw.strip("[] \t")
            continue
        if raw[0].isspace():
            if not out:
                sys.exit(f"{path.name}:{number}: a meaning without a variable")
            out[-1].meaning = (out[-1].meaning + " " + raw.strip()).strip()
            continue
        words = raw.split(None, 2)
        if len(words) != 3:
            sys.exit(f"{path.name}:{number}: NAME TYPE DEFAULT wanted")
        out.append(Variable(words[0], words[1], words[2], "", group))
    return out
