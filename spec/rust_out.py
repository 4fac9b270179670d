"""Writes ops.rs: operation numbers, names, report counters and the dispatch match."""

HEAD = """\
// Made by spec/generate.py from spec/calls.tbl. Do not edit.

use crate::process::Process;
use crate::{Op, Reject};

/// The number of a general operation: what every libc symbol and kernel call of the catalogue
/// lowers to. The same numbers are in the C entry's ops.h.
pub type OpId = i32;

"""


def ops(operations):
    """The text of ops.rs."""
    out = [HEAD]
    for number, op in enumerate(operations):
        out.append(f"/// `{op.name}({', '.join(op.args)})`" + (f": {op.note}" if op.note else "") + "\n")
        out.append(f"pub const {op.ident}: OpId = {number};\n")
    out.append(f"\n/// How many operations there are.\npub const OP_COUNT: usize = {len(operations)};\n\n")
    out.append("/// The name of each operation, in the order of its number.\npub const NAMES: [&str; OP_COUNT] = [\n")
    out += [f"    \"{op.name}\",\n" for op in operations]
    out.append("];\n\n")
    out.append(NAME)
    out += callers(operations)
    out += declines(operations)
    out += places(operations)
    out += counters(operations)
    out += dispatch(operations)
    return "".join(out)


NAME = """\
/// The name of an operation, or `"?"`.
pub fn name(op: OpId) -> &'static str {
    usize::try_from(op).ok().and_then(|n| NAMES.get(n)).copied().unwrap_or("?")
}

"""


CALLERS = """\
/// Who made a call, as the entry layer says it (c/pil.h): [`EXPORT`] and the number of an exported
/// symbol, or a kernel call's number. An index into the names of all, or `None`.
pub fn caller(by: u32) -> Option<usize> {
    if by & EXPORT != 0 {
        return Some((by & !EXPORT) as usize).filter(|n| *n < SYMBOL_COUNT);
    }
    let found = KERNEL_CALLS.binary_search_by_key(&by, |(number, _)| *number);
    found.ok().map(|n| SYMBOL_COUNT + n)
}

/// The name of a caller: a symbol of libc, or `SYS_` and a kernel call.
pub fn caller_name(index: usize) -> &'static str {
    match index.checked_sub(SYMBOL_COUNT) {
        None => SYMBOLS[index],
        Some(n) => KERNEL_CALLS.get(n).map_or("?", |(_, name)| *name),
    }
}

"""


