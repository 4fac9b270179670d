//! A mounted POSIX container and the calls that take a directory and a name.
//! Names are single components: never empty, ".", "..", longer than 255 bytes or with a slash;
//! such names answer `EINVAL`/`ENAMETOOLONG` here as a last line of defence.
use crate::{Access, Attr, Client, Object, Result};
use std::ffi::CStr;
use std::sync::Arc;

/// A mounted container.
pub struct Filesystem {
    _p: (),
}

/// How [`Filesystem::create`] makes a file.
#[derive(Clone, Copy, Debug)]
pub struct Create {
    /// Permission bits, umask already applied.
    pub mode: u32,
    /// `O_EXCL`: `EEXIST` if the name exists.
    pub exclusive: bool,
    /// Access of the returned handle.
    pub access: Access,
}

/// Space of the pool in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Space {
    /// All bytes, SCM and NVMe.
    pub total: u64,
    /// Free bytes.
    pub free: u64,
}

impl Filesystem {
    /// Connects to a pool, opens a container (labels or UUIDs) and mounts it: read-write, else
    /// read-only where only that is allowed; balanced containers with their flag. `ENOENT` for an
    /// unknown pool or container, `EINVAL` for one without POSIX layout.
    pub fn connect(client: &Arc<Client>, pool: &CStr, cont: &CStr) -> Result<Arc<Filesystem>> {
        let _ = (client, pool, cont);
        todo!()
    }

    /// True if nothing can be changed below (mutations answer `EROFS`).
    pub fn is_read_only(&self) -> bool {
        todo!()
    }

    /// The container's root directory.
    pub fn root(&self) -> &Arc<Object> {
        todo!()
    }

    /// Default chunk size in bytes.
    pub fn chunk_size(&self) -> u64 {
        todo!()
    }

    /// Pool space (`daos_pool_query`).
    pub fn space(&self) -> Result<Space> {
        todo!()
    }

    /// Opens the entry `name` of `dir` without following a link, and its attributes: one RPC.
    /// Files and directories come with the access asked for.
    pub fn lookup(
        self: &Arc<Self>,
        dir: &Object,
        name: &CStr,
        access: Access,
    ) -> Result<(Object, Attr)> {
        let _ = (dir, name, access);
        todo!()
    }

    /// Attributes of an entry, not following a link; one RPC (a lookup whose handle is released).
    pub fn stat(self: &Arc<Self>, dir: &Object, name: &CStr) -> Result<Attr> {
        let _ = (dir, name);
        todo!()
    }

    /// Creates (or, not exclusive, opens) a regular file owned by the given ids. The flag says whether
    /// it was created by this call as far as DFS can tell (exclusive: always true).
    pub fn create(
        self: &Arc<Self>,
        dir: &Object,
        name: &CStr,
        how: Create,
        owner: (u32, u32),
    ) -> Result<Object> {
        let _ = (dir, name, how, owner);
        todo!()
    }

    /// `mkdir(2)`; mode with umask applied.
    pub fn mkdir(&self, dir: &Object, name: &CStr, mode: u32, owner: (u32, u32)) -> Result<()> {
        let _ = (dir, name, mode, owner);
        todo!()
    }

    /// `symlink(2)`. An empty target is `ENOENT`.
    pub fn symlink(&self, dir: &Object, name: &CStr, target: &CStr, owner: (u32, u32)) -> Result<()> {
        let _ = (dir, name, target, owner);
        todo!()
    }

    /// `unlink(2)` of an entry known to be no directory (`expected` is what the caller looked up; it is not
    /// looked up again). The object is destroyed at once: keeping open files alive is the caller's work.
    pub fn unlink(&self, dir: &Object, name: &CStr) -> Result<()> {
        let _ = (dir, name);
        todo!()
    }

    /// `rmdir(2)` of an entry known to be a directory: `ENOTEMPTY` if it has entries.
    pub fn rmdir(&self, dir: &Object, name: &CStr) -> Result<()> {
        let _ = (dir, name);
        todo!()
    }

    /// `rename(2)` of an entry `from` (looked up by the caller: its attributes) to a name that holds `to` (or
    /// nothing). Source and target must differ, types must agree and the target may not lie below the source: the
    /// caller has checked; here `EINVAL` guards the fatal cases. Keeps mtime. Works around the
    /// symlink rename of balanced containers.
    #[allow(clippy::too_many_arguments)]
    pub fn rename(
        self: &Arc<Self>,
        from_dir: &Object,
        from_name: &CStr,
        from: &Attr,
        to_dir: &Object,
        to_name: &CStr,
        to: Option<&Attr>,
        no_replace: bool,
    ) -> Result<()> {
        let _ = (from_dir, from_name, from, to_dir, to_name, to, no_replace);
        todo!()
    }

    /// `RENAME_EXCHANGE`; extended attributes of both sides are kept.
    pub fn exchange(
        self: &Arc<Self>,
        dir1: &Object,
        name1: &CStr,
        dir2: &Object,
        name2: &CStr,
    ) -> Result<()> {
        let _ = (dir1, name1, dir2, name2);
        todo!()
    }
}
