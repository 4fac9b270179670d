//! The kernel, reached by the product's own system call instruction: nothing here can be caught by
//! our own entries. Results are the kernel's: a value or an [`Errno`].
use crate::Errno;
use core::arch::asm;

/// Makes a system call.
///
/// # Safety
/// As for the call itself: pointers among the arguments must be what the kernel expects.
#[cfg(target_arch = "x86_64")]
pub unsafe fn syscall(nr: i64, a: [i64; 6]) -> Result<i64, Errno> {
    let ret: i64;
    // SAFETY: the caller vouches for the arguments.
    unsafe {
        asm!("syscall", inlateout("rax") nr => ret, in("rdi") a[0], in("rsi") a[1], in("rdx") a[2],
             in("r10") a[3], in("r8") a[4], in("r9") a[5], lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    check(ret)
}

/// Makes a system call.
///
/// # Safety
/// As for the call itself: pointers among the arguments must be what the kernel expects.
#[cfg(target_arch = "aarch64")]
pub unsafe fn syscall(nr: i64, a: [i64; 6]) -> Result<i64, Errno> {
    let ret: i64;
    // SAFETY: the caller vouches for the arguments.
    unsafe {
        asm!("svc 0", in("x8") nr, inlateout("x0") a[0] => ret, in("x1") a[1], in("x2") a[2],
             in("x3") a[3], in("x4") a[4], in("x5") a[5], options(nostack));
    }
    check(ret)
}

/// The kernel's answer as value or errno.
pub fn check(ret: i64) -> Result<i64, Errno> {
    if (-4095..0).contains(&ret) {
        Err(Errno(-ret as i32))
    } else {
        Ok(ret)
    }
}

/// Fifty microseconds for somebody else's turn.
pub fn nap() {
    let time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 50_000,
    };
    // SAFETY: the kernel reads the struct.
    let _ = unsafe { crate::call!(SYS_nanosleep, &raw const time, 0) };
}

/// A system call with fewer than six arguments: `call!(SYS_close, fd)`.
#[macro_export]
macro_rules! call {
    ($nr:ident $(, $arg:expr)*) => {{
        #[allow(unused_mut)]
        let mut a = [0i64; 6];
        let given = [$($arg as i64),*];
        a[..given.len()].copy_from_slice(&given);
        $crate::kernel::syscall(libc::$nr as i64, a)
    }};
}
