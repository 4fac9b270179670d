//! The public C API (include/pil4dfs.h is made from this file by cbindgen): for programs that link
//! the library. It works the same when the library is preloaded.
use crate::boundary::boundary;
use std::ffi::{c_char, c_int, CStr};
use std::sync::atomic::Ordering;
use vfs::filter;

/// The version of the library, as `"0.1.0"`.
const VERSION: &CStr =
    match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
        Ok(version) => version,
        Err(_) => unreachable!(),
    };

/// The version of the library: a static string such as `"0.1.0"`, never freed.
///
/// Never fails. Thread-safe and async-signal-safe.
#[no_mangle]
pub extern "C" fn pil4dfs_version() -> *const c_char {
    VERSION.as_ptr()
}

/// 1 when calls below a mount are intercepted in this process, else 0: no mount is configured, the program
/// is left to dfuse, or interception is switched off or impossible here (a line on stderr said why).
///
/// Never fails. Thread-safe and async-signal-safe.
#[no_mangle]
pub extern "C" fn pil4dfs_active() -> c_int {
    boundary(0, || {
        c_int::from(filter::pil_filter.armed.load(Ordering::Relaxed) != 0)
    })
}

/// 1 when `fd` is an open descriptor served by this library, else 0 (the kernel's, closed, or no
/// descriptor at all).
///
/// Never fails, leaves errno alone. Thread-safe and async-signal-safe.
#[no_mangle]
pub extern "C" fn pil4dfs_owns(fd: c_int) -> c_int {
    boundary(0, || c_int::from(filter::fd_is(fd) == filter::OURS))
}
