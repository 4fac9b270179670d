"""Writes the tables of the README and the manual page pil4dfs(7)."""

import re
import sys
from pathlib import Path

README = Path(__file__).resolve().parent.parent / "README.md"


def short(sym_names):
    """`open open64 __open` -> `open`: the public spellings only, each once."""
    out = []
    for name in sym_names:
        if name.startswith("_") or name.endswith("64") or re.search(r"64v2$", name):
            continue
        if name not in out:
            out.append(name)
    return out


def calls_table(operations):
    """One row for every operation that is served or refused."""
    rows = ["| call | and these, which come down to it | served | remark |", "|---|---|---|---|"]
    for op in operations:
        if op.level == "pass":
            continue
        names = short([k.name for k in op.kernels] + [s.name for s in op.symbols])
        others = ", ".join(n for n in names if n != op.name)
        level = {"full": "yes", "partial": "in part", "errno": op.errno}[op.level]
        rows.append(f"| {op.name} | {others} | {level} | {op.note} |")
    passed = [op for op in operations if op.level == "pass" and op.note]
    rows.append("")
    rows.append("Everything else in libc - stdio, directory streams, ftw, glob, realpath, temporary files, spawning, "
                "loading libraries - makes these calls and works through them. Left to the kernel on purpose:")
    rows.append("")
    rows += [f"- {op.name}: {op.note}" for op in passed]
    return "\n".join(rows)


def environment_table(variables):
    """One row for every variable a user may set."""
    rows = ["| variable | value | default | meaning |", "|---|---|---|---|"]
    for v in variables:
        if v.group.startswith("Between"):
            continue
        kind = v.kind.replace("|", " or ")
        default = "" if v.default == "-" else v.default
        rows.append(f"| `{v.name}` | {kind} | {default} | {v.meaning} |")
    return "\n".join(rows)


def fill(text, mark, body):
    """Replaces what stands between the two comments of `mark`."""
    pattern = re.compile(rf"(<!-- {mark}:[^\n]*-->\n).*?(<!-- /{mark} -->)", re.S)
    return pattern.sub(lambda m: m[1] + "\n" + body + "\n\n" + m[2], text)


def run(operations, variables, check):
    """Fills the README, or with `check` tells whether it is current."""
    if not README.exists():
        print("README.md: not there", file=sys.stderr)
        return 1
    old = README.read_text(encoding="utf-8")
    new = fill(old, "calls", calls_table(operations))
    new = fill(new, "environment", environment_table(variables))
    if old == new:
        return 0
    if check:
        print("README.md: run spec/generate.py docs", file=sys.stderr)
        return 1
    README.write_text(new, encoding="utf-8")
    return 0


def escape(text):
    """Text for troff."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "\\&" + text if text[:1] in (".", "'") else text


def manual(operations, variables, version):
    """The page pil4dfs(7)."""
    out = [f'.TH PIL4DFS 7 "" "daos-pil4dfs {version}" "daos-pil4dfs"\n',
           ".SH NAME\nlibpil4dfs \\- file calls below a DAOS mount, served in user space\n",
           ".SH SYNOPSIS\n.nf\nexport D_IL_POOL=pool D_IL_CONTAINER=cont D_IL_MOUNT_POINT=/dfs\n"
           "LD_PRELOAD=libpil4dfs.so.0 program\ncc program.c \\-lpil4dfs\n.fi\n",
           ".SH DESCRIPTION\nEvery file call that an unmodified program makes below a DAOS mount is served through libdfs, "
           "without entering the kernel. Calls on other files are left to the kernel.\n",
           ".SH ENVIRONMENT\n"]
    group = None
    for v in variables:
        if v.group != group:
            group = v.group
            out.append(f".SS {escape(group)}\n")
        default = "" if v.default == "-" else f" (default {escape(v.default)})"
        out.append(f".TP\n.B {v.name}\n.I {escape(v.kind)}{default}\n.br\n{escape(v.meaning)}\n")
    out.append(".SH CALLS\n")
    for op in operations:
        if op.level == "pass":
            continue
        level = {"full": "", "partial": " (in part)", "errno": f" (answers {op.errno})"}[op.level]
        names = short([k.name for k in op.kernels] + [s.name for s in op.symbols])
        others = ", ".join(n for n in names if n != op.name)
        out.append(f".TP\n.BR {escape(op.name)} {level and chr(34) + level + chr(34)}\n")
        out.append(escape(f"{others}. {op.note}".strip(". ") or op.name) + "\n")
    out.append(".SH SEE ALSO\n.BR pil4dfs (1),\n.BR dfuse (8)\n")
    return "".join(out)
