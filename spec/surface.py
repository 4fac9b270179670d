"""The surface of libc, as the headers and libraries of this machine know it, held against the tables.

A symbol has an opinion when it is exported by us, when it is libc's name of a kernel call that has a
row, when surface.tbl names it, or when its prototype carries neither a path nor a descriptor nor a
stream. Prototypes are read from the preprocessed headers, so that no list of them has to be kept.
"""

import fnmatch
import glob
import os
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
LIBRARIES = ("libc.so.6", "libpthread.so.0", "librt.so.1", "libdl.so.2", "libutil.so.1", "libanl.so.1",
             "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1")
# These do not preprocess, or are for one of glibc's own libraries.
STRANGE = ("features.h", "regexp.h", "thread_db.h", "sys/elf.h", "sys/vm86.h")


@dataclass
class Opinion:
    """One entry of surface.tbl."""
    kind: str           # sites, pass, or none: of no interest, and without a prototype
    rows: list          # of sites: the operations libc's code comes down to
    note: str = ""
    patterns: list = field(default_factory=list)


@dataclass
class Surface:
    """surface.tbl."""
    text: set = field(default_factory=set)
    types: set = field(default_factory=set)
    streams: set = field(default_factory=set)
    fds: str = "$^"
    opinions: list = field(default_factory=list)


def read(path=HERE / "surface.tbl"):
    """Parses the table; a line it does not know is an error."""
    surface = Surface()
    for number, raw in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        word, _, rest = raw.strip().partition(" ")
        rest = rest.strip()
        if not word or word.startswith("#"):
            continue
        if word == "text":
            surface.text.update(rest.split())
        elif word == "type":
            surface.types.update(rest.split())
        elif word == "fd":
            surface.fds = rest
        elif word == "stream":
            names, _, rows = rest.partition(":")
            surface.streams.update(names.split())
            surface.opinions.append(Opinion("sites", rows.split(), "Streams."))
        elif word == "sites":
            surface.opinions.append(Opinion("sites", rest.split()))
        elif word in ("pass", "none"):
            surface.opinions.append(Opinion(word, [], rest))
        elif word == "note" and surface.opinions:
            surface.opinions[-1].note = rest
        elif word == "sym" and surface.opinions:
            surface.opinions[-1].patterns += rest.split()
        else:
            raise SystemExit(f"{path.name}:{number}: unknown word {word}")
    return surface


def headers():
    """The public headers of glibc: those that say so."""
    roots = ["/usr/include", *glob.glob("/usr/include/*-linux-gnu*")]
    found = set()
    for root in roots:
        for name in glob.glob(root + "/*.h") + glob.glob(root + "/*/*.h"):
            short = os.path.relpath(name, root)
            if short.startswith(("bits/", "gnu/", "scsi/", "..")) or short in STRANGE:
                continue
            with open(name, encoding="utf-8", errors="replace") as file:
                if "part of the GNU C Library" in file.read(2000):
                    found.add(short)
    return sorted(found)


def prototypes(compiler="gcc"):
    """Symbol -> list of parameters, from one preprocessed unit; assembler names are followed."""
    unit = "".join(f"#include <{name}>\n" for name in headers())
    flags = ["-E", "-P", "-O1", "-D_GNU_SOURCE", "-D_FORTIFY_SOURCE=2", "-x", "c", "-"]
    done = subprocess.run([compiler, *flags], input=unit, text=True, capture_output=True, check=False)
    body = done.stdout
    while True:  # inline functions and structures away, from the innermost
        less = re.sub(r"\{[^{}]*\}", ";", body)
        if less == body:
            break
        body = less
    found = {}
    for text in body.split(";"):
        text = " ".join(text.split())
        nested = r"(?:[^()]|\((?:[^()]|\([^()]*\))*\))*"
        text = re.sub(rf"__attribute__ ?\(\({nested}\)\)|__extension__|__restrict|__inline", "", text)
        head = re.match(r"(?:extern )?([\w* ]+?[ *])\(?(\w+)\)? ?\((.*)$", text)
        if not head or "typedef" in text:
            continue
        inside, after = balanced(head[3])
        label = re.search(r'__asm__ ?\((?: ?"")* ?"(\w+)"', after)
        found.setdefault(label[1] if label else head[2], [" ".join(p.split()) for p in commas(inside)])
    return found


