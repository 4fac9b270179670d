//! A heap of one's own: size classes over anonymous mappings.
//!
//! Neither the library nor the provider may use the application's malloc: an allocator may call mmap under
//! its own lock, and a call of ours may have interrupted it (write(2) in a signal handler). Signal
//! handlers never run while these locks are held (they are deferred while a call is ours), so plain spin
//! locks cannot deadlock a thread with itself. They lie in a page that the kernel wipes in the child
//! of a fork (`MADV_WIPEONFORK`), so that a lock of a thread which the child does not have is free
//! there; each change is one store, so that what it guards is whole at any moment - at worst a block is lost.
use std::alloc::{GlobalAlloc, Layout};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};

/// Block sizes; each is a multiple of 16, so that every block is aligned to 16.
const CLASSES: [usize; 21] = [
    16, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096, 6144, 8192,
    16384, 32768, 65536,
];
/// What one refill takes from the kernel, bytes.
const CHUNK: usize = 1 << 20;
const PAGE: usize = 4096;

/// A lock that spins, yielding: held for a few instructions only.
struct Spin(AtomicBool);

impl Spin {
    const fn new() -> Spin {
        Spin(AtomicBool::new(false))
    }

    fn lock(&self) {
        while self
            .0
            .compare_exchange_weak(false, true, Ordering::Acquire, Ordering::Relaxed)
            .is_err()
        {
            if self.0.load(Ordering::Relaxed) {
                // SAFETY: no arguments.
                unsafe { libc::syscall(libc::SYS_sched_yield) };
            }
        }
    }

    fn unlock(&self) {
        self.0.store(false, Ordering::Release);
    }
}

/// One lock a class, and one for the chunk.
type Locks = [Spin; CLASSES.len() + 1];
const BUMP: usize = CLASSES.len();

/// The heap.
pub struct Arena {
    /// The page of the locks; null until the first allocation.
    locks: AtomicPtr<Locks>,
    /// In their place on a kernel that cannot wipe pages.
    plain: Locks,
    /// The free blocks of each size, linked through their first word.
    free: [AtomicPtr<u8>; CLASSES.len()],
    bump: AtomicPtr<u8>,
    bump_left: AtomicUsize,
}

impl Default for Arena {
    fn default() -> Arena {
        Arena::new()
    }
}

impl Arena {
    /// An empty heap; the first allocation maps a chunk.
    pub const fn new() -> Arena {
        Arena {
            locks: AtomicPtr::new(null_mut()),
            plain: [const { Spin::new() }; CLASSES.len() + 1],
            free: [const { AtomicPtr::new(null_mut()) }; CLASSES.len()],
            bump: AtomicPtr::new(null_mut()),
            bump_left: AtomicUsize::new(0),
        }
    }

    /// A lock, by class or [`BUMP`].
    fn lock(&self, which: usize) -> &Spin {
        // SAFETY: null, or a page of zeroed locks that is never unmapped.
        match unsafe { self.locks.load(Ordering::Acquire).as_ref() } {
            Some(locks) => &locks[which],
            None => &self.make_locks()[which],
        }
    }

    #[cold]
    fn make_locks(&self) -> &Locks {
        let page = map(PAGE);
        // SAFETY: a page of our own.
        let wiped = !page.is_null()
            && unsafe { libc::syscall(libc::SYS_madvise, page, PAGE, libc::MADV_WIPEONFORK) } == 0;
        let locks = match wiped {
            true => page.cast::<Locks>(),
            false => std::ptr::from_ref(&self.plain).cast_mut(),
        };
        let first =
            self.locks
                .compare_exchange(null_mut(), locks, Ordering::AcqRel, Ordering::Acquire);
        // SAFETY: whichever came first is a valid set of locks for good.
        unsafe { &*first.map_or_else(|there| there, |_| locks) }
    }

    /// One block of class `index`: a freed one, or a fresh one.
    fn take(&self, index: usize) -> *mut u8 {
        let (lock, free) = (self.lock(index), &self.free[index]);
        lock.lock();
        let block = free.load(Ordering::Relaxed);
        if !block.is_null() {
            // SAFETY: a free block holds the pointer to the next one.
            let next = unsafe { block.cast::<*mut u8>().read() };
            free.store(next, Ordering::Relaxed);
        }
        lock.unlock();
        if block.is_null() {
            self.carve(CLASSES[index])
        } else {
            block
        }
    }

    /// A fresh block from the current chunk. The rest of a chunk that is too small is given up.
    fn carve(&self, size: usize) -> *mut u8 {
        let lock = self.lock(BUMP);
        lock.lock();
        if self.bump_left.load(Ordering::Relaxed) < size {
            let chunk = map(CHUNK);
            if chunk.is_null() {
                lock.unlock();
                return null_mut();
            }
            self.bump.store(chunk, Ordering::Relaxed);
            self.bump_left.store(CHUNK, Ordering::Relaxed);
        }
        let block = self.bump.load(Ordering::Relaxed);
        self.bump_left.fetch_sub(size, Ordering::Relaxed);
        // SAFETY: at least `size` bytes were left in the chunk.
        self.bump
            .store(unsafe { block.add(size) }, Ordering::Relaxed);
        lock.unlock();
        block
    }
}

