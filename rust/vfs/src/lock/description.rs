//! The locks of one open file description: flock(2) and `F_OFD_SETLK`. A description of ours gets
//! kernel descriptions beside it - opened when first needed, shared by fork (see
//! [`Description::share`]) and passed on by exec - and closing the last copy frees the locks.
use super::{byte_of, fcntl_lock, range, shadow_name, wait, READ, UNLOCK, WRITE};
use crate::gate::Guarded;
use crate::node::Node;
use crate::ownfd::OwnFd;
use crate::{rundir, Errno};
use std::sync::atomic::{AtomicBool, Ordering};

/// A process that has never asked for an `F_OFD_SETLK` lock shares no owners of such with its
/// children: they would cost each fork a file for every open one.
static RECORDS: AtomicBool = AtomicBool::new(false);

/// Which locks of a description have an owner in the kernel.
#[derive(Default)]
struct Owners {
    /// A description of `flock` in the run-time directory.
    flock: Option<OwnFd>,
    /// A description of the object's shadow file.
    record: Option<OwnFd>,
}

/// The lock owners of one open file description.
#[derive(Default)]
pub struct Description(Guarded<Owners>);

impl Description {
    /// flock(2). Waits without `LOCK_NB`. `EINVAL`, `EWOULDBLOCK`, `EINTR`, `ENOLCK`.
    pub fn flock(&self, node: &Node, operation: i32) -> Result<i64, Errno> {
        let kind = match operation & !libc::LOCK_NB {
            libc::LOCK_SH => READ,
            libc::LOCK_EX => WRITE,
            libc::LOCK_UN => UNLOCK,
            _ => return Err(Errno::EINVAL),
        };
        let fd = self.flock_owner()?;
        let byte = byte_of(node);
        let attempt = || fcntl_lock(fd, libc::F_OFD_SETLK, &mut range(kind, byte, 1));
        if operation & libc::LOCK_NB != 0 {
            return attempt().map_err(busy);
        }
        wait(attempt)
    }

    /// The description of the shadow file that owns `F_OFD_SETLK` locks. `ENOLCK` without one.
    pub(super) fn record_owner(&self, node: &Node) -> Result<i32, Errno> {
        RECORDS.store(true, Ordering::Relaxed);
        let mut owners = self.0.lock();
        if owners.record.is_none() {
            rundir::subdirectory("locks").map_err(none)?;
            let flags = libc::O_RDWR | libc::O_CREAT;
            owners.record = Some(rundir::open(&shadow_name(node), flags).map_err(none)?);
        }
        owners.record.as_ref().map(OwnFd::raw).ok_or(Errno::ENOLCK)
    }

    /// Makes the owner of flock exist, and where `record` allows it that of record locks.
    pub(super) fn share(&self, node: &Node, record: bool) {
        let _ = self.flock_owner();
        if record && RECORDS.load(Ordering::Relaxed) {
            let _ = self.record_owner(node);
        }
    }

    /// Numbers of the owners (flock, record), -1 where there is none: for an exec.
    pub fn export(&self) -> [i32; 2] {
        let owners = self.0.lock();
        [&owners.flock, &owners.record].map(|fd| fd.as_ref().map_or(-1, OwnFd::raw))
    }

    /// Whether the owners go away at exec.
    pub fn set_cloexec(&self, on: bool) {
        let owners = self.0.lock();
        for fd in [&owners.flock, &owners.record].into_iter().flatten() {
            let _ = fd.set_cloexec(on);
        }
    }

    /// Takes over the owners an earlier image exported.
    pub fn inherit(&self, flock: Option<OwnFd>, record: Option<OwnFd>) {
        *self.0.lock() = Owners { flock, record };
    }

    fn flock_owner(&self) -> Result<i32, Errno> {
        let mut owners = self.0.lock();
        if owners.flock.is_none() {
            let flags = libc::O_RDWR | libc::O_CREAT;
            owners.flock = Some(rundir::open("flock", flags).map_err(none)?);
        }
        owners.flock.as_ref().map(OwnFd::raw).ok_or(Errno::ENOLCK)
    }
}

/// The kernel may answer either for a lock that is another's; flock(2) knows one.
fn busy(e: Errno) -> Errno {
    if e == Errno::EACCES {
        Errno::EAGAIN
    } else {
        e
    }
}

/// Without a place for the lock there is no lock.
fn none(_: Errno) -> Errno {
    Errno::ENOLCK
}
