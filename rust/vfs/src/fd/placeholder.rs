//! The placeholder: what the kernel sees under our numbers. One write-only descriptor of a sealed
//! memfd of one byte; every descriptor of ours is a dup of it, so the kernel does the numbering,
//! close-on-exec, limits, inheritance and poll (ready, as a regular file). Whoever bypasses us and
//! reads, writes, maps or truncates it fails; it carries no data of ours.
use super::hidden::Hidden;
use crate::gate::Guarded;
use crate::{call, inherit, ownfd, Errno};

static PLACEHOLDER: Hidden = Hidden::new();
/// Held while it is made; nothing else happens under it.
static MAKING: Guarded<()> = Guarded::new(());

/// Our own descriptor of the placeholder, made at its first use. `EMFILE`, `ENFILE`, `ENOMEM`,
/// `EAGAIN` where that is in a child that shares our memory.
pub fn descriptor() -> Result<i32, Errno> {
    if let Some(fd) = PLACEHOLDER.get() {
        return Ok(fd);
    }
    inherit::only_in_own_memory("an open file")?;
    let _making = MAKING.lock();
    match PLACEHOLDER.get() {
        Some(fd) => Ok(fd),
        None => Ok(PLACEHOLDER.put(make()?)),
    }
}

/// Mode 0200: the owner may reopen it for writing (an exec needs that), nobody may read it.
fn make() -> Result<i32, Errno> {
    let name = c"daos";
    let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
    // SAFETY: a NUL-terminated name.
    let memfd = unsafe { call!(SYS_memfd_create, name.as_ptr(), flags) }?;
    let made = seal(memfd as i32).and_then(|()| reopen(memfd as i32));
    // SAFETY: the descriptor just made.
    let _ = unsafe { call!(SYS_close, memfd) };
    made
}

/// One byte long before it is sealed, so that truncating it to 0 fails too. The size limit of the
/// process is respected: with `ulimit -f 0` it stays empty.
fn seal(memfd: i32) -> Result<(), Errno> {
    let seals = libc::F_SEAL_WRITE | libc::F_SEAL_GROW | libc::F_SEAL_SHRINK | libc::F_SEAL_SEAL;
    // SAFETY: a descriptor of ours and plain numbers.
    unsafe {
        if crate::ops::file_size_limit() > 0 {
            call!(SYS_ftruncate, memfd, 1)?;
        }
        call!(SYS_fchmod, memfd, 0o200)?;
        call!(SYS_fcntl, memfd, libc::F_ADD_SEALS, seals)?;
    }
    Ok(())
}

/// A new open file description of the file behind `fd`, write-only and close-on-exec. Exec gives
/// one to each descriptor that survives: its position then names the slot.
/// Without `/proc` the answer is the kernel's (`ENOENT`).
pub fn reopen(fd: i32) -> Result<i32, Errno> {
    let path = ownfd::proc_path(fd);
    let flags = libc::O_WRONLY | libc::O_CLOEXEC;
    // SAFETY: the path is NUL-terminated.
    let new = unsafe {
        call!(
            SYS_openat,
            libc::AT_FDCWD,
            path.as_cstr().as_ptr(),
            flags,
            0
        )
    }?;
    Ok(new as i32)
}

/// Device and inode of the placeholder: how a later image knows a descriptor is one of ours. (0, 0)
/// before there is any: nothing is to be known then, and a child that shares our memory may ask.
pub fn identity() -> Result<(u64, u64), Errno> {
    PLACEHOLDER.get().map_or(Ok((0, 0)), identity_of)
}

/// Device and inode of a descriptor, from the kernel.
pub fn identity_of(fd: i32) -> Result<(u64, u64), Errno> {
    let st = ownfd::stat_of(fd)?;
    Ok((st.st_dev, st.st_ino))
}

/// The lowest free number from `min` on. A placeholder killed by a raw close is made again.
pub fn duplicate(min: i32, cloexec: bool) -> Result<i32, Errno> {
    again(|fd| {
        let cmd = if cloexec {
            libc::F_DUPFD_CLOEXEC
        } else {
            libc::F_DUPFD
        };
        // SAFETY: plain numbers.
        unsafe { call!(SYS_fcntl, fd, cmd, min) }
    })
}

/// Puts the placeholder under the number `new`, whatever was there.
pub fn onto(new: i32, cloexec: bool) -> Result<i32, Errno> {
    let flags = if cloexec { libc::O_CLOEXEC } else { 0 };
    // SAFETY: plain numbers.
    again(|fd| unsafe { call!(SYS_dup3, fd, new, flags) })
}

fn again(make: impl Fn(i32) -> Result<i64, Errno>) -> Result<i32, Errno> {
    let fd = descriptor()?;
    match make(fd) {
        Err(Errno::EBADF) => {
            // EBADF is also the answer for an absurd target: only a dead source is made again.
            // SAFETY: plain numbers.
            if unsafe { call!(SYS_fcntl, fd, libc::F_GETFD) }.is_ok() {
                return Err(Errno::EBADF);
            }
            super::hidden::lost(fd);
            make(descriptor()?)
        }
        answer => answer,
    }
    .map(|fd| fd as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_bypasses_us_fails() {
        let fd = duplicate(0, true).unwrap();
        let mut byte = 0u8;
        // SAFETY: plain system calls on a descriptor of this test.
        unsafe {
            let ptr = &raw mut byte;
            assert_eq!(call!(SYS_read, fd, ptr, 1), Err(Errno::EBADF));
            assert_eq!(call!(SYS_write, fd, ptr, 1), Err(Errno::EPERM));
            assert_eq!(call!(SYS_ftruncate, fd, 0), Err(Errno::EPERM));
            let map = call!(SYS_mmap, 0, 1, libc::PROT_READ, libc::MAP_SHARED, fd, 0);
            assert_eq!(map, Err(Errno::EACCES));
            let again = reopen(fd).unwrap();
            assert_eq!(identity_of(again), identity());
            assert_eq!(call!(SYS_lseek, again, 12345, libc::SEEK_SET), Ok(12345));
            assert_eq!(call!(SYS_lseek, fd, 0, libc::SEEK_CUR), Ok(0));
            call!(SYS_close, again).unwrap();
            call!(SYS_close, fd).unwrap();
        }
    }
}
