//! What DAOS costs this process: calls of libdfs, and the time its start took. Calls are counted only
//! when somebody has given a place to count in (a report was asked for); otherwise a call pays one load.
//! The start is rare enough to be timed always.
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

/// The counters; all-zero bytes are a fresh set, so that they may lie in a mapping.
#[repr(C)]
#[derive(Default)]
pub struct Meter {
    /// Calls of libdfs functions that may go to a server.
    pub calls: AtomicU64,
    /// Time in `daos_init` and `daos_reinit`, nanoseconds.
    pub start: AtomicU64,
    /// Time to connect to pools, open containers and mount them, nanoseconds.
    pub connect: AtomicU64,
    /// Containers mounted with a connection of their own.
    pub connects: AtomicU64,
}

static METER: AtomicPtr<Meter> = AtomicPtr::new(null_mut());

/// Counts into `meter` from now on, or nowhere.
pub fn install(meter: Option<&'static Meter>) {
    let place = meter.map_or(null_mut(), |meter| std::ptr::from_ref(meter).cast_mut());
    METER.store(place, Ordering::Release);
}

/// The counters, if they are wanted.
#[inline]
pub(crate) fn get() -> Option<&'static Meter> {
    // SAFETY: null or a reference that lives for ever.
    unsafe { METER.load(Ordering::Acquire).as_ref() }
}

/// The start of this process's DAOS; its `calls` stay 0.
static COST: Meter = Meter {
    calls: AtomicU64::new(0),
    start: AtomicU64::new(0),
    connect: AtomicU64::new(0),
    connects: AtomicU64::new(0),
};

/// What the start of DAOS and the connects cost this process so far, whether or not there is a place
/// to count in. Its `calls` are not counted.
pub fn cost() -> &'static Meter {
    &COST
}

/// In the child of a fork: its own cost begins.
pub fn forked() {
    for counter in [&COST.start, &COST.connect, &COST.connects] {
        counter.store(0, Ordering::Relaxed);
    }
}

/// Adds to the counter chosen.
pub(crate) fn add(which: fn(&Meter) -> &AtomicU64, n: u64) {
    which(&COST).fetch_add(n, Ordering::Relaxed);
    if let Some(meter) = get() {
        which(meter).fetch_add(n, Ordering::Relaxed);
    }
}

/// Runs `step` and adds the time it takes to the counter chosen.
pub(crate) fn timed<R>(which: fn(&Meter) -> &AtomicU64, step: impl FnOnce() -> R) -> R {
    let begin = now();
    let result = step();
    add(which, now().saturating_sub(begin));
    result
}

/// Monotonic nanoseconds.
fn now() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: fills the structure; clock_gettime of the kernel's page, no system call.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_counted_until_there_is_a_place() {
        assert_eq!(timed(|m| &m.start, || 7), 7);
        let before = cost().connect.load(Ordering::Relaxed);
        let meter: &Meter = Box::leak(Box::default());
        install(Some(meter));
        timed(
            |m| &m.connect,
            || std::thread::sleep(std::time::Duration::from_millis(2)),
        );
        assert!(meter.connect.load(Ordering::Relaxed) >= 2_000_000);
        assert!(cost().connect.load(Ordering::Relaxed) >= before + 2_000_000);
        assert_eq!(meter.start.load(Ordering::Relaxed), 0);
    }
}
