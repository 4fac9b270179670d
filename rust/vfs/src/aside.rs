//! A moment aside: code that runs in a thread of its own with a copy of the descriptor table, while
//! the calling thread waits. What it opens takes no number of the application's, not even for an
//! instant in which another thread could see it; what it closes frees no record locks (fcntl(2)).
use crate::{call, Errno};
use core::arch::asm;

/// Runs `f` aside, with every signal blocked, and answers what it answered. `ENOSYS` where that
/// cannot be (another architecture, an emulator), else clone(2)'s errors: `f` has not run.
///
/// `f` has the caller's memory and stack and its own descriptors, which go with it: it makes bare
/// system calls and touches nothing that remembers descriptors.
pub fn aside<T>(mut f: impl FnMut() -> T) -> Result<T, Errno> {
    let mut answer = None;
    let mut work = || answer = Some(f());
    let mut work: &mut dyn FnMut() = &mut work;
    let born = without_signals(|| {
        // SAFETY: `run` takes what is passed, which outlives the thread: it is waited for.
        unsafe { thread(run, std::ptr::from_mut(&mut work).cast()) }
    });
    born?;
    answer.ok_or(Errno::ENOSYS)
}

extern "C" fn run(work: *mut u8) {
    // SAFETY: `aside` passed it, and waits.
    unsafe { (*work.cast::<&mut dyn FnMut()>())() }
}

/// Runs a call with every signal blocked in this thread, and in those it makes.
pub(crate) fn without_signals<T>(f: impl FnOnce() -> T) -> T {
    const BYTES: usize = 8;
    let (all, mut old) = (!0u64, 0u64);
    // SAFETY: kernel signal sets of 8 bytes.
    let blocked = unsafe {
        call!(
            SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &raw const all,
            &raw mut old,
            BYTES
        )
    };
    let result = f();
    if blocked.is_ok() {
        // SAFETY: as above.
        let _ = unsafe {
            call!(
                SYS_rt_sigprocmask,
                libc::SIG_SETMASK,
                &raw const old,
                0,
                BYTES
            )
        };
    }
    result
}

/// A thread of this process without its descriptor table, on the caller's stack below the caller,
/// which sleeps until it has ended (`CLONE_VFORK`).
///
/// # Safety
/// `f` may be called with `argument` on another thread.
#[cfg(target_arch = "x86_64")]
unsafe fn thread(f: extern "C" fn(*mut u8), argument: *mut u8) -> Result<i64, Errno> {
    const FLAGS: i32 = libc::CLONE_VM
        | libc::CLONE_FS
        | libc::CLONE_SIGHAND
        | libc::CLONE_THREAD
        | libc::CLONE_SYSVSEM
        | libc::CLONE_VFORK;
    if is_emulated() {
        return Err(Errno::ENOSYS);
    }
    let ret: i64;
    // SAFETY: the new thread calls `f` and ends; it writes only below the stack pointer, where
    // the sleeping caller has nothing, and its registers are its own.
    unsafe {
        asm!("syscall", "test rax, rax", "jnz 2f",
             "mov rdi, r15", "call r14", "mov eax, {exit}", "xor edi, edi", "syscall", "ud2",
             "2:",
             exit = const libc::SYS_exit,
             inlateout("rax") libc::SYS_clone => ret, in("rdi") i64::from(FLAGS), in("rsi") 0i64, in("rdx") 0i64,
             in("r10") 0i64, in("r8") 0i64, in("r14") f, in("r15") argument, lateout("rcx") _, lateout("r11") _);
    }
    crate::kernel::check(ret)
}

#[cfg(not(target_arch = "x86_64"))]
unsafe fn thread(_: extern "C" fn(*mut u8), _: *mut u8) -> Result<i64, Errno> {
    Err(Errno::ENOSYS)
}

/// Valgrind ends a program that makes such a thread. (Its client request `RUNNING_ON_VALGRIND`, which
/// does nothing on a processor.)
#[cfg(target_arch = "x86_64")]
pub(crate) fn is_emulated() -> bool {
    const RUNNING_ON_VALGRIND: u64 = 0x1001;
    let request = [RUNNING_ON_VALGRIND, 0, 0, 0, 0, 0];
    let depth: u64;
    // SAFETY: rotations by 128 bits in all and an exchange of a register with itself.
    unsafe {
        asm!("rol rdi, 3", "rol rdi, 13", "rol rdi, 61", "rol rdi, 51", "xchg rbx, rbx",
             inout("rdx") 0u64 => depth, in("rax") request.as_ptr(), inout("rdi") 0u64 => _);
    }
    depth != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_opened_aside_is_not_open_here() {
        // SAFETY: a string; numbers.
        let open = || unsafe { call!(SYS_openat, libc::AT_FDCWD, c"/dev/null".as_ptr(), 0, 0) };
        // SAFETY: no arguments.
        let ids = || unsafe { (call!(SYS_getpid), call!(SYS_gettid)) };
        let (fd, (pid, tid)) = aside(|| (open().unwrap() as i32, ids())).unwrap();
        assert_eq!(pid, ids().0);
        assert_ne!(tid, ids().1);
        let link = std::fs::read_link(format!("/proc/self/fd/{fd}"));
        assert!(link.map_or(true, |to| to != std::path::Path::new("/dev/null")));
    }

    #[test]
    fn it_may_be_used_by_many_threads() {
        let sum = |from: u64| (0..1000).fold(from, |a, b| a.wrapping_mul(31) ^ b);
        std::thread::scope(|s| {
            for n in 0..4u64 {
                s.spawn(move || {
                    for i in 0..50 {
                        assert_eq!(aside(|| sum(n + i)), Ok(sum(n + i)));
                    }
                });
            }
        });
    }
}
