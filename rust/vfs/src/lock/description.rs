//! The locks of one open file description: flock(2) and `F_OFD_SETLK`. A description of ours gets
//! kernel descriptions beside it - opened when first needed, shared by fork (see
//! [`super::Locks::share`]) and passed on by exec - and closing the last copy frees the locks.
use super::wait::later;
use super::{byte_of, fcntl_lock, range, READ, UNLOCK, WRITE};
use crate::gate::Guarded;
use crate::node::Node;
use crate::ownfd::OwnFd;
use crate::{fail, rundir, Errno, Op};
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
    pub fn flock(&self, node: &Node, operation: i32) -> Op<i64> {
        let kind = match operation & !libc::LOCK_NB {
            libc::LOCK_SH => READ,
            libc::LOCK_EX => WRITE,
            libc::LOCK_UN => UNLOCK,
            _ => return fail(Errno::EINVAL),
        };
        let fd = self.flock_owner()?;
        let set = |kind| fcntl_lock(fd, libc::F_OFD_SETLK, &mut range(kind, byte_of(node), 1));
        match set(kind) {
            Err(Errno::EAGAIN | Errno::EACCES) => {}
            answer => return Ok(answer?),
        }
        // What the description had goes before what it wants comes: two that hold it together and
        // both want it alone do not wait for each other.
        let _ = set(UNLOCK);
        if operation & libc::LOCK_NB != 0 {
            return fail(Errno::EAGAIN);
        }
        let mut lock = range(kind, byte_of(node), 1);
        later(fd, libc::F_OFD_SETLKW, &mut lock, false)
    }

    /// The description of the shadow file that owns `F_OFD_SETLK` locks, as `open` makes it.
    pub(super) fn record_owner(
        &self,
        open: impl FnOnce() -> Result<OwnFd, Errno>,
    ) -> Result<i32, Errno> {
        RECORDS.store(true, Ordering::Relaxed);
        let mut owners = self.0.lock();
        if owners.record.is_none() {
            owners.record = Some(open()?);
        }
        owners.record.as_ref().map(OwnFd::raw).ok_or(Errno::ENOLCK)
    }

    /// Makes the owner of flock exist, and where `open` can that of record locks.
    pub(super) fn share(&self, open: impl FnOnce() -> Result<OwnFd, Errno>) {
        let _ = self.flock_owner();
        if RECORDS.load(Ordering::Relaxed) {
            let _ = self.record_owner(open);
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
            // Without a place for the lock there is no lock.
            owners.flock = Some(rundir::open("flock", flags).map_err(|_| Errno::ENOLCK)?);
        }
        owners.flock.as_ref().map(OwnFd::raw).ok_or(Errno::ENOLCK)
    }
}
