//! fcntl(2) on descriptors of ours: duplication and close-on-exec belong to the number (the
//! kernel's), status flags to the description (the slot), record locks to the file.
use crate::fd::number;
use crate::file::{OpenFile, STATUS_FLAGS};
use crate::process::Process;
use crate::{call, fail, user, Errno, Op};
use std::sync::Arc;

const F_GETSIG: i32 = 11;
const F_GETOWN_EX: i32 = 16;
const F_GETOWNER_UIDS: i32 = 17;
const F_DUPFD_QUERY: i32 = 1027;
const F_CREATED_QUERY: i32 = 1028;
const F_GET_RW_HINT: i32 = 1035;
const F_SET_RW_HINT: i32 = 1036;
const F_GET_FILE_RW_HINT: i32 = 1037;
const F_SET_FILE_RW_HINT: i32 = 1038;

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
        libc::F_GETOWN | F_GETSIG | F_CREATED_QUERY => Ok(0),
        // Nobody signals a regular file's readiness: owner and signal are accepted and unused.
        libc::F_SETOWN | 10 | 15 => Ok(0),
        F_GETOWN_EX => user::put(arg, [0i32; 2]).map(|()| 0).map_err(Into::into),
        F_GETOWNER_UIDS => user::put(arg, [0u32; 2]).map(|()| 0).map_err(Into::into),
        libc::F_GETLEASE => Ok(libc::F_UNLCK.into()),
        libc::F_SETLEASE if arg as i32 == libc::F_UNLCK => fail(Errno::EAGAIN),
        libc::F_NOTIFY if file.node.kind != dfs::Kind::Directory => fail(Errno::ENOTDIR),
        libc::F_SETPIPE_SZ | libc::F_GETPIPE_SZ => fail(Errno::EBADF),
        F_GET_RW_HINT | F_GET_FILE_RW_HINT => user::put(arg, 0u64).map(|()| 0).map_err(Into::into),
        F_SET_RW_HINT | F_SET_FILE_RW_HINT => match user::get::<u64>(arg)? {
            0..=5 => Ok(0),
            _ => fail(Errno::EINVAL),
        },
        _ => fail(Errno::EINVAL),
    }
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
