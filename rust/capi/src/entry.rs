//! What the C entry layer offers to Rust (c/pil.h). Unit tests of this crate run without it.

use vfs::Errno;

#[cfg(not(test))]
mod c {
    use std::ffi::{c_char, c_long, c_void};

    unsafe extern "C" {
        pub fn pil_wants(nr: u32) -> bool;
        pub fn pil_depth() -> u32;
        pub fn pil_is_alone() -> bool;
        pub fn pil_by() -> u32;
        pub fn pil_within(f: extern "C" fn(*mut c_void), arg: *mut c_void) -> c_long;
        pub fn pil_arm_late() -> i32;
        pub fn pil_wait_later(fd: i32, cmd: i32, lock: *const libc::flock, cancel: i32);
        pub fn pil_probe_read(p: *const u8, n: usize) -> i64;
        pub fn pil_probe_write(p: *mut u8, n: usize) -> i64;
        pub fn pil_copy_path(dst: *mut u8, src: *const u8, size: usize) -> i64;
        pub fn pil_execveat(
            dirfd: i32,
            path: *const c_char,
            argv: *const *const c_char,
            envp: *const *const c_char,
            flags: i32,
        ) -> c_long;
    }
}

/// Runs `f` as calls of ours run: on the thread's private stack, with signals put off. `EDEADLK`
/// inside such a call, `ENOMEM` without a stack.
pub fn within<R>(f: impl FnOnce() -> R) -> Result<R, Errno> {
    #[cfg(test)]
    return Ok(f());
    #[cfg(not(test))]
    {
        struct Job<F, R> {
            f: Option<F>,
            result: Option<R>,
        }
        extern "C" fn step<F: FnOnce() -> R, R>(job: *mut c_void) {
            crate::boundary::boundary((), || {
                // SAFETY: within's own job, which it waits for.
                let job = unsafe { &mut *job.cast::<Job<F, R>>() };
                job.result = job.f.take().map(|f| f());
            });
        }
        use std::ffi::c_void;
        fn of<F: FnOnce() -> R, R>(_: &Job<F, R>) -> extern "C" fn(*mut c_void) {
            step::<F, R>
        }
        let mut job = Job {
            f: Some(f),
            result: None,
        };
        let step = of(&job);
        // SAFETY: the function takes such a job, which lives until it has returned.
        match unsafe { c::pil_within(step, (&raw mut job).cast()) } {
            0 => job.result.ok_or(Errno::EIO),
            error => Err(Errno(-error as i32)),
        }
    }
}

/// Arms the library in a process in which it rested so far. `EPERM` in a set-id program, `ENOTSUP` where
/// that is impossible (a line says why).
pub fn arm_late() -> Result<(), Errno> {
    #[cfg(not(test))]
    // SAFETY: the caller has one thread, and the process state is made.
    let answer = unsafe { c::pil_arm_late() };
    #[cfg(test)]
    let answer = -libc::ENOTSUP;
    match answer {
        0 => Ok(()),
        error => Err(Errno(-error)),
    }
}

/// Whether the sites of this kernel call number are to be patched.
pub fn wants(nr: u32) -> bool {
    #[cfg(not(test))]
    // SAFETY: a pure look-up.
    return unsafe { c::pil_wants(nr) };
    #[cfg(test)]
    return nr == 0;
}

/// Who makes the call being served (`vfs::catalogue::caller`). Async-signal-safe.
pub fn caller() -> u32 {
    #[cfg(not(test))]
    // SAFETY: reads one thread-local word.
    return unsafe { c::pil_by() };
    #[cfg(test)]
    return 0;
}

/// Gives the VFS the routines that touch the application's memory and see its signals.
pub fn connect() {
    #[cfg(not(test))]
    {
        let _ = vfs::user::HOOKS.set(vfs::user::Hooks {
            probe_read: c::pil_probe_read,
            probe_write: c::pil_probe_write,
            copy_path: c::pil_copy_path,
            depth: c::pil_depth,
            is_alone: c::pil_is_alone,
        });
        vfs::lock::set_later(c::pil_wait_later);
        vfs::ops::set_exec(c::pil_execveat);
    }
}
