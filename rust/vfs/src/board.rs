//! What the processes of one user on this node tell each other about names, in shared memory: a file
//! of the run directory that all of them map. A directory one of them removes or renames is
//! forgotten by the others at once, not when their caches expire; an open file one of
//! them renames is found again.
//!
//! Nothing here is needed for a correct answer in the long run and nothing is believed: counters
//! only say "look again", and a recorded path is looked up and compared. No locks; a process killed
//! in the middle of a record loses that record. Without a run directory everything says "unchanged".
use crate::hash::Mix;
use crate::{call, rundir};
use dfs::ObjectId;
use once_cell::sync::OnceCell;
use std::ffi::CStr;
use std::hash::Hasher;
use std::sync::atomic::{fence, AtomicU32, AtomicU64, AtomicU8, Ordering};

const BUCKETS: usize = 4096;
const MOVES: usize = 256;
const PATH: usize = 1000;

/// The shared memory.
#[repr(C)]
struct Board {
    /// Counts changes of directory entries, by (directory, name).
    entries: [AtomicU32; BUCKETS],
    /// Counts lost and changed names of directories, by object.
    objects: [AtomicU32; BUCKETS],
    /// Number of moves ever recorded.
    moved: AtomicU64,
    moves: [Move; MOVES],
}

/// From where an object was moved to where, in its container.
#[repr(C)]
struct Move {
    /// Number of the record, from 1; 0 while it is being written.
    number: AtomicU64,
    container: AtomicU64,
    lo: AtomicU64,
    hi: AtomicU64,
    from: Text,
    to: Text,
}

/// An object of the node: the hash of its mount, and its identity there. Two containers have objects
/// of equal identity at equal paths.
pub type Object = (u64, ObjectId);

impl Move {
    fn object(&self) -> Object {
        let get = |word: &AtomicU64| word.load(Ordering::Relaxed);
        let (lo, hi) = (get(&self.lo), get(&self.hi));
        (get(&self.container), ObjectId { lo, hi })
    }
}

/// A path.
#[repr(C)]
struct Text {
    len: AtomicU32,
    bytes: [AtomicU8; PATH],
}

impl Text {
    fn put(&self, path: &[u8]) {
        self.len.store(path.len() as u32, Ordering::Relaxed);
        for (to, from) in self.bytes.iter().zip(path) {
            to.store(*from, Ordering::Relaxed);
        }
    }

    fn get(&self) -> Vec<u8> {
        let len = (self.len.load(Ordering::Relaxed) as usize).min(PATH);
        let bytes = self.bytes[..len].iter();
        bytes.map(|byte| byte.load(Ordering::Relaxed)).collect()
    }
}

static BOARD: OnceCell<Option<&'static Board>> = OnceCell::new();

/// Maps the board; called at the first use of a mount.
pub fn start() {
    let _ = BOARD.get_or_init(map);
}

fn map() -> Option<&'static Board> {
    let size = size_of::<Board>();
    let fd = rundir::open("names.3", libc::O_RDWR | libc::O_CREAT).ok()?;
    if fd.stat().ok()?.st_size < size as i64 {
        // allocated, not sparse: a full file system must not be a SIGBUS later
        fd.reserve_quietly(size as u64).ok()?;
    }
    let prot = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a new mapping of a file large enough.
    let at = unsafe { call!(SYS_mmap, 0, size, prot, libc::MAP_SHARED, fd.raw(), 0) }.ok()?;
    // SAFETY: mapped for good; all its fields are atomics, for which any bits are values.
    Some(unsafe { &*(at as usize as *const Board) })
}

#[inline]
fn board() -> Option<&'static Board> {
    *BOARD.get()?
}

fn entry_bucket(dir: ObjectId, name: &CStr) -> usize {
    let mut h = Mix::default();
    h.write_u64(dir.lo);
    h.write_u64(dir.hi);
    h.write(name.to_bytes());
    h.finish() as usize % BUCKETS
}

fn object_bucket(oid: ObjectId) -> usize {
    let mut h = Mix::default();
    h.write_u64(oid.lo);
    h.write_u64(oid.hi);
    h.finish() as usize % BUCKETS
}

/// The count of changes of an entry. What was looked up before the count was read is as good as
/// the count is the same.
#[inline]
pub fn entry(dir: ObjectId, name: &CStr) -> u32 {
    board().map_or(0, |b| {
        b.entries[entry_bucket(dir, name)].load(Ordering::Acquire)
    })
}

/// The entry was removed, or names another directory now.
pub fn entry_changed(dir: ObjectId, name: &CStr) {
    if let Some(b) = board() {
        b.entries[entry_bucket(dir, name)].fetch_add(1, Ordering::Release);
    }
}

/// The count of changes of a directory's own name.
#[inline]
pub fn object(oid: ObjectId) -> u32 {
    board().map_or(0, |b| b.objects[object_bucket(oid)].load(Ordering::Acquire))
}

/// The directory lost its name, or has another one.
pub fn object_changed(oid: ObjectId) {
    if let Some(b) = board() {
        b.objects[object_bucket(oid)].fetch_add(1, Ordering::Release);
    }
}

/// The count of all moves.
pub fn moves() -> u64 {
    board().map_or(0, |b| b.moved.load(Ordering::Acquire))
}

