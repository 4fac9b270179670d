//! Extended attributes with the errors of `xattr(7)`. Any name is stored as given: namespace rules
//! are the caller's. libdfs finds the file by (parent, name), so a file whose name is gone answers
//! `ESTALE`; it neither enforces the flags of `setxattr(2)` nor reports a list cut short.
use crate::mount::Call;
use crate::{name, Errno, Object, Result};
use std::ffi::CStr;
use std::ptr::null_mut;

/// Longest value in bytes (`DFS_MAX_XATTR_LEN`), as in Linux.
const VALUE_MAX: usize = 65536;
/// First guesses that spare most callers a second call.
const VALUE_GUESS: usize = 512;
const LIST_GUESS: usize = 1024;

/// `XATTR_CREATE` and `XATTR_REPLACE` of `setxattr(2)`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum XattrFlags {
    /// Create or replace.
    Any,
    /// `EEXIST` if present.
    Create,
    /// `ENODATA` if absent.
    Replace,
}

impl Object {
    /// The value (`ENODATA` if there is none). One DFS call, three where it is longer than 512
    /// bytes.
    pub fn get_xattr(&self, name: &CStr) -> Result<Vec<u8>> {
        check_name(name)?;
        let mut value = vec![0; VALUE_GUESS];
        loop {
            let mut size = value.len() as u64;
            let rc = self.mount.call(|call| {
                size = value.len() as u64;
                self.get_raw(call, name, value.as_mut_ptr(), &mut size)
            });
            match rc {
                Ok(()) => {
                    value.truncate(size as usize);
                    return Ok(value);
                }
                // Too short. An empty buffer would be taken for a question about the size.
                Err(Errno::E2BIG) => value.resize(self.xattr_size(name)?.max(1), 0),
                Err(e) => return Err(e.entry_gone()),
            }
        }
    }

    /// Length of a value (`ENODATA` if there is none). One DFS call.
    pub fn xattr_size(&self, name: &CStr) -> Result<usize> {
        check_name(name)?;
        let mut size = 0;
        self.mount
            .call(|call| {
                size = 0;
                self.get_raw(call, name, null_mut(), &mut size)
            })
            .map_err(Errno::entry_gone)?;
        Ok(size as usize)
    }

    fn get_raw(&self, call: &Call<'_>, name: &CStr, value: *mut u8, size: &mut u64) -> i32 {
        // SAFETY: the handle is alive; the buffer holds `size` bytes, or is null with size 0.
        unsafe {
            (call.api.dfs_getxattr)(
                call.dfs(),
                self.raw(call),
                name.as_ptr(),
                value.cast(),
                size,
            )
        }
    }

    /// Sets a value; more than 64 KiB is `E2BIG`, a name over 255 bytes `ERANGE`. One DFS call,
    /// with a flag two: presence is asked first, so that two processes may both succeed in
    /// creating.
    pub fn set_xattr(&self, name: &CStr, value: &[u8], flags: XattrFlags) -> Result<()> {
        check_name(name)?;
        if value.len() > VALUE_MAX {
            return Err(Errno::E2BIG);
        }
        if self.mount.traits.read_only {
            return Err(Errno::EROFS);
        }
        let flag = match (flags, self.has_xattr(flags, name)?) {
            (XattrFlags::Create, true) => return Err(Errno::EEXIST),
            (XattrFlags::Replace, false) => return Err(Errno::ENODATA),
            (XattrFlags::Create, false) => libc::XATTR_CREATE,
            (XattrFlags::Replace, true) => libc::XATTR_REPLACE,
            (XattrFlags::Any, _) => 0,
        };
        self.mount
            .change(|call| {
                // SAFETY: the handle is alive; the value is readable for its length.
                unsafe {
                    (call.api.dfs_setxattr)(
                        call.dfs(),
                        self.raw(call),
                        name.as_ptr(),
                        value.as_ptr().cast(),
                        value.len() as u64,
                        flag,
                    )
                }
            })
            .map_err(Errno::entry_gone)
    }

    /// Not asked where no flag depends on it.
    fn has_xattr(&self, flags: XattrFlags, name: &CStr) -> Result<bool> {
        if flags == XattrFlags::Any {
            return Ok(false);
        }
        match self.xattr_size(name) {
            Ok(_) => Ok(true),
            Err(Errno::ENODATA) => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// Removes a value (`ENODATA` if there is none, or if the file's name is gone: libdfs does not
    /// tell the two apart). One DFS call.
    pub fn remove_xattr(&self, name: &CStr) -> Result<()> {
        check_name(name)?;
        self.mount
            .change(|call| {
                // SAFETY: the handle is alive; the name lives through the call.
                unsafe { (call.api.dfs_removexattr)(call.dfs(), self.raw(call), name.as_ptr()) }
            })
            .map_err(|e| match e {
                Errno::ENOENT => Errno::ENODATA,
                other => other,
            })
    }

    /// All names, each with its NUL, in one buffer. One DFS call, two where they are longer than
    /// 1 KiB.
    pub fn list_xattr(&self) -> Result<Vec<u8>> {
        let mut list = vec![0u8; LIST_GUESS];
        loop {
            let mut size = 0;
            self.mount
                .call(|call| {
                    size = list.len() as u64;
                    // SAFETY: the handle is alive; the buffer holds `size` bytes.
                    unsafe {
                        (call.api.dfs_listxattr)(
                            call.dfs(),
                            self.raw(call),
                            list.as_mut_ptr().cast(),
                            &mut size,
                        )
                    }
                })
                .map_err(Errno::entry_gone)?;
            // The size is what all names need, also where they did not fit.
            let short = size as usize > list.len();
            list.resize(size as usize, 0);
            if !short {
                return Ok(list);
            }
        }
    }
}

/// `ERANGE` for an empty name and one over 255 bytes, as `setxattr(2)` says.
fn check_name(name: &CStr) -> Result<()> {
    match name.to_bytes().len() {
        1..=name::NAME_MAX => Ok(()),
        _ => Err(Errno::ERANGE),
    }
}
