//! Waiting for a lock. It happens beneath the entry layer, where the application's handlers are
//! put off: so a wait is a row of attempts with short sleeps, and ends with `EINTR` when a handler
//! is due. (A handler installed with `SA_RESTART` sees the call fail as well: the entry layer
//! cannot restart what it does not own.)
use crate::Errno;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many signals wait for this thread's return to the application.
type Pending = extern "C" fn() -> u32;

static PENDING: AtomicUsize = AtomicUsize::new(0);

/// Tells how to ask for deferred signals; set by the entry layer at start.
pub fn set_pending(hook: Pending) {
    PENDING.store(hook as usize, Ordering::Release);
}

/// Repeats `attempt` while it answers `EAGAIN` or `EACCES` (the lock is another's). Sleeps 50 us at
/// first, 10 ms at most. `EINTR` when a signal handler is due.
pub fn wait(mut attempt: impl FnMut() -> Result<i64, Errno>) -> Result<i64, Errno> {
    let mut nanoseconds = 50_000;
    loop {
        match attempt() {
            Err(Errno::EAGAIN | Errno::EACCES) => {}
            answer => return answer,
        }
        let pause = libc::timespec {
            tv_sec: 0,
            tv_nsec: nanoseconds,
        };
        // SAFETY: the kernel reads the struct.
        let slept = unsafe { crate::call!(SYS_nanosleep, &raw const pause, 0) };
        if pending() || slept == Err(Errno::EINTR) {
            return Err(Errno::EINTR);
        }
        nanoseconds = (nanoseconds * 2).min(10_000_000);
    }
}

fn pending() -> bool {
    match PENDING.load(Ordering::Acquire) {
        0 => false,
        // SAFETY: only set_pending stores here, a function of this type.
        hook => unsafe { std::mem::transmute::<usize, Pending>(hook)() != 0 },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_until_the_lock_is_free() {
        let mut n = 0;
        let got = wait(|| {
            n += 1;
            if n < 4 {
                Err(Errno::EAGAIN)
            } else {
                Ok(7)
            }
        });
        assert_eq!((got, n), (Ok(7), 4));
        assert_eq!(wait(|| Err(Errno::ENOLCK)), Err(Errno::ENOLCK));
    }
}
