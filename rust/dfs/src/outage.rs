//! DAOS goes away under a running program: one line for each cause, and no connect more often than
//! every ten seconds. Calls themselves are not held back: each gets the errno of its own attempt, and
//! works again as soon as DAOS does.
use crate::Errno;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};

/// How long a connect that failed is not tried again; calls that need it fail at once meanwhile.
const RETRY_MS: u64 = 10_000;
/// After so long without an error of its kind the next one is news.
const QUIET_MS: u64 = 60_000;

/// So long the servers are taken to be still away by what can wait.
const RECENT_MS: u64 = 1_000;

/// Errno, what it means, and what to do.
const CAUSES: [(Errno, &str, &str); 4] = [
    (
        Errno::ETIMEDOUT,
        "the DAOS servers do not answer",
        "calls fail until they do; `dmg system query` shows their state",
    ),
    (
        Errno::EHOSTUNREACH,
        "a DAOS server cannot be reached",
        "calls fail until it can; `dmg system query` shows its state",
    ),
    (
        Errno::ENOSPC,
        "no space is left in the pool",
        "`daos pool query` shows what is used",
    ),
    (
        Errno::EIO,
        "DAOS answers with an I/O error",
        "with D_LOG_FILE set libdaos writes the reason there",
    ),
];

/// What a mount knows of its errors. Locks nothing; any thread may note at any time.
#[derive(Default)]
pub(crate) struct Outage {
    /// When each cause was met last, ms; 0: never.
    met: [AtomicU64; CAUSES.len()],
    /// When a connect failed last, ms; 0: never.
    failed: AtomicU64,
    /// How it failed.
    errno: AtomicI32,
}

impl Outage {
    /// A call on the container `shown` failed: says so if that is news.
    #[cold]
    pub(crate) fn note(&self, errno: Errno, shown: &str) {
        let Some(index) = CAUSES.iter().position(|(known, ..)| *known == errno) else {
            return;
        };
        let now = now_ms();
        let before = self.met[index].swap(now, Ordering::Relaxed);
        if before == 0 || now.saturating_sub(before) >= QUIET_MS {
            let (_, what, remedy) = CAUSES[index];
            log::error!("{shown}: {what} ({errno:?}); {remedy}");
        }
    }

    /// True for a second after a call that the servers did not answer.
    pub(crate) fn is_recent(&self) -> bool {
        let met = |(cause, met): (&(Errno, _, _), &AtomicU64)| {
            let met = met.load(Ordering::Relaxed);
            cause.0.is_outage() && met != 0 && now_ms().saturating_sub(met) < RECENT_MS
        };
        CAUSES.iter().zip(&self.met).any(met)
    }

    /// The errno of a connect that failed not long ago.
    pub(crate) fn refused(&self) -> Option<Errno> {
        let failed = self.failed.load(Ordering::Acquire);
        let recent = failed != 0 && now_ms().saturating_sub(failed) < RETRY_MS;
        recent.then(|| Errno(self.errno.load(Ordering::Relaxed)))
    }

    /// A connect that was to replace dead handles failed: says so, once in an outage.
    #[cold]
    pub(crate) fn connect_failed(&self, errno: Errno, shown: &str) {
        self.errno.store(errno.0, Ordering::Relaxed);
        let now = now_ms();
        let before = self.failed.swap(now, Ordering::Release);
        if before != 0 && now.saturating_sub(before) < QUIET_MS {
            return;
        }
        let remedy = match errno {
            Errno::ESTALE => "it was destroyed, and programs that used it must be started again",
            Errno::EPERM | Errno::EACCES => "ask the container's owner for rights",
            _ => "is daos_agent running? The next try is in 10 s",
        };
        log::error!(
            "{shown}: the connection was lost and cannot be made again ({errno:?}); {remedy}"
        );
    }

    /// A connect succeeded.
    pub(crate) fn connected(&self) {
        self.failed.store(0, Ordering::Release);
    }
}

/// Milliseconds of the monotonic clock, never 0; no system call.
fn now_ms() -> u64 {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: a valid place for the answer; the clock always exists.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC_COARSE, &mut now) };
    now.tv_sec as u64 * 1000 + now.tv_nsec as u64 / 1_000_000 + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_connect_is_not_repeated_at_once() {
        let outage = Outage::default();
        assert_eq!(outage.refused(), None);
        outage.connect_failed(Errno::EIO, "p/c");
        assert_eq!(outage.refused(), Some(Errno::EIO));
        outage.connected();
        assert_eq!(outage.refused(), None);
    }
}
