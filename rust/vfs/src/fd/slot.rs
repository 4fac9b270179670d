//! Slots: what Linux keeps in `struct file` and shares over dup, fork and exec - offset and status
//! flags - in memory that related processes share. One cache line each in a sealed-size memfd;
//! nothing else hangs on a slot, so a killed process leaks 64 bytes and no more.
//! Relies on [`inherit::pid`] for the owner of a locked offset.
use super::hidden::Hidden;
use crate::{call, inherit, ownfd, Errno};
use dfs::ObjectId;
use once_cell::sync::OnceCell;
use std::sync::atomic::{AtomicI64, AtomicPtr, AtomicU32, AtomicU64, Ordering};

const MAGIC: u64 = 0x5049_4c53_4c4f_5431;
const SLOT_BYTES: usize = 64;
/// The table is mapped in steps of this size.
const STEP_BYTES: usize = 16 << 20;
const STEP_SLOTS: u32 = (STEP_BYTES / SLOT_BYTES) as u32;
const STEPS: usize = 64;

/// One open file description.
#[repr(C, align(64))]
struct Cell {
    generation: AtomicU32,
    refs: AtomicU32,
    offset: AtomicI64,
    flags: AtomicU32,
    /// Owner's pid of the offset lock, [`WAITERS`] when somebody sleeps on it.
    lock: AtomicU32,
    mount: AtomicU64,
    oid_lo: AtomicU64,
    oid_hi: AtomicU64,
    next: AtomicU32,
}

/// The first cell of the table: what all its users agree on.
#[repr(C, align(64))]
struct Head {
    magic: AtomicU64,
    capacity: AtomicU32,
    /// Cells below this number were used at least once.
    fresh: AtomicU32,
    /// Free list: count of changes and first cell (0: none).
    free: AtomicU64,
}

/// The table of this process and its relatives.
struct Slots {
    steps: [AtomicPtr<Cell>; STEPS],
}

static SLOTS: OnceCell<Slots> = OnceCell::new();
static DESCRIPTOR: Hidden = Hidden::new();

/// The descriptor of the slot table, for an exec; `None` before the first open, or when the table
/// could not be a file and is shared over fork only.
pub fn descriptor() -> Option<i32> {
    DESCRIPTOR.get()
}

/// Takes over the table an earlier image made. Its size has been checked against the memfd; its
/// contents may be anything. False if this process already has a table or it is not one.
pub fn attach(fd: i32) -> bool {
    let Ok(st) = ownfd::stat_of(fd) else {
        return false;
    };
    let size = st.st_size;
    if size < STEP_BYTES as i64 || size % STEP_BYTES as i64 != 0 {
        return false;
    }
    let mut fresh = false;
    let got = SLOTS.get_or_try_init(|| {
        let slots = Slots::over(fd)?;
        let head = slots.head();
        let capacity = head.capacity.load(Ordering::Acquire);
        let fits = i64::from(capacity) * SLOT_BYTES as i64 <= size;
        if head.magic.load(Ordering::Acquire) != MAGIC
            || !fits
            || capacity > STEP_SLOTS * STEPS as u32
        {
            return Err(Errno::EINVAL);
        }
        DESCRIPTOR.put(fd);
        fresh = true;
        Ok(slots)
    });
    got.is_ok() && fresh
}

fn map_step(fd: i32, step: usize) -> Result<*mut Cell, Errno> {
    let prot = libc::PROT_READ | libc::PROT_WRITE;
    let kind = if fd < 0 { libc::MAP_ANONYMOUS } else { 0 };
    let flags = libc::MAP_SHARED | libc::MAP_NORESERVE | kind;
    // SAFETY: a new mapping, of a memfd whose size is fixed or of nothing.
    let at = unsafe { call!(SYS_mmap, 0, STEP_BYTES, prot, flags, fd, step * STEP_BYTES) }?;
    Ok(at as usize as *mut Cell)
}

