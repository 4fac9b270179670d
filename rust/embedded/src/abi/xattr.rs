//! Extended attributes: any name, no namespaces, `XATTR_CREATE` and `XATTR_REPLACE` not enforced.
use super::mount::Mount;
use super::object::Object;
use super::{bytes, required};
use crate::entry::Time;
use crate::error::{errno, Result};
use crate::key::{split_xattr, Key, Oid};
use daos_sys::*;
use std::ffi::{c_char, c_int, c_void};

/// The name of an attribute; `EINVAL` if it cannot be one.
unsafe fn attribute<'a>(name: *const c_char) -> Result<&'a [u8]> {
    // SAFETY: the caller's name.
    let name = unsafe { bytes(name)? };
    match name.is_empty() || name.len() > DFS_MAX_XATTR_NAME {
        true => errno(libc::EINVAL),
        false => Ok(name),
    }
}

/// An attribute's value for `dfs_lookupx`: `*size` becomes its size, 0 if it is not there.
///
/// # Safety
/// `value` is null or has room for `*size` bytes.
pub(crate) unsafe fn fetch_for_lookup(
    mount: &Mount,
    oid: Oid,
    name: &[u8],
    value: *mut c_void,
    size: *mut daos_size_t,
) -> Result<()> {
    let tree = mount.tree()?;
    let key = Key::xattr(tree.cont, oid, name);
    // SAFETY: as this function asks.
    unsafe {
        let room = *size as usize;
        let found = tree.store.env().read()?.get(&key, |bytes| {
            if !value.is_null() {
                std::ptr::copy_nonoverlapping(bytes.as_ptr(), value.cast(), bytes.len().min(room));
            }
            bytes.len()
        })?;
        *size = found.unwrap_or(0) as u64;
    }
    Ok(())
}

export! {
    /// Sets an attribute, there or not whatever the flags say; at most 64 KiB (`EINVAL`).
    Dfs fn dfs_setxattr(dfs: *mut dfs_t, obj: *mut dfs_obj_t, name: *const c_char, value: *const c_void, size: daos_size_t, flags: c_int) {
        let _ = flags;
        let (mount, object, name) = (Mount::of(dfs)?, Object::of(obj)?, attribute(name)?);
        mount.writable()?;
        if size > DFS_MAX_XATTR_LEN as u64 || (value.is_null() && size > 0) {
            return errno(libc::EINVAL);
        }
        let value: &[u8] = match size {
            0 => &[],
            size => std::slice::from_raw_parts(value.cast(), size as usize),
        };
        let tree = mount.tree()?;
        tree.store.env().write(|txn| {
            let mut node = object.node(tree, txn)?;
            node.entry.ctime = Time::now();
            tree.put(txn, &node)?;
            txn.put(&Key::xattr(tree.cont, object.oid, name), value)
        })?;
        Ok(0)
    }

    /// An attribute's value; its size alone without a buffer, `E2BIG` with one too small.
    Dfs fn dfs_getxattr(dfs: *mut dfs_t, obj: *mut dfs_obj_t, name: *const c_char, value: *mut c_void, size: *mut daos_size_t) {
        let (mount, object, name) = (Mount::of(dfs)?, Object::of(obj)?, attribute(name)?);
        let (tree, size) = (mount.tree()?, required(size)?);
        let txn = tree.store.env().read()?;
        object.current(tree, &txn)?;
        let room = if value.is_null() { 0 } else { *size as usize };
        let found = txn.get(&Key::xattr(tree.cont, object.oid, name), |bytes| {
            if bytes.len() <= room {
                // SAFETY: the caller's own pointers, as DAOS's header asks.
                unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), value.cast(), bytes.len()) };
            }
            bytes.len()
        })?;
        let Some(len) = found else {
            return errno(libc::ENODATA);
        };
        *size = len as u64;
        match room > 0 && len > room {
            true => errno(libc::E2BIG),
            false => Ok(0),
        }
    }

    /// Names, each with its NUL; cut without a word where the buffer ends, the size is the need.
    Dfs fn dfs_listxattr(dfs: *mut dfs_t, obj: *mut dfs_obj_t, list: *mut c_char, size: *mut daos_size_t) {
        let (mount, object, size) = (Mount::of(dfs)?, Object::of(obj)?, required(size)?);
        let tree = mount.tree()?;
        let txn = tree.store.env().read()?;
        object.current(tree, &txn)?;
        let room = if list.is_null() { 0 } else { *size as usize };
        let prefix = Key::xattr(tree.cont, object.oid, b"");
        let (mut need, mut done, mut full) = (0, 0, false);
        txn.scan(&prefix, &prefix, |key, _| {
            let name = split_xattr(key);
            need += name.len() + 1;
            full |= need > room;
            if !full {
                // SAFETY: the caller's own pointers, as DAOS's header asks.
                unsafe {
                    std::ptr::copy_nonoverlapping(name.as_ptr(), list.cast::<u8>().add(done), name.len());
                    *list.add(need - 1) = 0;
                }
                done = need;
            }
            true
        })?;
        *size = need as u64;
        Ok(0)
    }

    /// Removes an attribute; `ENOENT` if it is not there.
    Dfs fn dfs_removexattr(dfs: *mut dfs_t, obj: *mut dfs_obj_t, name: *const c_char) {
        let (mount, object, name) = (Mount::of(dfs)?, Object::of(obj)?, attribute(name)?);
        mount.writable()?;
        let tree = mount.tree()?;
        tree.store.env().write(|txn| {
            let mut node = object.node(tree, txn)?;
            if !txn.delete(&Key::xattr(tree.cont, object.oid, name))? {
                return errno(libc::ENOENT);
            }
            node.entry.ctime = Time::now();
            tree.put(txn, &node)
        })?;
        Ok(0)
    }
}
