//! The slot table: the memory in which related processes share their open file descriptions. A
//! memfd of fixed, sparse size (mapped in steps), or - where none can be made - memory shared over
//! fork only. Cells are handed out without locks; whoever is killed on the way leaks one.
use super::hidden::Hidden;
use crate::{call, inherit, ownfd, Errno};
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
pub(super) struct Cell {
    pub(super) generation: AtomicU32,
    pub(super) refs: AtomicU32,
    pub(super) offset: AtomicI64,
    pub(super) flags: AtomicU32,
    /// Owner's pid of the offset lock, the top bit when somebody sleeps on it.
    pub(super) lock: AtomicU32,
    pub(super) mount: AtomicU64,
    pub(super) oid_lo: AtomicU64,
    pub(super) oid_hi: AtomicU64,
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
pub(super) struct Slots {
    steps: [AtomicPtr<Cell>; STEPS],
}

pub(super) static SLOTS: OnceCell<Slots> = OnceCell::new();
static DESCRIPTOR: Hidden = Hidden::new();

/// The descriptor of the slot table, for an exec; `None` before the first open, or when the table
/// could not be a file and is shared over fork only.
pub fn descriptor() -> Option<i32> {
    DESCRIPTOR.get()
}

/// Makes the table, if it can be made.
pub fn prepare() {
    let _ = Slots::get();
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
    /// The table, made at its first use.
    pub(super) fn get() -> Result<&'static Slots, Errno> {
        SLOTS.get_or_try_init(Slots::make)
    }

    /// A memfd as large as the process may make one (sparse, never resized); without one, memory
    /// that is shared over fork and lost at exec.
    fn make() -> Result<Slots, Errno> {
        inherit::only_in_own_memory("an open file")?;
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
    pub(super) fn cell(&self, index: u32) -> Option<&'static Cell> {
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

    /// A cell nobody uses: a freed one, else a fresh one.
    pub(super) fn take(&self) -> Option<u32> {
        self.pop().or_else(|| self.fresh())
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

    pub(super) fn push(&self, index: u32, cell: &Cell) {
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

#[cfg(test)]
mod tests {
    use super::super::slot::{Identity, Slot};
    use super::*;
    use dfs::ObjectId;

    const NOBODY: Identity = Identity {
        mount: 1,
        oid: ObjectId { lo: 2, hi: 3 },
    };

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
