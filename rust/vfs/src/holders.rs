//! Who on this node has what open (Linux: `i_count`, which DFS does not have). One table of the
//! run-time directory, mapped by every process of the user: an entry for each object a process has
//! open says which process, and whoever removes its name leaves word there. (What else happens to
//! names is told by [`crate::board`].)
//!
//! A process is a token: a byte of the table's file that it keeps locked. The kernel frees the
//! lock when the process ends however it ends, and an entry whose token is free counts for nothing.
//! Counting is one compare-and-swap; system calls happen once per process, per fork or exec with
//! something open, and where another process's entry is met by a removal.
//! Without a run-time directory, or in a child that shares its parent's memory, nothing is listed.
use crate::gate::Guarded;
use crate::hash::Mix;
use crate::ownfd::OwnFd;
use crate::{call, inherit, rundir, Errno};
use dfs::ObjectId;
use once_cell::sync::OnceCell;
use std::hash::Hasher;
use std::sync::atomic::{AtomicI32, AtomicU32, AtomicU64, Ordering};

const NAME: &str = "open.1";
const ENTRIES: usize = 1 << 16;
/// How many places an object's entries may take; where they are full, nobody is sure.
const WINDOW: usize = 32;
const BYTES: usize = std::mem::size_of::<Shared>();
/// Locked by everybody who has something open for which there was no place. (Tokens are 32 bits.)
const UNLISTED_BYTE: i64 = 1 << 40;
const NONE: u32 = 0;
const UNLISTED: u32 = u32::MAX;

/// The object's name was removed; a file lies under its hidden one.
pub const GONE: u64 = 1 << 32;

struct Entry {
    /// The object; 0: free.
    key: AtomicU64,
    /// Token, and what others said; 0: coming or going.
    state: AtomicU64,
}

#[repr(C)]
struct Shared {
    next_token: AtomicU32,
    _page: [AtomicU32; 1023],
    entries: [Entry; ENTRIES],
}

struct Table {
    shared: &'static Shared,
    file: OwnFd,
}

/// The process in the table: its token, and the description that keeps it locked.
pub struct Holder {
    file: OwnFd,
    token: u32,
}

static TABLE: OnceCell<Option<Table>> = OnceCell::new();
static ME: Guarded<Option<Holder>> = Guarded::new(None);
/// Of `ME`, read without the lock.
static TOKEN: AtomicU32 = AtomicU32::new(0);
/// Its descriptor, or -1.
static ME_FD: AtomicI32 = AtomicI32::new(-1);
/// How many nodes are listed.
static LISTED: AtomicU32 = AtomicU32::new(0);
/// Of the child a fork is about to make.
static CHILD: Guarded<Option<Holder>> = Guarded::new(None);

/// An object's number in the table.
pub fn key(mount: u64, oid: ObjectId) -> u64 {
    let mut h = Mix::default();
    h.write_u64(mount);
    h.write_u64(oid.hi);
    h.write_u64(oid.lo);
    h.finish().max(1)
}

/// A node's entry, if it has one.
#[derive(Default)]
pub struct Hold {
    entry: AtomicU32,
    /// The child's, while a fork is under way.
    child: AtomicU32,
}

impl Hold {
    /// Lists the object as open in this process, once.
    pub fn take(&self, key: u64) {
        if self.entry.load(Ordering::Acquire) != NONE {
            return;
        }
        let (Some(shared), Some(token)) = (shared(), token()) else {
            return;
        };
        let new = insert(shared, key, token);
        if new == UNLISTED {
            ME.lock().iter().for_each(Holder::has_unlisted);
        }
        let raced = self
            .entry
            .compare_exchange(NONE, new, Ordering::AcqRel, Ordering::Acquire);
        match raced {
            Ok(_) => drop(LISTED.fetch_add(1, Ordering::Relaxed)),
            Err(_) => drop(free(shared, new, token)),
        }
    }

    /// True if it is listed, or should be.
    pub fn is_taken(&self) -> bool {
        self.entry.load(Ordering::Relaxed) != NONE
    }

    /// What other processes said of the object. One load, two if it is listed.
    #[inline]
    pub fn news(&self) -> u64 {
        match self.entry.load(Ordering::Acquire) {
            NONE | UNLISTED => 0,
            at => entry(at).map_or(0, |e| e.state.load(Ordering::Acquire) & !TOKENS),
        }
    }

    /// The object is not open here any more; what others said of it meanwhile.
    pub fn release(&self) -> u64 {
        let at = self.entry.swap(NONE, Ordering::AcqRel);
        if at != NONE {
            LISTED.fetch_sub(1, Ordering::Relaxed);
        }
        match (shared(), TOKEN.load(Ordering::Acquire)) {
            (Some(shared), token) if token != 0 => free(shared, at, token),
            _ => 0,
        }
    }

