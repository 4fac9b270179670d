//! What the kernel calls things: the real path of a directory, the target of a link of /proc. For what is
//! not ours only: none of it may lead below a mount.
use crate::{call, Errno};
use std::ffi::{CStr, CString};

/// The kernel's name for a directory of its own.
pub(crate) fn real_path(path: &[u8]) -> Option<Vec<u8>> {
    let path = CString::new(path).ok()?;
    // SAFETY: a string; the descriptor is closed again.
    unsafe {
        let flags = libc::O_PATH | libc::O_CLOEXEC;
        let fd = call!(SYS_openat, libc::AT_FDCWD, path.as_ptr(), flags, 0).ok()?;
        let real = fd_path(fd as i32);
        let _ = call!(SYS_close, fd);
        real
    }
}

/// The kernel's name for one of its descriptors.
pub(crate) fn fd_path(fd: i32) -> Option<Vec<u8>> {
    let link = CString::new(format!("/proc/self/fd/{fd}")).ok()?;
    read_link(&link).ok()
}

/// `readlink(2)` of the kernel. No allocation but for a link's text.
pub(crate) fn read_link(path: &CStr) -> Result<Vec<u8>, Errno> {
    let mut buf = std::mem::MaybeUninit::<[u8; crate::user::PATH_MAX]>::uninit();
    let (to, size) = (buf.as_mut_ptr(), crate::user::PATH_MAX);
    // SAFETY: a string and a buffer of the stated length.
    let n = unsafe { call!(SYS_readlinkat, libc::AT_FDCWD, path.as_ptr(), to, size) }?;
    // SAFETY: the kernel has written n bytes.
    Ok(unsafe { std::slice::from_raw_parts(to.cast::<u8>(), n as usize) }.to_vec())
}
