//! The first line of a script, read as the kernel reads it: `#!`, blanks, the interpreter, and
//! everything else up to the line's end as one optional argument.
use crate::Errno;
use std::ffi::CString;

/// How much of a program the kernel looks at; of a line that is longer it keeps all but the last byte.
pub const HEAD: usize = 256;

/// Programs in a chain of interpreters, the last one no script: more are `ELOOP`.
pub const NESTED: usize = 6;

/// What runs a program.
#[derive(PartialEq, Debug)]
pub enum Format {
    /// The kernel: ELF and whatever else it knows.
    Binary,
    /// A script's interpreter and its argument.
    Script(CString, Option<CString>),
}

/// Looks at the first [`HEAD`] bytes. `ENOEXEC` for an empty file, a line without interpreter, or
/// an interpreter whose name is cut.
pub fn format(head: &[u8]) -> Result<Format, Errno> {
    let head = &head[..head.len().min(HEAD)];
    if head.is_empty() {
        return Err(Errno::ENOEXEC);
    }
    let Some(rest) = head.strip_prefix(b"#!") else {
        return Ok(Format::Binary);
    };
    let end = rest.iter().position(|b| matches!(b, b'\n' | 0));
    let most = rest.len().min(HEAD - 3);
    let line = trim(&rest[..end.unwrap_or(most)]);
    let split = line.iter().position(|b| is_blank(*b));
    let cut = end.is_none() && head.len() == HEAD && split.is_none();
    if line.is_empty() || cut {
        return Err(Errno::ENOEXEC);
    }
    let (interpreter, argument) = line.split_at(split.unwrap_or(line.len()));
    let argument = trim(argument);
    let text = |bytes: &[u8]| CString::new(bytes).map_err(|_| Errno::ENOEXEC);
    let argument = match argument.is_empty() {
        true => None,
        false => Some(text(argument)?),
    };
    Ok(Format::Script(text(interpreter)?, argument))
}

fn is_blank(b: u8) -> bool {
    matches!(b, b' ' | b'\t')
}

fn trim(mut s: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = s {
        if !is_blank(*first) {
            break;
        }
        s = rest;
    }
    while let [rest @ .., last] = s {
        if !is_blank(*last) {
            break;
        }
        s = rest;
    }
    s
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(interpreter: &str, argument: Option<&str>) -> Result<Format, Errno> {
        let text = |s: &str| CString::new(s).unwrap();
        Ok(Format::Script(text(interpreter), argument.map(text)))
    }

    #[test]
    fn lines_are_read_as_the_kernel_does() {
        assert_eq!(format(b"#!/bin/sh\n"), script("/bin/sh", None));
        assert_eq!(
            format(b"#! \t/bin/sh -e -x \necho"),
            script("/bin/sh", Some("-e -x"))
        );
        assert_eq!(
            format(b"#!/usr/bin/env python3"),
            script("/usr/bin/env", Some("python3"))
        );
        assert_eq!(format(b"\x7fELF"), Ok(Format::Binary));
        assert_eq!(format(b"echo hi\n"), Ok(Format::Binary));
        for bad in [&b""[..], b"#!", b"#!\n", b"#!   \n"] {
            assert_eq!(format(bad), Err(Errno::ENOEXEC));
        }
        let mut long = b"#!/".to_vec();
        long.resize(400, b'x');
        assert_eq!(format(&long), Err(Errno::ENOEXEC));
        long[7] = b' ';
        let argument = "x".repeat(255 - 8);
        assert_eq!(format(&long), script("/xxxx", Some(&argument)));
    }
}
