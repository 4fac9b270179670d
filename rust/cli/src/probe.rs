//! `pil4dfs probe`: run by `doctor` under the library, because only a process that is served knows what
//! is served. Prints a line of JSON for each thing it has found out, and may hang where DAOS hangs:
//! its parent waits with a limit.
use crate::{print, Failure};
use clap::Args;
use std::ffi::CStr;
use std::path::PathBuf;
use std::process::ExitCode;

/// Hidden.
#[derive(Args)]
pub struct Probe {
    /// Mount points to touch.
    mounts: Vec<PathBuf>,
}

/// What the library answers about this process.
#[derive(serde::Serialize, serde::Deserialize)]
pub struct Library {
    /// `pil4dfs_version`, if the library is in this process.
    pub version: Option<String>,
    /// `pil4dfs_active`.
    pub active: bool,
}

/// What came of touching a mount point.
#[derive(serde::Serialize, serde::Deserialize)]
pub struct Touched {
    /// The mount point.
    pub mount: PathBuf,
    /// Why it could not be opened.
    pub error: Option<String>,
    /// Whether its descriptor is served by the library.
    pub served: bool,
}

impl Probe {
    /// Prints what it finds.
    pub fn execute(self) -> Result<ExitCode, Failure> {
        print(&line(&Library {
            version: version(),
            active: call("pil4dfs_active", |f: extern "C" fn() -> i32| f()) == Some(1),
        }))?;
        for mount in self.mounts {
            let opened = std::fs::File::open(&mount);
            let fd = opened.as_ref().map(std::os::fd::AsRawFd::as_raw_fd);
            let served = fd.is_ok_and(owns);
            let error = opened.err().map(|e| e.to_string());
            print(&line(&Touched {
                mount,
                error,
                served,
            }))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Whether the library serves a descriptor of this process.
pub fn owns(fd: i32) -> bool {
    call("pil4dfs_owns", |f: extern "C" fn(i32) -> i32| f(fd)) == Some(1)
}

fn line<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default() + "\n"
}

fn version() -> Option<String> {
    type Version = extern "C" fn() -> *const libc::c_char;
    let text = call("pil4dfs_version", |f: Version| f())?;
    // SAFETY: a static string (pil4dfs.h).
    Some(
        unsafe { CStr::from_ptr(text) }
            .to_string_lossy()
            .into_owned(),
    )
}

/// Calls a function of pil4dfs.h if the library is in this process.
fn call<F: Copy, R>(name: &str, run: impl FnOnce(F) -> R) -> Option<R> {
    let name = std::ffi::CString::new(name).ok()?;
    // SAFETY: a look-up by name among what is loaded.
    let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    assert_eq!(size_of::<F>(), size_of_val(&found));
    // SAFETY: F is the type that pil4dfs.h gives to this name, a pointer to a function.
    (!found.is_null()).then(|| run(unsafe { std::mem::transmute_copy(&found) }))
}
