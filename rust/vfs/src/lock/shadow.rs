//! Shadow files: one per object on which record locks are held, below `locks` in the run-time
//! directory. Every description of one keeps it with a shared flock(2) while it is in use - a world
//! of its own, that record locks do not meet - so whoever gets it exclusively is alone with it and
//! may remove it. What killed processes leave is removed by those that lock something later.
use super::beside;
use crate::node::Node;
use crate::ownfd::{stat_of, OwnFd};
use crate::{call, rundir, Errno};
use std::ffi::{CStr, CString};
use std::sync::atomic::Ordering;

const DIRECTORY: &str = "locks";
/// How many left-over files a process looks at.
const SWEPT: usize = 32;

/// A new description of the object's shadow file, which it makes if need be. `ENOLCK`.
///
/// While this process holds record locks of its own on the object it must not be called: the
/// number a description is born at is closed again, and the locks with it.
pub(super) fn open(node: &Node) -> Result<OwnFd, Errno> {
    let path = path(node)?;
    Ok(OwnFd::hide(born(&path)?))
}

/// The same for a process that may hold record locks on it.
pub(super) fn open_beside(node: &Node) -> Result<OwnFd, Errno> {
    beside::open(&path(node)?)
}

fn path(node: &Node) -> Result<CString, Errno> {
    node.shadowed.store(true, Ordering::Relaxed);
    rundir::subdirectory(DIRECTORY).map_err(|_| Errno::ENOLCK)?;
    rundir::file(&name(node)).map_err(|_| Errno::ENOLCK)
}

/// A descriptor of a shadow file, made if need be and kept, at the lowest free number. `ENOLCK`.
pub(super) fn born(path: &CStr) -> Result<i32, Errno> {
    let flags = libc::O_RDWR | libc::O_CREAT | libc::O_NOFOLLOW | libc::O_CLOEXEC;
    for _ in 0..1000 {
        // SAFETY: a string; numbers.
        let fd = unsafe { call!(SYS_openat, libc::AT_FDCWD, path.as_ptr(), flags, 0o600) };
        let fd = fd.map_err(|_| Errno::ENOLCK)? as i32;
        // Somebody is removing it, or has: it is not the one others will find.
        if flock(fd, libc::LOCK_SH).is_ok() && stat_of(fd)?.st_nlink > 0 {
            return Ok(fd);
        }
        // SAFETY: our own descriptor; no memory involved.
        unsafe {
            let _ = call!(SYS_close, fd);
            let _ = call!(SYS_sched_yield);
        }
    }
    Err(Errno::ENOLCK)
}

/// Removes the object's shadow file if nobody uses it. As for [`open`].
pub(super) fn retire(node: &Node) {
    if let Ok(path) = rundir::file(&name(node)) {
        remove_unused(&path);
    }
}

/// Removes what nobody uses of a bounded number of shadow files; for a process without record locks.
pub(super) fn sweep() {
    let mut left = SWEPT;
    rundir::each(DIRECTORY, &mut |path| {
        if left > 0 {
            left -= 1;
            remove_unused(path);
        }
    });
}

fn remove_unused(path: &CStr) {
    let flags = libc::O_RDWR | libc::O_NOFOLLOW;
    let Ok(fd) = OwnFd::open(libc::AT_FDCWD, path, flags, 0) else {
        return;
    };
    let unnamed = |st: libc::stat| st.st_nlink == 0;
    if flock(fd.raw(), libc::LOCK_EX).is_ok() && !fd.stat().is_ok_and(unnamed) {
        // SAFETY: the path is a string. Nobody has made another file of that name: ours is there.
        let _ = unsafe { call!(SYS_unlinkat, libc::AT_FDCWD, path.as_ptr(), 0) };
    }
}

/// flock(2), without waiting.
fn flock(fd: i32, kind: i32) -> Result<i64, Errno> {
    // SAFETY: no memory involved.
    unsafe { call!(SYS_flock, fd, kind | libc::LOCK_NB) }
}

fn name(node: &Node) -> String {
    let (mount, oid) = (node.mount.hash(), node.oid);
    format!("{DIRECTORY}/{mount:016x}.{:x}.{:x}", oid.hi, oid.lo)
}
