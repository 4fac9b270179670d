"""Writes ops.rs: operation numbers, names, report counters and the dispatch match."""

import catalogue

HEAD = """\
// Made by spec/generate.py from spec/calls.tbl. Do not edit.

use crate::process::Process;
use crate::{Op, Reject};

/// A general operation: what every libc symbol and kernel call of the catalogue lowers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum OpId {
"""


def ops(operations):
    """The text of ops.rs."""
    out = [HEAD]
    for number, op in enumerate(operations):
        out.append(f"    /// `{op.name}({', '.join(op.args)})`" + (f": {op.note}" if op.note else "") + "\n")
        out.append(f"    {op.variant} = {number},\n")
    out.append("}\n\n")
    out.append(f"/// How many operations there are.\npub const OP_COUNT: usize = {len(operations)};\n\n")
    out.append("/// Every operation, in the order of its number.\npub const ALL: [OpId; OP_COUNT] = [\n")
    out += [f"    OpId::{op.variant},\n" for op in operations]
    out.append("];\n\n")
    out.append("/// The name of each operation, in the order of its number.\npub const NAMES: [&str; OP_COUNT] = [\n")
    out += [f"    \"{op.name}\",\n" for op in operations]
    out.append("];\n\n")
    out += counters(operations)
    out += impl(operations)
    out += dispatch(operations)
    return "".join(out)


def counters(operations):
    """The D_IL_REPORT rows and the function that picks one for a call."""
    out = ["/// A row of the `D_IL_REPORT` summary.\n#[derive(Clone, Copy, Debug, PartialEq, Eq)]\n#[repr(usize)]\npub enum Counter {\n"]
    out += [f"    /// `[{name:<7}]`\n    {name.capitalize()},\n" for name in catalogue.COUNTERS]
    out.append("}\n\n/// The names of the rows, in the order the summary prints them.\n")
    out.append(f"pub const COUNTERS: [&str; {len(catalogue.COUNTERS)}] = [\n")
    out += [f"    \"{name}\",\n" for name in catalogue.COUNTERS]
    out.append("];\n\n")
    out.append("/// The row that counts this call, if any.\npub fn counter(op: OpId, a: &[i64; 6]) -> Option<Counter> {\n    match op {\n")
    for op in operations:
        if op.report_if:
            name, arg, const = op.report_if
            out.append(f"        OpId::{op.variant} if a[{arg}] & i64::from(libc::{const}) != 0 => Some(Counter::{name.capitalize()}),\n")
        if op.report:
            out.append(f"        OpId::{op.variant} => Some(Counter::{op.report.capitalize()}),\n")
    out.append("        _ => { let _ = a; None }\n    }\n}\n\n")
    return out


def impl(operations):
    """Conversions of the operation number."""
    del operations
    return ["""impl OpId {
    /// The operation with this number.
    pub fn from_raw(number: i32) -> Option<OpId> {
        ALL.get(usize::try_from(number).ok()?).copied()
    }

    /// Its name in spec/calls.tbl.
    pub fn name(self) -> &'static str {
        NAMES[self as usize]
    }
}

"""]


def dispatch(operations):
    """The match from an operation to its function."""
    out = ["/// Serves one call: a function of `crate::ops`, the errno of its row, or `NotOurs`.\n"
           "pub fn dispatch(process: &'static Process, op: OpId, a: [i64; 6]) -> Op<i64> {\n    match op {\n"]
    for op in operations:
        if op.in_rust:
            out.append(f"        OpId::{op.variant} => crate::ops::{op.ident}(process, a),\n")
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
        return f"        OpId::{op.variant} => Err(Reject::Errno({value})),\n"
    body = "?;\n            ".join(
        f"crate::ops::refuse(process, {dirfd}, {path}, {value})" for dirfd, path in places[:1])
    if len(places) > 1:
        first, second = places
        body = (f"match crate::ops::refuse(process, {first[0]}, {first[1]}, {value}) {{\n"
                f"            Err(Reject::NotOurs) => crate::ops::refuse(process, {second[0]}, {second[1]}, {value}),\n"
                f"            answer => answer,\n        }}")
    return f"        OpId::{op.variant} => {body},\n"
