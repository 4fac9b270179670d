"""Writes the tables of the README and the manual pages libpil4dfs(7) and pil4dfs-functions(7)."""

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


def manual(variables, version):
    """The page libpil4dfs(7)."""
    out = [f'.TH LIBPIL4DFS 7 "" "daos-pil4dfs {version}" "daos-pil4dfs"\n',
           ".SH NAME\nlibpil4dfs \\- file calls below a DAOS mount, served in user space\n",
           ".SH SYNOPSIS\n.nf\nexport D_IL_POOL=pool D_IL_CONTAINER=cont D_IL_MOUNT_POINT=/dfs\n"
           "LD_PRELOAD=libpil4dfs.so.0 program\ncc program.c \\-lpil4dfs\n.fi\n",
           ".SH DESCRIPTION\nEvery file call that an unmodified program makes below a DAOS mount is served through libdfs, "
           "without entering the kernel. Calls on other files are left to the kernel.\n.PP\n"
           "Mounts are those of dfuse (type fuse.daos in the table of mounts), and the one that the variables below name. "
           "DAOS is loaded and started by the first call on a mount, never before.\n.PP\n"
           ".BR pil4dfs\\-functions (7)\nsays for every function whether it is served, and how far.\n",
           ".SH ENVIRONMENT\n"]
    group = None
    for v in variables:
        if v.group != group:
            group = v.group
            out.append(f".SS {escape(group)}\n")
        default = "" if v.default == "-" else f" (default {escape(v.default)})"
        out.append(f".TP\n.B {v.name}\n.I {escape(v.kind)}{default}\n.br\n{escape(v.meaning)}\n")
    out.append(".SH SEE ALSO\n.BR pil4dfs (1),\n.BR pil4dfs\\-functions (7),\n.BR pil4dfs.conf (5),\n.BR pil4dfs\\-dfuse (1)\n")
    return "".join(out)


LEVELS = {
    "full": "Served.", "partial": "Served in part.", "errno": "Not served.", "pass": "The kernel's.",
}


def functions(operations, version):
    """The page pil4dfs-functions(7)."""
    out = [f'.TH PIL4DFS-FUNCTIONS 7 "" "daos-pil4dfs {version}" "daos-pil4dfs"\n',
           ".SH NAME\npil4dfs-functions \\- what of libc and of the kernel libpil4dfs serves\n",
           ".SH DESCRIPTION\nEach entry is a call of the kernel in its most general form, with the functions of libc and the "
           "other kernel calls that come down to it. All else in libc that deals with files - stdio, directory streams, ftw, "
           "glob, realpath, temporary files, spawning - makes these calls and works through them.\n.PP\n"
           "An error that stands behind \\(lqDeclined\\(rq is given because DFS has no such thing; reports count it apart.\n",
           ".SH CALLS\n"]
    for op in operations:
        if op.level == "pass" and not op.note:
            continue
        names = short([k.name for k in op.kernels] + [s.name for s in op.symbols])
        others = ", ".join(n for n in names if n != op.name)
        declined = [op.errno] if op.level == "errno" else op.declines
        text = [LEVELS[op.level]]
        text += [f"Declined: {', '.join(declined)}."] if declined else []
        text += [op.note] if op.note else []
        out.append(f".TP\n.B {escape(op.name)}\n")
        out.append((f".I {escape(others)}\n.br\n" if others else "") + escape(" ".join(text)) + "\n")
    out.append(".SH SEE ALSO\n.BR libpil4dfs (7),\n.BR pil4dfs (1)\n")
    return "".join(out)
