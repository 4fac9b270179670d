//! The `log` facade's sink: one raw write(2) for each line, prefixed `pil4dfs: `, to standard error or a file.
//! The last error's text is kept, whatever is printed, for programs that ask by call.
//!
//! Descriptor 2 is written only while it still is the file it was at start: a daemon that closed it
//! and opened something else under the number must not find our lines in there.
use crate::text::Line;
use log::{LevelFilter, Log, Metadata, Record};
use once_cell::sync::OnceCell;
use std::ffi::CString;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use vfs::call;
use vfs::gate::Guarded;
use vfs::ownfd::OwnFd;

struct Sink;
static SINK: Sink = Sink;
static STDERR_DEV: AtomicU64 = AtomicU64::new(0);
static STDERR_INO: AtomicU64 = AtomicU64::new(0);
/// The file of `LEVEL:FILE`.
static FILE: OnceCell<CString> = OnceCell::new();
static KEPT: OnceCell<Option<OwnFd>> = OnceCell::new();
/// The least of what is printed.
static LEVEL: AtomicUsize = AtomicUsize::new(LevelFilter::Warn as usize);
/// Why something failed, or nothing is intercepted.
static REASON: Guarded<Line<512>> = Guarded::new(Line::new());

/// Keeps a text as the reason.
pub fn note(text: &str) {
    let mut line = Line::new();
    let _ = line.write_str(text);
    keep(&line);
}

/// Not where another thread does the same: a line more or less matters little.
fn keep(line: &Line<512>) {
    if let Some(mut reason) = REASON.try_lock() {
        *reason = line.clone();
    }
}

/// Nothing has failed.
pub fn forget() {
    note("");
}

/// Hands the reason to `f`: empty if nothing has failed.
pub fn reason<R>(f: impl FnOnce(&[u8]) -> R) -> R {
    let line = REASON.lock();
    f(line.bytes())
}

/// Starts logging as `LEVEL[:FILE]` says: from that level on (`error`, `warn`, `info`, `debug`, `trace`,
/// `off`; anything else: `warn`), to standard error or appended to a file.
pub fn start(wanted: Option<&str>) {
    let (level, file) = parse(wanted.unwrap_or_default());
    if let Some(file) = file {
        let _ = FILE.set(file);
    }
    if let Some((dev, ino)) = identity() {
        STDERR_DEV.store(dev, Ordering::Relaxed);
        STDERR_INO.store(ino, Ordering::Relaxed);
    }
    if log::set_logger(&SINK).is_ok() {
        LEVEL.store(level as usize, Ordering::Relaxed);
        log::set_max_level(level.max(LevelFilter::Error));
    }
}

fn parse(wanted: &str) -> (LevelFilter, Option<CString>) {
    let (level, file) = wanted.split_once(':').unwrap_or((wanted, ""));
    let file = Some(file).filter(|file| !file.is_empty());
    (
        level.parse().unwrap_or(LevelFilter::Warn),
        file.and_then(|file| CString::new(file).ok()),
    )
}

/// Appends a line to the file; false if there is none, or it cannot be written. Lines are few, and a
/// descriptor kept would be one more that the program must not see.
fn append(line: &[u8]) -> bool {
    let Some(file) = FILE.get() else { return false };
    let flags = libc::O_WRONLY | libc::O_APPEND | libc::O_CREAT | libc::O_CLOEXEC | libc::O_NOCTTY;
    // SAFETY: a string, and a line valid for its length.
    unsafe {
        let Ok(fd) = call!(SYS_openat, libc::AT_FDCWD, file.as_ptr(), flags, 0o644) else {
            return false;
        };
        let written = call!(SYS_write, fd, line.as_ptr(), line.len());
        let _ = call!(SYS_close, fd);
        written.is_ok()
    }
}

/// Keeps standard error for the report, also past the program closing it (as coreutils do at exit).
pub fn keep_stderr() {
    let _ = KEPT.get_or_init(duplicate);
}

/// A hidden duplicate of descriptor 2.
fn duplicate() -> Option<OwnFd> {
    // SAFETY: descriptor numbers only.
    let fd = unsafe { call!(SYS_fcntl, 2, libc::F_DUPFD_CLOEXEC, 0) }.ok()?;
    Some(OwnFd::hide(fd as i32))
}

/// Device and inode of descriptor 2 as the kernel has it.
fn identity() -> Option<(u64, u64)> {
    let mut st = std::mem::MaybeUninit::<libc::stat>::zeroed();
    // SAFETY: the buffer is a struct stat.
    unsafe { call!(SYS_fstat, 2, st.as_mut_ptr()) }.ok()?;
    // SAFETY: filled by the kernel.
    let st = unsafe { st.assume_init() };
    Some((st.st_dev, st.st_ino))
}

/// Writes bytes to standard error, if it still is what it was.
pub fn stderr(bytes: &[u8]) {
    let known = (
        STDERR_DEV.load(Ordering::Relaxed),
        STDERR_INO.load(Ordering::Relaxed),
    );
    if identity() == Some(known) {
        write(2, bytes);
    }
}

/// Writes bytes of the report to the standard error of the start.
pub fn report(bytes: &[u8]) {
    match KEPT.get() {
        Some(Some(kept)) => write(kept.raw(), bytes),
        _ => stderr(bytes),
    }
}

fn write(fd: i32, bytes: &[u8]) {
    // SAFETY: the buffer is valid for its length.
    let _ = unsafe { call!(SYS_write, fd, bytes.as_ptr(), bytes.len()) };
}

impl Log for Sink {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let mut line = Line::<512>::new();
        if record.level() == log::Level::Error {
            let _ = write!(line, "{}", record.args());
            keep(&line);
            line.truncate(0);
        }
        if record.level() as usize > LEVEL.load(Ordering::Relaxed) {
            return;
        }
        let _ = write!(line, "pil4dfs: {}", record.args());
        line.end();
        if !append(line.bytes()) {
            stderr(line.bytes());
        }
    }

    fn flush(&self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_and_a_file() {
        let file = |name: &str| CString::new(name).ok();
        assert_eq!(parse(""), (LevelFilter::Warn, None));
        assert_eq!(parse("debug"), (LevelFilter::Debug, None));
        assert_eq!(
            parse("info:/tmp/a:b"),
            (LevelFilter::Info, file("/tmp/a:b"))
        );
        assert_eq!(parse("loud:x"), (LevelFilter::Warn, file("x")));
        assert_eq!(parse("error:"), (LevelFilter::Error, None));
    }
}