/// The class that holds `layout`, or `None` for what is mapped on its own.
fn class_of(layout: Layout) -> Option<usize> {
    if layout.align() > 16 {
        return None;
    }
    let index = CLASSES.partition_point(|&size| size < layout.size());
    (index < CLASSES.len()).then_some(index)
}

/// The kernel's answer as an address, null for an error. The calls go through `syscall`, whose
/// interposed version is a single instruction while a call of ours is being served.
fn address(answer: libc::c_long) -> *mut u8 {
    if answer == -1 {
        null_mut()
    } else {
        answer as usize as *mut u8
    }
}

fn map(len: usize) -> *mut u8 {
    // SAFETY: an anonymous mapping at an address of the kernel's choice.
    let r = unsafe {
        libc::syscall(
            libc::SYS_mmap,
            0usize,
            len,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1isize,
            0usize,
        )
    };
    address(r)
}

fn pages(len: usize) -> usize {
    len.div_ceil(PAGE) * PAGE
}

/// A mapping of its own, aligned as asked.
fn map_aligned(layout: Layout) -> *mut u8 {
    let (len, align) = (pages(layout.size().max(1)), layout.align().max(PAGE));
    if align == PAGE {
        return map(len);
    }
    let base = map(len + align) as usize;
    if base == 0 {
        return null_mut();
    }
    let start = base.next_multiple_of(align);
    unmap(base, start - base);
    unmap(start + len, base + align - start);
    start as *mut u8
}

fn unmap(addr: usize, len: usize) {
    if len > 0 {
        // SAFETY: the range is a mapping of this heap that nobody uses any more.
        unsafe { libc::syscall(libc::SYS_munmap, addr, len) };
    }
}

// SAFETY: blocks are disjoint, at least as large as asked and aligned: classes to 16 bytes, anything
// stricter is mapped on its own.
unsafe impl GlobalAlloc for Arena {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match class_of(layout) {
            Some(index) => self.take(index),
            None => map_aligned(layout),
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let Some(index) = class_of(layout) else {
            return unmap(block as usize, pages(layout.size().max(1)));
        };
        let (lock, free) = (self.lock(index), &self.free[index]);
        lock.lock();
        // SAFETY: the caller gives the block up; it is at least 16 bytes.
        unsafe { block.cast::<*mut u8>().write(free.load(Ordering::Relaxed)) };
        free.store(block, Ordering::Relaxed);
        lock.unlock();
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the size is not zero and does not overflow, by the caller's contract.
        let wanted = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        match (class_of(layout), class_of(wanted)) {
            (Some(a), Some(b)) if a == b => return block,
            (None, None) if layout.align() <= PAGE => {
                // SAFETY: the block is a mapping of pages(layout.size()) bytes of ours.
                let moved = unsafe {
                    libc::syscall(
                        libc::SYS_mremap,
                        block,
                        pages(layout.size()),
                        pages(size),
                        libc::MREMAP_MAYMOVE,
                    )
                };
                return address(moved);
            }
            _ => {}
        }
        // SAFETY: both blocks are valid for the smaller of the two sizes.
        unsafe {
            let fresh = self.alloc(wanted);
            if !fresh.is_null() {
                std::ptr::copy_nonoverlapping(block, fresh, layout.size().min(size));
                self.dealloc(block, layout);
            }
            fresh
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_disjoint_aligned_and_reused() {
        let arena = Arena::new();
        let layouts: Vec<Layout> = [1, 16, 17, 100, 4096, 65536, 65537, 1 << 20]
            .iter()
            .flat_map(|&s| [8, 16, 64, 8192].map(|a| Layout::from_size_align(s, a).unwrap()))
            .collect();
        let blocks: Vec<*mut u8> = layouts
            .iter()
            .map(|&l| {
                // SAFETY: a layout of non-zero size.
                let p = unsafe { arena.alloc(l) };
                assert!(!p.is_null() && p as usize % l.align() == 0);
                // SAFETY: the block is as large as its layout.
                unsafe { p.write_bytes(0xa5, l.size()) };
                p
            })
            .collect();
        for (p, l) in blocks.iter().zip(&layouts) {
            // SAFETY: allocated above with this layout.
            unsafe { arena.dealloc(*p, *l) };
        }
        let l = Layout::from_size_align(100, 8).unwrap();
        // SAFETY: a layout of non-zero size.
        let again = unsafe { arena.alloc(l) };
        assert!(blocks.contains(&again), "a freed block is used again");
    }

    #[test]
    fn realloc_keeps_the_bytes_across_classes_and_mappings() {
        let arena = Arena::new();
        let mut size = 10usize;
        // SAFETY: sizes are not zero; each block is used only until its realloc.
        unsafe {
            let mut p = arena.alloc(Layout::from_size_align_unchecked(size, 8));
            (0..10).for_each(|i| p.add(i).write(i as u8));
            for next in [20, 100, 5000, 70000, 300000, 80000, 40000, 12] {
                p = arena.realloc(p, Layout::from_size_align_unchecked(size, 8), next);
                size = next;
                assert!((0..10).all(|i| p.add(i).read() == i as u8));
            }
        }
    }
}
