//! A descriptor of our own: a kernel descriptor the application must not see. It lies above the
//! floor, is close-on-exec unless told otherwise, and is closed when its owner goes.
//! Relies on [`crate::fd::hide`] for the number.
use crate::{fd, filter, Errno};
use std::ffi::CStr;

/// An owned, hidden descriptor.
#[derive(Debug)]
pub struct OwnFd(i32);

impl OwnFd {
    /// Takes over a descriptor just born at an ordinary number and moves it out of sight.
    pub fn hide(born: i32) -> OwnFd {
        OwnFd(fd::hide(born))
    }

    /// Takes over a number inherited through exec: it is hidden where it is.
    pub fn inherited(fd: i32) -> OwnFd {
        filter::mark_fd(fd, filter::HIDDEN);
        OwnFd(fd)
    }

    /// `openat(2)`, always with `O_CLOEXEC`.
    pub fn open(dirfd: i32, path: &CStr, flags: i32, mode: u32) -> Result<OwnFd, Errno> {
        // SAFETY: the path is a string.
        let fd = unsafe {
            crate::call!(
                SYS_openat,
                dirfd,
                path.as_ptr(),
                flags | libc::O_CLOEXEC,
                mode
            )
        }?;
        Ok(OwnFd::hide(fd as i32))
    }

    /// `memfd_create(2)`, close-on-exec.
    pub fn memory(name: &CStr, flags: u32) -> Result<OwnFd, Errno> {
        // SAFETY: the name is a string.
        let fd =
            unsafe { crate::call!(SYS_memfd_create, name.as_ptr(), flags | libc::MFD_CLOEXEC) }?;
        Ok(OwnFd::hide(fd as i32))
    }

    /// A memfd whose pages may be mapped executable or be run.
    pub fn executable_memory(name: &CStr) -> Result<OwnFd, Errno> {
        /// Since Linux 6.3; where the system forbids executable memfds an ordinary one serves data.
        const MFD_EXEC: u32 = 0x10;
        OwnFd::memory(name, MFD_EXEC).or_else(|_| OwnFd::memory(name, 0))
    }

    /// A second, independent open file description of the same file.
    pub fn reopen(&self, flags: i32) -> Result<OwnFd, Errno> {
        OwnFd::open(libc::AT_FDCWD, proc_path(self.0).as_cstr(), flags, 0)
    }

    /// A copy: another number for the same open file description.
    pub fn again(&self) -> Result<OwnFd, Errno> {
        fd::hidden::duplicate(self.0).map(OwnFd)
    }

    /// The number; owned by self.
    pub fn raw(&self) -> i32 {
        self.0
    }

    /// The number was closed by other means, and is anybody's now.
    pub fn is_closed(self) {
        if filter::fd_is(self.0) == filter::HIDDEN {
            filter::mark_fd(self.0, filter::KERNEL);
        }
        std::mem::forget(self);
    }

    /// Whether the descriptor goes away at exec.
    pub fn set_cloexec(&self, on: bool) -> Result<(), Errno> {
        let flag = if on { libc::FD_CLOEXEC } else { 0 };
        // SAFETY: no memory involved.
        unsafe { crate::call!(SYS_fcntl, self.0, libc::F_SETFD, flag) }.map(drop)
    }

    /// `pread(2)` until the buffer is full or the file ends; returns bytes read.
    pub fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<usize, Errno> {
        let mut done = 0;
        while done < buf.len() {
            let rest = &mut buf[done..];
            // SAFETY: the buffer is writable for its length.
            match unsafe {
                crate::call!(
                    SYS_pread64,
                    self.0,
                    rest.as_mut_ptr(),
                    rest.len(),
                    offset + done as u64
                )
            } {
                Ok(0) => break,
                Ok(n) => done += n as usize,
                Err(Errno::EINTR) => {}
                Err(e) => return Err(e),
            }
        }
        Ok(done)
    }

