//! Finding and loading the real libraries with dlopen, which also runs their constructors. They
//! are never unloaded. No lock is taken here: two threads may load at once (dlopen counts), and
//! both get the same table.
use crate::{Api, MissingSymbol};
use std::ffi::{c_int, c_void, CStr, CString};
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

/// The process's table, once it is filled. Never freed.
static LOADED: AtomicPtr<Api> = AtomicPtr::new(ptr::null_mut());

/// Why there is no table.
#[derive(Debug)]
pub enum LoadError {
    /// dlopen refused; the text is the loader's own.
    Open {
        /// The file asked for.
        library: CString,
        /// What `dlerror` said.
        reason: CString,
    },
    /// The libraries lack a function that is needed.
    Missing(MissingSymbol),
}

impl std::fmt::Display for LoadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            // dlerror names the file by itself, in all but the rarest cases.
            LoadError::Open { reason, .. } if !reason.is_empty() => {
                f.write_str(&reason.to_string_lossy())
            }
            LoadError::Open { library, .. } => {
                write!(f, "cannot load {}", library.to_string_lossy())
            }
            LoadError::Missing(symbol) => write!(f, "libdaos or libdfs is too old: {symbol}"),
        }
    }
}

impl std::error::Error for LoadError {}

impl From<MissingSymbol> for LoadError {
    fn from(missing: MissingSymbol) -> LoadError {
        LoadError::Missing(missing)
    }
}

/// The table if it was filled before; for callers that must not load (an ld.so call site).
/// Async-signal-safe.
pub fn loaded() -> Option<&'static Api> {
    // SAFETY: the pointer is null or a leaked Box that is never written again.
    unsafe { LOADED.load(Ordering::Acquire).as_ref() }
}

/// Whether somebody in the process exports libdfs's functions: a program or library linked with it, or
/// a profiler's wrappers. Takes the loader's lock.
pub fn is_exported() -> bool {
    !lookup(libc::RTLD_DEFAULT, c"dfs_mount").is_null()
}

/// Loads libdaos.so.2, libdfs.so and (if it is there) libduns.so: out of `dir`, or by the loader's
/// own search. RTLD_LOCAL, so that the program sees no new symbols; but when somebody in the
/// process exports `dfs_mount` already (a profiler, or a program linked with libdfs),
/// RTLD_GLOBAL and the default lookup, so that its wrappers go on to see the calls. The first
/// success is kept for the process, and answered to every later call whatever its `dir`.
pub fn open(dir: Option<&CStr>) -> Result<&'static Api, LoadError> {
    if let Some(api) = loaded() {
        return Ok(api);
    }
    let shared = is_exported();
    let scope = if shared {
        libc::RTLD_GLOBAL
    } else {
        libc::RTLD_LOCAL
    };
    let daos = open_library(dir, c"libdaos.so.2", scope)?;
    let dfs = open_library(dir, c"libdfs.so", scope)?;
    let duns = open_library(dir, c"libduns.so", scope).unwrap_or(ptr::null_mut());
    let handles = [dfs, daos, duns];

    let api = Api::resolve(&mut |symbol| {
        let global = match shared {
            true => lookup(libc::RTLD_DEFAULT, symbol),
            false => ptr::null_mut(),
        };
        if !global.is_null() {
            return global;
        }
        handles
            .iter()
            .filter(|handle| !handle.is_null())
            .map(|handle| lookup(*handle, symbol))
            .find(|address| !address.is_null())
            .unwrap_or(ptr::null_mut())
    })?;

    let mine = Box::into_raw(Box::new(api));
    match LOADED.compare_exchange(ptr::null_mut(), mine, Ordering::AcqRel, Ordering::Acquire) {
        // SAFETY: `mine` is leaked from here on, and nobody writes it.
        Ok(_) => Ok(unsafe { &*mine }),
        Err(theirs) => {
            // SAFETY: `mine` came from Box::into_raw above and was published nowhere.
            drop(unsafe { Box::from_raw(mine) });
            // SAFETY: what stands in LOADED is a leaked Box.
            Ok(unsafe { &*theirs })
        }
    }
}

fn lookup(handle: *mut c_void, symbol: &CStr) -> *mut c_void {
    // SAFETY: a handle of dlopen or RTLD_DEFAULT, and a NUL-terminated name.
    unsafe { libc::dlsym(handle, symbol.as_ptr()) }
}

fn open_library(dir: Option<&CStr>, name: &CStr, scope: c_int) -> Result<*mut c_void, LoadError> {
    let mut path = Vec::new();
    if let Some(dir) = dir {
        path.extend_from_slice(dir.to_bytes());
        path.push(b'/');
    }
    path.extend_from_slice(name.to_bytes());
    let library = CString::new(path).unwrap_or_default(); // both parts are free of NULs
                                                          // SAFETY: a NUL-terminated path; the libraries' constructors are DAOS's own.
    let handle = unsafe { libc::dlopen(library.as_ptr(), libc::RTLD_NOW | scope) };
    if !handle.is_null() {
        return Ok(handle);
    }
    // SAFETY: dlerror answers null or a string valid until this thread's next dl call.
    let reason = unsafe {
        match libc::dlerror() {
            text if text.is_null() => CString::default(),
            text => CStr::from_ptr(text).to_owned(),
        }
    };
    Err(LoadError::Open { library, reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_directory_holds_no_daos() {
        let error = open(Some(c"/nonexistent"))
            .err()
            .expect("there is nothing to load");
        assert!(
            error.to_string().contains("/nonexistent/libdaos.so.2"),
            "{error}"
        );
        assert!(loaded().is_none());
    }
}