impl Slots {
    fn get() -> Result<&'static Slots, Errno> {
        SLOTS.get_or_try_init(Slots::make)
    }

    /// A memfd as large as the process may make one (sparse, never resized); without one, memory
    /// that is shared over fork and lost at exec.
    fn make() -> Result<Slots, Errno> {
        let limit = crate::ops::file_size_limit();
        let steps = (limit as u64 / STEP_BYTES as u64).min(STEPS as u64) as usize;
        let fd = if steps > 0 {
            Self::memfd(steps * STEP_BYTES).ok()
        } else {
            None
        };
        let (slots, capacity) = match fd {
            Some(fd) => (Slots::over(fd)?, steps as u32 * STEP_SLOTS),
            None => (Slots::over(-1)?, STEP_SLOTS),
        };
        let head = slots.head();
        head.capacity.store(capacity, Ordering::Release);
        head.fresh.store(1, Ordering::Release);
        head.magic.store(MAGIC, Ordering::Release);
        if let Some(fd) = fd {
            DESCRIPTOR.put(fd);
        }
        Ok(slots)
    }

    fn memfd(bytes: usize) -> Result<i32, Errno> {
        let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
        // SAFETY: a NUL-terminated name.
        let fd = unsafe { call!(SYS_memfd_create, c"daos-slots".as_ptr(), flags) }?;
        let seals = libc::F_SEAL_GROW | libc::F_SEAL_SHRINK | libc::F_SEAL_SEAL;
        // SAFETY: a descriptor of ours and plain numbers.
        let sized = unsafe {
            call!(SYS_ftruncate, fd, bytes)
                .and_then(|_| call!(SYS_fcntl, fd, libc::F_ADD_SEALS, seals))
        };
        if let Err(e) = sized {
            // SAFETY: the descriptor just made.
            let _ = unsafe { call!(SYS_close, fd) };
            return Err(e);
        }
        Ok(fd as i32)
    }

    fn over(fd: i32) -> Result<Slots, Errno> {
        let first = map_step(fd, 0)?;
        let slots = Slots {
            steps: [const { AtomicPtr::new(std::ptr::null_mut()) }; STEPS],
        };
        slots.steps[0].store(first, Ordering::Release);
        Ok(slots)
    }

    fn head(&self) -> &Head {
        // SAFETY: step 0 is mapped for the life of the process; its first cell is the head, and all
        // its fields are atomics, for which any bytes are a value.
        unsafe { &*self.steps[0].load(Ordering::Acquire).cast::<Head>() }
    }

    /// The cell of an index; `None` for one beyond the table or when it cannot be mapped.
    fn cell(&self, index: u32) -> Option<&'static Cell> {
        if index == 0 || index >= self.head().capacity.load(Ordering::Acquire) {
            return None;
        }
        let (step, within) = ((index / STEP_SLOTS) as usize, index % STEP_SLOTS);
        let place = self.steps.get(step)?;
        let mut base = place.load(Ordering::Acquire);
        if base.is_null() {
            let new = map_step(DESCRIPTOR.get()?, step).ok()?;
            let null = std::ptr::null_mut();
            match place.compare_exchange(null, new, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => base = new,
                Err(theirs) => {
                    // SAFETY: our own mapping, published to nobody.
                    let _ = unsafe { call!(SYS_munmap, new, STEP_BYTES) };
                    base = theirs;
                }
            }
        }
        // SAFETY: within < STEP_SLOTS; steps are never unmapped; any bytes are a Cell.
        Some(unsafe { &*base.add(within as usize) })
    }

    fn pop(&self) -> Option<u32> {
        let free = &self.head().free;
        let mut seen = free.load(Ordering::Acquire);
        loop {
            let index = seen as u32;
            let next = self.cell(index)?.next.load(Ordering::Acquire);
            let then = (seen >> 32).wrapping_add(1) << 32 | u64::from(next);
            match free.compare_exchange_weak(seen, then, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Some(index),
                Err(now) => seen = now,
            }
        }
    }

    fn push(&self, index: u32, cell: &Cell) {
        let free = &self.head().free;
        let mut seen = free.load(Ordering::Acquire);
        loop {
            cell.next.store(seen as u32, Ordering::Release);
            let then = (seen >> 32).wrapping_add(1) << 32 | u64::from(index);
            match free.compare_exchange_weak(seen, then, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return,
                Err(now) => seen = now,
            }
        }
    }

    fn fresh(&self) -> Option<u32> {
        let head = self.head();
        let capacity = head.capacity.load(Ordering::Acquire);
        let below = |n: u32| (n < capacity).then_some(n + 1);
        head.fresh
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, below)
            .ok()
    }
}

