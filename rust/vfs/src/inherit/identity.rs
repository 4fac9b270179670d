//! Which process is this? The recorded process id, and a page the kernel wipes in every fork
//! child: together they tell a child with its own copy of our memory from one that shares it.
//! A child's own step waits until it uses something of ours ([`catch_up`]): most children exec or
//! end before, and each page they write is copied for them. Everything here is async-signal-safe
//! and allocates nothing.
use crate::{credentials, inherit, kernel, Errno};
use std::sync::atomic::{AtomicI32, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering};

static PID: AtomicI32 = AtomicI32::new(0);
static WITNESS: AtomicPtr<Witness> = AtomicPtr::new(std::ptr::null_mut());
/// The thread that is catching up, by its pointer.
static CATCHING_UP: AtomicUsize = AtomicUsize::new(0);

/// The page that every fork child finds empty. It is no copy of the parent's, so that writing to it
/// around a fork costs the parent nothing.
#[repr(C)]
struct Witness {
    state: AtomicU32,
    /// The child of an announced fork.
    pid: AtomicI32,
    /// What a fork under way has done and has to undo.
    undo: AtomicU32,
}

/// The process that [`PID`] names. (The page as the kernel leaves it, 0: a child of a raw clone(2), for
/// which nothing was prepared.)
const KNOWN: u32 = 1;
/// A child of a fork; its step is still to come.
const ANNOUNCED: u32 = 2;
/// That step is under way.
const BUSY: u32 = 3;

/// Effective user and group at start: handles and descriptors are theirs alone.
static IDS: AtomicU64 = AtomicU64::new(0);
/// How many user name spaces the process has left for one of its own making.
static LEFT: AtomicU32 = AtomicU32::new(0);

/// Records the process; called once when the mounts are known, and by every first use before.
pub fn start() {
    if PID.load(Ordering::Acquire) == 0 && map_witness().is_ok() {
        let (uid, gid) = effective_ids();
        IDS.store(u64::from(uid) << 32 | u64::from(gid), Ordering::Release);
        record();
    }
}

/// True if the effective ids are not those of the start any more. In a user name space this process
/// has made for itself (unshare(2)) they are the same user under another number.
pub(super) fn changed_identity() -> bool {
    let (uid, gid) = effective_ids();
    start();
    let is_start =
        |uid, gid| IDS.load(Ordering::Acquire) == (u64::from(uid) << 32 | u64::from(gid));
    match LEFT.load(Ordering::Relaxed) {
        0 => !is_start(uid, gid),
        1 => credentials::outside(uid, gid).is_none_or(|(uid, gid)| !is_start(uid, gid)),
        // Its map leads to the one before, and that one's is not to be had any more.
        _ => true,
    }
}

/// This process has made itself a user name space.
pub fn left_user_name_space() {
    LEFT.fetch_add(1, Ordering::Relaxed);
}

/// Effective user and group, from the kernel.
pub(super) fn effective_ids() -> (u32, u32) {
    // SAFETY: no arguments.
    let ids = unsafe { (crate::call!(SYS_geteuid), crate::call!(SYS_getegid)) };
    (ids.0.unwrap_or(0) as u32, ids.1.unwrap_or(0) as u32)
}

/// The recorded process id: that of the process whose memory this is.
pub fn pid() -> i32 {
    match PID.load(Ordering::Acquire) {
        0 => getpid(),
        pid => pid,
    }
}

/// True in a child that shares our memory (`CLONE_VM`: vfork, posix_spawn): it must not change
/// the shared tables. One getpid. A fork child's own step is done first ([`catch_up`]).
pub fn in_shared_child() -> bool {
    start();
    catch_up();
    if getpid() == PID.load(Ordering::Acquire) {
        inherit::overlay::sweep();
        return false;
    }
    true
}

/// What is made once and belongs to the whole process cannot be made in a child that shares our
/// memory: the parent would believe that it has descriptors which only the child got. `EAGAIN`
/// there, and one line.
pub fn only_in_own_memory(what: &str) -> Result<(), Errno> {
    static SAID: AtomicU32 = AtomicU32::new(0);
    if !in_shared_child() {
        return Ok(());
    }
    if SAID.swap(1, Ordering::Relaxed) == 0 {
        log::error!(
            "the first use of {what} below a mount is in a child that shares its parent's memory \
             (posix_spawn, vfork): refused there; use the mount before"
        );
    }
    Err(Errno::EAGAIN)
}

/// Before anything of ours is used: in a fork child that has not yet done its step ([`super::fork`])
/// it is done now. Two loads.
#[inline]
pub fn catch_up() {
    if let Some(page) = witness() {
        if page.state.load(Ordering::Acquire) != KNOWN {
            catch_up_at(page);
        }
    }
}

