//! Libraries in a mount that a program needs at its start. The dynamic loader looks for them before
//! this library is there to answer, so exec does what it will do - `DT_NEEDED` against the run path,
//! `LD_LIBRARY_PATH` and the system's directories - stages those that lie in a mount, and puts a
//! directory of links to the copies in front of `LD_LIBRARY_PATH`. The new image takes it out again.
//! (Not seen: names with a slash, `ld.so.cache` entries and system libraries' own run paths.)
use super::elf::{self, Libraries};
use super::stage;
use crate::node::Node;
use crate::ownfd::OwnFd;
use crate::process::Process;
use crate::resolve::{self, Follow, Located, Options};
use crate::{call, rundir, Errno};
use dfs::Kind;
use std::collections::HashSet;
use std::ffi::CString;
use std::sync::Arc;

/// Where the loader looks last.
const SYSTEM: [&[u8]; 8] = [
    b"/lib/x86_64-linux-gnu",
    b"/usr/lib/x86_64-linux-gnu",
    b"/lib/aarch64-linux-gnu",
    b"/usr/lib/aarch64-linux-gnu",
    b"/lib64",
    b"/usr/lib64",
    b"/lib",
    b"/usr/lib",
];

/// More libraries than this are not followed.
const MANY: usize = 1000;

/// A program or library being looked at.
pub enum Image {
    /// In a mount.
    Ours(Arc<Node>),
    /// The kernel's.
    Kernels(OwnFd),
}

impl Image {
    fn libraries(&self) -> Option<Libraries> {
        match self {
            Image::Ours(node) => elf::libraries(&|buf, at| node.object.read_bytes(buf, at)),
            Image::Kernels(fd) => elf::libraries(&|buf, at| fd.read_at(buf, at)),
        }
    }
}

/// The value of `LD_LIBRARY_PATH` the program needs, if it needs another than `given`. `path`: its
/// own path, for `$ORIGIN`.
pub fn search_path(
    p: &'static Process,
    program: &Image,
    path: &[u8],
    given: &[u8],
) -> Option<Vec<u8>> {
    let given = without_ours(given);
    let top = program.libraries()?;
    let mut search = Search {
        p,
        given: split(&given),
        seen: HashSet::new(),
        staged: Vec::new(),
    };
    let mut own = directories(&top.rpath, path);
    own.extend(directories(&top.runpath, path));
    own.retain(|dir| in_mount(p, dir));
    if own.is_empty() && !search.given.iter().any(|dir| in_mount(p, dir)) {
        return None;
    }
    search.follow(top, path.to_vec());
    // The copy has lost its origin: what the program loads later is found by the path.
    let added = match program {
        Image::Ours(_) => own,
        Image::Kernels(_) => Vec::new(),
    };
    if search.staged.is_empty() && added.is_empty() {
        return None;
    }
    let links = links(&search.staged).ok()?.into_bytes();
    // The last element ends in "/.": there ours ends, for the new image to cut.
    let mut value = links.clone();
    for part in added.iter().chain([&[&links[..], b"/."].concat()]) {
        value.push(b':');
        value.extend_from_slice(part);
    }
    if !given.is_empty() {
        value.push(b':');
        value.extend_from_slice(&given);
    }
    Some(value)
}

/// A `LD_PRELOAD` with copies in the place of libraries in a mount, which the loader wants before
/// this library is there; `None` where it names none.
pub fn preloads(p: &'static Process, given: &[u8]) -> Option<Vec<u8>> {
    let staged = |part: &[u8]| {
        let slash = part.iter().rposition(|b| *b == b'/')?;
        in_mount(p, &part[..slash.max(1)]).then(|| ours(p, part))?
    };
    let mut changed = false;
    let parts = given.split(|b| matches!(b, b':' | b' '));
    let parts: Vec<Vec<u8>> = parts
        .filter(|part| !part.is_empty())
        .map(|part| match staged(part) {
            Some((_, file)) => {
                changed = true;
                file.into_bytes()
            }
            None => part.to_vec(),
        })
        .collect();
    changed.then(|| parts.join(&b':'))
}

/// True if a directory can only be read through us.
pub fn in_mount(p: &'static Process, dir: &[u8]) -> bool {
    let located = match dir.first() {
        Some(b'/') => p.mounts.locate(dir).map(|(mount, _)| mount),
        _ => p.cwd.node().map(|node| node.mount),
    };
    located.is_some_and(|mount| !mount.served_by_dfuse)
}

/// True if a search path names a directory of a mount.
pub fn concerns(p: &'static Process, list: &[u8]) -> bool {
    split(&without_ours(list))
        .iter()
        .any(|dir| in_mount(p, dir))
}

/// A `LD_LIBRARY_PATH` as it was before [`search_path`].
pub fn without_ours(value: &[u8]) -> Vec<u8> {
    let parts: Vec<&[u8]> = value.split(|b| *b == b':').collect();
    let first = parts[0];
    let end = [first, b"/."].concat();
    match parts.iter().position(|part| *part == end) {
        Some(at) if contains(first, b"/libraries/") => parts[at + 1..].join(&b':'),
        _ => value.to_vec(),
    }
}