/// What survives in a slot besides the offset: enough to find the object again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Identity {
    /// Hash of the mount (pool and container).
    pub mount: u64,
    /// The object.
    pub oid: ObjectId,
}

/// One reference to an open file description. Dropping it gives the reference back.
pub struct Slot {
    cell: &'static Cell,
    index: u32,
    generation: u32,
    gone: bool,
}

impl Slot {
    /// A new description: offset 0, these status flags. `ENFILE` when the table is full.
    pub fn new(flags: i32, identity: Identity) -> Result<Slot, Errno> {
        let slots = Slots::get()?;
        let index = slots.pop().or_else(|| slots.fresh()).ok_or(Errno::ENFILE)?;
        let cell = slots.cell(index).ok_or(Errno::ENFILE)?;
        let generation = cell.generation.load(Ordering::Acquire).max(1);
        cell.offset.store(0, Ordering::Relaxed);
        cell.flags.store(flags as u32, Ordering::Relaxed);
        cell.lock.store(0, Ordering::Relaxed);
        cell.mount.store(identity.mount, Ordering::Relaxed);
        cell.oid_lo.store(identity.oid.lo, Ordering::Relaxed);
        cell.oid_hi.store(identity.oid.hi, Ordering::Relaxed);
        cell.refs.store(1, Ordering::Release);
        cell.generation.store(generation, Ordering::Release);
        Ok(Slot {
            cell,
            index,
            generation,
            gone: false,
        })
    }

    /// The description an earlier image of this process left: takes over the reference it held.
    /// `None` if no such description lives.
    pub fn inherit(index: u32, generation: u32) -> Option<Slot> {
        let cell = SLOTS.get()?.cell(index)?;
        let lives = cell.refs.load(Ordering::Acquire) > 0
            && generation != 0
            && cell.generation.load(Ordering::Acquire) == generation;
        lives.then_some(Slot {
            cell,
            index,
            generation,
            gone: false,
        })
    }

    /// Takes one more reference, which belongs to a process about to be born.
    pub fn take(&self) {
        self.cell.refs.fetch_add(1, Ordering::AcqRel);
    }

    /// Gives back a reference of [`Slot::take`].
    pub fn give(&self) {
        release(self.cell, self.index, self.generation);
    }

    /// Gives back the reference of this handle. True if it was the last in all processes.
    pub fn close(&mut self) -> bool {
        if std::mem::replace(&mut self.gone, true) {
            return false;
        }
        release(self.cell, self.index, self.generation)
    }

    /// Its place in the table.
    pub fn index(&self) -> u32 {
        self.index
    }

    /// Its generation, never 0.
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// What it was opened on.
    pub fn identity(&self) -> Identity {
        let (lo, hi) = (
            self.cell.oid_lo.load(Ordering::Relaxed),
            self.cell.oid_hi.load(Ordering::Relaxed),
        );
        Identity {
            mount: self.cell.mount.load(Ordering::Relaxed),
            oid: ObjectId { lo, hi },
        }
    }

    /// Status flags (`O_APPEND`, `O_NONBLOCK`, ...).
    pub fn flags(&self) -> i32 {
        self.cell.flags.load(Ordering::Relaxed) as i32
    }

