//! Memory mappings of files of a mount: which addresses show which pages.
//!
//! A mapping is a kernel mapping of the file's [`Pages`]; this is the list of them (Linux: the
//! `vm_area_struct`s of such files). The list only says when pages may go and what an msync
//! covers; an munmap nobody told us about costs memory, never foreign bytes in a file.
mod pages;
mod region;

pub use pages::Pages;
use region::Region;
pub use region::Writing;

use crate::filter::pil_filter;
use crate::gate::{Guard, Guarded};
use crate::mount::Mount;
use crate::node::Node;
use crate::Errno;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

/// Default of the largest range one mmap may read from DFS: 1 GiB.
const LIMIT: u64 = 1 << 30;

/// The mappings of this process.
pub struct Mappings {
    inner: Guarded<Inner>,
    limit: AtomicU64,
}

#[derive(Default)]
struct Inner {
    /// In no order; programs have few.
    regions: Vec<Region>,
    /// Every file that is or was mapped lately.
    pages: Vec<Weak<Pages>>,
}

impl Default for Mappings {
    fn default() -> Self {
        Mappings {
            inner: Guarded::default(),
            limit: AtomicU64::new(LIMIT),
        }
    }
}

impl Mappings {
    /// Sets the largest range one mmap may read, in bytes.
    pub fn set_limit(&self, bytes: u64) {
        self.limit.store(bytes, Ordering::Relaxed);
    }

    /// True if there is any. One load.
    pub fn has_any(&self) -> bool {
        pil_filter.mappings.load(Ordering::Acquire) > 0
    }

    /// The largest range one mmap may read.
    pub fn limit(&self) -> u64 {
        self.limit.load(Ordering::Relaxed)
    }

    /// The pages of a file, made on first use.
    pub fn pages(&self, node: &Arc<Node>) -> Arc<Pages> {
        let mut inner = self.inner.lock();
        inner.pages.retain(|p| p.strong_count() > 0);
        let known = inner.pages.iter().filter_map(Weak::upgrade);
        if let Some(pages) = known.into_iter().find(|p| Arc::ptr_eq(&p.node, node)) {
            return pages;
        }
        let pages = Arc::new(Pages::new(node.clone()));
        inner.pages.push(Arc::downgrade(&pages));
        pages
    }

    /// Records that `len` bytes at `start` now show the pages from `offset` on. Whatever was
    /// recorded there is gone. [`Writing::Now`] takes over the writer [`Pages::prepare`] counted.
    pub fn insert(
        &self,
        start: usize,
        len: usize,
        offset: u64,
        pages: Arc<Pages>,
        writing: Writing,
    ) {
        let mut inner = self.inner.lock();
        let gone = inner.cut(start, len);
        inner
            .regions
            .push(Region::new(start, len, offset, pages, writing));
        publish(&inner);
        drop(inner);
        drop(gone);
    }

    /// Records that a range shows no file of ours any more. Changes of shared mappings in it are
    /// written before this returns. False if there was none.
    pub fn remove(&self, start: usize, len: usize) -> bool {
        let mut inner = self.inner.lock();
        let gone = inner.cut(start, len);
        publish(&inner);
        drop(inner);
        !gone.is_empty()
    }

    /// The mapping an address lies in: its pages, the file offset shown there, whether the
    /// file is written through it, and how many bytes of it follow.
    pub fn find(&self, address: usize) -> Option<(Arc<Pages>, u64, Writing, usize)> {
        let inner = self.inner.lock();
        let region = inner.regions.iter().find(|r| r.contains(address))?;
        Some(region.at(address))
    }

    /// True if a file of this mount is mapped.
    pub fn any_of(&self, mount: &'static Mount) -> bool {
        let inner = self.inner.lock();
        let mut known = inner.regions.iter().map(Region::pages);
        known.any(|pages| std::ptr::eq(pages.node.mount, mount))
    }

    /// True if any mapping of ours touches the range.
    pub fn overlaps(&self, start: usize, len: usize) -> bool {
        let inner = self.inner.lock();
        inner
            .regions
            .iter()
            .any(|r| r.overlap(start, len).is_some())
    }

