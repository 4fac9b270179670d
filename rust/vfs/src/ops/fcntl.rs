//! fcntl(2) on descriptors of ours: duplication and close-on-exec belong to the number (the
//! kernel's), status flags to the description (the slot), record locks to the file.
use crate::fd::number;
use crate::file::{OpenFile, Readiness, STATUS_FLAGS};
use crate::process::Process;
use crate::{call, fail, user, Errno, Op};
use std::sync::atomic::Ordering;
use std::sync::Arc;

const F_SETSIG: i32 = 10;
const F_GETSIG: i32 = 11;
const F_SETOWN_EX: i32 = 15;
const F_GETOWN_EX: i32 = 16;
const F_GETOWNER_UIDS: i32 = 17;
const F_DUPFD_QUERY: i32 = 1027;
const F_CREATED_QUERY: i32 = 1028;
const F_GET_RW_HINT: i32 = 1035;
const F_SET_RW_HINT: i32 = 1036;
const F_OWNER_PID: i32 = 1;
const F_OWNER_PGRP: i32 = 2;

/// `fcntl(fd, cmd, arg)`
pub fn fcntl(p: &'static Process, a: [i64; 6]) -> Op<i64> {
    let (fd, cmd, arg) = (a[0] as i32, a[1] as i32, a[2]);
    let file = p.fds.get(fd)?;
    match cmd {
        libc::F_DUPFD => Ok(p.fds.duplicate(fd, file, arg as i32, false)?.into()),
        libc::F_DUPFD_CLOEXEC => Ok(p.fds.duplicate(fd, file, arg as i32, true)?.into()),
        libc::F_GETFD | libc::F_SETFD => close_on_exec(fd, cmd, arg),
        libc::F_GETFL => Ok(file.status_flags().into()),
        F_DUPFD_QUERY => same(p, &file, arg as i32),
        _ if file.is_path() => fail(Errno::EBADF),
        libc::F_SETFL => {
            file.slot
                .set_flags(STATUS_FLAGS & !libc::O_ASYNC, arg as i32);
            Ok(0)
        }
        libc::F_GETLK | libc::F_SETLK | libc::F_SETLKW => p.locks.fcntl(&file, cmd, arg),
        libc::F_OFD_GETLK | libc::F_OFD_SETLK | libc::F_OFD_SETLKW => {
            p.locks.fcntl(&file, cmd, arg)
        }
        F_CREATED_QUERY => Ok(file.was_created().into()),
        libc::F_SETOWN | libc::F_GETOWN | F_SETOWN_EX | F_GETOWN_EX | F_SETSIG | F_GETSIG => {
            readiness(&file.readiness, cmd, arg)
        }
        F_GETOWNER_UIDS => user::put(arg, [0u32; 2]).map(|()| 0).map_err(Into::into),
        libc::F_GETLEASE => Ok(libc::F_UNLCK.into()),
        libc::F_SETLEASE if arg as i32 == libc::F_UNLCK => fail(Errno::EAGAIN),
        libc::F_NOTIFY if file.node.kind != dfs::Kind::Directory => fail(Errno::ENOTDIR),
        libc::F_SETPIPE_SZ | libc::F_GETPIPE_SZ => fail(Errno::EBADF),
        libc::F_ADD_SEALS if !file.can_write() => fail(Errno::EPERM),
        F_GET_RW_HINT => {
            let hint = file.node.hint.load(Ordering::Relaxed);
            user::put(arg, u64::from(hint))
                .map(|()| 0)
                .map_err(Into::into)
        }
        F_SET_RW_HINT => match user::get::<u64>(arg)? {
            hint @ 0..=5 => {
                file.node.hint.store(hint as u8, Ordering::Relaxed);
                Ok(0)
            }
            _ => fail(Errno::EINVAL),
        },
        _ => fail(Errno::EINVAL),
    }
}

/// Who is to be signalled, and how: kept and told again, as nobody signals a regular file's
/// readiness. `ESRCH` for an owner who is not there.
fn readiness(r: &Readiness, cmd: i32, arg: i64) -> Op<i64> {
    let (owner, kind) = r.owner();
    match cmd {
        libc::F_SETOWN if arg as i32 == i32::MIN => return fail(Errno::EINVAL),
        libc::F_SETOWN if (arg as i32) < 0 => own(r, F_OWNER_PGRP, -(arg as i32))?,
        libc::F_SETOWN => own(r, F_OWNER_PID, arg as i32)?,
        F_SETOWN_EX => {
            let [kind, id] = user::get::<[i32; 2]>(arg)?;
            own(r, kind, id)?;
        }
        F_GETOWN_EX => user::put(arg, [kind, owner])?,
        F_SETSIG if !(0..=64).contains(&arg) => return fail(Errno::EINVAL),
        F_SETSIG => r.signal.store(arg as i32, Ordering::Relaxed),
        F_GETSIG => return Ok(r.signal.load(Ordering::Relaxed).into()),
        _ if kind == F_OWNER_PGRP => return Ok((-owner).into()),
        _ => return Ok(owner.into()),
    }
    Ok(0)
}

fn own(r: &Readiness, kind: i32, id: i32) -> Result<(), Errno> {
    let there = match kind {
        _ if id == 0 && (0..=F_OWNER_PGRP).contains(&kind) => Ok(0),
        // SAFETY: signal 0 only asks whether somebody is there.
        0 => unsafe { call!(SYS_tkill, id, 0) },
        // SAFETY: likewise.
        F_OWNER_PID => unsafe { call!(SYS_kill, id, 0) },
        // SAFETY: likewise.
        F_OWNER_PGRP => unsafe { call!(SYS_kill, -id, 0) },
        _ => return Err(Errno::EINVAL),
    };
    if matches!(there, Err(e) if e != Errno::EPERM) {
        return Err(Errno::ESRCH);
    }
    r.set_owner(id, kind);
    Ok(())
}

/// The kernel keeps close-on-exec with its number; high numbers never survive an exec.
fn close_on_exec(fd: i32, cmd: i32, arg: i64) -> Op<i64> {
    if number::is_high(fd) {
        return Ok(if cmd == libc::F_GETFD {
            libc::FD_CLOEXEC.into()
        } else {
            0
        });
    }
    // SAFETY: plain numbers.
    Ok(unsafe { call!(SYS_fcntl, fd, cmd, arg) }?)
}

fn same(p: &'static Process, file: &Arc<OpenFile>, other: i32) -> Op<i64> {
    match p.fds.get(other) {
        Ok(other) => Ok(Arc::ptr_eq(file, &other).into()),
        // SAFETY: only asks whether the kernel knows the number.
        Err(_) => Ok(unsafe { call!(SYS_fcntl, other, libc::F_GETFD) }.map(|_| 0)?),
    }
}