    /// Before a fork: the child gets an entry.
    pub fn fork_prepare(&self, key: u64) {
        let child = CHILD.lock();
        let new = match &*child {
            Some(child) if self.is_taken() => child.insert(key),
            _ => NONE,
        };
        self.child.store(new, Ordering::Relaxed);
    }

    /// In the child of a fork: the entry made for it, or (the fork was not `announced`) a new one.
    pub fn fork_child(&self, key: u64, announced: bool) {
        let prepared = match (self.child.swap(NONE, Ordering::Relaxed), announced) {
            (prepared, true) => prepared,
            // That of a child between, which has not used it yet.
            _ => NONE,
        };
        if self.entry.swap(prepared, Ordering::Relaxed) != NONE && prepared == NONE {
            LISTED.fetch_sub(1, Ordering::Relaxed);
            self.take(key);
        }
    }
}

const TOKENS: u64 = 0xffff_ffff;

/// True if a process of this node has the object open; with `own` also this one.
pub fn is_held(key: u64, own: bool) -> bool {
    let Some(shared) = shared() else { return false };
    let me = TOKEN.load(Ordering::Acquire);
    let mut full = true;
    for e in window(shared, key) {
        let held = e.key.load(Ordering::Acquire);
        full &= held != 0;
        let state = e.state.load(Ordering::Acquire);
        if held != key || state & TOKENS == 0 {
            continue;
        }
        match state as u32 == me {
            true if own => return true,
            true => {}
            false if lives(state as u32) => return true,
            false => reclaim(e, state),
        }
    }
    full && is_locked(UNLISTED_BYTE)
}

/// Leaves word with every process that has the object open, this one among them; the number of
/// entries, those of the dead among them.
pub fn tell(key: u64, news: u64) -> usize {
    let Some(shared) = shared() else { return 0 };
    let mut told = 0;
    for e in window(shared, key) {
        let with = |state: u64| (state & TOKENS != 0).then_some(state | news);
        if e.key.load(Ordering::Acquire) == key
            && e.state
                .fetch_update(Ordering::AcqRel, Ordering::Acquire, with)
                .is_ok()
        {
            told += 1;
        }
    }
    told
}

/// What was said of an object to anybody who has it open.
pub fn news_of(key: u64) -> u64 {
    shared().map_or(0, |shared| said(shared, key))
}

/// True if some process of this node has something open that is not listed.
pub fn is_unsure() -> bool {
    shared().is_none() || is_locked(UNLISTED_BYTE)
}

/// Device and inode of the table: processes that share it see each other's entries.
pub fn identity() -> Option<(u64, u64)> {
    let st = table()?.file.stat().ok()?;
    Some((st.st_dev, st.st_ino))
}

/// Makes the table ready, if it can be had.
pub fn start() {
    let _ = shared();
}

/// True if this process has anything listed. One load.
pub fn has_any() -> bool {
    LISTED.load(Ordering::Relaxed) > 0
}

/// Before a fork: the child's token. False if nothing is listed, and none is needed.
pub fn fork_prepare() -> bool {
    if !has_any() {
        return false;
    }
    let child = Holder::new();
    *CHILD.lock() = child;
    true
}

/// After a fork with a token, in the parent.
pub fn fork_parent() {
    let child = CHILD.lock().take();
    drop(child);
}

/// In the child, at once: the parent's token must not outlive the parent here. Only the descriptor
/// goes; what is known of it goes with [`fork_child`]. Async-signal-safe.
pub fn fork_child_begins() {
    let fd = ME_FD.load(Ordering::Relaxed);
    if fd >= 0 {
        // SAFETY: the child's copy of a descriptor of ours, which it does not use.
        let _ = unsafe { call!(SYS_close, fd) };
    }
}

/// In the child, before [`Hold::fork_child`]; true if anything may be listed. `announced`: the
/// descriptor of the parent's token is closed already; otherwise it is closed here if it is this
/// process's `own`.
pub fn fork_child(announced: bool, own: bool) -> bool {
    if TOKEN.load(Ordering::Acquire) == 0 {
        return false;
    }
    let mut child = CHILD.lock().take();
    if !announced {
        // That of a child between.
        match own {
            true => drop(child.take()),
            false => std::mem::forget(child.take()),
        }
    }
    TOKEN.store(child.as_ref().map_or(0, |c| c.token), Ordering::Release);
    let fd = child.as_ref().map_or(-1, Holder::raw);
    ME_FD.store(fd, Ordering::Release);
    match std::mem::replace(&mut *ME.lock(), child) {
        Some(parents) if announced => parents.file.is_closed(),
        Some(parents) if !own => std::mem::forget(parents),
        parents => drop(parents),
    }
    has_any()
}

