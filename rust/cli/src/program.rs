//! What kind of program a command is: whether the library reaches it by LD_PRELOAD.
use crate::elf::{self, Facts};
use serde::Serialize;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// How a program can be served.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The library is loaded into it, or nobody can tell.
    Loads,
    /// It has no loader.
    Static,
    /// It makes its system calls itself.
    Go,
    /// Another C library than glibc: nothing of ours fits into it.
    OtherLibc,
    /// Of 32 bits, or for another machine: the same.
    OtherMachine,
    /// It runs with other rights than its caller's: the loader does not preload.
    SetId,
}

impl Kind {
    /// The kind of an ELF file.
    pub fn of(facts: &Facts) -> Kind {
        let interpreter = facts.interpreter.as_deref();
        match interpreter.map(|name| name.rsplit('/').next().unwrap_or(name)) {
            _ if facts.go => Kind::Go,
            None => Kind::Static,
            _ if !facts.native => Kind::OtherMachine,
            Some(name) if !name.starts_with("ld-linux") => Kind::OtherLibc,
            Some(_) => Kind::Loads,
        }
    }

    /// In words: "a static program".
    pub fn words(self) -> &'static str {
        match self {
            Kind::Loads => "a dynamic program",
            Kind::Static => "a static program",
            Kind::Go => "a Go program, which makes its system calls itself",
            Kind::OtherLibc => "a program of another C library than glibc",
            Kind::OtherMachine => "a program of 32 bits or of another machine",
            Kind::SetId => "a program that runs with other rights than yours",
        }
    }
}

/// The kind of what a shell would start for this word. Interpreters of `#!` are followed.
pub fn kind(word: &OsStr) -> Kind {
    found(word).map_or(Kind::Loads, |path| chain(&path).0)
}

/// The file that a shell would start for this word.
pub fn found(word: &OsStr) -> Option<PathBuf> {
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

/// The kind of a file, and the files that the kernel goes through to start it: the file itself, then
/// the interpreters of scripts.
pub fn chain(path: &Path) -> (Kind, Vec<PathBuf>) {
    let mut files = vec![path.to_owned()];
    loop {
        let file = &files[files.len() - 1];
        match interpreter(file) {
            Some(next) if files.len() < 5 => files.push(next),
            Some(_) => return (Kind::Loads, files),
            // The bits of a script count for nothing.
            None if set_id(file) => return (Kind::SetId, files),
            // execve will say what is wrong with a file that is none.
            None => {
                let kind = elf::facts(file, false).map_or(Kind::Loads, |facts| Kind::of(&facts));
                return (kind, files);
            }
        }
    }
}

/// The program behind `#!`; behind `#!/usr/bin/env NAME` the one of that name.
fn interpreter(path: &Path) -> Option<PathBuf> {
    let mut head = [0; 256];
    let n = File::open(path).and_then(|mut f| f.read(&mut head)).ok()?;
    let line = head[..n].strip_prefix(b"#!")?;
    let line = line.split(|&b| b == b'\n').next().unwrap_or_default();
    let mut words = line
        .split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty())
        .map(|word| OsString::from_vec(word.to_vec()));
    let program = PathBuf::from(words.next()?);
    if program.file_name() == Some(OsStr::new("env")) {
        let name = words.find(|w| !w.as_bytes().starts_with(b"-") && !w.as_bytes().contains(&b'='));
        if let Some(found) = name.and_then(|name| found(&name)) {
            return Some(found);
        }
    }
    Some(program)
}

/// Set-user-ID and set-group-ID where they change something, and capabilities of a file that its
/// caller does not have (root has all).
fn set_id(path: &Path) -> bool {
    let Ok(meta) = path.metadata() else {
        return false;
    };
    // SAFETY: both cannot fail.
    let (uid, gid) = unsafe { (libc::geteuid(), libc::getegid()) };
    let sets_gid = libc::S_ISGID | libc::S_IXGRP;
    (meta.mode() & libc::S_ISUID != 0 && meta.uid() != uid)
        || (meta.mode() & sets_gid == sets_gid && meta.gid() != gid)
        || (uid != 0 && has_capabilities(path))
}

/// Whether the file carries capabilities (setcap).
pub fn has_capabilities(path: &Path) -> bool {
    let Ok(path) = std::ffi::CString::new(path.as_os_str().as_bytes()) else {
        return false;
    };
    let name = c"security.capability";
    // SAFETY: two strings; a size of 0 asks only.
    unsafe { libc::getxattr(path.as_ptr(), name.as_ptr(), std::ptr::null_mut(), 0) > 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_known_by_what_they_say() {
        let facts = |interpreter: &str, native, go| Facts {
            interpreter: Some(interpreter.to_owned()).filter(|i| !i.is_empty()),
            native,
            go,
            ..Facts::default()
        };
        let glibc = "/lib64/ld-linux-x86-64.so.2";
        assert_eq!(Kind::of(&facts(glibc, true, false)), Kind::Loads);
        assert_eq!(Kind::of(&facts("", true, false)), Kind::Static);
        assert_eq!(Kind::of(&facts(glibc, true, true)), Kind::Go);
        assert_eq!(Kind::of(&facts("", true, true)), Kind::Go);
        let musl = "/lib/ld-musl-x86_64.so.1";
        assert_eq!(Kind::of(&facts(musl, true, false)), Kind::OtherLibc);
        let old = "/lib/ld-linux.so.2";
        assert_eq!(Kind::of(&facts(old, false, false)), Kind::OtherMachine);
        assert_eq!(kind(OsStr::new("/bin/sh")), Kind::Loads);
        assert_eq!(kind(OsStr::new("/nonexistent")), Kind::Loads);
    }

    #[test]
    fn scripts_lead_to_their_interpreters() {
        let script = std::env::temp_dir().join(format!("pil4dfs-script-{}", std::process::id()));
        std::fs::write(&script, "#! /usr/bin/env -S A=1 sh -e\n").unwrap();
        let (kind, files) = chain(&script);
        std::fs::remove_file(&script).unwrap();
        assert_eq!((kind, files.len()), (Kind::Loads, 2));
        assert!(files[1].ends_with("sh"));
    }
}