struct Search {
    p: &'static Process,
    given: Vec<Vec<u8>>,
    seen: HashSet<Vec<u8>>,
    /// Names and the files their links lead to.
    staged: Vec<(Vec<u8>, CString)>,
}

impl Search {
    /// All that an image needs, and what that needs.
    fn follow(&mut self, top: Libraries, path: Vec<u8>) {
        let main = directories(&top.rpath, &path);
        let mut waiting = vec![(top, path)];
        while let Some((image, path)) = waiting.pop() {
            let runpath = directories(&image.runpath, &path);
            let mut places = Vec::new();
            if runpath.is_empty() {
                places.extend(directories(&image.rpath, &path));
                places.extend(main.iter().cloned());
            }
            places.extend(self.given.iter().cloned());
            places.extend(runpath);
            places.extend(SYSTEM.iter().map(|dir| dir.to_vec()));
            for name in image.needed {
                if name.contains(&b'/') || self.seen.len() > MANY || !self.seen.insert(name.clone())
                {
                    continue;
                }
                waiting.extend(self.find(&places, &name));
            }
        }
    }

    /// The first library of this name; one of ours is staged.
    fn find(&mut self, places: &[Vec<u8>], name: &[u8]) -> Option<(Libraries, Vec<u8>)> {
        for dir in places {
            let path = [dir, &b"/"[..], name].concat();
            if !in_mount(self.p, dir) {
                if let Some(image) = kernels(&path) {
                    return Some((image.libraries()?, path));
                }
            } else if let Some((image, file)) = ours(self.p, &path) {
                self.staged.push((name.to_vec(), file));
                return Some((image.libraries()?, path));
            }
        }
        None
    }
}

/// A library in a mount, and its copy.
fn ours(p: &'static Process, path: &[u8]) -> Option<(Image, CString)> {
    let options = Options::new(Follow::Yes);
    match resolve::lookup_path(p, libc::AT_FDCWD.into(), path, &options) {
        Ok(Located::Entry(entry)) if entry.attr.kind() == Kind::File => {
            let attr = entry.attr;
            let node = entry.node(p);
            let file = stage::shared(&node, &attr).ok()?;
            Some((Image::Ours(node), file))
        }
        _ => None,
    }
}

/// A library of the kernel's, if it is there.
pub fn kernels(path: &[u8]) -> Option<Image> {
    let path = CString::new(path).ok()?;
    let fd = OwnFd::open(libc::AT_FDCWD, &path, libc::O_RDONLY, 0).ok()?;
    Some(Image::Kernels(fd))
}

/// A directory with a link for each staged library; the same set has the same directory.
fn links(staged: &[(Vec<u8>, CString)]) -> Result<CString, Errno> {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for b in staged
        .iter()
        .flat_map(|(n, f)| n.iter().chain(f.to_bytes()))
    {
        hash = (hash ^ u64::from(*b)).wrapping_mul(0x100_0000_01b3);
    }
    rundir::subdirectory("libraries")?;
    let name = format!("libraries/{hash:016x}");
    rundir::subdirectory(&name)?;
    for (library, file) in staged {
        let mut link = rundir::file(&name)?.into_bytes();
        link.push(b'/');
        link.extend_from_slice(library);
        let link = CString::new(link).map_err(|_| Errno::EINVAL)?;
        // SAFETY: strings.
        match unsafe { call!(SYS_symlinkat, file.as_ptr(), libc::AT_FDCWD, link.as_ptr()) } {
            Ok(_) | Err(Errno::EEXIST) => {}
            Err(e) => return Err(e),
        }
    }
    rundir::file(&name)
}

/// The directories of a run path, `$ORIGIN` replaced.
fn directories(list: &[u8], path: &[u8]) -> Vec<Vec<u8>> {
    let origin = match path.iter().rposition(|b| *b == b'/') {
        Some(0) => &b"/"[..],
        Some(at) => &path[..at],
        None => b".",
    };
    let mut dirs = split(list);
    for dir in &mut dirs {
        for word in [&b"$ORIGIN"[..], b"${ORIGIN}"] {
            if let Some(at) = dir.windows(word.len()).position(|w| w == word) {
                dir.splice(at..at + word.len(), origin.iter().copied());
            }
        }
    }
    dirs
}

fn split(list: &[u8]) -> Vec<Vec<u8>> {
    let parts = list.split(|b| matches!(b, b':' | b';'));
    parts
        .filter(|d| !d.is_empty())
        .map(<[u8]>::to_vec)
        .collect()
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|w| w == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ours_is_cut_from_the_search_path() {
        let ours = &b"/run/libraries/1:/dfs/lib:/run/libraries/1/."[..];
        assert_eq!(without_ours(ours), b"");
        let more = [ours, b":/a:/b"].concat();
        assert_eq!(without_ours(&more), b"/a:/b");
        assert_eq!(without_ours(b"/a:/a/."), b"/a:/a/.");
        assert_eq!(without_ours(b""), b"");
    }

    #[test]
    fn run_paths_know_their_origin() {
        let dirs = directories(b"$ORIGIN/../lib:/x:${ORIGIN}", b"/dfs/bin/prog");
        let want: [&[u8]; 3] = [b"/dfs/bin/../lib", b"/x", b"/dfs/bin"];
        assert_eq!(dirs, want);
    }
}
