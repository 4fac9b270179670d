//! The `log` facade's sink: one raw write(2) to standard error for each line, prefixed `pil4dfs: `.
//!
//! Descriptor 2 is written only while it still is the file it was at start: a daemon that closed it
//! and opened something else under the number must not find our lines in there.
use log::{LevelFilter, Log, Metadata, Record};
use once_cell::sync::OnceCell;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use vfs::call;
use vfs::ownfd::OwnFd;

struct Sink;
static SINK: Sink = Sink;
static STDERR_DEV: AtomicU64 = AtomicU64::new(0);
static STDERR_INO: AtomicU64 = AtomicU64::new(0);
static KEPT: OnceCell<Option<OwnFd>> = OnceCell::new();

/// Starts logging at the level named (`error`, `warn`, `info`, `debug`, `trace`, `off`; anything else: `warn`).
pub fn start(level: Option<&str>) {
    let level = level
        .and_then(|l| l.parse().ok())
        .unwrap_or(LevelFilter::Warn);
    if let Some((dev, ino)) = identity() {
        STDERR_DEV.store(dev, Ordering::Relaxed);
        STDERR_INO.store(ino, Ordering::Relaxed);
    }
    if log::set_logger(&SINK).is_ok() {
        log::set_max_level(level);
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

/// A line on the stack: longer ones are cut.
struct Line {
    bytes: [u8; 512],
    len: usize,
}

impl Write for Line {
    fn write_str(&mut self, s: &str) -> std::fmt::Result {
        let n = s.len().min(self.bytes.len() - 1 - self.len);
        self.bytes[self.len..self.len + n].copy_from_slice(&s.as_bytes()[..n]);
        self.len += n;
        Ok(())
    }
}

impl Log for Sink {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let mut line = Line {
            bytes: [0; 512],
            len: 0,
        };
        let _ = write!(line, "pil4dfs: {}", record.args());
        line.bytes[line.len] = b'\n';
        stderr(&line.bytes[..=line.len]);
    }

    fn flush(&self) {}
}
