//! What the integration tests of this crate share: a store of the embedded provider in a temporary
//! directory, mounted at `/dfs` of this process, and calls made as the entry layer makes them.
//! One test binary is one process, so one mount serves all its tests.
#![allow(dead_code)]
use std::ffi::CString;
use std::sync::{Mutex, MutexGuard, OnceLock};
use vfs::catalogue::{self, OpId};
use vfs::mount::{ExplicitMount, MountConfig, MountTable};
use vfs::process::Process;
use vfs::Reject;

/// `AT_FDCWD` as an argument.
pub const CWD: i64 = libc::AT_FDCWD as i64;

/// The process with its mount: made once.
pub fn process() -> &'static Process {
    process_with(&[(c"/dfs", c"cont")])
}

/// The process with these mounts (point, container); the first call decides.
pub fn process_with(
    mounts: &[(&'static std::ffi::CStr, &'static std::ffi::CStr)],
) -> &'static Process {
    process_numbered(mounts, vfs::fd::Numbering::Kernel)
}

/// As [`process_with`], with a numbering of descriptors.
pub fn process_numbered(
    mounts: &[(&'static std::ffi::CStr, &'static std::ffi::CStr)],
    numbering: vfs::fd::Numbering,
) -> &'static Process {
    static READY: OnceLock<&'static Process> = OnceLock::new();
    READY.get_or_init(|| {
        // First: the node tells containers apart by the store's name, and tests run beside each other.
        pil4dfs_embedded::test_store();
        vfs::mount::set_loader(load);
        let explicit = mounts
            .iter()
            .map(|(point, container)| ExplicitMount::named(point, c"pool", container));
        let config = MountConfig {
            explicit: explicit.collect(),
            ..MountConfig::default()
        };
        let table = MountTable::from_config(&config);
        let process =
            Process::new(table, numbering, vfs::dcache::Limits::default()).expect("memory");
        Process::set(process)
    })
}

fn load() -> Result<&'static daos_sys::Api, String> {
    static API: OnceLock<daos_sys::Api> = OnceLock::new();
    pil4dfs_embedded::test_store();
    Ok(API.get_or_init(pil4dfs_embedded::api))
}

/// A call by its operation, as the entry layer makes it, for calls that must be ours: value or
/// `-errno`.
pub fn sys(op: OpId, a: [i64; 6]) -> i64 {
    match catalogue::dispatch(process(), op, a) {
        Ok(value) => value,
        Err(Reject::Errno(e)) => -i64::from(e.0),
        Err(Reject::NotOurs) => NOT_OURS,
    }
}

/// What [`sys`] answers for a call that is the kernel's.
pub const NOT_OURS: i64 = i64::MIN;

/// The kernel's own answer: value or `-errno`.
pub fn kernel(nr: i64, a: [i64; 6]) -> i64 {
    // SAFETY: the tests pass arguments the call understands.
    let answer = unsafe { vfs::kernel::syscall(nr, a) };
    answer.unwrap_or_else(|e| -i64::from(e.0))
}

/// Keeps the other tests of the binary away: umask, working directory and hidden files are the
/// process's.
pub fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(|e| e.into_inner())
}

/// A path.
pub fn path(text: &str) -> CString {
    CString::new(text).unwrap()
}

/// An argument made of a path.
pub fn arg(path: &CString) -> i64 {
    path.as_ptr() as i64
}

/// A call of one path relative to `AT_FDCWD`.
pub fn at(op: OpId, text: &str, rest: [i64; 4]) -> i64 {
    let text = path(text);
    let [c, d, e, f] = rest;
    sys(op, [CWD, arg(&text), c, d, e, f])
}

/// Opens; a descriptor or `-errno`.
pub fn open(text: &str, flags: i32, mode: u32) -> i64 {
    at(catalogue::openat, text, [flags.into(), mode.into(), 0, 0])
}

/// Makes a file with content.
pub fn file(text: &str, content: &[u8]) {
    let fd = open(text, libc::O_CREAT | libc::O_TRUNC | libc::O_WRONLY, 0o644);
    assert!(fd >= 0, "{text}: {fd}");
    let n = content.len() as i64;
    assert_eq!(
        sys(catalogue::write, [fd, content.as_ptr() as i64, n, 0, 0, 0]),
        n
    );
    assert_eq!(close(fd), 0);
}

