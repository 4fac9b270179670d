//! Which programs must not inherit anything of ours: those that run with other rights than this
//! process. A pool handle is full access, and a descriptor of ours leads to one.
use super::identity::changed_identity;
use super::script::{self, Format, NESTED};
use crate::call;
use crate::ownfd::{self, OwnFd};
use std::ffi::{CStr, CString};

/// True if the program (directory descriptor, path, flags of execveat; `None`: a staged copy, which
/// has no such rights) is set-id or has file capabilities, or if this process has changed its
/// effective ids since it started.
pub fn must_not_inherit(program: Option<(i32, i64, i32)>) -> bool {
    if changed_identity() {
        return true;
    }
    let Some((mut dirfd, path, flags)) = program else {
        return false;
    };
    if path == 0 {
        return false;
    }
    let Ok(mut path) = crate::user::path(path) else {
        return false;
    };
    if flags & libc::AT_EMPTY_PATH != 0 && path.is_empty() {
        return is_privileged(
            &ownfd::proc_path(dirfd).as_cstr().to_owned(),
            libc::AT_FDCWD,
        );
    }
    for _ in 0..NESTED {
        if is_privileged(&path, dirfd) {
            return true;
        }
        let Some(Ok(Format::Script(next, _))) = head_of(dirfd, &path).map(|h| script::format(&h))
        else {
            return false;
        };
        (path, dirfd) = (next, libc::AT_FDCWD);
    }
    false
}

/// The first bytes of a regular file of the kernel's.
pub fn head_of(dirfd: i32, path: &CStr) -> Option<Vec<u8>> {
    let st = ownfd::stat_at(dirfd, path, 0).ok()?;
    if st.st_mode & libc::S_IFMT != libc::S_IFREG {
        return None;
    }
    let fd = OwnFd::open(dirfd, path, libc::O_RDONLY | libc::O_NONBLOCK, 0).ok()?;
    let mut head = vec![0; script::HEAD];
    let n = fd.read_at(&mut head, 0).ok()?;
    head.truncate(n);
    Some(head)
}

fn is_privileged(path: &CString, dirfd: i32) -> bool {
    let Ok(st) = ownfd::stat_at(dirfd, path, 0) else {
        return false;
    };
    let set_group = libc::S_ISGID | libc::S_IXGRP;
    if st.st_mode & libc::S_ISUID != 0 || st.st_mode & set_group == set_group {
        return true;
    }
    if dirfd != libc::AT_FDCWD && !path.to_bytes().starts_with(b"/") {
        return false;
    }
    // SAFETY: strings; a null buffer asks for the size.
    let size = unsafe {
        call!(
            SYS_getxattr,
            path.as_ptr(),
            c"security.capability".as_ptr(),
            0,
            0
        )
    };
    size.is_ok_and(|n| n > 0)
}
