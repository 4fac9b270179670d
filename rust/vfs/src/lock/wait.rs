//! Waiting for a lock. It happens above us: the operation answers [`LATER`], and the entry layer
//! makes the blocking call itself, as the last thing before it returns to the application - at
//! depth 0, so that a signal interrupts or restarts it and a cancellation ends it as Linux says,
//! and with the kernel's own queue of waiters and search for deadlocks.
use super::fcntl_lock;
use crate::Op;
use std::sync::atomic::{AtomicUsize, Ordering};

/// "Wait as you were told": the entry layer's sentinel (`PIL_WAIT`).
pub const LATER: i64 = i64::MIN + 1;

/// Takes note of fcntl(fd, cmd, lock) for when this thread is back at the application; the lock is
/// copied. `cancel`: that call is a cancellation point.
type Hook = unsafe extern "C" fn(fd: i32, cmd: i32, lock: *const libc::flock, cancel: i32);

static HOOK: AtomicUsize = AtomicUsize::new(0);

/// Tells how calls are left to the entry layer; set by it at start.
pub fn set_later(hook: Hook) {
    HOOK.store(hook as usize, Ordering::Release);
}

/// Ends an operation with fcntl(fd, cmd, lock), which may wait. `fd` stays open as long as the
/// application keeps the descriptor it waits on. (Without an entry layer it is made here.)
pub(super) fn later(fd: i32, cmd: i32, lock: &mut libc::flock, cancel: bool) -> Op<i64> {
    match HOOK.load(Ordering::Acquire) {
        0 => Ok(fcntl_lock(fd, cmd, lock)?),
        hook => {
            // SAFETY: only set_later stores here, a function of this type; the lock is readable.
            unsafe { std::mem::transmute::<usize, Hook>(hook)(fd, cmd, lock, cancel.into()) };
            Ok(LATER)
        }
    }
}
