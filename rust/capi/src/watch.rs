//! Who wants to hear of each call: one byte, so that a process that nobody watches pays one load.
use std::sync::atomic::{AtomicU8, Ordering};

/// [`crate::statistics`].
pub const STATISTICS: u8 = 1;
/// [`crate::report`].
pub const REPORT: u8 = 2;
/// [`crate::trace`].
pub const TRACE: u8 = 4;

static FLAGS: AtomicU8 = AtomicU8::new(0);

/// Who watches.
#[inline]
pub fn flags() -> u8 {
    FLAGS.load(Ordering::Relaxed)
}

/// One more.
pub fn add(flag: u8) {
    FLAGS.fetch_or(flag, Ordering::Relaxed);
}

/// One less.
pub fn remove(flag: u8) {
    FLAGS.fetch_and(!flag, Ordering::Relaxed);
}
