//! Extended attributes with the errors of `xattr(7)`. Any name is stored as given: namespace rules
//! are the caller's.
use crate::{Object, Result};
use std::ffi::CStr;

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
    /// The value (`ENODATA` if there is none).
    pub fn get_xattr(&self, name: &CStr) -> Result<Vec<u8>> {
        let _ = name;
        todo!()
    }
    /// Sets a value; more than 64 KiB is `E2BIG`, a name over 255 bytes `ERANGE`.
    pub fn set_xattr(&self, name: &CStr, value: &[u8], flags: XattrFlags) -> Result<()> {
        let _ = (name, value, flags);
        todo!()
    }
    /// Removes a value (`ENODATA` if there is none).
    pub fn remove_xattr(&self, name: &CStr) -> Result<()> {
        let _ = name;
        todo!()
    }
    /// All names, each with its NUL, in one buffer.
    pub fn list_xattr(&self) -> Result<Vec<u8>> {
        todo!()
    }
}