def quoted(text):
    """A string of Rust."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def callers(operations):
    """The names of everything through which a call can come, in the numbering of ops.h."""
    symbols = [s.name for op in operations for s in op.symbols]
    out = ["/// Marks the number of a symbol.\npub const EXPORT: u32 = 1 << 31;\n\n"
           f"/// How many functions are exported.\npub const SYMBOL_COUNT: usize = {len(symbols)};\n\n"
           "/// The exported functions.\npub const SYMBOLS: [&str; SYMBOL_COUNT] = [\n"]
    out += [f'    "{name}",\n' for name in symbols]
    out.append("];\n\n/// The operation of each of them.\npub const SYMBOL_OPS: [OpId; SYMBOL_COUNT] = [\n")
    out += [f"    {op.ident},\n" for op in operations for _ in op.symbols]
    out.append("];\n\n/// What users should know of each operation, or nothing.\npub const NOTES: [&str; OP_COUNT] = [\n")
    out += [f"    {quoted(op.note)},\n" for op in operations]
    out.append("];\n\n/// Whether DFS lacks something that some calls of an operation want.\npub const LACKING: [bool; OP_COUNT] = [\n")
    out += [f"    {str(op.level == 'errno' or bool(op.declines)).lower()},\n" for op in operations]
    out.append("];\n\n")
    kernels = [k for op in operations if op.level != "pass" for k in op.kernels]
    for arch in ("x86_64", "aarch64"):
        rows = sorted((k.numbers[arch], k.name) for k in kernels if arch in k.numbers)
        out.append(f'/// Kernel calls by number.\n#[cfg(target_arch = "{arch}")]\n'
                   f"pub const KERNEL_CALLS: [(u32, &str); {len(rows)}] = [\n")
        out += [f'    ({number}, "SYS_{name}"),\n' for number, name in rows]
        out.append("];\n\n")
    out.append("/// Symbols and kernel calls together.\npub const CALLER_COUNT: usize = SYMBOL_COUNT + KERNEL_CALLS.len();\n\n")
    out.append(CALLERS)
    return out


def declines(operations):
    """Whether an error means that DFS has no such thing."""
    out = ["/// Whether this error of this operation means that DFS has no such thing.\n"
           "pub fn declines(op: OpId, errno: i32) -> bool {\n    match op {\n"]
    for op in operations:
        names = [op.errno] if op.level == "errno" else op.declines
        if names:
            out.append(f"        {op.ident} => [{', '.join('libc::' + name for name in names)}].contains(&errno),\n")
    out.append("        _ => false,\n    }\n}\n\n")
    return out


def places(operations):
    """What a call is about."""
    out = ["/// Which arguments say what a call is about: the descriptor (or the directory's), and the paths; -1: none.\n"
           "pub struct Places {\n    pub fd: i8,\n    pub paths: [i8; 2],\n}\n\n"
           "/// Of each operation.\npub const PLACES: [Places; OP_COUNT] = [\n"]
    for op in operations:
        fd, paths = op.places()
        first, second = (paths + [-1, -1])[:2]
        out.append(f"    Places {{ fd: {fd}, paths: [{first}, {second}] }},\n")
    out.append("];\n\n")
    return out


def counters(operations):
    """The functions that pick the D_IL_REPORT row of an operation and of one call of it."""
    out = ["/// The `D_IL_REPORT` row of an operation, if any.\npub fn report(op: OpId) -> Option<&'static str> {\n    match op {\n"]
    out += [f"        {op.ident} => Some(\"{op.report}\"),\n" for op in operations if op.report]
    out.append("        _ => None,\n    }\n}\n\n")
    out.append("/// The row of one call: some operations count by their flags.\n"
               "pub fn report_call(op: OpId, a: &[i64; 6]) -> Option<&'static str> {\n    match op {\n")
    for op in operations:
        if op.report_if:
            counter, arg, const = op.report_if
            out.append(f"        {op.ident} if a[{arg}] & i64::from(libc::{const}) != 0 => Some(\"{counter}\"),\n")
    out.append("        _ => report(op),\n    }\n}\n\n")
    return out


def dispatch(operations):
    """The match from an operation to its function."""
    out = ["/// Serves one call: a function of `crate::ops`, the errno of its row, or `NotOurs`.\n"
           "#[inline(always)] // one frame less above every DAOS call\n"
           "pub fn dispatch(process: &'static Process, op: OpId, a: [i64; 6]) -> Op<i64> {\n    match op {\n"]
    for op in operations:
        if op.in_rust:
            out.append(f"        {op.ident} => crate::ops::{op.ident}(process, a),\n")
    for op in operations:
        if op.level == "errno":
            out.append(errno_arm(op))
    out.append("        _ => Err(Reject::NotOurs),\n    }\n}\n")
    return out


def errno_arm(op):
    """A row without an operation of its own: its errno, when the call is ours.

    A descriptor was already recognised by the filter; a path still has to be resolved.
    """
    value = f"crate::Errno(libc::{op.errno})"
    places = []
    for word, numbers, _ in op.classes:
        if word == "at":
            places.append((f"a[{numbers[0]}]", f"a[{numbers[1]}]"))
        elif word == "path":
            places.append(("i64::from(libc::AT_FDCWD)", f"a[{numbers[0]}]"))
    if not places:
        return f"        {op.ident} => Err(Reject::Errno({value})),\n"
    body = "?;\n            ".join(
        f"crate::ops::refuse(process, {dirfd}, {path}, {value})" for dirfd, path in places[:1])
    if len(places) > 1:
        first, second = places
        body = (f"match crate::ops::refuse(process, {first[0]}, {first[1]}, {value}) {{\n"
                f"            Err(Reject::NotOurs) => crate::ops::refuse(process, {second[0]}, {second[1]}, {value}),\n"
                f"            answer => answer,\n        }}")
    return f"        {op.ident} => {body},\n"
