//! The dynamic loader run by its name, `ld.so [OPTION...] PROGRAM`, as ldd(1) does. It opens the
//! program before this library is there to answer, so exec names a copy in the place of a program
//! in a mount, and the directories of a `--library-path` that the program needs.
use super::libraries::{self, Image};
use super::stage;
use crate::permission::{As, Mode, READ};
use crate::process::Process;
use crate::resolve::{self, Follow, Located, Options};
use crate::Errno;
use dfs::Kind;
use std::ffi::{CStr, CString};

/// Options that take the next argument.
const WITH_VALUE: [&[u8]; 7] = [
    LIBRARY_PATH,
    b"--glibc-hwcaps-prepend",
    b"--glibc-hwcaps-mask",
    b"--inhibit-rpath",
    b"--audit",
    b"--preload",
    ARGV0,
];
const LIBRARY_PATH: &[u8] = b"--library-path";
const ARGV0: &[u8] = b"--argv0";

/// What the loader is run with instead.
#[derive(Default)]
pub struct Loaded {
    /// Its arguments up to the program, which it includes.
    pub arguments: Vec<CString>,
    /// How many of the given ones they replace; 0: none.
    pub replaced: usize,
    /// The `LD_LIBRARY_PATH` the program needs, if it needs another.
    pub search: Option<Vec<u8>>,
}

/// True for the names the dynamic loader has.
pub fn is_loader(path: &[u8]) -> bool {
    let name = path.rsplit(|b| *b == b'/').next().unwrap_or(b"");
    name == b"ld.so" || (name.starts_with(b"ld-") && name.windows(3).any(|w| w == b".so"))
}

/// How the loader must be called for what `argv` asks; `given` is the caller's `LD_LIBRARY_PATH`.
/// An error for a program in a mount that cannot be copied.
pub fn loaded(p: &'static Process, argv: &[&CStr], given: &[u8]) -> Result<Option<Loaded>, Errno> {
    let Some(parsed) = Parsed::of(argv) else {
        return Ok(None);
    };
    let path = argv[parsed.program].to_bytes();
    let list = parsed.library_path.map(|at| argv[at].to_bytes());
    let places = list.unwrap_or(given);
    let at = libc::AT_FDCWD.into();
    let (image, copy) = match resolve::lookup_path(p, at, path, &Options::new(Follow::Yes)) {
        Ok(Located::Entry(entry)) if entry.attr.kind() == Kind::File => {
            let attr = entry.attr;
            let ids = p.credentials.ids();
            if ids.check(Mode::from(&attr), READ, As::Effective).is_err() {
                return Ok(None); // the loader says so itself
            }
            let node = entry.node(p);
            let copy = stage::shared(&node, &attr)?;
            (Image::Ours(node), Some(copy))
        }
        Ok(_) => return Ok(None),
        Err(_) if libraries::concerns(p, places) => match libraries::kernels(path) {
            Some(image) => (image, None),
            None => return Ok(None),
        },
        Err(_) => return Ok(None),
    };
    let search = libraries::search_path(p, &image, path, places);
    let mut new = Loaded::default();
    if copy.is_none() && (list.is_none() || search.is_none()) {
        new.search = search;
        return Ok(Some(new));
    }
    let text = |bytes: &[u8]| CString::new(bytes).map_err(|_| Errno::EINVAL);
    new.replaced = parsed.program + 1;
    for (i, argument) in argv[..parsed.program].iter().enumerate() {
        new.arguments.push(match &search {
            Some(search) if parsed.library_path == Some(i) => text(search)?,
            _ => (*argument).to_owned(),
        });
    }
    if copy.is_some() && !parsed.named && knows_argv0() {
        new.arguments.push(text(ARGV0)?);
        new.arguments.push(text(path)?);
    }
    new.arguments.push(match copy {
        Some(copy) => copy,
        None => text(path)?,
    });
    if list.is_none() {
        new.search = search;
    }
    Ok(Some(new))
}

/// Where in the arguments things are.
struct Parsed {
    program: usize,
    library_path: Option<usize>,
    named: bool,
}

impl Parsed {
    /// `None` if there is no program, or one that the loader looks for as for a library.
    fn of(argv: &[&CStr]) -> Option<Parsed> {
        let mut library_path = None;
        let mut named = false;
        let mut at = 1;
        loop {
            let word = argv.get(at)?.to_bytes();
            if !word.starts_with(b"--") {
                let program = word.contains(&b'/').then_some(at)?;
                return Some(Parsed {
                    program,
                    library_path,
                    named,
                });
            }
            named |= word == ARGV0;
            if WITH_VALUE.contains(&word) {
                at += 1;
            }
            if word == LIBRARY_PATH {
                library_path = Some(at);
            }
            at += 1;
        }
    }
}

/// glibc's loader can give a program another `argv[0]` since 2.33.
fn knows_argv0() -> bool {
    // SAFETY: a constant string.
    let version = unsafe { CStr::from_ptr(libc::gnu_get_libc_version()) };
    let minor = version.to_str().ok().and_then(|v| v.split('.').nth(1));
    minor.and_then(|n| n.parse::<u32>().ok()) >= Some(33)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program_of(argv: &[&CStr]) -> Option<(usize, Option<usize>)> {
        Parsed::of(argv).map(|p| (p.program, p.library_path))
    }

    #[test]
    fn the_program_follows_the_options() {
        assert_eq!(program_of(&[c"ld.so", c"/a", c"--list"]), Some((1, None)));
        assert_eq!(
            program_of(&[c"ld.so", c"--library-path", c"/l", c"--list", c"./a"]),
            Some((4, Some(2)))
        );
        assert_eq!(program_of(&[c"ld.so", c"--argv0"]), None);
        assert_eq!(program_of(&[c"ld.so", c"libc.so.6"]), None);
        assert_eq!(program_of(&[c"ld.so"]), None);
    }

    #[test]
    fn its_names() {
        assert!(is_loader(b"/lib64/ld-linux-x86-64.so.2") && is_loader(b"ld.so"));
        assert!(is_loader(b"/lib/ld-2.31.so"));
        assert!(!is_loader(b"/usr/bin/ld") && !is_loader(b"/bin/ldd"));
    }
}
