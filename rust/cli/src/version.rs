//! `pil4dfs --version`: this command, the library it preloads, and the provider that programs would get.
use crate::locate;
use std::ffi::{c_void, CStr, CString};
use std::os::unix::ffi::OsStringExt;

/// The text behind the command's name. Loads DAOS's client library, but does not start it.
pub fn text() -> String {
    let library = match locate::library() {
        Ok(path) => path.display().to_string(),
        Err(e) => format!("none: {e}"),
    };
    format!(
        "{}\nlibrary:  {library}\nprovider: {}\nABI:      {}.so.0 with pil4dfs.h {}; libdaos.so.2 and libdfs.so from 2.4 on; {}, glibc",
        env!("CARGO_PKG_VERSION"),
        provider(),
        "libpil4dfs",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::ARCH,
    )
}

fn provider() -> String {
    let dir = std::env::var_os("PIL4DFS_DAOS_DIR").filter(|dir| !dir.is_empty());
    let dir = dir.and_then(|dir| CString::new(dir.into_vec()).ok());
    let api = match daos_sys::load::open(dir.as_deref()) {
        Ok(api) => api,
        Err(e) => return format!("none: {e}"),
    };
    let file = file_of(api.daos_init as *const c_void);
    let (mut major, mut minor, mut fix) = (0, 0, 0);
    let version = api.daos_version_get.map(|get| {
        // SAFETY: three integers that the call fills.
        unsafe { get(&mut major, &mut minor, &mut fix) };
        format!(", API {major}.{minor}.{fix}")
    });
    format!("{file}{}", version.unwrap_or_default())
}

/// The file that holds a function.
fn file_of(function: *const c_void) -> String {
    // SAFETY: all-zero is a Dl_info, which the call fills with strings that stay.
    unsafe {
        let mut info: libc::Dl_info = std::mem::zeroed();
        match libc::dladdr(function, &mut info) {
            0 => "libdaos.so.2".to_owned(),
            _ => CStr::from_ptr(info.dli_fname)
                .to_string_lossy()
                .into_owned(),
        }
    }
}
