//! The array behind the table: one entry a number, growing without moving and without a fixed
//! limit. Chunks double in size and are mapped, never moved or unmapped, so lookups need no lock
//! but the entry's own.
use crate::file::OpenFile;
use crate::gate::Guarded;
use crate::{call, Errno};
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::Arc;

/// One number: the open file it stands for. All bytes zero is a free, empty entry.
pub type Entry = Guarded<Option<Arc<OpenFile>>>;

const FIRST: usize = 1024;
const CHUNKS: usize = 21;

/// Entries by number.
pub struct Array {
    chunks: [AtomicPtr<Entry>; CHUNKS],
}

/// Chunk k holds `FIRST << k` entries: which one, and where in it.
fn place(index: usize) -> (usize, usize) {
    let shifted = index + FIRST;
    let chunk = (shifted / FIRST).ilog2() as usize;
    (chunk, shifted - (FIRST << chunk))
}

impl Array {
    /// An empty array; nothing is mapped yet.
    pub const fn new() -> Array {
        Array {
            chunks: [const { AtomicPtr::new(std::ptr::null_mut()) }; CHUNKS],
        }
    }

    /// The entry, if its chunk exists.
    #[inline]
    pub fn get(&self, index: usize) -> Option<&Entry> {
        let (chunk, within) = place(index);
        let base = self.chunks.get(chunk)?.load(Ordering::Acquire);
        // SAFETY: the chunk has FIRST << chunk entries, zeroed (a valid Entry), never unmapped.
        (!base.is_null()).then(|| unsafe { &*base.add(within) })
    }

    /// The entry, made if need be. `ENOMEM`.
    pub fn get_or_make(&self, index: usize) -> Result<&Entry, Errno> {
        let (chunk, _) = place(index);
        let cell = self.chunks.get(chunk).ok_or(Errno::EMFILE)?;
        if cell.load(Ordering::Acquire).is_null() {
            let bytes = (FIRST << chunk) * size_of::<Entry>();
            let prot = libc::PROT_READ | libc::PROT_WRITE;
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
            // SAFETY: a new anonymous mapping.
            let new = unsafe { call!(SYS_mmap, 0, bytes, prot, flags, -1, 0) }?;
            let (null, new) = (std::ptr::null_mut(), new as usize as *mut Entry);
            if cell
                .compare_exchange(null, new, Ordering::AcqRel, Ordering::Acquire)
                .is_err()
            {
                // SAFETY: our own mapping, published to nobody.
                let _ = unsafe { call!(SYS_munmap, new, bytes) };
            }
        }
        self.get(index).ok_or(Errno::ENOMEM)
    }
}

impl Default for Array {
    fn default() -> Self {
        Array::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_tile_the_numbers() {
        let mut expected = (0, 0);
        for index in 0..100_000 {
            assert_eq!(place(index), expected);
            expected.1 += 1;
            if expected.1 == FIRST << expected.0 {
                expected = (expected.0 + 1, 0);
            }
        }
        assert!(place(i32::MAX as usize - super::super::number::HIGH_BASE as usize).0 < CHUNKS);
    }

    #[test]
    fn a_far_entry_costs_no_near_ones() {
        let array = Array::new();
        assert!(array.get(5).is_none());
        assert!(array.get_or_make(1_000_000).unwrap().lock().is_none());
        assert!(array.get(5).is_none());
    }
}
