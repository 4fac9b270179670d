//! Directory streams: what `getdents64(2)` reads from a directory's open file description.
//!
//! DFS gives names in batches, in a stable (hash) order, from an opaque anchor. A cookie
//! (`d_off`, what telldir gives) is (batch, index in batch); the anchor of each batch and a short
//! hash of each name given are kept, so that seeking back finds the same place even when
//! entries before it are gone. "." and ".." are cookies 0 and 1.
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
const INDEX_BITS: u32 = 16;

/// The directory in a container's root that keeps open files without a name; not listed.
pub const HIDDEN: &CStr = c".pil4dfs";

/// `PIL4DFS_READDIR=names`: no type and no true inode number, one DFS call a batch.
static NAMES_ONLY: AtomicBool = AtomicBool::new(false);

/// Chooses between exact entries and [`NAMES_ONLY`].
pub fn set_names_only(on: bool) {
    NAMES_ONLY.store(on, Ordering::Relaxed);
}

/// One batch: where it begins and what it gave.
struct Batch {
    start: DirCursor,
    /// A short hash of each name given.
    given: Vec<u32>,
}

/// The position in a directory.
#[derive(Default)]
pub struct DirStream {
    /// The next entry's cookie.
    position: i64,
    batches: Vec<Batch>,
    /// The names of batch `loaded` and the anchor behind them.
    names: Vec<CString>,
    loaded: Option<usize>,
    behind: Option<DirCursor>,
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

    /// (batch, index) of the next name, loaded; `None` at the end.
    fn next_name(&mut self, dir: &Node) -> Result<Option<(usize, usize)>, Errno> {
        let mut rounds = 0;
        loop {
            let at = self.position - FIRST;
            let (batch, index) = ((at >> INDEX_BITS) as usize, (at & 0xffff) as usize);
            if self.loaded != Some(batch) && !self.load(dir, batch, index)? {
                return Ok(None);
            }
            if index < self.names.len() {
                return Ok(Some((batch, index)));
            }
            if self.behind.as_ref().is_none_or(DirCursor::at_end) {
                return Ok(None);
            }
            self.position = cookie(batch + 1, 0);
            rounds += 1;
            if rounds > 1 << 20 {
                return Err(Errno::EIO);
            }
        }
    }

    /// Loads a batch; false if the directory ends before it.
    fn load(&mut self, dir: &Node, batch: usize, index: usize) -> Result<bool, Errno> {
        while self.batches.len() <= batch {
            // forward from what is known
            let start = match (self.batches.len(), self.loaded, &self.behind) {
                (0, ..) => DirCursor::start(),
                (known, Some(loaded), Some(behind)) if loaded + 1 == known => behind.clone(),
                (known, ..) => {
                    self.fetch(dir, known - 1, usize::MAX)?;
                    continue;
                }
            };
            if start.at_end() {
                return Ok(false);
            }
            self.batches.push(Batch {
                start,
                given: Vec::new(),
            });
            self.fetch(dir, self.batches.len() - 1, usize::MAX)?;
        }
        if self.loaded != Some(batch) {
            self.fetch(dir, batch, index)?;
        }
        Ok(true)
    }

    /// Reads the names of a known batch (again). Those given before `index` stay in front, so
    /// that the index still says the same even if some of them are gone.
    fn fetch(&mut self, dir: &Node, batch: usize, index: usize) -> Result<(), Errno> {
        let mut cursor = self.batches[batch].start.clone();
        let mut names = match cursor.at_end() {
            true => Vec::new(),
            false => dir.object.read_names(&mut cursor, BATCH)?,
        };
        if dir.parent().is_none() {
            names.retain(|name| name.as_c_str() != HIDDEN);
        }
        let given = &mut self.batches[batch].given;
        if given.is_empty() {
            *given = names.iter().map(|n| short_hash(n)).collect();
        } else if index < usize::MAX {
            // seeking back: what came before the index, then whatever else is there now
            let before = &given[..index.min(given.len())];
            let (mut front, mut rest) = (vec![CString::default(); before.len()], Vec::new());
            for name in names {
                match before.iter().position(|h| *h == short_hash(&name)) {
                    Some(i) => front[i] = name,
                    None => rest.push(name),
                }
            }
            front.extend(rest);
            names = front;
            *given = names.iter().map(|n| short_hash(n)).collect();
            // what follows may have moved
            self.batches.truncate(batch + 1);
        }
        self.names = names;
        self.loaded = Some(batch);
        self.behind = Some(cursor);
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
