//! What the dynamic loader reads of an ELF file to find its libraries: the names it needs and where
//! it says they are. 64-bit files of this machine's byte order; anything else needs nothing.
use crate::Errno;

/// Reads bytes at an offset, fewer at the end of the file.
pub type Read<'a> = &'a dyn Fn(&mut [u8], u64) -> Result<usize, Errno>;

const DT_NEEDED: u64 = 1;
const DT_STRTAB: u64 = 5;
const DT_STRSZ: u64 = 10;
const DT_RPATH: u64 = 15;
const DT_RUNPATH: u64 = 29;
const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
/// Larger tables are not read: nobody has them.
const MAX_HEADERS: usize = 64 << 10;
const MAX_DYNAMIC: u64 = 1 << 20;
const MAX_STRINGS: u64 = 16 << 20;

/// The libraries of one ELF file.
#[derive(Default, PartialEq, Debug)]
pub struct Libraries {
    /// `DT_NEEDED`, in order.
    pub needed: Vec<Vec<u8>>,
    /// `DT_RPATH`, colon-separated.
    pub rpath: Vec<u8>,
    /// `DT_RUNPATH`, colon-separated.
    pub runpath: Vec<u8>,
}

/// Reads them; `None` for a static program or no ELF file.
pub fn libraries(read: Read) -> Option<Libraries> {
    let header = bytes(read, 0, 64)?;
    if header[..6] != *b"\x7fELF\x02\x01" {
        return None;
    }
    let (at, size) = (word(&header, 32, 8)?, word(&header, 54, 2)?);
    let count = word(&header, 56, 2)?;
    let table = bytes(read, at, (size * count) as usize)?;
    if size < 56 || table.len() > MAX_HEADERS {
        return None;
    }
    let segments: Vec<_> = table.chunks_exact(size as usize).collect();
    let kind = |s: &[u8], want: u32| word(s, 0, 4) == Some(want.into());
    let dynamic = segments.iter().find(|s| kind(s, PT_DYNAMIC))?;
    let len = word(dynamic, 32, 8)?.min(MAX_DYNAMIC);
    let entries = bytes(read, word(dynamic, 8, 8)?, len as usize)?;
    let tags = |want: u64| {
        let entries = entries.chunks_exact(16).map_while(move |e| {
            let tag = word(e, 0, 8)?;
            (tag != 0).then_some((tag, word(e, 8, 8)?))
        });
        entries.filter(move |e| e.0 == want).map(|e| e.1)
    };
    let address = tags(DT_STRTAB).next()?;
    let loaded = segments.iter().filter(|s| kind(s, PT_LOAD));
    let offset = loaded.into_iter().find_map(|s| {
        let within = address.checked_sub(word(s, 16, 8)?)?;
        (within < word(s, 32, 8)?).then_some(word(s, 8, 8)? + within)
    })?;
    let size = tags(DT_STRSZ).next()?.min(MAX_STRINGS);
    let strings = bytes(read, offset, size as usize)?;
    let text = |at: u64| {
        let rest = strings.get(at as usize..).unwrap_or(b"");
        rest.split(|b| *b == 0).next().unwrap_or(b"").to_vec()
    };
    Some(Libraries {
        needed: tags(DT_NEEDED).map(text).collect(),
        rpath: tags(DT_RPATH).next().map_or(Vec::new(), text),
        runpath: tags(DT_RUNPATH).next().map_or(Vec::new(), text),
    })
}

fn bytes(read: Read, at: u64, len: usize) -> Option<Vec<u8>> {
    let mut buf = vec![0; len];
    let n = read(&mut buf, at).ok()?;
    (n == len).then_some(buf)
}

fn word(bytes: &[u8], at: usize, len: usize) -> Option<u64> {
    let part = bytes.get(at..at + len)?;
    Some(part.iter().rev().fold(0, |n, b| n << 8 | u64::from(*b)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_bytes(all: &[u8]) -> Option<Libraries> {
        libraries(&|buf, at| {
            let rest = all.get(at as usize..).unwrap_or(b"");
            let n = rest.len().min(buf.len());
            buf[..n].copy_from_slice(&rest[..n]);
            Ok(n)
        })
    }

    #[test]
    fn this_very_program_needs_libc() {
        let me = std::fs::read("/proc/self/exe").unwrap();
        let found = of_bytes(&me).unwrap();
        assert!(found.needed.iter().any(|n| n == b"libc.so.6"));
    }

    #[test]
    fn damaged_files_need_nothing() {
        assert_eq!(of_bytes(b"#!/bin/sh\n"), None);
        let me = std::fs::read("/bin/sh").unwrap();
        assert_eq!(of_bytes(&me[..100]), None);
        for at in 0..64 {
            let mut bad = me.clone();
            bad[at] = 0xff;
            let _ = of_bytes(&bad);
        }
    }
}
