//! `RLIMIT_FSIZE`: a write may not begin beyond it (SIGXFSZ and EFBIG) and stops at it. The limit
//! is read when it was never seen or may have changed; a process without one pays one load a write.
use crate::{call, Errno};
use std::sync::atomic::{AtomicI64, Ordering};

/// -1: not read yet.
static LIMIT: AtomicI64 = AtomicI64::new(-1);

/// The limit on the size of files in bytes; `i64::MAX` for none. Read from the kernel once, and
/// again after [`changed`].
pub fn file_size_limit() -> i64 {
    match LIMIT.load(Ordering::Relaxed) {
        -1 => read(),
        limit => limit,
    }
}

/// The process may have changed its limits.
pub fn changed() {
    LIMIT.store(-1, Ordering::Relaxed);
}

fn read() -> i64 {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the kernel fills the struct.
    let got = unsafe { call!(SYS_prlimit64, 0, libc::RLIMIT_FSIZE, 0, &raw mut limit) };
    let limit = got.map_or(i64::MAX, |_| limit.rlim_cur.min(i64::MAX as u64) as i64);
    LIMIT.store(limit, Ordering::Relaxed);
    limit
}

/// How many of `len` bytes may be written at `offset`. `EFBIG` (and the signal) beyond the limit,
/// `EFBIG` at the end of what an offset can say.
pub fn room_for_write(offset: i64, len: usize) -> Result<usize, Errno> {
    let limit = file_size_limit();
    let room = room(limit, offset, len);
    if room.is_none() && limit < i64::MAX {
        exceeded();
    }
    room.ok_or(Errno::EFBIG)
}

fn room(limit: i64, offset: i64, len: usize) -> Option<usize> {
    (offset < limit).then(|| len.min((limit - offset) as usize))
}

/// `ftruncate` and `fallocate` to `size`: beyond the limit `EFBIG` and the signal.
pub fn check_size(size: i64) -> Result<(), Errno> {
    if size > file_size_limit() {
        exceeded();
        return Err(Errno::EFBIG);
    }
    Ok(())
}

/// SIGXFSZ goes to the thread that wrote. It arrives as soon as the call returns.
fn exceeded() {
    // SAFETY: ids of this thread and a signal number.
    unsafe {
        let (pid, tid) = (call!(SYS_getpid), call!(SYS_gettid));
        if let (Ok(pid), Ok(tid)) = (pid, tid) {
            let _ = call!(SYS_tgkill, pid, tid, libc::SIGXFSZ);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_stops_at_the_limit() {
        assert_eq!(room(100, 0, 100), Some(100));
        assert_eq!(room(100, 90, 100), Some(10));
        assert_eq!(room(100, 100, 1), None);
        assert_eq!(room(i64::MAX, i64::MAX, 1), None);
    }
}
