//! Slots: what Linux keeps in `struct file` and shares over dup, fork and exec - offset and status
//! flags. A [`Slot`] is one process's reference to a cell of the shared table; nothing else hangs
//! on it, so a killed process leaks 64 bytes and no more.
//! Relies on [`inherit::pid`] for the owner of a locked offset.
use super::slots::{Cell, Slots, SLOTS};
use crate::{call, inherit, Errno};
use dfs::ObjectId;
use std::sync::atomic::{AtomicU32, Ordering};

pub use super::slots::{attach, descriptor, prepare};

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
        let index = slots.take().ok_or(Errno::ENFILE)?;
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
        Slot::lives(index, generation).then_some(Slot {
            cell,
            index,
            generation,
            gone: false,
        })
    }

    /// True if an earlier image of this process can have left such a description.
    pub fn lives(index: u32, generation: u32) -> bool {
        let cell = SLOTS.get().and_then(|slots| slots.cell(index));
        cell.is_some_and(|cell| {
            generation != 0
                && cell.refs.load(Ordering::Acquire) > 0
                && cell.generation.load(Ordering::Acquire) == generation
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
                    for slot in &held {
                        taken.lock().unwrap().remove(&slot.index());
                    }
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
}
