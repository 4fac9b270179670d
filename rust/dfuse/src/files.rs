//! Open files and directories, by the number the kernel keeps for each.
use crate::inode::Inode;
use crate::listing::Listing;
use crate::locked;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// One open file or directory.
pub struct File {
    /// What is open.
    pub inode: Arc<Inode>,
    /// May be written through.
    pub writable: bool,
    /// Position in a directory.
    pub listing: Mutex<Listing>,
}

/// All of them.
#[derive(Default)]
pub struct Files {
    next: AtomicU64,
    open: Mutex<HashMap<u64, Arc<File>>>,
}

impl Files {
    /// Gives a number.
    pub fn add(&self, inode: Arc<Inode>, writable: bool) -> u64 {
        let fh = self.next.fetch_add(1, Ordering::Relaxed);
        let file = File {
            inode,
            writable,
            listing: Mutex::default(),
        };
        locked(&self.open).insert(fh, Arc::new(file));
        fh
    }

    /// The file of a number.
    pub fn get(&self, fh: u64) -> Option<Arc<File>> {
        locked(&self.open).get(&fh).cloned()
    }

    /// Takes a number back.
    pub fn remove(&self, fh: u64) -> Option<Arc<File>> {
        locked(&self.open).remove(&fh)
    }
}
