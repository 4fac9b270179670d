//! The provider's log, after libdaos: to `D_LOG_FILE`, and - a trap that is kept because a program
//! must not fall into it - errors to standard output where that is unset or empty.
use std::ffi::CString;
use std::sync::atomic::{AtomicPtr, Ordering};

/// The file's name as `daos_init` found it; null: standard output. Leaked.
static FILE: AtomicPtr<CString> = AtomicPtr::new(std::ptr::null_mut());

/// Reads `D_LOG_FILE`.
pub fn open() {
    let name = std::env::var("D_LOG_FILE").unwrap_or_default();
    let file = match CString::new(name) {
        Ok(name) if !name.is_empty() => Box::into_raw(Box::new(name)),
        _ => std::ptr::null_mut(),
    };
    FILE.store(file, Ordering::Release);
}

/// No log at all: for a program that reports errors by itself.
pub fn silence() {
    FILE.store(
        Box::into_raw(Box::new(c"/dev/null".to_owned())),
        Ordering::Release,
    );
}

fn write(line: &str, to_stdout: bool) {
    // SAFETY: null or a leaked Box.
    let file = unsafe { FILE.load(Ordering::Acquire).as_ref() };
    // SAFETY: a NUL-terminated path and a buffer of its own length; the descriptor is ours.
    unsafe {
        match file {
            Some(name) if name.as_bytes() == b"/dev/null" => {}
            Some(name) => {
                let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_APPEND | libc::O_CLOEXEC;
                let fd = libc::open(name.as_ptr(), flags, 0o666);
                if fd >= 0 {
                    libc::write(fd, line.as_ptr().cast(), line.len());
                    libc::close(fd);
                }
            }
            None if to_stdout => {
                libc::write(1, line.as_ptr().cast(), line.len());
            }
            None => {}
        }
    }
}

/// A line for the log file only.
pub fn note(text: &str) {
    write(&format!("INFO pil4dfs-embedded {text}\n"), false);
}

/// A line for the log file, else for standard output.
pub fn error(text: &str) {
    write(&format!("ERR  pil4dfs-embedded {text}\n"), true);
}
