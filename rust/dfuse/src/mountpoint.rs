//! Mounting and unmounting. By ourselves where the rights are there (root, or a name space of our
//! own): type `fuse.daos`, source `dfuse`, which is how the library and DAOS's tools know a dfuse.
//! Otherwise fusermount3 does it, through fuser.
use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// How the kernel is to treat the mount.
#[derive(Clone, Copy, Debug)]
pub struct Way {
    /// `ro`
    pub read_only: bool,
    /// `allow_other`
    pub multi_user: bool,
}

/// Mounts on an existing directory; the descriptor is the server's end. The mount ends when the
/// last copy of the descriptor is closed, whatever lies on it.
pub fn mount(at: &Path, way: Way) -> io::Result<OwnedFd> {
    // SAFETY: a string; the result is checked and owned at once.
    let device = unsafe {
        let fd = libc::open(c"/dev/fuse".as_ptr(), libc::O_RDWR | libc::O_CLOEXEC);
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        OwnedFd::from_raw_fd(fd)
    };
    // SAFETY: both cannot fail.
    let (uid, gid) = unsafe { (libc::geteuid(), libc::getegid()) };
    let others = if way.multi_user { ",allow_other" } else { "" };
    let data = CString::new(format!(
        "fd={},rootmode=40000,user_id={uid},group_id={gid},default_permissions{others}",
        device.as_raw_fd()
    ))?;
    let mut flags = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOATIME;
    if way.read_only {
        flags |= libc::MS_RDONLY;
    }
    let target = path(at)?;
    // SAFETY: strings that live through the call.
    let rc = unsafe {
        libc::mount(
            c"dfuse".as_ptr(),
            target.as_ptr(),
            c"fuse.daos".as_ptr(),
            flags,
            data.as_ptr().cast(),
        )
    };
    match rc {
        0 => Ok(device),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Unmounts: at once if nobody is in it; otherwise out of sight, and false.
pub fn unmount(at: &Path) -> io::Result<bool> {
    let target = path(at)?;
    // SAFETY: a string.
    if unsafe { libc::umount2(target.as_ptr(), libc::UMOUNT_NOFOLLOW) } == 0 {
        return Ok(true);
    }
    match io::Error::last_os_error().raw_os_error() {
        Some(libc::EPERM) => {
            let done = std::process::Command::new("fusermount3")
                .args(["-u", "-z", "-q", "--"])
                .arg(at)
                .status()?;
            match done.success() {
                true => Ok(false),
                false => Err(io::Error::from_raw_os_error(libc::EPERM)),
            }
        }
        // SAFETY: a string.
        _ => match unsafe { libc::umount2(target.as_ptr(), libc::MNT_DETACH) } {
            0 => Ok(false),
            _ => Err(io::Error::last_os_error()),
        },
    }
}

fn path(at: &Path) -> io::Result<CString> {
    CString::new(at.as_os_str().as_bytes()).map_err(io::Error::other)
}
