//! Attributes: stat and what changes it.
use super::mount::Mount;
use super::object::{directory, Object};
use super::{bytes, event, file, required};
use crate::data;
use crate::entry::{Entry, Time};
use crate::error::{errno, Result};
use crate::lmdb::Txn;
use crate::namespace::{check_name, Node, Tree};
use daos_sys::*;
use libc::{gid_t, mode_t, stat, uid_t};
use std::ffi::{c_char, c_int};

/// Size of every directory, as DFS reports it.
const DIRECTORY_SIZE: i64 = 104;

/// `struct stat` as DFS fills it: inode and device 0, one link, no access time of its own.
/// `object`: an open handle of the same file, whose descriptor spares a path walk.
pub(crate) fn stat_of(
    tree: Tree<'_>,
    txn: &Txn<'_>,
    entry: &Entry,
    object: Option<&Object>,
) -> Result<stat> {
    // SAFETY: integers only; zero is a value of each.
    let mut answer: stat = unsafe { std::mem::zeroed() };
    answer.st_mode = entry.mode;
    answer.st_nlink = 1;
    answer.st_uid = entry.uid;
    answer.st_gid = entry.gid;
    let object_time = match entry.kind() {
        libc::S_IFDIR => {
            answer.st_size = DIRECTORY_SIZE;
            tree.directory_time(txn, entry.oid)?
        }
        libc::S_IFREG => {
            let bytes = match object {
                Some(object) => file::object_stat(object)?,
                None => data::stat(tree.store, tree.cont, entry.oid)?,
            };
            answer.st_blksize = entry.chunk as libc::blksize_t;
            answer.st_size = bytes.map_or(0, |bytes| bytes.size) as i64;
            answer.st_blocks = (answer.st_size + 511) / 512;
            bytes.map(|bytes| bytes.time)
        }
        _ => {
            answer.st_size = i64::from(entry.link_len());
            None
        }
    };
    let (mtime, ctime) = entry.times(object_time);
    let atime = mtime.max(ctime);
    (answer.st_mtime, answer.st_mtime_nsec) = (mtime.sec, mtime.nsec);
    (answer.st_ctime, answer.st_ctime_nsec) = (ctime.sec, ctime.nsec);
    (answer.st_atime, answer.st_atime_nsec) = (atime.sec, atime.nsec);
    Ok(answer)
}

/// Changes the entry an object was found at, and its ctime; `ENOENT` when it is stale.
pub(crate) fn change(mount: &Mount, object: &Object, change: impl Fn(&mut Entry)) -> Result<()> {
    let tree = mount.tree()?;
    tree.store.env().write(|txn| {
        let mut node = object.node(tree, txn)?;
        change(&mut node.entry);
        node.entry.ctime = Time::now();
        tree.put(txn, &node)
    })
}

/// The name a call of (parent, name) means: the root for no parent and no name.
unsafe fn named(
    mount: &Mount,
    txn: &Txn<'_>,
    parent: *mut dfs_obj_t,
    name: *const c_char,
    follow: bool,
) -> Result<Node> {
    let tree = mount.tree()?;
    // SAFETY: the caller's handle and name.
    unsafe {
        if name.is_null() {
            let is_root = parent.is_null() || Object::of(parent)?.oid == crate::key::ROOT;
            return if is_root {
                tree.root(txn)
            } else {
                errno(libc::EINVAL)
            };
        }
        let dir = directory(mount, parent)?;
        let name = bytes(name)?;
        check_name(name)?;
        tree.lookup_in(txn, dir.oid, name, follow)
    }
}

/// The caller's stat, by handle.
fn object_stat(mount: &Mount, object: &Object) -> Result<stat> {
    let tree = mount.tree()?;
    let txn = tree.store.env().read()?;
    let entry = object.current(tree, &txn)?;
    stat_of(tree, &txn, &entry, Some(object))
}

