//! flock(2) on files of a mount.
use crate::process::Process;
use crate::{fail, Errno, Op};

/// flock(2), among the processes of one user on one node. `EBADF`, `EINVAL`, `EWOULDBLOCK`,
/// `EINTR`, `ENOLCK` (no run-time directory).
pub fn flock(p: &'static Process, a: [i64; 6]) -> Op<i64> {
    let file = p.fds.get(a[0] as i32)?;
    if file.is_path() {
        return fail(Errno::EBADF);
    }
    file.locks.flock(&file.node, a[1] as i32)
}
