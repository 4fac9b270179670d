//! The descriptors of a child that shares our memory, as far as they differ from ours.
//!
//! Such a child (vfork, posix_spawn) has its own kernel descriptors but our [`crate::fd::Table`];
//! what it opens, closes and dups before its exec is noted here instead. One overlay belongs to one
//! child, found by its process id; it goes when the thread that made the child runs again.
//! Lookups take no lock; an overlay is changed by its one child only.
use super::identity::{getpid, thread_pointer};
use crate::file::OpenFile;
use std::sync::atomic::{AtomicI32, AtomicPtr, AtomicU32, AtomicUsize, Ordering};
use std::sync::Arc;

/// How many children may have one at a time, and how many numbers one notes. A child beyond
/// either changes its kernel descriptors only.
const OVERLAYS: usize = 64;
const CHANGES: usize = 64;

/// What an overlay says about a number.
pub enum Seen {
    /// Nothing: the shared table holds.
    Unchanged,
    /// The number is the kernel's (or closed) here.
    Kernel,
    /// The number is this file here.
    Ours(Arc<OpenFile>),
}

struct Change {
    fd: AtomicI32,
    file: AtomicPtr<OpenFile>,
}

struct Overlay {
    /// 0: free; -1: being claimed or swept.
    pid: AtomicI32,
    thread: AtomicUsize,
    used: AtomicUsize,
    changes: [Change; CHANGES],
}

static IN_USE: AtomicU32 = AtomicU32::new(0);
static ALL: [Overlay; OVERLAYS] = [const {
    Overlay {
        pid: AtomicI32::new(0),
        thread: AtomicUsize::new(0),
        used: AtomicUsize::new(0),
        changes: [const {
            Change {
                fd: AtomicI32::new(-1),
                file: AtomicPtr::new(std::ptr::null_mut()),
            }
        }; CHANGES],
    }
}; OVERLAYS];

/// True while any such child may exist: one load.
#[inline]
pub fn active() -> bool {
    IN_USE.load(Ordering::Relaxed) != 0
}

/// What this child sees under a number; to be asked only where [`super::in_shared_child`] is true.
pub fn overlay_get(fd: i32) -> Seen {
    let Some(change) = find(getpid()).and_then(|o| o.change(fd)) else {
        return Seen::Unchanged;
    };
    match change.file.load(Ordering::Acquire) {
        file if file.is_null() => Seen::Kernel,
        file => {
            // SAFETY: the overlay owns one reference until it is swept, after this child is gone.
            unsafe { Arc::increment_strong_count(file) };
            // SAFETY: the reference just taken.
            Seen::Ours(unsafe { Arc::from_raw(file) })
        }
    }
}

/// Notes that in this child a number is that file, or (`None`) the kernel's or closed. False if
/// there is no room: then the child's number must not be ours (close it).
pub fn overlay_set(fd: i32, file: Option<Arc<OpenFile>>) -> bool {
    let pid = getpid();
    let Some(overlay) = find(pid).or_else(|| claim(pid)) else {
        return false;
    };
    let new = file.map_or(std::ptr::null_mut(), |f| Arc::into_raw(f).cast_mut());
    let change = match overlay.change(fd) {
        Some(change) => change,
        None => {
            let used = overlay.used.load(Ordering::Relaxed);
            if used == CHANGES {
                drop_file(new);
                return false;
            }
            overlay.changes[used].fd.store(fd, Ordering::Relaxed);
            overlay.used.store(used + 1, Ordering::Release);
            &overlay.changes[used]
        }
    };
    // Dropping the last reference would talk to DAOS, which this child must not: a displaced file
    // waits for the sweep.
    let old = change.file.swap(new, Ordering::AcqRel);
    if !old.is_null() {
        park(overlay, old);
    }
    true
}

/// Drops the overlays of children this very thread made: it runs, so they are gone.
/// One load when there are none.
pub(super) fn sweep() {
    if !active() {
        return;
    }
    let thread = thread_pointer();
    for overlay in &ALL {
        let pid = overlay.pid.load(Ordering::Acquire);
        if pid > 0 && overlay.thread.load(Ordering::Relaxed) == thread {
            overlay.clear(pid);
        }
    }
}

/// Forgets all overlays without touching what they hold: for a fork child, whose copies belong to
/// siblings.
pub(super) fn forget() {
    // Looking at each would touch sixteen pages of a child that most likely ends soon.
    if !active() {
        return;
    }
    for overlay in &ALL {
        overlay.used.store(0, Ordering::Relaxed);
        overlay.pid.store(0, Ordering::Relaxed);
    }
    IN_USE.store(0, Ordering::Relaxed);
}

impl Overlay {
    fn changes(&self) -> &[Change] {
        &self.changes[..self.used.load(Ordering::Acquire)]
    }

    fn change(&self, fd: i32) -> Option<&Change> {
        self.changes()
            .iter()
            .find(|c| c.fd.load(Ordering::Relaxed) == fd)
    }

    fn clear(&self, pid: i32) {
        if self
            .pid
            .compare_exchange(pid, -1, Ordering::AcqRel, Ordering::Relaxed)
            .is_err()
        {
            return;
        }
        for change in self.changes() {
            drop_file(change.file.swap(std::ptr::null_mut(), Ordering::AcqRel));
            change.fd.store(-1, Ordering::Relaxed);
        }
        self.used.store(0, Ordering::Relaxed);
        self.pid.store(0, Ordering::Release);
        IN_USE.fetch_sub(1, Ordering::Relaxed);
    }
}

fn find(pid: i32) -> Option<&'static Overlay> {
    ALL.iter().find(|o| o.pid.load(Ordering::Acquire) == pid)
}

/// A free overlay, after those of vanished processes were given back.
fn claim(pid: i32) -> Option<&'static Overlay> {
    for round in 0..2 {
        for overlay in &ALL {
            let owner = overlay.pid.load(Ordering::Acquire);
            if round == 1 && owner > 0 && vanished(owner) {
                overlay.clear(owner);
            }
            if overlay
                .pid
                .compare_exchange(0, -1, Ordering::AcqRel, Ordering::Relaxed)
                .is_ok()
            {
                IN_USE.fetch_add(1, Ordering::Relaxed);
                overlay.thread.store(thread_pointer(), Ordering::Relaxed);
                overlay.used.store(0, Ordering::Relaxed);
                overlay.pid.store(pid, Ordering::Release);
                return Some(overlay);
            }
        }
    }
    None
}

fn vanished(pid: i32) -> bool {
    // SAFETY: signal 0 only asks.
    let asked = unsafe { crate::call!(SYS_kill, pid, 0) };
    asked == Err(crate::Errno::ESRCH)
}

/// Keeps a displaced file until the sweep, under no number.
fn park(overlay: &Overlay, file: *mut OpenFile) {
    let used = overlay.used.load(Ordering::Relaxed);
    if used < CHANGES {
        overlay.changes[used].fd.store(-1, Ordering::Relaxed);
        overlay.changes[used].file.store(file, Ordering::Relaxed);
        overlay.used.store(used + 1, Ordering::Release);
    }
    // No room: the reference is leaked; it costs memory, not correctness.
}

fn drop_file(file: *mut OpenFile) {
    if !file.is_null() {
        // SAFETY: the reference the overlay owned, taken out by the swap of its only slot.
        drop(unsafe { Arc::from_raw(file) });
    }
}
