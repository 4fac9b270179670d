//! Programs stored in a mount, made runnable: the kernel executes files, so it gets a copy - in
//! memory for a small program, in the run-time directory (one copy for all processes of the user
//! on the node, named after object, modification time and size) for a large one.
use crate::node::Node;
use crate::ownfd::{self, OwnFd};
use crate::{call, rundir, Errno};
use dfs::Attr;
use std::ffi::CString;

/// Up to this size a private copy in memory is cheaper than a shared file.
const SMALL: u64 = 256 << 10;
const BLOCK: usize = 1 << 20;
/// Seconds after which a copy nobody used is removed by whoever makes the next one.
const UNUSED: i64 = 2 * 24 * 60 * 60;

/// A descriptor execveat(2) can run. DFS's errors; `ENOMEM`, `ENOSPC`.
pub fn stage(node: &Node, attr: &Attr) -> Result<OwnFd, Errno> {
    if attr.stat.st_size as u64 > SMALL {
        let open = |path: CString| OwnFd::open(libc::AT_FDCWD, &path, libc::O_RDONLY, 0);
        if let Ok(fd) = shared(node, attr).and_then(open) {
            return Ok(fd);
        }
    }
    let fd = OwnFd::executable_memory(&title(node))?;
    copy(node, &fd)?;
    Ok(fd)
}

/// The path of the copy in the run-time directory, made by the first who needs it. `EACCES` where
/// nothing may be run from there.
pub fn shared(node: &Node, attr: &Attr) -> Result<CString, Errno> {
    rundir::subdirectory("programs")?;
    let s = &attr.stat;
    let mount = node.mount.hash();
    let name = format!(
        "programs/{mount:016x}.{:x}.{:x}.{:x}.{:x}.{:x}",
        node.oid.hi, node.oid.lo, s.st_mtime, s.st_mtime_nsec, s.st_size
    );
    let to = rundir::file(&name)?;
    if existing(&name, s.st_size) {
        return Ok(to);
    }
    // SAFETY: no arguments.
    let me = unsafe { call!(SYS_gettid) }?;
    let making = format!("{name}.{me}");
    let flags = libc::O_RDWR | libc::O_CREAT | libc::O_EXCL;
    let fd = rundir::open(&making, flags)?;
    let from = rundir::file(&making)?;
    let made = copy(node, &fd)
        .and_then(|()| run_permission(&fd))
        .and_then(|()| rename(&from, &to));
    drop(fd);
    if let Err(e) = made {
        // SAFETY: a string.
        let _ = unsafe { call!(SYS_unlinkat, libc::AT_FDCWD, from.as_ptr(), 0) };
        return Err(e);
    }
    forget_unused();
    match existing(&name, s.st_size) {
        true => Ok(to),
        false => Err(Errno::EACCES),
    }
}

/// Removes copies nobody has used for long; whoever runs one keeps it.
fn forget_unused() {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the kernel fills the struct.
    if unsafe { call!(SYS_clock_gettime, libc::CLOCK_REALTIME, &raw mut now) }.is_err() {
        return;
    }
    rundir::each("programs", &mut |path| {
        let st = ownfd::stat_at(libc::AT_FDCWD, path, libc::AT_SYMLINK_NOFOLLOW);
        let unused = |st: libc::stat| now.tv_sec - st.st_atime.max(st.st_ctime) > UNUSED;
        if st.is_ok_and(unused) {
            // SAFETY: a string.
            let _ = unsafe { call!(SYS_unlinkat, libc::AT_FDCWD, path.as_ptr(), 0) };
        }
    });
}

/// A finished copy: of this size, and not on a file system that forbids running.
fn existing(name: &str, size: i64) -> bool {
    let Ok(path) = rundir::file(name) else {
        return false;
    };
    let st = ownfd::stat_at(libc::AT_FDCWD, &path, libc::AT_SYMLINK_NOFOLLOW);
    // SAFETY: a string.
    let runs = unsafe { call!(SYS_faccessat, libc::AT_FDCWD, path.as_ptr(), libc::X_OK) };
    let finished =
        |st: libc::stat| st.st_size == size && st.st_mode & libc::S_IFMT == libc::S_IFREG;
    runs.is_ok() && st.is_ok_and(finished)
}

fn copy(node: &Node, to: &OwnFd) -> Result<(), Errno> {
    let mut buffer = vec![0u8; BLOCK];
    let mut at = 0;
    loop {
        let n = node.object.read_bytes(&mut buffer, at)?;
        if n == 0 {
            return Ok(());
        }
        to.write_quietly(&buffer[..n], at)?;
        at += n as u64;
    }
}

fn run_permission(fd: &OwnFd) -> Result<(), Errno> {
    // SAFETY: plain numbers.
    unsafe { call!(SYS_fchmod, fd.raw(), 0o500) }.map(drop)
}

fn rename(from: &CString, to: &CString) -> Result<(), Errno> {
    let at = libc::AT_FDCWD;
    // SAFETY: strings.
    unsafe { call!(SYS_renameat2, at, from.as_ptr(), at, to.as_ptr(), 0) }.map(drop)
}

fn title(node: &Node) -> CString {
    let place = node.place();
    let name: String = place.name.to_string_lossy().chars().take(60).collect();
    CString::new(name).unwrap_or_default()
}
