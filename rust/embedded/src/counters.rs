//! Exact counts of calls per function, over all processes that use a store, in a file that is
//! mapped shared and may be read at any time; and beside them the words that all these processes share.
//!
//! Layout of `<root>/counters`, native byte order: a header of 64 bytes (`PIL4CNT1`, u32 number of
//! records, at 16 the words of [`Word`] as u32, zeros), then records of 64 bytes: the function's name (48, NUL-padded), u64 calls,
//! u64 faults injected. One further record, `after-fork`, counts calls refused because the
//! process had forked and not called `daos_reinit`.
use crate::call::{Function, FUNCTION_NAMES};
use crate::error::{Error, Result};
use std::ffi::{c_int, CString};
use std::ptr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

const MAGIC: &[u8; 8] = b"PIL4CNT1";
const HEADER: usize = 64;
const RECORD: usize = 64;
const NAME: usize = 48;
const RECORDS: usize = FUNCTION_NAMES.len() + 1;
const SIZE: usize = HEADER + RECORD * RECORDS;

/// A word that all processes of the store share, by its place in the header.
#[derive(Clone, Copy)]
pub enum Word {
    /// What is away: [`crate::away::Causes`].
    Away = 16,
    /// How often all handles were evicted.
    Evictions = 20,
    /// How many containers and pools were destroyed.
    Destroyed = 24,
}

/// The mapped counters; for the process's life.
pub struct Counters {
    base: *mut u8,
}

// SAFETY: the records' numbers are only touched as atomics, the rest is written once.
unsafe impl Sync for Counters {}
// SAFETY: as above.
unsafe impl Send for Counters {}

fn map(fd: c_int, flags: c_int) -> Option<*mut u8> {
    // SAFETY: a fresh mapping anywhere.
    let base = unsafe {
        libc::mmap(
            ptr::null_mut(),
            SIZE,
            libc::PROT_READ | libc::PROT_WRITE,
            flags,
            fd,
            0,
        )
    };
    (base != libc::MAP_FAILED).then_some(base.cast())
}

impl Counters {
    /// Opens the counters of the store at `root`, made if need be. Where that is not allowed the
    /// counts stay in this process.
    pub fn open(root: &str) -> Counters {
        let base = Counters::open_file(root)
            .or_else(|_| map(-1, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS).ok_or(Error::last()))
            .unwrap_or_else(|_| Box::leak(Box::new([0u64; SIZE / 8])).as_mut_ptr().cast());
        Counters { base }
    }

    fn open_file(root: &str) -> Result<*mut u8> {
        use std::os::unix::fs::MetadataExt;
        let shared = std::fs::metadata(root).is_ok_and(|meta| meta.mode() & 0o1777 == 0o1777);
        let path = CString::new(format!("{root}/counters")).unwrap_or_default();
        let flags = libc::O_RDWR | libc::O_CLOEXEC;
        // First without O_CREAT: in a sticky directory the kernel may refuse it for a file of
        // another user (fs.protected_regular).
        // SAFETY: a NUL-terminated path; the descriptor is closed below.
        let fd = unsafe {
            match libc::open(path.as_ptr(), flags) {
                -1 => libc::open(path.as_ptr(), flags | libc::O_CREAT, 0o666),
                fd => fd,
            }
        };
        if fd < 0 {
            return Err(Error::last());
        }
        // SAFETY: our own descriptor. Growing never loses a count; every opener writes the same
        // header and names.
        unsafe {
            if shared {
                libc::fchmod(fd, 0o666); // the maker's umask must not shut other users out
            }
            libc::ftruncate(fd, SIZE as i64);
            let base = map(fd, libc::MAP_SHARED);
            libc::close(fd);
            let base = base.ok_or(Error::last())?;
            if std::slice::from_raw_parts(base, 8) != MAGIC {
                for (index, name) in FUNCTION_NAMES.iter().chain(&["after-fork"]).enumerate() {
                    let record = base.add(HEADER + index * RECORD);
                    ptr::copy_nonoverlapping(name.as_ptr(), record, name.len().min(NAME - 1));
                }
                base.add(8).cast::<u32>().write(RECORDS as u32);
                ptr::copy_nonoverlapping(MAGIC.as_ptr(), base, 8);
            }
            Ok(base)
        }
    }

    fn number(&self, index: usize, which: usize) -> &AtomicU64 {
        // SAFETY: inside the mapping, aligned to 8, and only ever used as an atomic.
        unsafe {
            &*self
                .base
                .add(HEADER + index * RECORD + NAME + which * 8)
                .cast::<AtomicU64>()
        }
    }

    /// A shared word.
    #[inline]
    pub fn word(&self, word: Word) -> &AtomicU32 {
        // SAFETY: inside the header, aligned to 4, and only ever used as an atomic.
        unsafe { &*self.base.add(word as usize).cast::<AtomicU32>() }
    }

    /// Counts a call.
    #[inline]
    pub fn call(&self, function: Function) {
        self.number(function as usize, 0)
            .fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a fault injected.
    pub fn fault(&self, function: Function) {
        self.number(function as usize, 1)
            .fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a call refused after fork.
    pub fn after_fork(&self) {
        self.number(RECORDS - 1, 0).fetch_add(1, Ordering::Relaxed);
    }

    /// (name, calls, faults) of every record.
    pub fn all(&self) -> Vec<(&'static str, u64, u64)> {
        let names = FUNCTION_NAMES.iter().chain(&["after-fork"]);
        let number = |index, which| self.number(index, which).load(Ordering::Relaxed);
        names
            .enumerate()
            .map(|(index, name)| (*name, number(index, 0), number(index, 1)))
            .collect()
    }

    /// Calls of one function so far, by name.
    pub fn calls(&self, name: &str) -> u64 {
        self.all()
            .iter()
            .find(|record| record.0 == name)
            .map_or(0, |record| record.1)
    }

    /// Sets every count to 0.
    pub fn reset(&self) {
        for index in 0..RECORDS {
            self.number(index, 0).store(0, Ordering::Relaxed);
            self.number(index, 1).store(0, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_shared_through_the_file() {
        let root = std::env::temp_dir().join(format!("pil4dfs-counters-{}", std::process::id()));
        std::fs::create_dir_all(&root).expect("a directory");
        let root = root.to_str().expect("a UTF-8 path");
        let (one, two) = (Counters::open(root), Counters::open(root));
        one.call(Function::dfs_open);
        two.call(Function::dfs_open);
        assert_eq!(one.calls("dfs_open"), 2);
        one.reset();
        assert_eq!(two.calls("dfs_open"), 0);
        std::fs::remove_dir_all(root).expect("removed");
    }
}