/// One thread does it, the others wait: at most about a second, since a `CLONE_VM` child killed in
/// the middle never ends it.
#[cold]
fn catch_up_at(page: &'static Witness) {
    const TURNS: u32 = 20_000;
    for _ in 0..TURNS {
        let state = page.state.load(Ordering::Acquire);
        let begun = state != KNOWN && state != BUSY;
        if state == KNOWN || CATCHING_UP.load(Ordering::Acquire) == thread_pointer() {
            return;
        }
        let exchange = |state| {
            page.state
                .compare_exchange(state, BUSY, Ordering::AcqRel, Ordering::Relaxed)
        };
        if begun && exchange(state).is_ok() {
            CATCHING_UP.store(thread_pointer(), Ordering::Release);
            let announced = state == ANNOUNCED;
            let pid = match announced {
                true => page.pid.load(Ordering::Acquire),
                false => getpid(),
            };
            PID.store(pid, Ordering::Release);
            // A child that shares this one's memory may be the first to use it.
            inherit::fork::child(announced, pid == getpid());
            CATCHING_UP.store(0, Ordering::Release);
            page.state.store(KNOWN, Ordering::Release);
            return;
        }
        kernel::nap();
    }
    page.state.store(KNOWN, Ordering::Release);
}

/// In the child of a fork, at once: it is one, and its step may wait. False if that cannot be noted.
pub(super) fn announce() -> bool {
    let Some(page) = witness() else { return false };
    page.pid.store(getpid(), Ordering::Relaxed);
    page.state.store(ANNOUNCED, Ordering::Release);
    true
}

/// True in a fork child (and in one that shares its memory) that has used nothing of ours yet.
pub(super) fn is_waiting() -> bool {
    witness().is_some_and(|page| page.state.load(Ordering::Acquire) == ANNOUNCED)
}

/// Notes, in the parent, what is to be undone after a fork.
pub(super) fn to_undo(what: u32) {
    if let Some(page) = witness() {
        page.undo.store(what, Ordering::Relaxed);
    }
}

/// What is to be undone.
pub(super) fn undo() -> u32 {
    witness().map_or(u32::MAX, |page| page.undo.load(Ordering::Relaxed))
}

#[inline]
fn witness() -> Option<&'static Witness> {
    // SAFETY: null, or a page that is mapped once and never unmapped.
    unsafe { WITNESS.load(Ordering::Acquire).as_ref() }
}

/// Records this process as the owner of the memory.
fn record() {
    PID.store(getpid(), Ordering::Release);
    if let Some(page) = witness() {
        page.state.store(KNOWN, Ordering::Release);
    }
}

/// The kernel's answer, not libc's cached one.
pub(super) fn getpid() -> i32 {
    // SAFETY: no arguments.
    unsafe { crate::call!(SYS_getpid) }.unwrap_or(0) as i32
}

/// What tells the threads of a process apart and is shared by a `CLONE_VM` child with the thread
/// that made it (which sleeps meanwhile): the thread pointer.
pub(super) fn thread_pointer() -> usize {
    let tp: usize;
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the first word of the thread block is its own address (ELF TLS ABI).
    unsafe {
        core::arch::asm!("mov {}, fs:[0]", out(reg) tp, options(nostack, readonly, preserves_flags))
    };
    #[cfg(target_arch = "aarch64")]
    // SAFETY: reading the thread pointer register has no effect.
    unsafe {
        core::arch::asm!("mrs {}, tpidr_el0", out(reg) tp, options(nostack, nomem))
    };
    tp
}

fn map_witness() -> Result<(), Errno> {
    const MADV_WIPEONFORK: i32 = 18;
    const PAGE: usize = 4096;
    let prot = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: a new anonymous mapping.
    let page = unsafe { crate::call!(SYS_mmap, 0, PAGE, prot, flags, -1, 0) }?;
    // SAFETY: our own page. Before Linux 4.14 it is copied, and only announced forks are known.
    let _ = unsafe { crate::call!(SYS_madvise, page, PAGE, MADV_WIPEONFORK) };
    let page = page as usize as *mut Witness;
    if WITNESS
        .compare_exchange(
            std::ptr::null_mut(),
            page,
            Ordering::AcqRel,
            Ordering::Relaxed,
        )
        .is_err()
    {
        // SAFETY: another thread was first; nobody knows this page.
        unsafe { kernel::syscall(libc::SYS_munmap, [page as i64, PAGE as i64, 0, 0, 0, 0]) }?;
    }
    Ok(())
}