def balanced(text):
    """Splits at the parenthesis that closes an opened one."""
    depth = 1
    for at, char in enumerate(text):
        depth += (char == "(") - (char == ")")
        if depth == 0:
            return text[:at], text[at:]
    return text, ""


def commas(text):
    """Splits at commas outside of parentheses."""
    out, depth = [""], 0
    for char in text:
        depth += (char == "(") - (char == ")")
        if char == "," and depth == 0:
            out.append("")
        else:
            out[-1] += char
    return out


def carriers(surface, params):
    """The parameters that make a prototype one about files; "stream" for one about streams."""
    out = []
    for param in params:
        words = set(re.findall(r"\w+", param))
        name = re.search(r"(\w+)(?:\[\w*\])?$", param)
        name = name[1] if name else ""
        if words & surface.streams:
            return ["stream"]
        if words & surface.types:
            out.append(param)
        elif "char" in words and re.search(r"char (?:const ?)?[*\[]|char \w+\[", param) and name not in surface.text:
            out.append(param)
        elif "int" in words and re.fullmatch(rf"_*(?:{surface.fds})", name):
            out.append(param)
    return out


def symbols():
    """Name -> set of (library, address, version) of the public functions of libc and its kin."""
    out = {}
    for directory in ("/lib/x86_64-linux-gnu", "/lib/aarch64-linux-gnu", "/lib64"):
        for library in LIBRARIES:
            path = os.path.join(directory, library)
            if not os.path.exists(path):
                continue
            done = subprocess.run(["nm", "-D", "--defined-only", path], text=True, capture_output=True, check=False)
            for line in done.stdout.splitlines():
                address, kind, name = line.split()[:3]
                base, _, version = name.partition("@")
                version = version.lstrip("@")
                if kind in "TWi" and version != "GLIBC_PRIVATE":
                    out.setdefault(base, set()).add((library, address))
    return out


def judge(operations, passes, surface, known, found):
    """(symbol -> why it needs no row of its own, complaints)."""
    ours = {s.name for op in operations for s in op.symbols} | {"syscall", "vfork", "dlopen"}
    calls = {k.name for op in operations for k in op.kernels} | {k.name for k in passes}
    by_address = {}
    for name, places in found.items():
        for place in places:
            by_address.setdefault(place, set()).add(name)

    def plain(name):
        return re.sub(r"^__(?=\w)|(?<=\w)64$", "", name)

    def opinion(name):
        if name in ours:
            return "row"
        if name in calls or plain(name) in calls:
            return "kernel call"
        for entry in surface.opinions:
            if entry.kind == "none" and name in known:
                continue  # such patterns are wide; a prototype says more
            if any(fnmatch.fnmatchcase(name, pattern) for pattern in entry.patterns):
                return entry.kind
        if name not in known:
            return None
        carried = carriers(surface, known[name])
        return "stream" if carried == ["stream"] else None if carried else "none"

    verdicts, complaints = {}, []
    for name, places in sorted(found.items()):
        verdict = opinion(name)
        if verdict is None and name not in known:  # another name of a symbol with an opinion?
            twins = set().union(*(by_address[place] for place in places)) - {name}
            verdict = next(("alias" for twin in sorted(twins) if opinion(twin)), None)
        if verdict:
            verdicts[name] = verdict
        elif name in known:
            complaints.append(f"{name}({', '.join(known[name])}): no row, no word in surface.tbl")
        else:
            complaints.append(f"{name}: no prototype, no word in surface.tbl")
    rows = {op.name for op in operations}
    for entry in surface.opinions:
        complaints += [f"surface.tbl: sites {row}: no such operation" for row in entry.rows if row not in rows]
        if not entry.note and entry.kind != "sites":
            complaints.append(f"surface.tbl: pass without a reason: {entry.patterns[:3]}")
    return verdicts, complaints


def run():
    """Judges this machine; prints a line for each complaint and a summary."""
    import catalogue
    operations, passes = catalogue.read_calls()
    verdicts, complaints = judge(operations, passes, read(), prototypes(), symbols())
    for line in complaints:
        print(line)
    counts = {}
    for verdict in verdicts.values():
        counts[verdict] = counts.get(verdict, 0) + 1
    print(", ".join(f"{count} {verdict}" for verdict, count in sorted(counts.items())) + f", {len(complaints)} without")
    return 1 if complaints or len(verdicts) < 1000 else 0
