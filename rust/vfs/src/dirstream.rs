//! Directory streams: what `getdents64(2)` reads from a directory's open file description.
//!
//! DFS gives names in batches, in a stable (hash) order, from an opaque anchor. A cookie
//! (`d_off`, what telldir gives) is (batch, index in batch); the end of each batch and a short
//! hash of each name given are kept (some 5 bytes a name), so that seeking back finds the same
//! place whatever came and went. "." and ".." are cookies 0 and 1.
use crate::file::OpenFile;
use crate::hash::Mix;
use crate::node::Node;
use crate::process::Process;
use crate::{fail, Errno, Op};
use dfs::{DirCursor, Kind};
use std::ffi::{CStr, CString};
use std::hash::Hasher;
use std::sync::atomic::{AtomicBool, Ordering};

/// Names asked for at a time.
const BATCH: usize = 128;
/// The first cookie of a name.
const FIRST: i64 = 2;
/// Readings after which a name of a known batch is taken to be gone.
const MOST_AGAIN: usize = 64;
const INDEX_BITS: u32 = 16;

/// The directory in a container's root that keeps open files without a name; not listed.
pub const HIDDEN: &CStr = c".pil4dfs";

/// `PIL4DFS_READDIR=names`: no type and no true inode number, one DFS call a batch.
static NAMES_ONLY: AtomicBool = AtomicBool::new(false);

/// Chooses between exact entries and [`NAMES_ONLY`].
pub fn set_names_only(on: bool) {
    NAMES_ONLY.store(on, Ordering::Relaxed);
}

/// One batch as it was first read: what it gave and where it ended.
struct Batch {
    /// A short hash of each name given.
    given: Box<[u32]>,
    end: DirCursor,
}

/// The position in a directory.
#[derive(Default)]
pub struct DirStream {
    /// The next entry's cookie.
    position: i64,
    batches: Vec<Batch>,
    /// The names of batch `loaded`.
    names: Vec<CString>,
    loaded: Option<usize>,
}

/// One entry for the caller.
struct Entry<'a> {
    ino: u64,
    kind: u8,
    name: &'a CStr,
    next: i64,
}

fn cookie(batch: usize, index: usize) -> i64 {
    FIRST + ((batch as i64) << INDEX_BITS | index as i64)
}

/// The next names of a directory; none of ours.
fn names_at(dir: &Node, cursor: &mut DirCursor) -> Result<Vec<CString>, Errno> {
    let mut names = dir.object.read_names(cursor, BATCH)?;
    if dir.parent().is_none() {
        names.retain(|name| name.as_c_str() != HIDDEN);
    }
    Ok(names)
}

fn short_hash(name: &CStr) -> u32 {
    let mut h = Mix::default();
    h.write(name.to_bytes());
    h.finish() as u32
}

impl DirStream {
    /// Hands entries to `give` until it says no or the end; the position stays at the first one
    /// not taken.
    fn read(
        &mut self,
        p: &Process,
        dir: &Node,
        give: &mut dyn FnMut(&Entry) -> bool,
    ) -> Result<(), Errno> {
        for (at, name, next) in [(0, c".", 1), (1, c"..", FIRST)] {
            if self.position == at {
                let up = if at == 1 { dir.parent() } else { None };
                let ino = up.map_or_else(|| dir.ino(), |up| up.ino());
                if !give(&Entry {
                    ino,
                    kind: libc::DT_DIR,
                    name,
                    next,
                }) {
                    return Ok(());
                }
                self.position = next;
            }
        }
        while let Some((batch, index)) = self.next_name(dir)? {
            let next = cookie(batch, index + 1);
            let name = &self.names[index];
            let taken = match describe(p, dir, name)? {
                Some((ino, kind)) => give(&Entry {
                    ino,
                    kind,
                    name,
                    next,
                }),
                None => true,
            };
            if !taken {
                return Ok(());
            }
            self.position = next;
        }
        Ok(())
    }

    /// (batch, index) of the next name, loaded; `None` at the end. The position stays.
    fn next_name(&mut self, dir: &Node) -> Result<Option<(usize, usize)>, Errno> {
        let at = self.position - FIRST;
        let (mut batch, mut index) = ((at >> INDEX_BITS) as usize, (at & 0xffff) as usize);
        for _ in 0..1 << 20 {
            let known = self.batches.get(batch).map(|batch| batch.given.len());
            if known.is_none_or(|given| index < given) {
                if self.loaded != Some(batch) && !self.load(dir, batch)? {
                    return Ok(None);
                }
                if index < self.names.len() {
                    return Ok(Some((batch, index)));
                }
            }
            if self.batches[batch].end.at_end() {
                return Ok(None);
            }
            (batch, index) = (batch + 1, 0);
        }
        Err(Errno::EIO)
    }

    /// Where a batch begins.
    fn start(&self, batch: usize) -> DirCursor {
        match batch.checked_sub(1) {
            Some(before) => self.batches[before].end.clone(),
            None => DirCursor::start(),
        }
    }

    /// Loads a batch; false if the directory ends before it.
    fn load(&mut self, dir: &Node, batch: usize) -> Result<bool, Errno> {
        if batch < self.batches.len() {
            self.read_again(dir, batch)?;
            return Ok(true);
        }
        while self.batches.len() <= batch {
            let mut end = self.start(self.batches.len());
            if end.at_end() {
                return Ok(false);
            }
            self.names = names_at(dir, &mut end)?;
            self.loaded = Some(self.batches.len());
            let given = self.names.iter().map(|name| short_hash(name)).collect();
            // a clone is the position without the buffer it was read through
            let end = end.clone();
            self.batches.push(Batch { given, end });
        }
        Ok(true)
    }

