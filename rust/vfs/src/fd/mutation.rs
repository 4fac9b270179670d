//! Changes of numbers against forks: the child of a fork must never see half of one. Changes count
//! themselves in and out; a fork closes the door and waits until nobody is inside.
use crate::kernel::nap;
use std::sync::atomic::{AtomicU32, Ordering};

/// Who is changing a number; a fork waits for them and keeps new ones out, so that the child never
/// sees half of a change. Never held while DAOS is called.
pub(super) struct Mutations(AtomicU32);

const FORKING: u32 = 1 << 31;

/// One change of a number, while it lives.
pub(super) struct Mutation<'a>(&'a Mutations);

impl Mutations {
    /// Nobody is changing anything.
    pub(super) const fn new() -> Mutations {
        Mutations(AtomicU32::new(0))
    }

    /// Begins a change; waits for a fork under way.
    pub(super) fn enter(&self) -> Mutation<'_> {
        let another = |n: u32| (n & FORKING == 0).then_some(n + 1);
        while self
            .0
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, another)
            .is_err()
        {
            nap();
        }
        Mutation(self)
    }

    /// Keeps changes out and waits for those under way; at most about a second, since a `vfork` child
    /// killed in mid-change never leaves.
    pub(super) fn close(&self) {
        self.0.fetch_or(FORKING, Ordering::AcqRel);
        for _ in 0..10_000 {
            if self.0.load(Ordering::Acquire) == FORKING {
                return;
            }
            nap();
        }
    }

    /// Lets changes in again.
    pub(super) fn open(&self) {
        self.0.fetch_and(!FORKING, Ordering::AcqRel);
    }

    /// In a fork child: whoever was at a change does not exist here.
    pub(super) fn reset(&self) {
        self.0.store(0, Ordering::Release);
    }
}

impl Drop for Mutation<'_> {
    fn drop(&mut self) {
        let less = |n: u32| (n & !FORKING > 0).then(|| n - 1);
        let _ = self
            .0
             .0
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, less);
    }
}
