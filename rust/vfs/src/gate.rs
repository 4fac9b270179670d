//! A lock that a fork child never finds taken: the word says in which process image it was taken,
//! and [`crate::inherit`] begins a new one in every child. What a thread that does not exist any
//! more was changing is then read as it stood; guard only what survives that (whole replacements,
//! counters, lists of owned things). Waits by futex(2), also across `CLONE_VM` children.
use std::cell::UnsafeCell;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU32, Ordering};

/// The number of this process image, counted from 1; a lock word of another one is free.
static IMAGE: AtomicU32 = AtomicU32::new(1);

const TAKEN: u32 = 1;
const CONTENDED: u32 = 2;
const STATE: u32 = 3;

/// Begins a new image: every lock of the old one is free. For the child of a fork only.
pub(crate) fn new_image() {
    IMAGE.fetch_add(1, Ordering::SeqCst);
}

/// The number of this image: 1 if the process began with an exec, not as a copy of another.
pub fn image() -> u32 {
    IMAGE.load(Ordering::Relaxed)
}

/// A value behind such a lock.
pub struct Guarded<T> {
    word: AtomicU32,
    value: UnsafeCell<T>,
}

// SAFETY: the lock word serialises every access to the value.
unsafe impl<T: Send> Sync for Guarded<T> {}
// SAFETY: moving the lock moves the value.
unsafe impl<T: Send> Send for Guarded<T> {}

/// Access to the value while it lives.
pub struct Guard<'a, T> {
    of: &'a Guarded<T>,
}

impl<T: Default> Default for Guarded<T> {
    fn default() -> Self {
        Guarded::new(T::default())
    }
}

impl<T> Guarded<T> {
    /// A free lock.
    pub const fn new(value: T) -> Guarded<T> {
        Guarded {
            word: AtomicU32::new(0),
            value: UnsafeCell::new(value),
        }
    }

    /// Takes the lock; waits for its holder. Not for signal handlers.
    #[inline]
    pub fn lock(&self) -> Guard<'_, T> {
        let image = IMAGE.load(Ordering::Relaxed) << 2;
        let word = self.word.load(Ordering::Relaxed);
        if !held(word, image) && self.swap(word, image | TAKEN) {
            return Guard { of: self };
        }
        self.lock_contended(image)
    }

    /// Takes the lock if it is free.
    pub fn try_lock(&self) -> Option<Guard<'_, T>> {
        let image = IMAGE.load(Ordering::Relaxed) << 2;
        let word = self.word.load(Ordering::Relaxed);
        (!held(word, image) && self.swap(word, image | TAKEN)).then_some(Guard { of: self })
    }

    /// Frees a lock whose guard was forgotten (held over a fork).
    pub(crate) fn release(&self) {
        drop(Guard { of: self });
    }

    #[cold]
    fn lock_contended(&self, image: u32) -> Guard<'_, T> {
        loop {
            let word = self.word.load(Ordering::Relaxed);
            if !held(word, image) {
                if self.swap(word, image | CONTENDED) {
                    return Guard { of: self };
                }
            } else if word & STATE == CONTENDED || self.swap(word, image | CONTENDED) {
                self.futex(libc::FUTEX_WAIT, image | CONTENDED);
            }
        }
    }

    fn swap(&self, old: u32, new: u32) -> bool {
        self.word
            .compare_exchange(old, new, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
    }

    fn futex(&self, op: i32, value: u32) {
        // SAFETY: the word lives as long as self.
        let _ = unsafe {
            crate::call!(
                SYS_futex,
                self.word.as_ptr(),
                op | libc::FUTEX_PRIVATE_FLAG,
                value,
                0
            )
        };
    }
}

fn held(word: u32, image: u32) -> bool {
    word & STATE != 0 && word & !STATE == image
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        // SAFETY: the lock is held.
        unsafe { &*self.of.value.get() }
    }
}

impl<T> DerefMut for Guard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the lock is held.
        unsafe { &mut *self.of.value.get() }
    }
}

impl<T> Drop for Guard<'_, T> {
    fn drop(&mut self) {
        if self.of.word.swap(0, Ordering::Release) & STATE == CONTENDED {
            self.of.futex(libc::FUTEX_WAKE, 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_take_turns() {
        let n = Guarded::new(0u64);
        std::thread::scope(|s| {
            for _ in 0..4 {
                s.spawn(|| (0..20_000).for_each(|_| *n.lock() += 1));
            }
        });
        assert_eq!(*n.lock(), 80_000);
        let held = n.lock();
        assert!(n.try_lock().is_none());
        drop(held);
        assert!(n.try_lock().is_some());
    }

    #[test]
    fn a_lock_of_an_older_image_is_free() {
        let word = (7 << 2) | TAKEN;
        assert!(held(word, 7 << 2));
        assert!(!held(word, 8 << 2));
        assert!(!held(0, 0));
    }
}
