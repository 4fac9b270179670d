//! dup(2), dup2(2), dup3(2).
use crate::fd::hidden;
use crate::process::Process;
use crate::{call, fail, Errno, Op};

/// `dup(fd)`
pub fn dup(p: &'static Process, a: [i64; 6]) -> Op<i64> {
    let fd = a[0] as i32;
    let file = p.fds.get(fd)?;
    Ok(p.fds.duplicate(fd, file, 0, false)?.into())
}

/// `dup2(oldfd, newfd)`: onto itself it only checks the descriptor.
pub fn dup2(p: &'static Process, a: [i64; 6]) -> Op<i64> {
    let (old, new) = (a[0] as i32, a[1] as i32);
    if old == new {
        p.fds.get(old)?;
        return Ok(new.into());
    }
    onto(p, old, new, 0)
}

/// `dup3(oldfd, newfd, flags)`
pub fn dup3(p: &'static Process, a: [i64; 6]) -> Op<i64> {
    let (old, new, flags) = (a[0] as i32, a[1] as i32, a[2] as i32);
    if flags & !libc::O_CLOEXEC != 0 || old == new {
        return fail(Errno::EINVAL);
    }
    onto(p, old, new, flags)
}

fn onto(p: &'static Process, old: i32, new: i32, flags: i32) -> Op<i64> {
    match p.fds.get(old) {
        Ok(file) => {
            let displaced = p.fds.get(new).ok();
            let new = p.fds.duplicate_onto(old, file, new, flags != 0)?;
            if let Some(displaced) = displaced {
                p.locks.descriptor_closed(&displaced.node);
            }
            Ok(new.into())
        }
        Err(crate::Reject::NotOurs) => kernels_onto(p, old, new, flags),
        Err(e) => Err(e),
    }
}

/// A kernel descriptor over a number of ours, or over a hidden one.
fn kernels_onto(p: &'static Process, old: i32, new: i32, flags: i32) -> Op<i64> {
    if hidden::is_hidden(new) {
        // SAFETY: only asks; the kernel refuses a closed source before anything happens.
        unsafe { call!(SYS_fcntl, old, libc::F_GETFD) }?;
        hidden::make_way(new)?;
        return Err(crate::Reject::NotOurs);
    }
    p.fds.get(new)?;
    // SAFETY: dup3 with no flags is dup2 for two different numbers.
    let (value, displaced) = p
        .fds
        .overwrite(new, || unsafe { call!(SYS_dup3, old, new, flags) })?;
    if let Some(displaced) = displaced {
        p.locks.descriptor_closed(&displaced.node);
    }
    Ok(value)
}
