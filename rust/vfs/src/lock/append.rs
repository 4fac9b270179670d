//! Writing at the end of a file: finding the size and writing there are two DFS calls, made one
//! on this node by a lock on the object's byte of `append` in the run-time directory.
//! The lock's owner is this process's description of that file, so threads take turns before.
use super::{byte_of, fcntl_lock, range, UNLOCK, WRITE};
use crate::gate::{Guard, Guarded};
use crate::node::Node;
use crate::ownfd::OwnFd;
use crate::{inherit, rundir, Errno};

/// Threads whose objects fall on different turns do not wait for each other.
const TURNS: usize = 64;

/// The process's side of the lock.
pub(super) struct Appends {
    turns: [Guarded<()>; TURNS],
    /// The common file and the process that opened it: a fork child needs its own.
    file: Guarded<Option<(OwnFd, i32)>>,
}

impl Default for Appends {
    fn default() -> Self {
        Appends {
            turns: [const { Guarded::new(()) }; TURNS],
            file: Guarded::new(None),
        }
    }
}

/// Nobody else on this node appends to the object while this lives.
pub struct Append<'a> {
    held: Option<(i32, i64)>,
    _turn: Guard<'a, ()>,
}

impl Appends {
    /// Waits for the object's turn. Where the run-time directory cannot be used only the threads of
    /// this process exclude each other.
    pub(super) fn enter(&self, node: &Node) -> Append<'_> {
        let byte = byte_of(node);
        let turn = self.turns[byte as usize % TURNS].lock();
        let held = self.fd().and_then(|fd| loop {
            match fcntl_lock(fd, libc::F_OFD_SETLKW, &mut range(WRITE, byte, 1)) {
                Err(Errno::EINTR) => {}
                answer => return answer.map(|_| (fd, byte)),
            }
        });
        Append {
            held: held.ok(),
            _turn: turn,
        }
    }

    fn fd(&self) -> Result<i32, Errno> {
        let mut file = self.file.lock();
        let pid = inherit::pid();
        if let Some((fd, owner)) = &*file {
            if *owner == pid {
                return Ok(fd.raw());
            }
        }
        let fd = rundir::open("append", libc::O_RDWR | libc::O_CREAT)?;
        let raw = fd.raw();
        *file = Some((fd, pid));
        Ok(raw)
    }
}

impl Drop for Append<'_> {
    fn drop(&mut self) {
        if let Some((fd, byte)) = self.held {
            let _ = fcntl_lock(fd, libc::F_OFD_SETLK, &mut range(UNLOCK, byte, 1));
        }
    }
}