fn set_attributes(mount: &Mount, object: &Object, wanted: &stat, flags: c_int) -> Result<stat> {
    let tree = mount.tree()?;
    {
        let txn = tree.store.env().read()?;
        object.current(tree, &txn)?;
    }
    if flags & DFS_SET_ATTR_SIZE != 0 {
        file::set_size(object, wanted.st_size as u64)?;
    }
    let mtime = Time {
        sec: wanted.st_mtime,
        nsec: wanted.st_mtime_nsec,
    };
    if flags & DFS_SET_ATTR_MTIME != 0 && object.kind() == libc::S_IFREG {
        // The host file carries the time as well, so that a write at once after it is seen.
        data::set_time(tree.store, tree.cont, object.oid, mtime);
    }
    if flags & !(DFS_SET_ATTR_ATIME | DFS_SET_ATTR_SIZE) != 0 {
        tree.store.env().write(|txn| {
            let mut node = object.node(tree, txn)?;
            let entry = &mut node.entry;
            if flags & DFS_SET_ATTR_MODE != 0 {
                entry.mode = wanted.st_mode;
            }
            if flags & DFS_SET_ATTR_UID != 0 {
                entry.uid = wanted.st_uid;
            }
            if flags & DFS_SET_ATTR_GID != 0 {
                entry.gid = wanted.st_gid;
            }
            if flags & DFS_SET_ATTR_MTIME != 0 {
                let time = tree.object_time(txn, entry)?;
                entry.set_mtime(mtime, time);
            }
            entry.ctime = Time::now();
            tree.put(txn, &node)
        })?;
    }
    if flags & DFS_SET_ATTR_MODE != 0 {
        object.set_mode(wanted.st_mode);
    }
    object_stat(mount, object)
}

const KNOWN: c_int = DFS_SET_ATTR_MODE
    | DFS_SET_ATTR_ATIME
    | DFS_SET_ATTR_MTIME
    | DFS_SET_ATTR_SIZE
    | DFS_SET_ATTR_UID
    | DFS_SET_ATTR_GID;

