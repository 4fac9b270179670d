//! Record locks: fcntl(2) `F_SETLK`, `F_SETLKW`, `F_GETLK` and their `F_OFD_` kin, on the object's
//! shadow file. The process owns the former through one descriptor of the shadow; as POSIX has it,
//! they all go when any descriptor of the object is closed.
use super::append::{Append, Appends};
use super::wait::later;
use super::{fcntl_lock, range, shadow, READ, UNLOCK, WRITE};
use crate::file::OpenFile;
use crate::gate::Guarded;
use crate::node::{Node, NodeIndex};
use crate::ownfd::OwnFd;
use crate::{inherit, user, Errno, Op};
use dfs::ObjectId;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// The locks of this process.
#[derive(Default)]
pub struct Locks {
    shadows: Guarded<Vec<Shadow>>,
    /// Length of `shadows`, read without the lock.
    count: AtomicU32,
    swept: AtomicBool,
    appends: Appends,
}

/// The shadow of an object on which this process may hold `F_SETLK` locks. All descriptions of
/// shadows are opened with the list locked, and none while this process may hold such locks.
struct Shadow {
    mount: u64,
    oid: ObjectId,
    fd: OwnFd,
    /// For the first `F_OFD_SETLK` that comes while the process holds locks: see [`shadow::open`].
    spare: Option<OwnFd>,
}

impl Shadow {
    fn is_of(&self, node: &Node) -> bool {
        self.oid == node.oid && self.mount == node.mount.hash()
    }
}

impl Locks {
    /// fcntl(2) with a lock command. `EBADF` where the access mode does not fit the lock, `EINVAL`,
    /// `EOVERFLOW`, `EAGAIN`, `ENOLCK` (no run-time directory; or, where [`super::beside`] cannot
    /// work, a second description's first OFD lock while this process holds record locks). A wait is left to the caller: `EINTR`, `EDEADLK`.
    pub fn fcntl(&self, file: &OpenFile, cmd: i32, arg: i64) -> Op<i64> {
        let asked: libc::flock = user::get(arg)?;
        let (start, len) = absolute(file, &asked)?;
        check_access(file, cmd, asked.l_type)?;
        let ofd = matches!(
            cmd,
            libc::F_OFD_GETLK | libc::F_OFD_SETLK | libc::F_OFD_SETLKW
        );
        if ofd && asked.l_pid != 0 {
            return Err(Errno::EINVAL.into());
        }
        let mut lock = range(asked.l_type, start, len);
        let Some(fd) = self.owner(file, ofd, asked.l_type)? else {
            return Ok(0);
        };
        match cmd {
            libc::F_GETLK | libc::F_OFD_GETLK => {
                fcntl_lock(fd, cmd, &mut lock)?;
                if lock.l_type == UNLOCK {
                    lock = asked;
                    lock.l_type = UNLOCK;
                }
                user::put(arg, lock)?;
                Ok(0)
            }
            libc::F_SETLKW | libc::F_OFD_SETLKW => later(fd, cmd, &mut lock, true),
            _ => Ok(fcntl_lock(fd, cmd, &mut lock)?),
        }
    }

    /// A descriptor of the file was closed: the process's record locks on the object go; threads
    /// that wait for one go on waiting. One load when there are none.
    pub fn descriptor_closed(&self, node: &Node) {
        if self.count.load(Ordering::Relaxed) == 0 || inherit::in_shared_child() {
            return;
        }
        let mut shadows = self.shadows.lock();
        if let Some(shadow) = shadows.iter_mut().find(|s| s.is_of(node)) {
            let mut all = range(UNLOCK, 0, 0);
            let _ = fcntl_lock(shadow.fd.raw(), libc::F_SETLK, &mut all);
            if shadow.spare.is_none() {
                shadow.spare = shadow::open(node).ok();
            }
        }
    }

    /// The object is not open here any more: nor is its shadow, which goes with its last user.
    pub fn node_gone(&self, node: &Node, nodes: &NodeIndex) {
        let shadowed = node.shadowed.load(Ordering::Relaxed);
        let inherited = || self.count.load(Ordering::Relaxed) > 0;
        if !(shadowed || inherited()) || inherit::in_shared_child() {
            return;
        }
        let mut shadows = self.shadows.lock();
        if !shadowed && !shadows.iter().any(|s| s.is_of(node)) {
            return;
        }
        // Somebody has opened it again; its own end comes.
        let again = nodes.find(node.mount, node.oid);
        if again.is_none() {
            shadows.retain(|s| !s.is_of(node));
            self.count.store(shadows.len() as u32, Ordering::Relaxed);
            shadow::retire(node);
        }
        drop(shadows);
        drop(again);
    }

