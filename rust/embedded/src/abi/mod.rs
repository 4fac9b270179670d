//! The exported functions, by the nouns of DAOS's headers, and the conversions of their arguments.
//! Pointers are checked for null and opaque objects for their mark; anything else is the caller's
//! promise, as with DAOS.
pub mod attr;
pub mod container;
pub mod directory;
pub mod event;
pub mod file;
pub mod glob;
pub mod life;
pub mod mount;
pub mod object;
pub mod open;
pub mod pool;
pub mod property;
pub mod uns;
pub mod xattr;

use crate::error::{errno, Result};
use std::ffi::{c_char, CStr};

/// The bytes of a string; `EINVAL` for null.
///
/// # Safety
/// Null or NUL-terminated, and alive as long as the bytes are used.
pub(crate) unsafe fn bytes<'a>(text: *const c_char) -> Result<&'a [u8]> {
    match text.is_null() {
        true => errno(libc::EINVAL),
        // SAFETY: as this function asks.
        false => Ok(unsafe { CStr::from_ptr(text) }.to_bytes()),
    }
}

/// The text of a string; `EINVAL` for null or what is not UTF-8.
///
/// # Safety
/// As [`bytes`].
pub(crate) unsafe fn text<'a>(text: *const c_char) -> Result<&'a str> {
    // SAFETY: as this function asks.
    std::str::from_utf8(unsafe { bytes(text)? }).or(errno(libc::EINVAL))
}

/// Writes an answer where one is wanted.
///
/// # Safety
/// Null or valid for a write.
pub(crate) unsafe fn answer<T>(place: *mut T, value: T) {
    if !place.is_null() {
        // SAFETY: as this function asks.
        unsafe { place.write(value) };
    }
}

/// A pointer that must not be null; `EINVAL`.
pub(crate) fn required<T>(pointer: *mut T) -> Result<*mut T> {
    match pointer.is_null() {
        true => errno(libc::EINVAL),
        false => Ok(pointer),
    }
}