    /// Reads the names of a known batch again: each comes to the index it had, and one that is
    /// gone leaves an empty name there. Every position keeps its meaning; names made since then in
    /// this part of the directory are not shown before a rewind, which POSIX leaves open.
    fn read_again(&mut self, dir: &Node, batch: usize) -> Result<(), Errno> {
        let mut cursor = self.start(batch);
        let given = &self.batches[batch].given;
        let next = self
            .batches
            .get(batch + 1)
            .map_or(&[][..], |next| &next.given);
        let mut names = vec![CString::default(); given.len()];
        let (mut left, mut beyond) = (given.len(), false);
        // names made since push the old ones back: more than one reading may be needed
        for _ in 0..MOST_AGAIN {
            if left == 0 || beyond || cursor.at_end() {
                break;
            }
            for name in names_at(dir, &mut cursor)? {
                let hash = short_hash(&name);
                let place = (0..given.len()).find(|&i| given[i] == hash && names[i].is_empty());
                match place {
                    Some(index) => {
                        names[index] = name;
                        left -= 1;
                    }
                    None => beyond |= next.contains(&hash),
                }
            }
        }
        self.names = names;
        self.loaded = Some(batch);
        Ok(())
    }

    fn rewind(&mut self) {
        *self = DirStream::default();
    }
}

/// Inode number and type of an entry; `None` if it went away meanwhile.
fn describe(p: &Process, dir: &Node, name: &CStr) -> Result<Option<(u64, u8)>, Errno> {
    if name.is_empty() {
        return Ok(None);
    }
    if NAMES_ONLY.load(Ordering::Relaxed) {
        let mut h = Mix::default();
        h.write_u64(dir.oid.lo ^ dir.oid.hi);
        h.write(name.to_bytes());
        return Ok(Some((h.finish() >> 1 | 1, libc::DT_UNKNOWN)));
    }
    let _ = p;
    match dir.mount.fs()?.stat(&dir.object, name) {
        Ok(attr) => Ok(Some((attr.oid.ino(1), attr.kind().d_type()))),
        Err(Errno::ENOENT) => Ok(None),
        Err(e) => Err(e),
    }
}

/// `lseek(2)` on a directory: cookies only. `EINVAL` for what is none.
pub fn seek(_p: &'static Process, file: &OpenFile, offset: i64, whence: i32) -> Op<i64> {
    let mut stream = file.stream.lock().unwrap_or_else(|e| e.into_inner());
    let to = match whence {
        libc::SEEK_SET => offset,
        libc::SEEK_CUR => stream.position.wrapping_add(offset),
        _ => return fail(Errno::EINVAL),
    };
    if to < 0 || (to - FIRST) >> INDEX_BITS > i64::from(u32::MAX) {
        return fail(Errno::EINVAL);
    }
    if to == 0 {
        // rewinddir: entries made meanwhile are seen
        stream.rewind();
    }
    stream.position = to;
    Ok(to)
}

/// How entries are laid out in the caller's buffer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// `struct linux_dirent64`
    Dirent64,
    /// `struct linux_dirent`: the type in the last byte.
    Dirent,
}

impl Layout {
    const HEADER64: usize = 19;
    const HEADER: usize = 18;

    fn length(self, name: &CStr) -> usize {
        let name = name.to_bytes_with_nul().len();
        let len = match self {
            Layout::Dirent64 => Layout::HEADER64 + name,
            Layout::Dirent => Layout::HEADER + name + 1,
        };
        len.next_multiple_of(8)
    }

    fn put(self, out: &mut [u8], e: &Entry) {
        let name = e.name.to_bytes();
        let len = out.len();
        out.fill(0);
        out[..8].copy_from_slice(&e.ino.to_ne_bytes());
        out[8..16].copy_from_slice(&e.next.to_ne_bytes());
        out[16..18].copy_from_slice(&(len as u16).to_ne_bytes());
        match self {
            Layout::Dirent64 => {
                out[18] = e.kind;
                out[Layout::HEADER64..][..name.len()].copy_from_slice(name);
            }
            Layout::Dirent => {
                out[Layout::HEADER..][..name.len()].copy_from_slice(name);
                out[len - 1] = e.kind;
            }
        }
    }
}

/// Fills `buf` with as many entries as fit; bytes used. `EINVAL` if not even one fits, `ENOENT`
/// for a removed directory.
pub fn read_entries(p: &Process, file: &OpenFile, buf: &mut [u8], layout: Layout) -> Op<i64> {
    if file.node.kind != Kind::Directory {
        return fail(Errno::ENOTDIR);
    }
    file.node.verify();
    if file.node.is_gone() {
        return fail(Errno::ENOENT);
    }
    let (mut used, mut full) = (0, false);
    let mut stream = file.stream.lock().unwrap_or_else(|e| e.into_inner());
    let result = stream.read(p, &file.node, &mut |entry| {
        let len = layout.length(entry.name);
        full = used + len > buf.len();
        if !full {
            layout.put(&mut buf[used..used + len], entry);
            used += len;
        }
        !full
    });
    match result {
        _ if used > 0 => Ok(used as i64),
        Err(e) => fail(e),
        Ok(()) if full => fail(Errno::EINVAL),
        Ok(()) => Ok(0),
    }
}
