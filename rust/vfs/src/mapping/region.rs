//! One mapping: a range of addresses and the pages it shows. A shared writable one counts as a
//! writer of its file while it, or a part of it, exists.
use super::Pages;
use std::sync::Arc;

/// Whether what a mapping shows may be changed through it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Writing {
    /// Never in the file: it is private, or its file was open for reading only.
    No,
    /// Not yet: mprotect(2) can allow it, as its file was open for writing.
    Later,
    /// It can: it is counted among the writers of its file.
    Now,
}

/// A range of addresses showing pages of a file.
pub(super) struct Region {
    start: usize,
    len: usize,
    offset: u64,
    pages: Arc<Pages>,
    writing: Writing,
}

impl Region {
    /// A new mapping. One with [`Writing::Now`] takes over a counted writer.
    pub fn new(
        start: usize,
        len: usize,
        offset: u64,
        pages: Arc<Pages>,
        writing: Writing,
    ) -> Region {
        Region {
            start,
            len,
            offset,
            pages,
            writing,
        }
    }

    fn end(&self) -> usize {
        self.start.saturating_add(self.len)
    }

    /// What it shows.
    pub fn pages(&self) -> &Arc<Pages> {
        &self.pages
    }

    /// Its file has no name any more.
    pub fn is_gone(&self) -> bool {
        self.pages.node.is_gone()
    }

    /// Whether an address lies in it.
    pub fn contains(&self, address: usize) -> bool {
        (self.start..self.end()).contains(&address)
    }

    /// Pages, file offset at an address within, whether it is written through, bytes from there on.
    pub fn at(&self, address: usize) -> (Arc<Pages>, u64, Writing, usize) {
        let offset = self.offset + (address - self.start) as u64;
        (
            self.pages.clone(),
            offset,
            self.writing,
            self.end() - address,
        )
    }

    /// The part of a range of addresses in it that could be made writable: where it begins, its
    /// length, the file offset there.
    pub fn to_be_written(&self, start: usize, len: usize) -> Option<(usize, usize, u64)> {
        let from = start.max(self.start);
        let to = start.saturating_add(len).min(self.end());
        let offset = self.offset + from.saturating_sub(self.start) as u64;
        (self.writing == Writing::Later && from < to).then(|| (from, to - from, offset))
    }

    /// The part of the file a range of addresses shows through this mapping.
    pub fn overlap(&self, start: usize, len: usize) -> Option<(Arc<Pages>, u64, u64)> {
        let from = start.max(self.start);
        let to = start.saturating_add(len).min(self.end());
        let file = |address: usize| self.offset + (address - self.start) as u64;
        (from < to).then(|| (self.pages.clone(), file(from), file(to)))
    }

    /// What stays of it on both sides when a range of addresses is taken out; `None` if the range
    /// does not touch it. It is for the caller to drop, unlocked.
    pub fn without(&self, start: usize, end: usize) -> Option<[Option<Region>; 2]> {
        if start >= self.end() || end <= self.start || start >= end {
            return None;
        }
        Some([self.part(self.start, start), self.part(end, self.end())])
    }

    fn part(&self, from: usize, to: usize) -> Option<Region> {
        if from >= to {
            return None;
        }
        if self.writing == Writing::Now {
            self.pages.add_writer();
        }
        let offset = self.offset + (from - self.start) as u64;
        let pages = self.pages.clone();
        Some(Region::new(from, to - from, offset, pages, self.writing))
    }
}

impl Drop for Region {
    /// The changes of a shared writable mapping are written; no lock of the list is held.
    fn drop(&mut self) {
        if self.writing == Writing::Now {
            self.pages.remove_writer();
        }
    }
}
