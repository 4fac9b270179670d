//! What kind of program a command is: whether the library reaches it by LD_PRELOAD.
use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// How a program can be served.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// The library is loaded into it, or nobody can tell.
    Loads,
    /// It has no loader.
    Static,
    /// It makes its system calls itself.
    Go,
    /// It runs with other rights than its caller's: the loader does not preload.
    SetId,
}

/// The kind of what a shell would start for this word. Interpreters of `#!` are followed.
pub fn kind(word: &OsStr) -> Kind {
    found(word).map_or(Kind::Loads, |path| of_file(&path, 4))
}

fn found(word: &OsStr) -> Option<PathBuf> {
    if word.as_bytes().contains(&b'/') {
        return Some(word.into());
    }
    let path = std::env::var_os("PATH")?;
    let executable = |p: &PathBuf| {
        p.metadata()
            .is_ok_and(|m| m.is_file() && m.mode() & 0o111 != 0)
    };
    std::env::split_paths(&path)
        .map(|dir| dir.join(word))
        .find(executable)
}

fn of_file(path: &Path, depth: u32) -> Kind {
    let mut head = Vec::new();
    let Ok(file) = File::open(path) else {
        return Kind::Loads; // execve will say why
    };
    if file.metadata().is_ok_and(|m| changes_identity(&m)) {
        return Kind::SetId;
    }
    // Program headers and notes stand at the beginning.
    let _ = file.take(64 << 10).read_to_end(&mut head);
    match head.strip_prefix(b"#!") {
        Some(line) if depth > 0 => {
            let mut words = line.split(|&b| b == b'\n').next().unwrap_or_default();
            words = words.trim_ascii_start();
            let end = words.iter().position(|b| b.is_ascii_whitespace());
            let interpreter = words[..end.unwrap_or(words.len())].to_vec();
            let path = PathBuf::from(std::ffi::OsString::from_vec(interpreter));
            of_file(&path, depth - 1)
        }
        Some(_) => Kind::Loads,
        None => of_elf(&head),
    }
}

/// Set-user-ID and set-group-ID, where they change something.
fn changes_identity(meta: &std::fs::Metadata) -> bool {
    // SAFETY: both cannot fail.
    let (uid, gid) = unsafe { (libc::geteuid(), libc::getegid()) };
    let sets_gid = libc::S_ISGID | libc::S_IXGRP;
    (meta.mode() & libc::S_ISUID != 0 && meta.uid() != uid)
        || (meta.mode() & sets_gid == sets_gid && meta.gid() != gid)
}

const PT_INTERP: u32 = 3;
const PT_NOTE: u32 = 4;

/// From the beginning of an ELF file of 64 bits in this machine's byte order.
fn of_elf(head: &[u8]) -> Kind {
    if !head.starts_with(b"\x7fELF\x02") {
        return Kind::Loads;
    }
    let u64_at = |at: usize| Some(u64::from_ne_bytes(head.get(at..at + 8)?.try_into().ok()?));
    let u32_at = |at: usize| Some(u32::from_ne_bytes(head.get(at..at + 4)?.try_into().ok()?));
    let u16_at = |at: usize| Some(u16::from_ne_bytes(head.get(at..at + 2)?.try_into().ok()?));
    let (Some(start), Some(size), Some(count)) = (u64_at(32), u16_at(54), u16_at(56)) else {
        return Kind::Loads;
    };
    let mut interpreted = false;
    for i in 0..usize::from(count) {
        let at = start as usize + i * usize::from(size);
        match u32_at(at) {
            None => return Kind::Loads, // headers elsewhere: nobody can tell
            Some(PT_INTERP) => interpreted = true,
            Some(PT_NOTE) => {
                let (Some(from), Some(len)) = (u64_at(at + 8), u64_at(at + 32)) else {
                    continue;
                };
                let to = (from as usize).saturating_add(len as usize).min(head.len());
                if head.get(from as usize..to).is_some_and(is_gos) {
                    return Kind::Go;
                }
            }
            Some(_) => {}
        }
    }
    match interpreted {
        true => Kind::Loads,
        false => Kind::Static,
    }
}

/// A note of Go's linker: its name is "Go", its type 4 (the build).
fn is_gos(note: &[u8]) -> bool {
    note.len() >= 16 && note[..4] == 4u32.to_ne_bytes() && &note[8..16] == b"\x04\0\0\0Go\0\0"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elf(headers: &[(u32, u64, u64)], tail: &[u8]) -> Vec<u8> {
        let mut file = vec![0u8; 64];
        file[..5].copy_from_slice(b"\x7fELF\x02");
        file[32..40].copy_from_slice(&64u64.to_ne_bytes());
        file[54..56].copy_from_slice(&56u16.to_ne_bytes());
        file[56..58].copy_from_slice(&(headers.len() as u16).to_ne_bytes());
        for (kind, from, len) in headers {
            let mut header = [0u8; 56];
            header[..4].copy_from_slice(&kind.to_ne_bytes());
            header[8..16].copy_from_slice(&from.to_ne_bytes());
            header[32..40].copy_from_slice(&len.to_ne_bytes());
            file.extend_from_slice(&header);
        }
        file.extend_from_slice(tail);
        file
    }

    #[test]
    fn programs_are_known_by_their_headers() {
        assert_eq!(of_elf(&elf(&[(1, 0, 0)], b"")), Kind::Static);
        assert_eq!(
            of_elf(&elf(&[(PT_INTERP, 0, 0), (1, 0, 0)], b"")),
            Kind::Loads
        );
        let note = b"\x04\0\0\0\x04\0\0\0\x04\0\0\0Go\0\0abcd";
        let go = elf(&[(PT_NOTE, 120, note.len() as u64)], note);
        assert_eq!(of_elf(&go), Kind::Go);
        assert_eq!(of_elf(&go[..64]), Kind::Loads);
        assert_eq!(of_elf(b"no program"), Kind::Loads);
        assert_eq!(kind(OsStr::new("/bin/sh")), Kind::Loads);
        assert_eq!(kind(OsStr::new("/nonexistent")), Kind::Loads);
    }
}
