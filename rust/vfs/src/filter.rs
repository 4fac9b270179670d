//! What the entry layer reads to decide in a few instructions that a call is not ours.
//! Written here, read by C without locks (`struct pil_filter` in c/pil.h has the same layout).
//! A byte that says [`OURS`] means "ask": the table has the last word, and a `vfork` child marks
//! its own numbers here too.
use crate::{call, Errno};
use std::sync::atomic::{AtomicI32, AtomicPtr, AtomicU32, AtomicU8, Ordering};

/// One mount point: no trailing slash, never freed once published.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Prefix {
    /// The bytes of the path (also NUL-terminated).
    pub path: *const u8,
    /// Their number.
    pub len: u32,
}

/// Mount points in the order of paths, component by component; none lies below another.
#[repr(C)]
pub struct Prefixes {
    count: u32,
    at: [Prefix; 0],
}

/// The published state.
#[repr(C)]
pub struct Filter {
    /// 0: nothing is ours, nothing to do.
    pub armed: AtomicU32,
    /// 1: relative paths are ours.
    pub cwd_ours: AtomicU32,
    /// Number of mappings of ours.
    pub mappings: AtomicU32,
    /// The mount points; null: none.
    pub mounts: AtomicPtr<Prefixes>,
    /// One byte a descriptor number ([`KERNEL`], [`OURS`], [`HIDDEN`]).
    pub fds: AtomicPtr<AtomicU8>,
    /// Length of `fds`.
    pub nfds: AtomicU32,
    /// Numbers from here on are ours (`PIL4DFS_FD=high`); 0: off.
    pub high_base: AtomicU32,
}

/// A descriptor of the kernel's.
pub const KERNEL: u8 = 0;
/// A descriptor of ours.
pub const OURS: u8 = 1;
/// A descriptor that must look closed to the application (ours or libdaos's own).
pub const HIDDEN: u8 = 2;
/// A directory of the kernel's in which a relative path may name a descriptor of ours, as
/// `/proc/self/fd`. It may be stale: whoever asks looks at its path.
pub const NAMES: u8 = 3;

/// The one filter of the process.
#[no_mangle]
pub static pil_filter: Filter = Filter {
    armed: AtomicU32::new(0),
    cwd_ours: AtomicU32::new(0),
    mappings: AtomicU32::new(0),
    mounts: AtomicPtr::new(core::ptr::null_mut()),
    fds: AtomicPtr::new(core::ptr::null_mut()),
    nfds: AtomicU32::new(0),
    high_base: AtomicU32::new(0),
};

/// Makes these the mount points, in one step for those who read. What was there before stays
/// allocated: somebody may be reading it.
pub fn publish(points: &[Prefix]) {
    let (head, each) = (size_of::<Prefixes>(), size_of::<Prefix>());
    let words = (head + each * points.len()).div_ceil(8);
    let block: &mut [u64] = Vec::leak(vec![0; words]);
    let block = block.as_mut_ptr().cast::<Prefixes>();
    // SAFETY: room for the head and every point, aligned for both; nobody else knows it yet.
    unsafe {
        (*block).count = points.len() as u32;
        let at = block.cast::<u8>().add(head).cast::<Prefix>();
        for (i, point) in points.iter().enumerate() {
            at.add(i).write(*point);
        }
    }
    pil_filter.mounts.store(block, Ordering::Release);
}

/// One past the highest number ever marked, so that walks over the map stay short.
static END: AtomicI32 = AtomicI32::new(0);

/// Maps the byte map for every number the hard `RLIMIT_NOFILE` allows (at least 1 Mi); pages cost
/// memory only when touched. The second call does nothing. `ENOMEM`.
pub fn reserve() -> Result<(), Errno> {
    if !pil_filter.fds.load(Ordering::Acquire).is_null() {
        return Ok(());
    }
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the kernel fills the struct.
    unsafe { call!(SYS_prlimit64, 0, libc::RLIMIT_NOFILE, 0, &raw mut limit) }?;
    let len = limit.rlim_max.clamp(1 << 20, 1 << 30);
    let prot = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: a new anonymous mapping.
    let map = unsafe { call!(SYS_mmap, 0, len, prot, flags, -1, 0) }?;
    pil_filter.nfds.store(len as u32, Ordering::Release);
    pil_filter
        .fds
        .store(map as usize as *mut AtomicU8, Ordering::Release);
    Ok(())
}

/// One past the highest number that was ever marked.
pub fn end() -> i32 {
    END.load(Ordering::Acquire)
}

/// Marks what a descriptor number is; numbers outside the map are left alone.
pub fn mark_fd(fd: i32, what: u8) {
    let map = pil_filter.fds.load(Ordering::Acquire);
    if fd >= 0 && !map.is_null() && (fd as u32) < pil_filter.nfds.load(Ordering::Acquire) {
        // SAFETY: the map has nfds entries and is never unmapped.
        unsafe { (*map.add(fd as usize)).store(what, Ordering::Release) }
        if what != KERNEL {
            END.fetch_max(fd + 1, Ordering::AcqRel);
        }
    }
}

/// What a descriptor number is.
pub fn fd_is(fd: i32) -> u8 {
    let map = pil_filter.fds.load(Ordering::Acquire);
    if fd >= 0 && !map.is_null() && (fd as u32) < pil_filter.nfds.load(Ordering::Acquire) {
        // SAFETY: as above.
        return unsafe { (*map.add(fd as usize)).load(Ordering::Acquire) };
    }
    KERNEL
}
