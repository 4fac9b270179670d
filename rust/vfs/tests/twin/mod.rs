//! One call made twice: through the operations, as the entry layer makes it, and by the kernel.
#![allow(dead_code)]
use std::ffi::CString;
use vfs::catalogue::{self, OpId};
use vfs::process::Process;
use vfs::Reject;

/// A call by its operation and by its kernel number.
#[derive(Clone, Copy)]
pub struct Call {
    pub op: OpId,
    pub nr: i64,
}

/// The call of a name that operation and kernel share: `both!(read)`.
#[macro_export]
macro_rules! both {
    ($name:ident) => {
        $crate::twin::Call {
            op: vfs::catalogue::$name,
            nr: $crate::twin::nr::$name,
        }
    };
}

/// Kernel call numbers by the operation's name.
#[allow(non_upper_case_globals)]
pub mod nr {
    macro_rules! numbers {
        ($($name:ident = $sys:ident)*) => { $(pub const $name: i64 = libc::$sys;)* };
    }
    numbers! {
        openat = SYS_openat  close = SYS_close  close_range = SYS_close_range  dup = SYS_dup
        dup2 = SYS_dup2  dup3 = SYS_dup3  fcntl = SYS_fcntl  lseek = SYS_lseek  read = SYS_read
        write = SYS_write  pread64 = SYS_pread64  pwrite64 = SYS_pwrite64  preadv2 = SYS_preadv2
        pwritev2 = SYS_pwritev2  ftruncate = SYS_ftruncate  fallocate = SYS_fallocate
        ioctl = SYS_ioctl  fsync = SYS_fsync  copy_file_range = SYS_copy_file_range
        sendfile = SYS_sendfile  splice = SYS_splice
    }
}

/// By the kernel: value or `-errno`.
pub fn raw(c: Call, a: [i64; 6]) -> i64 {
    // SAFETY: the tests pass arguments the call understands.
    let ret = unsafe { vfs::kernel::syscall(c.nr, a) };
    ret.unwrap_or_else(|e| -i64::from(e.0))
}

/// As the entry layer does: the operation, else the kernel and the after-step.
pub fn call(p: &'static Process, c: Call, a: [i64; 6]) -> i64 {
    match catalogue::dispatch(p, c.op, a) {
        Ok(value) => value,
        Err(Reject::Errno(e)) => -i64::from(e.0),
        Err(Reject::NotOurs) => vfs::ops::after(p, c.op, a, raw(c, a)),
    }
}

/// Opens by path, creating; fails the test.
pub fn open(p: &'static Process, path: &CString, flags: i32) -> i64 {
    let cwd = i64::from(libc::AT_FDCWD);
    let a = [cwd, path.as_ptr() as i64, flags.into(), 0o600, 0, 0];
    let fd = call(p, both!(openat), a);
    assert!(fd >= 0, "{path:?}: {fd}");
    fd
}

/// Opens by path in the kernel.
pub fn raw_open(path: &CString, flags: i32) -> i64 {
    let cwd = i64::from(libc::AT_FDCWD);
    let fd = raw(
        both!(openat),
        [cwd, path.as_ptr() as i64, flags.into(), 0o600, 0, 0],
    );
    assert!(fd >= 0, "{path:?}: {fd}");
    fd
}

/// A fresh, empty file of the mount.
pub fn file_of_ours(p: &'static Process, name: &str) -> CString {
    let path = CString::new(format!("/dfs/{name}")).unwrap();
    let fd = open(p, &path, libc::O_WRONLY | libc::O_CREAT | libc::O_TRUNC);
    assert_eq!(call(p, both!(close), [fd, 0, 0, 0, 0, 0]), 0);
    path
}

/// A fresh, empty kernel file, on tmpfs: like DFS it has no limit on offsets.
pub fn kernel_file(name: &str) -> CString {
    let dir = std::path::Path::new("/dev/shm").join(format!("pil4dfs-twin-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let path = CString::new(dir.join(name).into_os_string().into_encoded_bytes()).unwrap();
    let fd = raw_open(&path, libc::O_WRONLY | libc::O_CREAT | libc::O_TRUNC);
    raw(both!(close), [fd, 0, 0, 0, 0, 0]);
    path
}

/// Removes what [`kernel_file`] made.
pub fn clean() {
    let dir = std::path::Path::new("/dev/shm").join(format!("pil4dfs-twin-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(dir);
}