impl Holder {
    /// A token nobody has.
    fn new() -> Option<Holder> {
        let shared = shared()?;
        // the very file that is mapped, whatever has its name
        let again = table()?.file.reopen(libc::O_RDWR);
        let file = again.or_else(|_| rundir::open(NAME, libc::O_RDWR)).ok()?;
        for _ in 0..64 {
            let token = shared.next_token.fetch_add(1, Ordering::AcqRel);
            if token == 0 {
                continue;
            }
            match crate::lock::claim_at(&file, i64::from(token)) {
                Ok(()) => return Some(Holder { file, token }),
                Err(Errno::EAGAIN | Errno::EACCES) => {}
                Err(_) => return None,
            }
        }
        None
    }

    /// The holder of what passes over an exec, kept open by its descriptor until the new program
    /// has entries of its own. `None` when there is nothing to keep.
    pub fn successor(keys: &[u64]) -> Option<Holder> {
        if keys.is_empty() || TOKEN.load(Ordering::Acquire) == 0 {
            return None;
        }
        let holder = Holder::new()?;
        for key in keys {
            holder.insert(*key);
        }
        holder.file.set_cloexec(false).ok()?;
        Some(holder)
    }

    fn insert(&self, key: u64) -> u32 {
        let Some(shared) = shared() else { return NONE };
        let at = insert(shared, key, self.token);
        if at == UNLISTED {
            self.has_unlisted();
        }
        at
    }

    fn has_unlisted(&self) {
        let _ = crate::lock::share_byte(&self.file, UNLISTED_BYTE);
    }

    /// Its descriptor.
    pub fn raw(&self) -> i32 {
        self.file.raw()
    }
}

/// Closes the descriptor of a [`Holder::successor`] that came through an exec.
pub fn succeeded(fd: i32) {
    let st = crate::ownfd::stat_of(fd).ok();
    if st.is_some() && st.map(|st| (st.st_dev, st.st_ino)) == identity() {
        drop(OwnFd::inherited(fd));
    }
}

#[inline]
fn shared() -> Option<&'static Shared> {
    table().map(|t| t.shared)
}

#[inline]
fn table() -> Option<&'static Table> {
    match TABLE.get() {
        Some(table) => table.as_ref(),
        None => open(),
    }
}

/// Not in a child that shares our memory: its descriptors are not ours.
#[cold]
fn open() -> Option<&'static Table> {
    if inherit::in_shared_child() {
        return None;
    }
    let make = || {
        Table::open()
            .inspect_err(|e| {
                log::warn!(
                    "{e}: no table of open files in the run-time directory: a file that another \
                     process removes or replaces is lost to those that have it open"
                );
            })
            .ok()
    };
    TABLE.get_or_init(make).as_ref()
}

impl Table {
    /// All of it is allocated at once: a full file system is an error here, not a SIGBUS later.
    fn open() -> Result<Table, Errno> {
        let file = rundir::open(NAME, libc::O_RDWR | libc::O_CREAT)?;
        let st = file.stat()?;
        if st.st_size < BYTES as i64 || st.st_blocks * 512 < BYTES as i64 {
            file.reserve_quietly(BYTES as u64)?;
        }
        let prot = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping of a file of that size.
        let at = unsafe { call!(SYS_mmap, 0, BYTES, prot, libc::MAP_SHARED, file.raw(), 0) }?;
        // SAFETY: mapped for good; atomics only, for which any bytes are a value.
        let shared = unsafe { &*(at as usize as *const Shared) };
        Ok(Table { shared, file })
    }
}

/// This process's token, taken at its first use.
fn token() -> Option<u32> {
    match TOKEN.load(Ordering::Acquire) {
        0 => first_token(),
        token => Some(token),
    }
}

#[cold]
fn first_token() -> Option<u32> {
    if inherit::in_shared_child() {
        return None;
    }
    let mut me = ME.lock();
    if me.is_none() {
        *me = Some(Holder::new()?);
    }
    let (token, fd) = me.as_ref().map(|me| (me.token, me.raw()))?;
    ME_FD.store(fd, Ordering::Release);
    TOKEN.store(token, Ordering::Release);
    Some(token)
}

fn window(shared: &'static Shared, key: u64) -> impl Iterator<Item = &'static Entry> {
    let first = key as usize;
    (0..WINDOW).map(move |i| &shared.entries[(first + i) % ENTRIES])
}

fn entry(at: u32) -> Option<&'static Entry> {
    match at {
        NONE | UNLISTED => None,
        at => shared()?.entries.get(at as usize - 1),
    }
}