/// Records that what was at `from` now is at `to`, both below the mount point. Paths too long for a
/// record are counted only.
pub fn moved(object: Object, from: &[u8], to: &[u8]) {
    let Some(b) = board() else { return };
    let number = b.moved.fetch_add(1, Ordering::AcqRel) + 1;
    if from.len() > PATH || to.len() > PATH {
        return;
    }
    let record = &b.moves[number as usize % MOVES];
    record.number.store(0, Ordering::Relaxed);
    fence(Ordering::Release);
    record.container.store(object.0, Ordering::Relaxed);
    record.lo.store(object.1.lo, Ordering::Relaxed);
    record.hi.store(object.1.hi, Ordering::Relaxed);
    record.from.put(from);
    record.to.put(to);
    record.number.store(number, Ordering::Release);
}

/// The path below its mount point an object was last moved to, as far as anyone remembers, with what
/// became of that path since. To be looked up and compared.
pub fn last_move(object: Object) -> Option<Vec<u8>> {
    let b = board()?;
    let number_of = |m: &&Move| m.number.load(Ordering::Acquire);
    let is_it = |m: &&Move| m.object() == object;
    let mut of_it: Vec<&Move> = b
        .moves
        .iter()
        .filter(is_it)
        .filter(|m| number_of(m) > 0)
        .collect();
    of_it.sort_by_key(|m| std::cmp::Reverse(number_of(m)));
    of_it.iter().find_map(|record| {
        let number = number_of(record);
        let path = record.to.get();
        fence(Ordering::Acquire);
        let whole = number > 0 && is_it(record) && number_of(record) == number;
        whole.then(|| follow(object.0, path, number))
    })
}

/// Where a path below the mount point leads that was right when `number` moves had been counted:
/// directories above it may have moved since. As far as anyone remembers.
pub fn follow(container: u64, mut path: Vec<u8>, number: u64) -> Vec<u8> {
    let Some(b) = board() else { return path };
    let last = b.moved.load(Ordering::Acquire);
    let first = last.saturating_sub(MOVES as u64).max(number);
    // What the path followed last; the other half of an exchange must not bring it back.
    let mut followed = b.read(number);
    for next in first + 1..=last {
        let Some((object, from, to)) = b.read(next).filter(|(o, _, _)| o.0 == container) else {
            continue;
        };
        let half = |(other, there, back): &(Object, Vec<u8>, Vec<u8>)| {
            *other != object && *there == to && *back == from
        };
        let exchanged = followed.take().is_some_and(|last| half(&last));
        let below = path.strip_prefix(&from[..]);
        let below = below.filter(|rest| rest.is_empty() || rest[0] == b'/');
        if let Some(rest) = below.filter(|_| !exchanged) {
            path = [&to[..], rest].concat();
            followed = Some((object, from, to));
        }
    }
    path
}

impl Board {
    /// The record of this number, if it is still there and whole.
    fn read(&self, number: u64) -> Option<(Object, Vec<u8>, Vec<u8>)> {
        let record = &self.moves[number as usize % MOVES];
        let is_there = |order| number > 0 && record.number.load(order) == number;
        if !is_there(Ordering::Acquire) {
            return None;
        }
        let object = record.object();
        let paths = (record.from.get(), record.to.get());
        fence(Ordering::Acquire);
        is_there(Ordering::Relaxed).then_some((object, paths.0, paths.1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_counted_and_moves_remembered() {
        let dir = format!("/dev/shm/pil4dfs-board-{}", std::process::id());
        rundir::set(std::ffi::CString::new(dir.clone()).unwrap());
        start();
        let oid = |lo| ObjectId { lo, hi: 7 };
        let (before, other) = (entry(oid(1), c"name"), object(oid(1)));
        entry_changed(oid(1), c"name");
        assert_eq!(entry(oid(1), c"name"), before + 1);
        assert_eq!(object(oid(1)), other);
        assert_eq!(last_move((1, oid(1))), None);
        moved((1, oid(1)), b"/dfs/o", b"/dfs/a");
        moved((1, oid(2)), b"/dfs/o", b"/dfs/b");
        moved((1, oid(1)), b"/dfs/a", b"/dfs/c");
        assert_eq!(last_move((1, oid(1))).unwrap(), b"/dfs/c");
        assert_eq!(last_move((1, oid(2))).unwrap(), b"/dfs/b");
        let before = moves();
        moved((1, oid(3)), b"/dfs", b"/new");
        moved((1, oid(4)), b"/new/c", b"/c");
        assert_eq!(last_move((1, oid(1))).unwrap(), b"/c");
        assert_eq!(last_move((1, oid(2))).unwrap(), b"/new/b");
        assert_eq!(follow(1, b"/dfs/c/d".into(), before), b"/c/d");
        assert_eq!(follow(1, b"/dfs2".into(), before), b"/dfs2");
        moved((2, oid(1)), b"/c", b"/elsewhere");
        assert_eq!(last_move((1, oid(1))).unwrap(), b"/c");
        moved((1, oid(5)), b"/l", b"/r");
        moved((1, oid(6)), b"/r", b"/l");
        assert_eq!(last_move((1, oid(5))).unwrap(), b"/r");
        assert_eq!(last_move((1, oid(6))).unwrap(), b"/l");
        moved((1, oid(5)), b"/r", b"/l");
        assert_eq!(last_move((1, oid(5))).unwrap(), b"/l");
        for n in 0..MOVES as u64 {
            moved((1, oid(100 + n)), b"/dfs/o", b"/dfs/x");
        }
        assert_eq!(last_move((1, oid(2))), None);
        // another test may have chosen the directory first
        let _ = std::fs::remove_dir_all(dir);
    }
}
