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
    out += counters(operations)
    out += dispatch(operations)
    return "".join(out)


NAME = """\
/// The name of an operation, or `"?"`.
pub fn name(op: OpId) -> &'static str {
    usize::try_from(op).ok().and_then(|n| NAMES.get(n)).copied().unwrap_or("?")
}

"""


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