    /// The parts of a range of addresses that mprotect(2) may make writable: the pages, where the
    /// part begins, its length, the file offset shown there.
    pub fn to_be_written(&self, start: usize, len: usize) -> Vec<(Arc<Pages>, usize, usize, u64)> {
        let inner = self.inner.lock();
        let part = |r: &Region| {
            let (at, len, offset) = r.to_be_written(start, len)?;
            Some((r.pages().clone(), at, len, offset))
        };
        inner.regions.iter().filter_map(part).collect()
    }

    /// msync(2): writes what was changed in the shared mappings of a range.
    pub fn sync(&self, start: usize, len: usize) -> Result<(), Errno> {
        let inner = self.inner.lock();
        let parts: Vec<_> = inner
            .regions
            .iter()
            .filter_map(|r| r.overlap(start, len))
            .collect();
        drop(inner);
        parts
            .into_iter()
            .try_for_each(|(pages, from, to)| pages.flush(from, to))
    }

    /// Writes what mappings of this file changed (fsync, or a descriptor about to read). One load
    /// when nothing is mapped.
    pub fn sync_node(&self, node: &Node) -> Result<(), Errno> {
        match self.of(node) {
            Some(pages) => pages.flush(0, u64::MAX),
            None => Ok(()),
        }
    }

    /// A descriptor is about to read the file: it must see what mappings changed.
    pub fn before_read(&self, node: &Node) {
        if let Err(e) = self.sync_node(node) {
            log::error!("a mapped file could not be written back before a read: {e}");
        }
    }

    /// A descriptor wrote the file: its mappings must see it.
    ///
    /// # Safety
    /// As for write(2): every iovec readable for its length.
    pub unsafe fn wrote(&self, node: &Node, offset: u64, iov: &[libc::iovec]) {
        if let Some(pages) = self.of(node) {
            // SAFETY: the caller vouches for the iovecs.
            unsafe { pages.wrote(offset, iov) };
        }
    }

    /// The file was truncated or extended.
    pub fn truncated(&self, node: &Node, size: u64) {
        if let Some(pages) = self.of(node) {
            pages.truncated(size);
        }
    }

    /// Writes everything changed: the process ends or becomes another program. The first error.
    pub fn sync_all(&self) -> Result<(), Errno> {
        if pil_filter.mappings.load(Ordering::Relaxed) == 0 {
            return Ok(());
        }
        let all: Vec<_> = {
            let inner = self.inner.lock();
            inner.pages.iter().filter_map(Weak::upgrade).collect()
        };
        // Every file is tried, whatever an earlier one answered.
        let results: Vec<_> = all.iter().map(|pages| pages.flush(0, u64::MAX)).collect();
        results.into_iter().collect()
    }

    /// The process ends: files without a name are kept no longer.
    pub fn forget_gone(&self) {
        let all = std::mem::take(&mut self.inner.lock().regions);
        let (gone, kept): (Vec<_>, Vec<_>) = all.into_iter().partition(Region::is_gone);
        self.inner.lock().regions.extend(kept);
        drop(gone);
    }

    fn of(&self, node: &Node) -> Option<Arc<Pages>> {
        if pil_filter.mappings.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let inner = self.inner.lock();
        let mut known = inner.pages.iter().filter_map(Weak::upgrade);
        known.find(|p| std::ptr::eq(Arc::as_ptr(&p.node), node))
    }
}

impl Inner {
    /// Takes a range out of the list; what is returned is dropped (and written back) unlocked.
    fn cut(&mut self, start: usize, len: usize) -> Vec<Region> {
        let end = start.saturating_add(len);
        let mut gone = Vec::new();
        let mut kept = Vec::with_capacity(self.regions.len());
        for region in self.regions.drain(..) {
            match region.without(start, end) {
                Some(rest) => {
                    kept.extend(rest.into_iter().flatten());
                    gone.push(region);
                }
                None => kept.push(region),
            }
        }
        self.regions = kept;
        gone
    }
}

fn publish(inner: &Guard<'_, Inner>) {
    let n = inner.regions.len() as u32;
    pil_filter.mappings.store(n, Ordering::Release);
}