    /// Sets the status flags within `mask`.
    pub fn set_flags(&self, mask: i32, flags: i32) {
        let set = |old: u32| Some(old & !(mask as u32) | (flags & mask) as u32);
        let _ = self
            .cell
            .flags
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, set);
    }

    /// The offset without its lock: for looks, not for changes.
    pub fn peek(&self) -> i64 {
        self.cell.offset.load(Ordering::Relaxed)
    }

    /// Moves the offset; the caller holds its lock.
    pub fn store(&self, offset: i64) {
        self.cell.offset.store(offset, Ordering::Relaxed);
    }

    /// Locks the offset, as Linux's `f_pos_lock`: held over the whole data call. Waits for other
    /// holders, threads or processes; one that died with it is overtaken.
    pub fn lock(&self) -> Position<'_> {
        let me = inherit::pid() as u32 & PID;
        let lock = &self.cell.lock;
        if lock
            .compare_exchange(0, me, Ordering::Acquire, Ordering::Relaxed)
            .is_err()
        {
            wait(lock, me);
        }
        Position { cell: self.cell }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.close();
    }
}

/// A count of 0 or another generation means the table was damaged by a relative: leave it alone.
fn release(cell: &'static Cell, index: u32, generation: u32) -> bool {
    if cell.generation.load(Ordering::Acquire) != generation {
        return false;
    }
    let down = |refs: u32| refs.checked_sub(1);
    let before = cell
        .refs
        .fetch_update(Ordering::AcqRel, Ordering::Acquire, down);
    if before != Ok(1) {
        return false;
    }
    let next = generation.wrapping_add(1).max(1);
    cell.generation.store(next, Ordering::Release);
    if let Ok(slots) = Slots::get() {
        slots.push(index, cell);
    }
    true
}

/// Set beside the owner's pid while somebody sleeps on the lock.
const WAITERS: u32 = 1 << 31;
const PID: u32 = WAITERS - 1;

/// The locked offset of a description.
pub struct Position<'a> {
    cell: &'a Cell,
}

impl Position<'_> {
    /// The offset in bytes.
    pub fn get(&self) -> i64 {
        self.cell.offset.load(Ordering::Relaxed)
    }

    /// Moves it.
    pub fn set(&self, offset: i64) {
        self.cell.offset.store(offset, Ordering::Relaxed);
    }
}

impl Drop for Position<'_> {
    fn drop(&mut self) {
        let lock = &self.cell.lock;
        if lock.swap(0, Ordering::Release) & WAITERS != 0 {
            // SAFETY: wakes sleepers on a mapped word; the table is shared, so no private futex.
            let _ = unsafe { call!(SYS_futex, lock.as_ptr(), libc::FUTEX_WAKE, 1) };
        }
    }
}

