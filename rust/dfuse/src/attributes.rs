//! Attributes, extended attributes, links and space.
use crate::inode::{Body, Named};
use crate::locked;
use crate::server::Server;
use dfs::{EntryPoint, Errno, Object, Result, SetAttr, Space, XattrFlags};
use std::ffi::{CStr, CString};
use std::sync::Arc;

/// The attribute that names a directory's container.
const DAOS: &CStr = c"user.daos";

impl Server {
    /// `stat(2)`.
    pub fn stat(&self, ino: u64) -> Result<libc::stat> {
        let inode = self.inodes.get(ino)?;
        let mut stat = inode.stat()?;
        stat.st_ino = inode.ino;
        Ok(stat)
    }

    /// `chmod`, `chown`, `truncate` and `utimensat` in one; attributes afterwards.
    pub fn set_stat(&self, ino: u64, set: &SetAttr, size: Option<u64>) -> Result<libc::stat> {
        self.may_change()?;
        let inode = self.inodes.get(ino)?;
        let (_, object) = inode.object().map_err(|_| Errno::EPERM)?;
        if let Some(size) = size {
            object.truncate(size)?;
        }
        let set = &without_known_mode(&locked(&inode.state).last, set);
        match object.set_attr(set) {
            // Without a name there is nowhere to write it down: what fstat shows is all there is.
            Err(Errno::ESTALE) if locked(&inode.state).named != Named::Yes => {
                remember(&mut locked(&inode.state).last, set)
            }
            other => other?,
        }
        self.stat(ino)
    }

    /// `readlink(2)`.
    pub fn readlink(&self, ino: u64) -> Result<CString> {
        self.inodes.get(ino)?.object()?.1.readlink()
    }

    /// Space of the pool; nothing above containers.
    pub fn space(&self, ino: u64) -> Result<Space> {
        match &self.inodes.get(ino)?.body {
            Body::Object(container, _) => container.fs.space(),
            _ => Ok(Space { total: 0, free: 0 }),
        }
    }

    /// `getxattr(2)`.
    pub fn get_xattr(&self, ino: u64, name: &CStr) -> Result<Vec<u8>> {
        let (object, root) = self.with_xattrs(ino, name)?;
        match (root, name == DAOS) {
            (Some(value), true) => Ok(value),
            _ => object.get_xattr(name),
        }
    }

    /// `setxattr(2)`. `user.daos` of a root is fixed, that of another directory must be one.
    pub fn set_xattr(&self, ino: u64, name: &CStr, value: &[u8], flags: i32) -> Result<()> {
        self.may_change()?;
        let (object, root) = self.with_xattrs(ino, name)?;
        if name == DAOS {
            if root.is_some() {
                return Err(Errno::EINVAL);
            }
            EntryPoint::parse(value)?;
        }
        let flags = match flags {
            0 => XattrFlags::Any,
            libc::XATTR_CREATE => XattrFlags::Create,
            libc::XATTR_REPLACE => XattrFlags::Replace,
            _ => return Err(Errno::EINVAL),
        };
        object.set_xattr(name, value, flags)
    }

    /// `removexattr(2)`.
    pub fn remove_xattr(&self, ino: u64, name: &CStr) -> Result<()> {
        self.may_change()?;
        let (object, root) = self.with_xattrs(ino, name)?;
        if name == DAOS && root.is_some() {
            return Err(Errno::EPERM);
        }
        object.remove_xattr(name)
    }

    /// `listxattr(2)`: names with their NULs.
    pub fn list_xattr(&self, ino: u64) -> Result<Vec<u8>> {
        let (object, root) = self.with_xattrs(ino, DAOS)?;
        let mut names = object.list_xattr()?;
        let listed = names.split(|&b| b == 0).any(|n| n == DAOS.to_bytes());
        if root.is_some() && !listed {
            names.extend_from_slice(DAOS.to_bytes_with_nul());
        }
        Ok(names)
    }

    /// The object, and the value of `user.daos` if it is a container's root. Only `user.*` is
    /// stored.
    fn with_xattrs(&self, ino: u64, name: &CStr) -> Result<(Arc<Object>, Option<Vec<u8>>)> {
        let unknown = Errno(libc::EOPNOTSUPP);
        if !name.to_bytes().starts_with(b"user.") {
            return Err(unknown);
        }
        let inode = self.inodes.get(ino)?;
        let (container, object) = inode.object().map_err(|_| unknown)?;
        let root = object.is_root().then(|| container.entry_point());
        Ok((object, root))
    }
}

/// libdfs keeps the sticky bit of a mkdir, but refuses to be told of it again: a mode that a file
/// has is left out.
fn without_known_mode(last: &libc::stat, set: &SetAttr) -> SetAttr {
    let sticky = |mode: &u32| mode & libc::S_ISVTX != 0;
    let known = |mode: &u32| *mode == last.st_mode & 0o7777;
    let mode = set.mode.filter(|mode| !(sticky(mode) && known(mode)));
    SetAttr { mode, ..*set }
}

fn remember(last: &mut libc::stat, set: &SetAttr) {
    if let Some(mode) = set.mode {
        last.st_mode = (last.st_mode & libc::S_IFMT) | (mode & 0o7777);
    }
    last.st_uid = set.uid.unwrap_or(last.st_uid);
    last.st_gid = set.gid.unwrap_or(last.st_gid);
    if let Some(dfs::SetTime::At(sec, nsec)) = set.mtime {
        (last.st_mtime, last.st_mtime_nsec) = (sec as _, nsec as _);
    }
}