export! {
    /// Stat of a name, which is not followed.
    Dfs fn dfs_stat(dfs: *mut dfs_t, parent: *mut dfs_obj_t, name: *const c_char, stbuf: *mut stat) {
        let (mount, stbuf) = (Mount::of(dfs)?, required(stbuf)?);
        let tree = mount.tree()?;
        let txn = tree.store.env().read()?;
        let entry = if name.is_null() {
            named(mount, &txn, parent, name, false)?.entry
        } else {
            let (dir, name) = (directory(mount, parent)?, bytes(name)?);
            check_name(name)?;
            match tree.get(&txn, dir.oid, name)? {
                Some(entry) if entry.is_link() && entry.link_len() == 0 => return errno(libc::EIO),
                Some(entry) => entry,
                None => return errno(libc::ENOENT),
            }
        };
        stbuf.write(stat_of(tree, &txn, &entry, None)?);
        Ok(0)
    }

    /// Stat of an object, found where its name was: `ENOENT` after unlink or rename.
    Dfs fn dfs_ostat(dfs: *mut dfs_t, obj: *mut dfs_obj_t, stbuf: *mut stat) {
        let (mount, object, stbuf) = (Mount::of(dfs)?, Object::of(obj)?, required(stbuf)?);
        stbuf.write(object_stat(mount, object)?);
        Ok(0)
    }

    /// `dfs_ostat` with an event.
    Dfs fn dfs_ostatx(dfs: *mut dfs_t, obj: *mut dfs_obj_t, stbuf: *mut stat, ev: *mut daos_event_t) {
        let (mount, object, stbuf) = (Mount::of(dfs)?, Object::of(obj)?, required(stbuf)?);
        event::run(ev, || {
            // SAFETY: the caller's own pointers, as DAOS's header asks.
            unsafe { stbuf.write(object_stat(mount, object)?) };
            Ok(())
        })
    }

    /// Sets what `flags` say and answers the new stat. The access time is taken and forgotten.
    Dfs fn dfs_osetattr(dfs: *mut dfs_t, obj: *mut dfs_obj_t, stbuf: *mut stat, flags: c_int) {
        let (mount, object, stbuf) = (Mount::of(dfs)?, Object::of(obj)?, required(stbuf)?);
        mount.writable()?;
        if object.flags & libc::O_ACCMODE == libc::O_RDONLY && object.kind() != libc::S_IFLNK {
            return errno(libc::EPERM);
        }
        if flags & !KNOWN != 0 {
            return errno(libc::EINVAL);
        }
        let wanted = *stbuf;
        if flags & DFS_SET_ATTR_MODE != 0 {
            if wanted.st_mode & libc::S_IFMT != object.kind() {
                return errno(libc::EINVAL);
            }
            if wanted.st_mode & libc::S_ISVTX != 0 {
                return errno(libc::ENOTSUP);
            }
        }
        if flags & DFS_SET_ATTR_SIZE != 0 && object.kind() != libc::S_IFREG {
            return errno(libc::EIO);
        }
        if flags & DFS_SET_ATTR_ATIME != 0 {
            crate::log::note("WARN the access time is not stored");
        }
        stbuf.write(set_attributes(mount, object, &wanted, flags)?);
        Ok(0)
    }

    /// Changes permissions, through links. The sticky bit is refused, though create stores it.
    Dfs fn dfs_chmod(dfs: *mut dfs_t, parent: *mut dfs_obj_t, name: *const c_char, mode: mode_t) {
        let mount = Mount::of(dfs)?;
        mount.writable()?;
        if mode & libc::S_ISVTX != 0 {
            return errno(libc::ENOTSUP);
        }
        let tree = mount.tree()?;
        tree.store.env().write(|txn| {
            // SAFETY: the caller's own pointers, as DAOS's header asks.
            let mut node = unsafe { named(mount, txn, parent, name, true)? };
            let kind = mode & libc::S_IFMT;
            if kind != 0 && kind != node.entry.kind() {
                return errno(libc::EINVAL);
            }
            node.entry.mode = node.entry.kind() | mode & 0o7777;
            node.entry.ctime = Time::now();
            tree.put(txn, &node)
        })?;
        Ok(0)
    }

    /// Changes the owner, of a link itself with `O_NOFOLLOW`; -1 leaves one as it is. Nobody is
    /// refused.
    Dfs fn dfs_chown(dfs: *mut dfs_t, parent: *mut dfs_obj_t, name: *const c_char, uid: uid_t, gid: gid_t, flags: c_int) {
        let mount = Mount::of(dfs)?;
        mount.writable()?;
        if uid == uid_t::MAX && gid == gid_t::MAX {
            return Ok(0);
        }
        let tree = mount.tree()?;
        tree.store.env().write(|txn| {
            let follow = flags & libc::O_NOFOLLOW == 0;
            // SAFETY: the caller's own pointers, as DAOS's header asks.
            let mut node = unsafe { named(mount, txn, parent, name, follow)? };
            if uid != uid_t::MAX {
                node.entry.uid = uid;
            }
            if gid != gid_t::MAX {
                node.entry.gid = gid;
            }
            node.entry.ctime = Time::now();
            tree.put(txn, &node)
        })?;
        Ok(0)
    }

    /// A weak check by real ids: any matching class suffices, root is nobody special.
    Dfs fn dfs_access(dfs: *mut dfs_t, parent: *mut dfs_obj_t, name: *const c_char, mask: c_int) {
        let mount = Mount::of(dfs)?;
        if mask & libc::W_OK != 0 {
            mount.writable()?;
        }
        let tree = mount.tree()?;
        let entry = named(mount, &*tree.store.env().read()?, parent, name, true)?.entry;
        if mask == libc::F_OK {
            return Ok(0);
        }
        let mut granted = entry.mode & 7;
        if libc::getuid() == entry.uid {
            granted |= entry.mode >> 6 & 7;
        }
        if libc::getgid() == entry.gid {
            granted |= entry.mode >> 3 & 7;
        }
        match mask as u32 & !granted {
            0 => Ok(0),
            _ => errno(libc::EACCES),
        }
    }
}
