//! Calls as the entry layer makes them, and children as the kernel makes them.
#![allow(dead_code)]
use std::ffi::CString;
use vfs::catalogue::{self as op, OpId};
use vfs::process::Process;
use vfs::{inherit, Reject};

/// The operation, else the kernel: value or `-errno`.
pub fn sys(p: &'static Process, op: OpId, args: &[i64]) -> i64 {
    let mut a = [0; 6];
    a[..args.len()].copy_from_slice(args);
    match op::dispatch(p, op, a) {
        Ok(value) => value,
        Err(Reject::Errno(e)) => -i64::from(e.0),
        Err(Reject::NotOurs) => -1000,
    }
}

/// Opens a file of ours; fails the test.
pub fn open(p: &'static Process, path: &str, flags: i32) -> i64 {
    let path = CString::new(path).unwrap();
    let cwd = i64::from(libc::AT_FDCWD);
    let args = [cwd, path.as_ptr() as i64, flags.into(), 0o644];
    let fd = sys(p, op::openat, &args);
    assert!(fd >= 0, "{path:?}: {fd}");
    fd
}

/// A fresh file of ours with these bytes.
pub fn file(p: &'static Process, path: &str, bytes: &[u8]) -> i64 {
    let fd = open(p, path, libc::O_RDWR | libc::O_CREAT | libc::O_TRUNC);
    assert_eq!(write(p, fd, bytes), bytes.len() as i64);
    fd
}

pub fn write(p: &'static Process, fd: i64, bytes: &[u8]) -> i64 {
    sys(
        p,
        op::write,
        &[fd, bytes.as_ptr() as i64, bytes.len() as i64],
    )
}

/// The bytes at an offset.
pub fn pread(p: &'static Process, fd: i64, len: usize, at: i64) -> Vec<u8> {
    let mut buf = vec![0u8; len];
    let n = sys(
        p,
        op::pread64,
        &[fd, buf.as_mut_ptr() as i64, len as i64, at],
    );
    assert!(n >= 0, "pread: {n}");
    buf.truncate(n as usize);
    buf
}

/// The bytes at the description's offset.
pub fn read(p: &'static Process, fd: i64, len: usize) -> Vec<u8> {
    let mut buf = vec![0u8; len];
    let n = sys(p, op::read, &[fd, buf.as_mut_ptr() as i64, len as i64]);
    assert!(n >= 0, "read: {n}");
    buf.truncate(n as usize);
    buf
}

pub fn close(p: &'static Process, fd: i64) {
    assert_eq!(sys(p, op::close, &[fd]), 0);
}

/// Runs `child` in a forked process, as the entry layer's fork handlers see it; its exit status.
pub fn fork(p: &'static Process, child: impl FnOnce() -> i32) -> Child {
    inherit::fork_prepare(p);
    // SAFETY: the child runs the closure and ends.
    let pid = unsafe { libc::fork() };
    if pid != 0 {
        inherit::fork_parent(p, false);
        return Child(pid);
    }
    inherit::fork_child();
    inherit::catch_up();
    let status = std::panic::catch_unwind(std::panic::AssertUnwindSafe(child)).unwrap_or(99);
    let _ = op::dispatch(p, op::exit_group, [status.into(), 0, 0, 0, 0, 0]);
    // SAFETY: ends the process without what the test harness wants done.
    unsafe { libc::_exit(status) }
}

/// A process to wait for.
pub struct Child(pub i32);

impl Child {
    /// Its exit status; 128 and more for a signal.
    pub fn wait(self) -> i32 {
        let mut status = 0;
        // SAFETY: a child of ours.
        assert_eq!(unsafe { libc::waitpid(self.0, &mut status, 0) }, self.0);
        match libc::WIFEXITED(status) {
            true => libc::WEXITSTATUS(status),
            false => 128 + libc::WTERMSIG(status),
        }
    }
}

/// Two processes taking turns: what one tells, the other hears.
pub struct Turn([i32; 2]);

impl Turn {
    pub fn new() -> Turn {
        let mut ends = [0; 2];
        // SAFETY: room for two descriptors.
        let made = unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) };
        assert_eq!(made, 0);
        Turn(ends)
    }

    pub fn tell(&self) {
        // SAFETY: one byte.
        let n = unsafe { libc::write(self.0[1], c"x".as_ptr().cast(), 1) };
        assert_eq!(n, 1);
    }

    pub fn hear(&self) {
        let mut byte = 0u8;
        // SAFETY: one byte.
        let n = unsafe { libc::read(self.0[0], (&raw mut byte).cast(), 1) };
        assert_eq!(n, 1);
    }
}