/// Makes a directory.
pub fn mkdir(text: &str) -> i64 {
    at(catalogue::mkdirat, text, [0o755, 0, 0, 0])
}

/// Makes a symbolic link.
pub fn symlink(target: &str, text: &str) -> i64 {
    let (target, text) = (path(target), path(text));
    sys(
        catalogue::symlinkat,
        [arg(&target), CWD, arg(&text), 0, 0, 0],
    )
}

/// The content of a file, or `-errno`.
pub fn content(text: &str) -> Result<Vec<u8>, i64> {
    let fd = open(text, libc::O_RDONLY, 0);
    if fd < 0 {
        return Err(fd);
    }
    let mut all = vec![0u8; 1 << 16];
    let n = sys(
        catalogue::read,
        [fd, all.as_mut_ptr() as i64, all.len() as i64, 0, 0, 0],
    );
    assert_eq!(close(fd), 0);
    all.truncate(usize::try_from(n).map_err(|_| n)?);
    Ok(all)
}

/// Closes.
pub fn close(fd: i64) -> i64 {
    sys(catalogue::close, [fd, 0, 0, 0, 0, 0])
}

/// Attributes, or `-errno`.
pub fn stat(text: &str, flags: i32) -> Result<libc::stat, i64> {
    stat_at(CWD, text, flags)
}

/// Attributes relative to a descriptor, or `-errno`.
pub fn stat_at(dirfd: i64, text: &str, flags: i32) -> Result<libc::stat, i64> {
    let text = path(text);
    // SAFETY: a plain C structure.
    let mut st: libc::stat = unsafe { std::mem::zeroed() };
    match sys(
        catalogue::statat,
        [dirfd, arg(&text), &raw mut st as i64, flags.into(), 0, 0],
    ) {
        0 => Ok(st),
        e => Err(e),
    }
}

/// Attributes of a descriptor, or `-errno`.
pub fn fstat(fd: i64) -> Result<libc::stat, i64> {
    stat_at(fd, "", libc::AT_EMPTY_PATH)
}

/// One entry of a directory.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Dirent {
    /// Its name.
    pub name: String,
    /// `d_type`
    pub kind: u8,
    /// `d_ino`
    pub ino: u64,
    /// `d_off`
    pub next: i64,
}

/// What one buffer of getdents64 holds.
pub fn dirents(buf: &[u8]) -> Vec<Dirent> {
    let (mut entries, mut at) = (Vec::new(), 0);
    while at < buf.len() {
        let len = u16::from_ne_bytes(buf[at + 16..at + 18].try_into().unwrap()) as usize;
        let name = &buf[at + 19..at + len];
        let end = name.iter().position(|&b| b == 0).unwrap();
        entries.push(Dirent {
            name: String::from_utf8(name[..end].to_vec()).unwrap(),
            kind: buf[at + 18],
            ino: u64::from_ne_bytes(buf[at..at + 8].try_into().unwrap()),
            next: i64::from_ne_bytes(buf[at + 8..at + 16].try_into().unwrap()),
        });
        at += len;
    }
    entries
}

/// All entries from the descriptor's position on, read with buffers of `size` bytes.
pub fn list_fd(fd: i64, size: usize) -> Vec<Dirent> {
    let (mut all, mut buf) = (Vec::new(), vec![0u8; size]);
    loop {
        let n = sys(
            catalogue::getdents64,
            [fd, buf.as_mut_ptr() as i64, size as i64, 0, 0, 0],
        );
        assert!(n >= 0, "getdents64: {n}");
        if n == 0 {
            return all;
        }
        all.extend(dirents(&buf[..n as usize]));
    }
}

/// The names in a directory but "." and "..", sorted.
pub fn names(text: &str) -> Vec<String> {
    let fd = open(text, libc::O_RDONLY | libc::O_DIRECTORY, 0);
    assert!(fd >= 0, "{text}: {fd}");
    let mut names: Vec<String> = list_fd(fd, 4096).into_iter().map(|e| e.name).collect();
    names.retain(|n| n != "." && n != "..");
    names.sort();
    assert_eq!(close(fd), 0);
    names
}

/// A directory of the mount for one test.
pub fn fresh(name: &str) -> String {
    let dir = format!("/dfs/{name}");
    assert_eq!(mkdir(&dir), 0, "{dir}");
    dir
}