#[cold]
fn wait(lock: &AtomicU32, me: u32) {
    for _ in 0..200 {
        if lock
            .compare_exchange_weak(0, me, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
        {
            return;
        }
        std::hint::spin_loop();
    }
    let limit = libc::timespec {
        tv_sec: 0,
        tv_nsec: 10_000_000,
    };
    loop {
        let seen = lock.load(Ordering::Relaxed);
        let (from, to) = if seen & PID == 0 {
            (seen, me | WAITERS)
        } else {
            (seen, seen | WAITERS)
        };
        if lock
            .compare_exchange(from, to, Ordering::Acquire, Ordering::Relaxed)
            .is_err()
        {
            continue;
        }
        if seen & PID == 0 {
            return;
        }
        // SAFETY: waits on a mapped word for at most 10 ms.
        let woken = unsafe {
            call!(
                SYS_futex,
                lock.as_ptr(),
                libc::FUTEX_WAIT,
                to,
                &raw const limit
            )
        };
        let dead = woken == Err(Errno::ETIMEDOUT) && seen & PID != me && is_dead(seen & PID);
        if dead
            && lock
                .compare_exchange(to, me | WAITERS, Ordering::Acquire, Ordering::Relaxed)
                .is_ok()
        {
            return;
        }
    }
}

/// A process of another pid namespace looks dead too: then the offset is protected by no more than
/// the word itself. A pid in use again looks alive; its holder is waited for.
fn is_dead(pid: u32) -> bool {
    // SAFETY: signal 0 only asks.
    unsafe { call!(SYS_kill, pid, 0) == Err(Errno::ESRCH) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    const NOBODY: Identity = Identity {
        mount: 1,
        oid: ObjectId { lo: 2, hi: 3 },
    };

    #[test]
    fn a_slot_is_used_by_one_description_at_a_time() {
        let taken = std::sync::Mutex::new(HashSet::new());
        std::thread::scope(|scope| {
            for seed in 0..4u32 {
                let taken = &taken;
                scope.spawn(move || {
                    let (mut held, mut x) = (Vec::new(), seed + 1);
                    for _ in 0..5_000 {
                        x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                        if x >> 31 == 0 || held.is_empty() {
                            let slot = Slot::new(0, NOBODY).unwrap();
                            assert!(
                                taken.lock().unwrap().insert(slot.index()),
                                "handed out twice"
                            );
                            held.push(slot);
                        } else {
                            let mut slot = held.swap_remove(x as usize % held.len());
                            taken.lock().unwrap().remove(&slot.index());
                            assert!(slot.close(), "the only reference is the last");
                        }
                    }
                    held.iter()
                        .for_each(|s| drop(taken.lock().unwrap().remove(&s.index())));
                });
            }
        });
    }

    #[test]
    fn a_stale_handle_finds_nothing() {
        let slot = Slot::new(libc::O_APPEND, NOBODY).unwrap();
        let (index, generation) = (slot.index(), slot.generation());
        assert_ne!(generation, 0);
        assert_eq!((slot.flags(), slot.identity()), (libc::O_APPEND, NOBODY));
        slot.take();
        let mut again = Slot::inherit(index, generation).unwrap();
        drop(slot);
        assert!(again.close());
        assert!(Slot::inherit(index, generation).is_none());
        assert!(Slot::inherit(0, 1).is_none());
        assert!(Slot::inherit(u32::MAX, 1).is_none());
        assert!(Slot::inherit(index, 0).is_none());
    }

    #[test]
    fn status_flags_change_within_their_mask() {
        let slot = Slot::new(libc::O_APPEND, NOBODY).unwrap();
        slot.set_flags(libc::O_NONBLOCK, libc::O_NONBLOCK | libc::O_DIRECT);
        assert_eq!(slot.flags(), libc::O_APPEND | libc::O_NONBLOCK);
    }

    #[test]
    fn the_offset_lock_excludes() {
        let slot = Slot::new(0, NOBODY).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..20_000 {
                        let position = slot.lock();
                        position.set(position.get() + 1);
                    }
                });
            }
        });
        assert_eq!(slot.peek(), 80_000);
    }

    #[test]
    fn a_dead_owner_is_overtaken() {
        let slot = Slot::new(0, NOBODY).unwrap();
        // SAFETY: the child only takes a lock and ends.
        let child = unsafe { libc::fork() };
        if child == 0 {
            // As the child of a process that recorded its pid: the lock names the child.
            // SAFETY: no arguments.
            let me = unsafe { call!(SYS_getpid) }.unwrap_or(0) as u32;
            slot.cell.lock.store(me, Ordering::SeqCst);
            slot.cell.offset.store(7, Ordering::SeqCst);
            // SAFETY: ends the child.
            unsafe { libc::_exit(0) };
        }
        // SAFETY: our child.
        unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
        assert_ne!(slot.cell.lock.load(Ordering::SeqCst), 0);
        assert_eq!(slot.lock().get(), 7, "memory is shared over fork");
        assert_eq!(slot.cell.lock.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn another_image_sees_the_same_slots() {
        let slot = Slot::new(0, NOBODY).unwrap();
        slot.lock().set(99);
        let fd = descriptor().expect("a table in a file");
        let theirs = Slots::over(fd).unwrap();
        assert_eq!(theirs.head().magic.load(Ordering::SeqCst), MAGIC);
        let cell = theirs.cell(slot.index()).unwrap();
        assert_eq!(cell.offset.load(Ordering::SeqCst), 99);
        assert!(!attach(fd), "this process has a table");
    }
}