    /// Excludes every other writer at the end of the object on this node while the guard lives.
    pub fn append(&self, node: &Node) -> Append<'_> {
        self.appends.enter(node)
    }

    /// Makes the lock owners of an open file exist, so that a child about to be born shares them.
    pub fn share(&self, file: &OpenFile) {
        file.locks.share(|| self.for_description(&file.node));
    }

    /// In a fork child: record locks are the parent's. `own`: the descriptors are those of the process
    /// that runs here.
    pub fn forked(&self, own: bool) {
        if self.count.load(Ordering::Relaxed) == 0 {
            return;
        }
        let parents = std::mem::take(&mut *self.shadows.lock());
        if !own {
            std::mem::forget(parents);
        }
        self.count.store(0, Ordering::Relaxed);
    }

    /// The number of each shadow and whose it is: they must stay open over an exec. Also the spare
    /// ones, the close of which would take the locks along.
    pub fn each(&self, f: &mut dyn FnMut(u64, ObjectId, &OwnFd)) {
        for shadow in self.shadows.lock().iter() {
            f(shadow.mount, shadow.oid, &shadow.fd);
            if let Some(spare) = &shadow.spare {
                f(shadow.mount, shadow.oid, spare);
            }
        }
    }

    /// Takes over the shadow an earlier image of this process left, in the order of [`Locks::each`].
    pub fn inherit(&self, mount: u64, oid: ObjectId, fd: OwnFd) {
        let mut shadows = self.shadows.lock();
        let known = shadows
            .iter_mut()
            .find(|s| s.oid == oid && s.mount == mount);
        match known {
            Some(shadow) => shadow.spare = Some(fd),
            None => shadows.push(Shadow {
                mount,
                oid,
                fd,
                spare: None,
            }),
        }
        self.count.store(shadows.len() as u32, Ordering::Relaxed);
    }

    /// The kernel descriptor that owns (or would own) the lock; `None`: nothing to unlock.
    fn owner(&self, file: &OpenFile, ofd: bool, kind: i16) -> Result<Option<i32>, Errno> {
        match ofd {
            true => file
                .locks
                .record_owner(|| self.for_description(&file.node))
                .map(Some),
            false => self.for_process(&file.node, kind),
        }
    }

    fn for_description(&self, node: &Node) -> Result<OwnFd, Errno> {
        let mut shadows = self.shadows.lock();
        match shadows.iter_mut().find(|s| s.is_of(node)) {
            Some(shadow) => match shadow.spare.take() {
                Some(spare) => Ok(spare),
                None => shadow::open_beside(node),
            },
            None => shadow::open(node),
        }
    }

    fn for_process(&self, node: &Node, kind: i16) -> Result<Option<i32>, Errno> {
        let mut shadows = self.shadows.lock();
        if let Some(shadow) = shadows.iter().find(|s| s.is_of(node)) {
            return Ok(Some(shadow.fd.raw()));
        }
        if kind == UNLOCK {
            return Ok(None);
        }
        if shadows.is_empty() && !self.swept.swap(true, Ordering::Relaxed) {
            shadow::sweep();
        }
        let (fd, spare) = (shadow::open(node)?, shadow::open(node).ok());
        let raw = fd.raw();
        shadows.push(Shadow {
            mount: node.mount.hash(),
            oid: node.oid,
            fd,
            spare,
        });
        self.count.store(shadows.len() as u32, Ordering::Relaxed);
        Ok(Some(raw))
    }
}

/// Where a lock begins, from the start of the file, and its length; negative lengths are turned.
fn absolute(file: &OpenFile, asked: &libc::flock) -> Result<(i64, i64), Errno> {
    let base = match i32::from(asked.l_whence) {
        libc::SEEK_SET => 0,
        libc::SEEK_CUR => file.slot.peek(),
        libc::SEEK_END => file.node.object.size()? as i64,
        _ => return Err(Errno::EINVAL),
    };
    span(base, asked.l_start, asked.l_len)
}

fn span(base: i64, start: i64, len: i64) -> Result<(i64, i64), Errno> {
    let mut start = base.checked_add(start).ok_or(Errno::EOVERFLOW)?;
    let mut len = len;
    if len < 0 {
        start = start.checked_add(len).ok_or(Errno::EINVAL)?;
        len = len.checked_neg().ok_or(Errno::EINVAL)?;
    } else if len > 0 {
        start.checked_add(len - 1).ok_or(Errno::EOVERFLOW)?;
    }
    if start < 0 {
        return Err(Errno::EINVAL);
    }
    Ok((start, len))
}

/// A lock to share needs a descriptor that reads, one to exclude needs one that writes.
fn check_access(file: &OpenFile, cmd: i32, kind: i16) -> Result<(), Errno> {
    if file.is_path() {
        return Err(Errno::EBADF);
    }
    let asks = matches!(cmd, libc::F_GETLK | libc::F_OFD_GETLK);
    match kind {
        READ if asks || file.can_read() => Ok(()),
        WRITE if asks || file.can_write() => Ok(()),
        UNLOCK if !asks => Ok(()),
        READ | WRITE => Err(Errno::EBADF),
        _ => Err(Errno::EINVAL),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_may_be_given_backwards() {
        assert_eq!(span(0, 10, 5), Ok((10, 5)));
        assert_eq!(span(100, -10, 0), Ok((90, 0)));
        assert_eq!(span(0, 10, -4), Ok((6, 4)));
        assert_eq!(span(0, 2, -4), Err(Errno::EINVAL));
        assert_eq!(span(0, -1, 0), Err(Errno::EINVAL));
        assert_eq!(span(i64::MAX, 1, 0), Err(Errno::EOVERFLOW));
        assert_eq!(span(0, i64::MAX, 2), Err(Errno::EOVERFLOW));
    }
}
