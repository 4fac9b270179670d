//! The server: containers, inodes and open files, and the operations that find them. The other
//! operations are beside it, by noun: [`crate::names`], [`crate::data`], [`crate::listing`],
//! [`crate::attributes`], [`crate::ioctl`].
use crate::container::{Container, Containers, PoolDir};
use crate::files::Files;
use crate::inode::{Body, Inode, Inodes};
use crate::locked;
use dfs::{Errno, Kind, Object, Result};
use std::ffi::{CStr, CString};
use std::sync::Arc;

/// Everything behind one mount.
pub struct Server {
    /// The containers.
    pub containers: Containers,
    /// What the kernel knows.
    pub inodes: Inodes,
    /// What is open.
    pub files: Files,
    /// Nothing may be changed (beside what single containers say).
    pub read_only: bool,
    /// Who started us: only they get handles.
    pub owner: (u32, u32),
}

/// A name that was found.
pub struct Found {
    /// What it leads to.
    pub inode: Arc<Inode>,
    /// Its attributes now.
    pub stat: libc::stat,
}

impl Server {
    /// `EROFS` where the whole mount is read-only.
    pub fn may_change(&self) -> Result<()> {
        match self.read_only {
            true => Err(Errno::EROFS),
            false => Ok(()),
        }
    }

    /// True if the root is that of a container which can only be read.
    pub fn root_is_read_only(&self) -> bool {
        let root = self.inodes.get(1);
        let container = root.as_ref().map(|inode| &inode.body);
        matches!(container, Ok(Body::Object(container, _)) if container.fs.is_read_only())
    }

    /// The name below a directory; an entry point is crossed.
    pub fn lookup(&self, parent: u64, name: &CStr) -> Result<Found> {
        let dir = self.inodes.get(parent)?;
        match &dir.body {
            Body::Pools => self.pool_named(name),
            Body::Pool(pool) => {
                let container = self.containers.enter(&pool.name, name)?;
                self.root_of(&container, parent, name)
            }
            Body::Object(container, _) => {
                let (_, object) = dir.directory()?;
                self.lookup_in(container, &object, parent, name)
            }
        }
    }

    fn lookup_in(
        &self,
        container: &Arc<Container>,
        dir: &Object,
        parent: u64,
        name: &CStr,
    ) -> Result<Found> {
        let (object, attr, entry) = container
            .fs
            .lookup_crossing(dir, name, container.access())?;
        if let Some(entry) = entry {
            let inner = self.containers.cross(&entry)?;
            return self.root_of(&inner, parent, name);
        }
        let inode = self.inodes.found(container, parent, name, object, &attr);
        let mut stat = attr.stat;
        stat.st_ino = inode.ino;
        Ok(Found { inode, stat })
    }

    /// The root directory of a container entered at (parent, name).
    fn root_of(&self, container: &Arc<Container>, parent: u64, name: &CStr) -> Result<Found> {
        let object = container.fs.root().reopen(container.access())?;
        let attr = object.attr()?;
        let inode = self.inodes.found(container, parent, name, object, &attr);
        let mut stat = attr.stat;
        stat.st_ino = inode.ino;
        Ok(Found { inode, stat })
    }

    fn pool_named(&self, name: &CStr) -> Result<Found> {
        let pool = self.containers.pool(name)?;
        let stat = self.directory_above(pool.ordinal);
        let inode = self.inodes.found_above(pool.ordinal, || {
            Inode::above(pool.ordinal, Body::Pool(pool.clone()), stat)
        });
        Ok(Found { inode, stat })
    }

    /// The attributes of a directory above containers.
    pub fn directory_above(&self, ino: u64) -> libc::stat {
        directory_above(ino, self.owner)
    }

    /// The names below a directory above containers.
    pub fn names_above(&self, body: &Body) -> Result<Vec<CString>> {
        match body {
            Body::Pools => Ok(self.containers.pools().iter().map(named).collect()),
            Body::Pool(pool) => {
                let list = pool.pool.containers()?;
                let name = |c: dfs::Listed| match c.label.is_empty() {
                    true => c.uuid,
                    false => c.label,
                };
                Ok(list.into_iter().map(name).collect())
            }
            Body::Object(..) => Err(Errno::EINVAL),
        }
    }

    /// `EBADF` for a number that is no open file.
    pub fn file(&self, fh: u64) -> Result<Arc<crate::files::File>> {
        self.files.get(fh).ok_or(Errno::EBADF)
    }

    /// Removes what is hidden; nothing is open any more.
    pub fn close(&self) {
        for container in self.containers.entered() {
            crate::hidden::remove_directory(&container);
        }
    }

    /// The kind an inode must have.
    pub fn expect(&self, ino: u64, kind: Kind) -> Result<Arc<Inode>> {
        let inode = self.inodes.get(ino)?;
        match (inode.kind == kind, kind) {
            (true, _) => Ok(inode),
            (false, Kind::Directory) => Err(Errno::ENOTDIR),
            (false, _) if inode.kind == Kind::Directory => Err(Errno::EISDIR),
            (false, _) => Err(Errno::EINVAL),
        }
    }

    /// What a new entry of a directory belongs to, and the directory's set-group-id bit: its
    /// entries then take its group.
    pub fn owner_in(&self, dir: &Inode, user: (u32, u32)) -> ((u32, u32), bool) {
        let last = locked(&dir.state).last;
        match last.st_mode & libc::S_ISGID {
            0 => (user, false),
            _ => ((user.0, last.st_gid), true),
        }
    }
}

fn named(pool: &Arc<PoolDir>) -> CString {
    pool.name.clone()
}

/// A directory that is only shown.
pub fn directory_above(ino: u64, owner: (u32, u32)) -> libc::stat {
    // SAFETY: a stat of zeros is valid.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    stat.st_ino = ino;
    stat.st_mode = libc::S_IFDIR | 0o755;
    stat.st_nlink = 2;
    (stat.st_uid, stat.st_gid) = owner;
    stat.st_blksize = 4096;
    stat
}
