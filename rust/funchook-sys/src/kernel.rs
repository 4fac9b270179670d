//! The kernel, reached by the crate's own `syscall` instruction: while libc's
//! text is being rewritten nothing of libc may run. Results are the kernel's
//! own, a value or `-errno`. Async-signal-safe, touches no errno.

use core::ffi::CStr;

/// Issues one system call.
///
/// # Safety
/// The arguments must satisfy what section 2 of the manual asks of `number`.
pub unsafe fn syscall(number: libc::c_long, args: [usize; 6]) -> isize {
    let result: isize;
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the caller vouches for the arguments; the clobbers are the kernel's.
    unsafe {
        core::arch::asm!(
            "syscall",
            inlateout("rax") number as isize => result,
            in("rdi") args[0], in("rsi") args[1], in("rdx") args[2],
            in("r10") args[3], in("r8") args[4], in("r9") args[5],
            lateout("rcx") _, lateout("r11") _,
            options(nostack),
        );
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: the caller vouches for the arguments; svc clobbers only x0.
    unsafe {
        core::arch::asm!(
            "svc #0",
            in("x8") number,
            inlateout("x0") args[0] as isize => result,
            in("x1") args[1], in("x2") args[2], in("x3") args[3],
            in("x4") args[4], in("x5") args[5],
            options(nostack),
        );
    }
    result
}

/// A descriptor that closes itself.
pub struct File(i32);

impl File {
    /// `openat(AT_FDCWD, path, flags | O_CLOEXEC)`.
    pub fn open(path: &CStr, flags: i32) -> Result<File, i32> {
        let flags = flags | libc::O_CLOEXEC;
        // SAFETY: the path is a C string.
        let fd = unsafe {
            syscall(
                libc::SYS_openat,
                [
                    libc::AT_FDCWD as usize,
                    path.as_ptr() as usize,
                    flags as usize,
                    0,
                    0,
                    0,
                ],
            )
        };
        check(fd).map(|fd| File(fd as i32))
    }

    /// `pwrite64`; the count written.
    pub fn write_at(&self, bytes: &[u8], offset: usize) -> Result<usize, i32> {
        let (data, len) = (bytes.as_ptr() as usize, bytes.len());
        // SAFETY: the slice is readable.
        check(unsafe {
            syscall(
                libc::SYS_pwrite64,
                [self.0 as usize, data, len, offset, 0, 0],
            )
        })
    }

    /// `pread64`; the count read.
    pub fn read_at(&self, bytes: &mut [u8], offset: usize) -> Result<usize, i32> {
        let (data, len) = (bytes.as_mut_ptr() as usize, bytes.len());
        // SAFETY: the slice is writable.
        check(unsafe {
            syscall(
                libc::SYS_pread64,
                [self.0 as usize, data, len, offset, 0, 0],
            )
        })
    }
}

impl Drop for File {
    fn drop(&mut self) {
        // SAFETY: the descriptor is ours alone.
        unsafe { syscall(libc::SYS_close, [self.0 as usize, 0, 0, 0, 0, 0]) };
    }
}

/// `-errno` becomes `Err(errno)`.
pub fn check(result: isize) -> Result<usize, i32> {
    if (-4095..0).contains(&result) {
        Err(-result as i32)
    } else {
        Ok(result as usize)
    }
}

/// `mprotect`.
///
/// # Safety
/// Nothing that still runs, or is still referenced, may need the old protection.
pub unsafe fn mprotect(base: usize, len: usize, protection: i32) -> Result<(), i32> {
    // SAFETY: passed on to the caller.
    let result = unsafe {
        syscall(
            libc::SYS_mprotect,
            [base, len, protection as usize, 0, 0, 0],
        )
    };
    check(result).map(drop)
}

/// Maps `len` anonymous private bytes at `hint`, there or not at all.
pub fn map_at(hint: usize, len: usize, protection: i32) -> Result<usize, i32> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE;
    // SAFETY: NOREPLACE never takes away memory that is in use.
    let base = check(unsafe {
        syscall(
            libc::SYS_mmap,
            [
                hint,
                len,
                protection as usize,
                flags as usize,
                usize::MAX,
                0,
            ],
        )
    })?;
    if base == hint {
        return Ok(base);
    }
    // A kernel before 4.17 takes the flag for a hint.
    // SAFETY: just mapped, nobody knows of it.
    unsafe { unmap(base, len) };
    Err(libc::EEXIST)
}

/// `munmap`.
///
/// # Safety
/// Nothing may use the range any more.
pub unsafe fn unmap(base: usize, len: usize) {
    // SAFETY: passed on to the caller.
    unsafe { syscall(libc::SYS_munmap, [base, len, 0, 0, 0, 0]) };
}

/// How many threads the process has; `None` when /proc does not tell. The link
/// count of a task directory is the number of threads plus two (fs/proc/base.c).
pub fn threads() -> Option<usize> {
    // SAFETY: stat is plain numbers.
    let mut stat: libc::stat = unsafe { core::mem::zeroed() };
    let (path, out) = (c"/proc/self/task".as_ptr() as usize, &raw mut stat as usize);
    // SAFETY: path is a C string and `stat` is as the kernel's own.
    let result = unsafe {
        syscall(
            libc::SYS_newfstatat,
            [libc::AT_FDCWD as usize, path, out, 0, 0, 0],
        )
    };
    check(result).ok()?;
    (stat.st_nlink as usize).checked_sub(2).filter(|&n| n > 0)
}

/// Blocks every signal of this thread; returns the old mask.
pub fn block_signals() -> u64 {
    let all = u64::MAX;
    let mut old = 0u64;
    let (how, new, out) = (
        libc::SIG_BLOCK as usize,
        &raw const all as usize,
        &raw mut old as usize,
    );
    // SAFETY: both masks are eight bytes, as the kernel's sigset_t.
    unsafe { syscall(libc::SYS_rt_sigprocmask, [how, new, out, 8, 0, 0]) };
    old
}

/// Sets the signal mask of this thread.
pub fn restore_signals(mask: u64) {
    let (how, new) = (libc::SIG_SETMASK as usize, &raw const mask as usize);
    // SAFETY: the mask is eight bytes.
    unsafe { syscall(libc::SYS_rt_sigprocmask, [how, new, 0, 8, 0, 0]) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_own_memory() {
        let mut target = [1u8; 16];
        let at = target.as_mut_ptr() as usize;
        let mem = File::open(c"/proc/self/mem", libc::O_RDWR).unwrap();
        assert_eq!(mem.write_at(&[7; 4], at + 4), Ok(4));
        let mut seen = [0u8; 16];
        assert_eq!(mem.read_at(&mut seen, at), Ok(16));
        assert_eq!(seen, [1, 1, 1, 1, 7, 7, 7, 7, 1, 1, 1, 1, 1, 1, 1, 1]);
        core::hint::black_box(target);
    }

    #[test]
    fn errors_are_errnos() {
        assert_eq!(
            File::open(c"/nonexistent", libc::O_RDONLY).err(),
            Some(libc::ENOENT)
        );
    }

    #[test]
    fn counts_threads() {
        let before = threads().unwrap();
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::spawn(move || wait.recv().ok());
        assert!(threads().unwrap() > before.min(1));
        drop(go);
        thread.join().unwrap();
    }
}