/// Where the object is listed now (counted from 1), or [`UNLISTED`] if there is no place.
fn insert(shared: &'static Shared, key: u64, token: u32) -> u32 {
    for round in 0..2 {
        for (i, e) in window(shared, key).enumerate() {
            let taken = e
                .key
                .compare_exchange(0, key, Ordering::AcqRel, Ordering::Acquire);
            if taken.is_ok() {
                e.state.store(u64::from(token), Ordering::Release);
                e.state.fetch_or(said(shared, key), Ordering::AcqRel);
                return (((key as usize + i) % ENTRIES) + 1) as u32;
            }
        }
        if round == 0 {
            window(shared, key).for_each(bury);
        }
    }
    UNLISTED
}

/// What stays true of an object: its entries say it to those that come later. Not those of the dead:
/// the number may by now be that of another object, in a container made anew.
fn said(shared: &'static Shared, key: u64) -> u64 {
    let me = TOKEN.load(Ordering::Acquire);
    let mut all = 0;
    for e in window(shared, key) {
        let state = e.state.load(Ordering::Acquire);
        if e.key.load(Ordering::Acquire) != key || state & GONE == 0 {
            continue;
        }
        match state as u32 {
            token if token == me || lives(token) => all |= GONE,
            _ => reclaim(e, state),
        }
    }
    all
}

fn free(shared: &'static Shared, at: u32, token: u32) -> u64 {
    let e = match at {
        NONE | UNLISTED => return 0,
        at => &shared.entries[(at as usize - 1) % ENTRIES],
    };
    let mine = |state: u64| (state as u32 == token).then_some(0);
    match e
        .state
        .fetch_update(Ordering::AcqRel, Ordering::Acquire, mine)
    {
        Ok(state) => {
            e.key.store(0, Ordering::Release);
            state & !TOKENS
        }
        Err(_) => 0,
    }
}

/// Frees the entry of a process that is no more.
fn bury(e: &'static Entry) {
    let state = e.state.load(Ordering::Acquire);
    let token = state as u32;
    if token != 0 && token != TOKEN.load(Ordering::Acquire) && !lives(token) {
        reclaim(e, state);
    }
}

fn reclaim(e: &Entry, state: u64) {
    let was = e
        .state
        .compare_exchange(state, 0, Ordering::AcqRel, Ordering::Acquire);
    if was.is_ok() {
        e.key.store(0, Ordering::Release);
    }
}

fn lives(token: u32) -> bool {
    is_locked(i64::from(token))
}

/// Whether another description has the byte; unknown counts as yes.
fn is_locked(byte: i64) -> bool {
    table().is_none_or(|t| crate::lock::is_claimed(&t.file, byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ready() {
        let path = rundir::path().unwrap().to_str().unwrap();
        std::fs::create_dir_all(path).unwrap();
        crate::filter::reserve().unwrap();
        start();
    }

    #[test]
    fn the_last_holder_hears_that_the_object_is_gone() {
        ready();
        let key = key(7, ObjectId { lo: 1, hi: 2 });
        let (one, two) = (Hold::default(), Hold::default());
        one.take(key);
        one.take(key);
        two.take(key);
        assert!(is_held(key, true));
        assert!(!is_held(key, false), "nobody else has it");
        assert_eq!(tell(key, GONE), 2);
        assert_eq!((one.news(), two.news()), (GONE, GONE));
        let late = Hold::default();
        late.take(key);
        assert_eq!(late.news(), GONE, "who comes later is told, too");
        assert_eq!(late.release(), GONE);
        assert_eq!(one.release(), GONE);
        assert_eq!(one.release(), 0);
        assert!(is_held(key, true));
        two.release();
        assert!(!is_held(key, true));
    }

    #[test]
    fn an_entry_of_a_killed_process_counts_for_nothing() {
        ready();
        let key = key(7, ObjectId { lo: 3, hi: 4 });
        let shared = shared().expect("a run-time directory");
        let dead = Holder::new().unwrap();
        insert(shared, key, dead.token);
        assert!(is_held(key, false), "its description has the lock");
        drop(dead);
        assert!(!is_held(key, false));
        assert!(news_of(key) == 0);
    }

    #[test]
    fn what_a_killed_process_was_told_is_forgotten() {
        ready();
        let key = key(7, ObjectId { lo: 5, hi: 6 });
        let shared = shared().expect("a run-time directory");
        let dead = Holder::new().unwrap();
        insert(shared, key, dead.token);
        tell(key, GONE);
        assert_eq!(news_of(key), GONE);
        drop(dead);
        let late = Hold::default();
        late.take(key);
        assert_eq!(late.news(), 0, "the number is another object's by now");
        late.release();
    }

    #[test]
    fn where_there_is_no_place_nobody_is_sure() {
        ready();
        let crowd = 0x5555_0000;
        let mut holds: Vec<Hold> = Vec::new();
        for _ in 0..=WINDOW {
            holds.push(Hold::default());
            holds[holds.len() - 1].take(crowd);
        }
        assert_eq!(holds[WINDOW].entry.load(Ordering::Relaxed), UNLISTED);
        for hold in &holds {
            hold.release();
        }
    }
}
