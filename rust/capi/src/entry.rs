//! What the C entry layer offers to Rust (c/pil.h). Unit tests of this crate run without it.

#[cfg(not(test))]
mod c {
    use std::ffi::{c_char, c_long};

    unsafe extern "C" {
        pub fn pil_wants(nr: u32) -> bool;
        pub fn pil_depth() -> u32;
        pub fn pil_is_alone() -> bool;
        pub fn pil_by() -> u32;
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
