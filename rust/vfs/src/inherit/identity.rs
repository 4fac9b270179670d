//! Which process is this? The recorded process id, and a page the kernel wipes in every fork
//! child: together they tell a child with its own copy of our memory from one that shares it.
//! Everything here is async-signal-safe and allocates nothing.
use crate::{inherit, kernel, Errno};
use std::sync::atomic::{AtomicI32, AtomicPtr, AtomicU32, AtomicU64, Ordering};

static PID: AtomicI32 = AtomicI32::new(0);
static WITNESS: AtomicPtr<AtomicU32> = AtomicPtr::new(std::ptr::null_mut());

/// Effective user and group at start: handles and descriptors are theirs alone.
static IDS: AtomicU64 = AtomicU64::new(0);

/// Records the process; called once when the mounts are known, and by every first use before.
pub fn start() {
    if PID.load(Ordering::Acquire) == 0 && map_witness().is_ok() {
        let (uid, gid) = effective_ids();
        IDS.store(u64::from(uid) << 32 | u64::from(gid), Ordering::Release);
        record();
    }
}

/// True if the effective ids are not those of the start any more.
pub(super) fn changed_identity() -> bool {
    let (uid, gid) = effective_ids();
    start();
    IDS.load(Ordering::Acquire) != (u64::from(uid) << 32 | u64::from(gid))
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
/// the shared tables. One getpid. In a fork child whose atfork step did not run (raw clone) that
/// step is done first.
pub fn in_shared_child() -> bool {
    start();
    if getpid() == PID.load(Ordering::Acquire) {
        inherit::overlay::sweep();
        return false;
    }
    let page = WITNESS.load(Ordering::Acquire);
    // SAFETY: the page is mapped once and never unmapped.
    if !page.is_null() && unsafe { (*page).load(Ordering::Acquire) } == 0 {
        inherit::fork::unannounced_child();
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

/// Before a call is served: in a fork child whose atfork step did not run (raw clone) that step is
/// done now. Two loads.
#[inline]
pub fn catch_up() {
    let page = WITNESS.load(Ordering::Relaxed);
    // SAFETY: the page is mapped once and never unmapped.
    if !page.is_null() && unsafe { (*page).load(Ordering::Relaxed) } == 0 {
        inherit::fork::unannounced_child();
    }
}

/// Records this process as the owner of the memory.
pub(super) fn record() {
    PID.store(getpid(), Ordering::Release);
    let page = WITNESS.load(Ordering::Acquire);
    if !page.is_null() {
        // SAFETY: as above.
        unsafe { (*page).store(1, Ordering::Release) };
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
    // SAFETY: our own page. Before Linux 4.14 it stays copied, and only announced forks are known.
    let _ = unsafe { crate::call!(SYS_madvise, page, PAGE, MADV_WIPEONFORK) };
    let page = page as usize as *mut AtomicU32;
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
