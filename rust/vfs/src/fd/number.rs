//! Numbering: which numbers the application gets. By default the kernel's lowest free ones, each
//! backed by a dup of the placeholder; with `PIL4DFS_FD=high` numbers from [`HIGH_BASE`] on that
//! the kernel knows nothing about (no poll, no select, no spawn actions, nothing across exec).
use super::placeholder;
use crate::{call, filter, Errno};
use std::sync::atomic::Ordering;

/// The first high number.
pub const HIGH_BASE: i32 = 0x2000_0000;

/// The scheme of this process, chosen at its start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Numbering {
    /// The kernel's numbers.
    #[default]
    Kernel,
    /// Numbers from [`HIGH_BASE`] on.
    High,
}

/// True for a number that has no descriptor in the kernel (never under [`Numbering::Kernel`]).
pub fn is_high(fd: i32) -> bool {
    fd >= HIGH_BASE && filter::pil_filter.high_base.load(Ordering::Relaxed) != 0
}

/// A new number for a copy of `fd`, the lowest free one from `min` on. The kernel's errors:
/// `EMFILE`, `EINVAL` for a `min` beyond the limit.
pub fn duplicate(fd: i32, min: i32, cloexec: bool) -> Result<i32, Errno> {
    if is_high(fd) {
        return placeholder::duplicate(min, cloexec);
    }
    let cmd = if cloexec {
        libc::F_DUPFD_CLOEXEC
    } else {
        libc::F_DUPFD
    };
    // SAFETY: plain numbers.
    unsafe { call!(SYS_fcntl, fd, cmd, min) }.map(|fd| fd as i32)
}

/// `dup3(2)` of the kernel's side.
pub fn duplicate_onto(fd: i32, new: i32, cloexec: bool) -> Result<i32, Errno> {
    if is_high(fd) {
        return placeholder::onto(new, cloexec);
    }
    let flags = if cloexec { libc::O_CLOEXEC } else { 0 };
    // SAFETY: plain numbers.
    unsafe { call!(SYS_dup3, fd, new, flags) }.map(|fd| fd as i32)
}

/// Closes the kernel's side of a number.
pub fn release(fd: i32) -> Result<(), Errno> {
    if is_high(fd) {
        return Ok(());
    }
    // SAFETY: the application asked for it.
    unsafe { call!(SYS_close, fd) }.map(drop)
}

/// The soft limit on numbers: above it the kernel answers `EMFILE`, and so do we.
pub fn limit() -> i32 {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the kernel fills the struct.
    match unsafe { call!(SYS_prlimit64, 0, libc::RLIMIT_NOFILE, 0, &raw mut limit) } {
        Ok(_) => limit.rlim_cur.min(HIGH_BASE as u64) as i32,
        Err(_) => 1024,
    }
}