    /// `pwrite(2)` of all bytes.
    pub fn write_at(&self, buf: &[u8], offset: u64) -> Result<(), Errno> {
        let mut done = 0;
        while done < buf.len() {
            let rest = &buf[done..];
            // SAFETY: the buffer is readable for its length.
            match unsafe {
                crate::call!(
                    SYS_pwrite64,
                    self.0,
                    rest.as_ptr(),
                    rest.len(),
                    offset + done as u64
                )
            } {
                Ok(n) => done += n as usize,
                Err(Errno::EINTR) => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// `ftruncate(2)`.
    pub fn set_len(&self, len: u64) -> Result<(), Errno> {
        // SAFETY: no memory involved.
        unsafe { crate::call!(SYS_ftruncate, self.0, len) }.map(drop)
    }

    /// As [`OwnFd::set_len`], without the `SIGXFSZ` of a process that limits its file sizes:
    /// memory is no file of the application's. The limit's `EFBIG` stays.
    pub fn set_len_quietly(&self, len: u64) -> Result<(), Errno> {
        without_xfsz(|| self.set_len(len))
    }

    /// Allocates the first `len` bytes, without `SIGXFSZ`; where the file system cannot, zeros are
    /// written, which nobody must be using yet.
    pub fn reserve_quietly(&self, len: u64) -> Result<(), Errno> {
        // SAFETY: no memory involved.
        match without_xfsz(|| unsafe { crate::call!(SYS_fallocate, self.0, 0, 0, len) }) {
            Err(Errno::ENOTSUP | Errno::ENOSYS) => {
                let zeros = [0u8; 4096];
                let mut blocks = 0..len.div_ceil(zeros.len() as u64);
                blocks.try_for_each(|i| self.write_quietly(&zeros, i * zeros.len() as u64))
            }
            answer => answer.map(drop),
        }
    }

    /// As [`OwnFd::write_at`], without `SIGXFSZ`.
    pub fn write_quietly(&self, buf: &[u8], offset: u64) -> Result<(), Errno> {
        without_xfsz(|| self.write_at(buf, offset))
    }

    /// `fstat(2)`.
    pub fn stat(&self) -> Result<libc::stat, Errno> {
        stat_of(self.0)
    }
}

impl Drop for OwnFd {
    fn drop(&mut self) {
        // Not hidden any more: somebody closed it behind our back and the number is theirs.
        if filter::fd_is(self.0) == filter::HIDDEN {
            fd::hidden::close(self.0);
        }
    }
}

/// Runs a call with `SIGXFSZ` blocked; one that `EFBIG` sent to this thread is taken back.
fn without_xfsz<T>(call: impl FnOnce() -> Result<T, Errno>) -> Result<T, Errno> {
    const BYTES: usize = 8;
    let xfsz = 1u64 << (libc::SIGXFSZ - 1);
    let (mut old, none) = (0u64, [0i64; 2]);
    // SAFETY: kernel signal sets of 8 bytes.
    let blocked = unsafe {
        crate::call!(
            SYS_rt_sigprocmask,
            libc::SIG_BLOCK,
            &raw const xfsz,
            &raw mut old,
            BYTES
        )
    };
    let result = call();
    if blocked.is_ok() && old & xfsz == 0 {
        // SAFETY: as above; the time-out is zero.
        unsafe {
            if matches!(result, Err(Errno::EFBIG)) {
                let _ = crate::call!(
                    SYS_rt_sigtimedwait,
                    &raw const xfsz,
                    0,
                    none.as_ptr(),
                    BYTES
                );
            }
            let _ = crate::call!(
                SYS_rt_sigprocmask,
                libc::SIG_SETMASK,
                &raw const old,
                0,
                BYTES
            );
        }
    }
    result
}

/// True if an exec closes this number.
pub fn closes_at_exec(fd: i32) -> bool {
    // SAFETY: no memory involved.
    let flags = unsafe { crate::call!(SYS_fcntl, fd, libc::F_GETFD) };
    flags.is_ok_and(|flags| flags as i32 & libc::FD_CLOEXEC != 0)
}

/// The kernel's `fstat(2)` of any number.
pub fn stat_of(fd: i32) -> Result<libc::stat, Errno> {
    stat_at(fd, c"", libc::AT_EMPTY_PATH)
}

/// The kernel's `fstatat(2)`.
pub fn stat_at(dirfd: i32, path: &CStr, flags: i32) -> Result<libc::stat, Errno> {
    let mut st = std::mem::MaybeUninit::<libc::stat>::zeroed();
    // SAFETY: path is a string and st has the kernel's size.
    unsafe { crate::call!(SYS_newfstatat, dirfd, path.as_ptr(), st.as_mut_ptr(), flags) }?;
    // SAFETY: zeroed, then filled by the kernel.
    Ok(unsafe { st.assume_init() })
}

/// Calls `f` with every name of a directory but "." and "..".
pub fn for_names(dir: &OwnFd, f: &mut dyn FnMut(&[u8])) {
    /// Bytes before the name in a `linux_dirent64`.
    const NAME: usize = 19;
    let mut buf = vec![0u8; 32 << 10];
    loop {
        // SAFETY: the buffer has the stated length.
        let n = unsafe { crate::call!(SYS_getdents64, dir.raw(), buf.as_mut_ptr(), buf.len()) };
        let mut records = match n {
            Ok(n) if n > 0 => &buf[..n as usize],
            _ => return,
        };
        while records.len() > NAME {
            let len = usize::from(u16::from_ne_bytes([records[16], records[17]]));
            if len <= NAME || len > records.len() {
                return;
            }
            let name = records[NAME..len].split(|b| *b == 0).next().unwrap_or(b"");
            if name != b"." && name != b".." {
                f(name);
            }
            records = &records[len..];
        }
    }
}

/// `/proc/self/fd/N`, without the heap.
pub struct ProcPath([u8; 32]);

/// The path that re-opens a descriptor.
pub fn proc_path(fd: i32) -> ProcPath {
    let mut text = [0u8; 32];
    let head = b"/proc/self/fd/";
    text[..head.len()].copy_from_slice(head);
    let (mut digits, mut n, mut at) = ([0u8; 10], fd.max(0), 10);
    loop {
        at -= 1;
        digits[at] = b'0' + (n % 10) as u8;
        n /= 10;
        if n == 0 {
            break;
        }
    }
    text[head.len()..head.len() + 10 - at].copy_from_slice(&digits[at..]);
    ProcPath(text)
}

impl ProcPath {
    /// As a string.
    pub fn as_cstr(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.0).unwrap_or(c"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_proc_path_spells_the_number() {
        for n in [0, 7, 10, 1023, i32::MAX] {
            let want = format!("/proc/self/fd/{n}");
            assert_eq!(proc_path(n).as_cstr().to_str(), Ok(want.as_str()));
        }
    }
}
