//! An open file, directory or symbolic link: `dfs_obj_t`, released on drop.
//! All calls may run concurrently on one object; [`Object::renamed`] excepted, which takes the
//! object's own lock against attribute calls.
use crate::{Attr, Kind, ObjectId, Result, SetAttr};
use std::ffi::{CStr, CString};

/// What a handle may do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// `O_RDONLY`
    Read,
    /// `O_RDWR` (DFS needs it for attribute changes too)
    ReadWrite,
}

/// An open DFS object.
pub struct Object {
    _p: (),
}

/// A position in a directory (`daos_anchor_t`).
#[derive(Clone)]
pub struct DirCursor {
    /// The opaque anchor.
    pub(crate) anchor: Box<daos_sys_anchor>,
}
#[doc(hidden)]
#[allow(non_camel_case_types)]
pub type daos_sys_anchor = [u8; 120];

impl DirCursor {
    /// The beginning of a directory.
    pub fn start() -> DirCursor {
        todo!()
    }
    /// True once a batch has reached the end.
    pub fn at_end(&self) -> bool {
        todo!()
    }
}

impl Object {
    /// Identity.
    pub fn id(&self) -> ObjectId {
        todo!()
    }
    /// Kind, fixed for the object's life.
    pub fn kind(&self) -> Kind {
        todo!()
    }
    /// Access of this handle.
    pub fn access(&self) -> Access {
        todo!()
    }

    /// A second handle on the same object with another access (`dfs_dup`, local).
    pub fn reopen(&self, access: Access) -> Result<Object> {
        let _ = access;
        todo!()
    }

    /// `fstat(2)`. If the entry is gone (unlinked or moved by someone else) `ESTALE`; the caller decides.
    pub fn attr(&self) -> Result<Attr> {
        todo!()
    }

    /// Size in bytes (`dfs_get_size`); works on removed files as far as DFS does.
    pub fn size(&self) -> Result<u64> {
        todo!()
    }

    /// Reads at `offset` into the buffers, returns bytes read; short only at the end of file.
    ///
    /// # Safety
    /// Every iovec must be writable for its length during the call.
    pub unsafe fn read(&self, iov: &[libc::iovec], offset: u64) -> Result<usize> {
        let _ = (iov, offset);
        todo!()
    }

    /// Writes all bytes at `offset` or fails.
    ///
    /// # Safety
    /// Every iovec must be readable for its length during the call.
    pub unsafe fn write(&self, iov: &[libc::iovec], offset: u64) -> Result<usize> {
        let _ = (iov, offset);
        todo!()
    }

    /// `ftruncate(2)`, with the chunk-boundary fault of released libdfs worked around.
    pub fn truncate(&self, size: u64) -> Result<()> {
        let _ = size;
        todo!()
    }

    /// Zeroes a range without changing the size (`FALLOC_FL_PUNCH_HOLE|FALLOC_FL_KEEP_SIZE`).
    pub fn punch_hole(&self, offset: u64, len: u64) -> Result<()> {
        let _ = (offset, len);
        todo!()
    }

    /// Changes attributes; one RPC.
    pub fn set_attr(&self, set: &SetAttr) -> Result<()> {
        let _ = set;
        todo!()
    }

    /// The text of a symbolic link, without NUL.
    pub fn readlink(&self) -> Result<CString> {
        todo!()
    }

    /// Reads the next names of a directory (no "." and ".."), at most `max`; an empty batch with
    /// the cursor not at its end is possible. One RPC.
    pub fn read_names(&self, cursor: &mut DirCursor, max: usize) -> Result<Vec<CString>> {
        let _ = (cursor, max);
        todo!()
    }

    /// Tells the handle that its entry now is `name` in `dir` (after our own rename), so that
    /// attribute calls find it again.
    pub fn renamed(&self, dir: &Object, name: &CStr) -> Result<()> {
        let _ = (dir, name);
        todo!()
    }
}
