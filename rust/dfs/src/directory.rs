//! Listing a directory: a `daos_anchor_t` walks the entries in hash order, stable while nothing
//! changes. libdfs fills in names only, and neither "." nor "..": types, numbers and positions are
//! the caller's work.
use crate::{Errno, Kind, Object, Result};
use daos_sys::daos_anchor_t;
use std::ffi::{CStr, CString};

/// Names fetched in one call at most: 35 KiB of `struct dirent`.
const MAX_BATCH: usize = 128;

/// A position in a directory (`daos_anchor_t`), and the buffer its batches go through. A clone is
/// the position alone.
pub struct DirCursor {
    anchor: daos_anchor_t,
    entries: Vec<libc::dirent>,
}

impl Clone for DirCursor {
    fn clone(&self) -> DirCursor {
        DirCursor {
            anchor: self.anchor,
            entries: Vec::new(),
        }
    }
}

impl DirCursor {
    /// Size of a position in bytes.
    pub const SIZE: usize = size_of::<daos_anchor_t>();

    /// The beginning of a directory.
    pub fn start() -> DirCursor {
        DirCursor::from_bytes(&[0; DirCursor::SIZE])
    }

    /// True once a batch has reached the end.
    pub fn at_end(&self) -> bool {
        self.anchor.is_eof()
    }

    /// The position as bytes, for another process with the same directory open.
    pub fn to_bytes(&self) -> [u8; DirCursor::SIZE] {
        // SAFETY: an anchor is plain bytes without padding.
        unsafe { std::mem::transmute_copy(&self.anchor) }
    }

    /// A position from [`DirCursor::to_bytes`].
    pub fn from_bytes(bytes: &[u8; DirCursor::SIZE]) -> DirCursor {
        DirCursor {
            // SAFETY: any bytes make an anchor; libdfs checks its type.
            anchor: unsafe { std::mem::transmute_copy(bytes) },
            entries: Vec::new(),
        }
    }
}

impl Object {
    /// Reads the next names of a directory (no "." and ".."), at most `max`; an empty batch with
    /// the cursor not at its end is possible. One RPC, none at the end. `ENOTDIR` for other
    /// kinds.
    pub fn read_names(&self, cursor: &mut DirCursor, max: usize) -> Result<Vec<CString>> {
        let mut names = Vec::new();
        self.for_names(cursor, max, |name| names.push(name.to_owned()))?;
        Ok(names)
    }

    /// As [`Object::read_names`], but hands out each name instead of allocating; answers their
    /// number. The cursor's buffer is allocated at its first batch.
    pub fn for_names(
        &self,
        cursor: &mut DirCursor,
        max: usize,
        mut each: impl FnMut(&CStr),
    ) -> Result<usize> {
        if self.kind() != Kind::Directory {
            return Err(Errno::ENOTDIR);
        }
        let want = max.min(MAX_BATCH);
        if want == 0 || cursor.at_end() {
            return Ok(0);
        }
        let DirCursor { anchor, entries } = cursor;
        if entries.len() < want {
            // SAFETY: a dirent of zeros is valid.
            entries.resize(want, unsafe { std::mem::zeroed() });
        }
        let before = *anchor;
        let mut count = 0;
        self.mount.call(|call| {
            *anchor = before;
            count = want as u32;
            // SAFETY: the handle is alive; `entries` has room for `count` of them.
            unsafe {
                (call.api.dfs_readdir)(
                    call.dfs(),
                    self.raw(call),
                    anchor,
                    &mut count,
                    entries.as_mut_ptr(),
                )
            }
        })?;
        for entry in entries.iter().take(count as usize) {
            // SAFETY: libdfs ends every name with a NUL within d_name.
            each(unsafe { CStr::from_ptr(entry.d_name.as_ptr()) });
        }
        Ok(count as usize)
    }

    /// A cursor whose next batch begins with `name` itself (`dfs_dir_anchor_set`, local). `ENOSYS`
    /// where libdfs lacks it.
    pub fn cursor_at(&self, name: &CStr) -> Result<DirCursor> {
        crate::name::check(name)?;
        let mut cursor = DirCursor::start();
        self.mount.call(|call| match call.api.dfs_dir_anchor_set {
            // SAFETY: the handle is alive; name and result live through the call.
            Some(set) => unsafe { set(self.raw(call), name.as_ptr(), &mut cursor.anchor) },
            None => libc::ENOSYS,
        })?;
        Ok(cursor)
    }
}
