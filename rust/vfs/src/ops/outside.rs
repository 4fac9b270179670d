//! Calls whose path led out of our mounts: made on the kernel's own path for the rest.
use crate::process::Process;
use crate::resolve::Target;
use crate::{call, kernel, Errno, Op, Reject};
use std::ffi::CStr;

/// The kernel's call `nr` with a path in place of (dirfd, path) at `at` and `at + 1`.
pub fn at(nr: i64, path: &CStr, at: usize, mut a: [i64; 6]) -> Op<i64> {
    a[at] = i64::from(libc::AT_FDCWD);
    a[at + 1] = path.as_ptr() as i64;
    // SAFETY: the path is a string; the rest is the application's, checked by the kernel.
    Ok(unsafe { kernel::syscall(nr, a) }?)
}

/// The kernel's call `nr` with a path in place of the one at `at`.
pub fn path(nr: i64, path: &CStr, at: usize, mut a: [i64; 6]) -> Op<i64> {
    a[at] = path.as_ptr() as i64;
    // SAFETY: as above.
    Ok(unsafe { kernel::syscall(nr, a) }?)
}

/// `openat(2)`: the number born may still carry a stale entry of ours.
pub fn open(p: &'static Process, path: &CStr, flags: i32, mode: u32) -> Op<i64> {
    // SAFETY: a string.
    let fd = unsafe { call!(SYS_openat, libc::AT_FDCWD, path.as_ptr(), flags, mode) }?;
    p.fds.born(fd as i32);
    Ok(fd)
}

/// One side of a call with two paths, as the kernel is to see it.
pub enum Side {
    /// It is ours.
    Ours(Target),
    /// It is the kernel's, by the application's own arguments or another path.
    Kernel(Option<std::ffi::CString>),
}

/// Sorts a resolution into ours and the kernel's.
pub fn side(target: Op<Target>) -> Op<Side> {
    match target {
        Ok(Target::Outside(path)) => Ok(Side::Kernel(Some(path))),
        Ok(target) => Ok(Side::Ours(target)),
        Err(Reject::NotOurs) => Ok(Side::Kernel(None)),
        Err(e) => Err(e),
    }
}

/// The answer of call `nr` where neither of two paths, at 0 and 2, is ours.
pub fn both(
    nr: i64,
    old: &Option<std::ffi::CString>,
    new: &Option<std::ffi::CString>,
    mut a: [i64; 6],
) -> Op<i64> {
    if old.is_none() && new.is_none() {
        return Err(Reject::NotOurs);
    }
    for (at, path) in [(0, old), (2, new)] {
        if let Some(path) = path {
            a[at] = i64::from(libc::AT_FDCWD);
            a[at + 1] = path.as_ptr() as i64;
        }
    }
    // SAFETY: strings; the rest is the application's, checked by the kernel.
    Ok(unsafe { kernel::syscall(nr, a) }?)
}

/// `EXDEV`, as a value for match arms.
pub const EXDEV: Reject = Reject::Errno(Errno::EXDEV);
