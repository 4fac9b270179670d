//! Descriptors: Linux's `files_struct`. The kernel keeps the numbers and close-on-exec (each of
//! ours is a dup of the [`placeholder`]); the [`Table`] says which open file stands behind one.
//!
//! Order between table and kernel, so that no moment shows somebody else's file as ours: open:
//! kernel, table; close: table, kernel; dup2(ours, n): table, kernel; dup2(real, n ours): kernel,
//! table. A `vfork` child shares this memory but not the kernel's numbers: its changes go to the
//! overlay of [`inherit`] and are seen by it alone.
mod array;
pub mod hidden;
mod mutation;
pub mod number;
pub mod placeholder;
pub mod slot;
mod slots;

pub use hidden::hide;
pub use number::Numbering;
pub use slot::{Identity, Slot};

use crate::file::OpenFile;
use crate::{filter, inherit, Errno, Op, Reject};
use array::Array;
use mutation::Mutations;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::Arc;

/// Makes what the first open of a file needs, so that a child which shares our memory may open one.
/// What fails here fails again, and says so, at the open.
pub fn prepare() {
    let _ = placeholder::descriptor();
    slot::prepare();
}

/// The descriptors of the process.
pub struct Table {
    numbering: Numbering,
    kernel: Array,
    high: Array,
    /// Lowest high index that may be free, and one past the highest ever used.
    high_hint: AtomicU32,
    high_end: AtomicU32,
    mutations: Mutations,
    forks: AtomicU32,
    stale: AtomicU64,
}

impl Table {
    /// An empty table; reserves the filter's map. `ENOMEM`.
    pub fn new(numbering: Numbering) -> Result<Table, Errno> {
        filter::reserve()?;
        if numbering == Numbering::High {
            filter::pil_filter
                .high_base
                .store(number::HIGH_BASE as u32, Ordering::Release);
        }
        Ok(Table {
            numbering,
            kernel: Array::new(),
            high: Array::new(),
            high_hint: AtomicU32::new(0),
            high_end: AtomicU32::new(0),
            mutations: Mutations::new(),
            forks: AtomicU32::new(0),
            stale: AtomicU64::new(0),
        })
    }

    /// The open file behind a number. `NotOurs` for the kernel's, `EBADF` for a hidden one.
    #[inline]
    pub fn get(&self, fd: i32) -> Op<Arc<OpenFile>> {
        if inherit::overlay::active() {
            match inherit::overlay_get(fd) {
                inherit::Seen::Ours(file) => return Ok(file),
                inherit::Seen::Kernel => return Err(nobodys(fd)),
                inherit::Seen::Unchanged => {}
            }
        }
        let (array, index) = self.place(fd)?;
        match array.get(index).and_then(|entry| entry.lock().clone()) {
            Some(file) => Ok(file),
            None => Err(nobodys(fd)),
        }
    }

    /// The open file behind a number, for calls that `O_PATH` descriptors refuse: `EBADF`.
    #[inline]
    pub fn get_data(&self, fd: i32) -> Op<Arc<OpenFile>> {
        let file = self.get(fd)?;
        if file.is_path() {
            return Err(Errno::EBADF.into());
        }
        Ok(file)
    }

    /// Gives a new open file the lowest free number. `EMFILE`, `ENFILE`, `ENOMEM`.
    pub fn install(&self, file: Arc<OpenFile>, cloexec: bool) -> Result<i32, Errno> {
        let _mutation = self.mutations.enter();
        if self.numbering == Numbering::High && !inherit::in_shared_child() {
            return self.install_high(file, 0);
        }
        let fd = placeholder::duplicate(0, cloexec)?;
        self.publish(fd, file)
    }

    /// `fcntl(F_DUPFD)`: the same open file under the lowest free number from `min` on.
    pub fn duplicate(
        &self,
        fd: i32,
        file: Arc<OpenFile>,
        min: i32,
        cloexec: bool,
    ) -> Result<i32, Errno> {
        let _mutation = self.mutations.enter();
        if number::is_high(fd) && (min == 0 || number::is_high(min)) {
            return self.install_high(file, min.saturating_sub(number::HIGH_BASE).max(0) as usize);
        }
        match number::duplicate(fd, min, cloexec) {
            Ok(new) => self.publish(new, file),
            Err(e) => {
                self.check_lost(fd, e);
                Err(e)
            }
        }
    }

    /// `EBADF` for a number of ours: the kernel does not know it any more.
    fn check_lost(&self, fd: i32, e: Errno) {
        // SAFETY: only asks.
        let unknown = || unsafe { crate::call!(SYS_fcntl, fd, libc::F_GETFD) } == Err(Errno::EBADF);
        if e == Errno::EBADF && !number::is_high(fd) && unknown() && self.forget(fd).is_some() {
            self.note_stale(fd);
        }
    }

    /// The kernel has handed out `fd`: now the table.
    fn publish(&self, fd: i32, file: Arc<OpenFile>) -> Result<i32, Errno> {
        if hidden::is_hidden(fd) {
            hidden::lost(fd);
        }
        match self.set(fd, Some(file)) {
            Ok(None) => Ok(fd),
            Ok(Some(_stale)) => {
                self.note_stale(fd);
                Ok(fd)
            }
            Err(e) => {
                let _ = number::release(fd);
                Err(e)
            }
        }
    }

    /// `dup2` and `dup3` of a file of ours onto `new`, whatever is there: table, then kernel.
    pub fn duplicate_onto(
        &self,
        fd: i32,
        file: Arc<OpenFile>,
        new: i32,
        cloexec: bool,
    ) -> Result<i32, Errno> {
        let _mutation = self.mutations.enter();
        if new < 0 || (!number::is_high(new) && new >= number::limit()) {
            return Err(Errno::EBADF);
        }
        if hidden::is_hidden(new) {
            hidden::make_way(new)?;
        }
        if number::is_high(new) {
            return self.set(new, Some(file)).map(|_| new);
        }
        let displaced = self.set(new, Some(file))?;
        match number::duplicate_onto(fd, new, cloexec) {
            Ok(new) => Ok(new),
            Err(e) => {
                let _ = self.set(new, displaced);
                self.check_lost(fd, e);
                Err(e)
            }
        }
    }

    /// `dup2` of a kernel descriptor onto a number of ours: kernel, then table. The file that lost
    /// the number is handed back to be released.
    pub fn overwrite(
        &self,
        new: i32,
        kernel: impl FnOnce() -> Result<i64, Errno>,
    ) -> Result<(i64, Option<Arc<OpenFile>>), Errno> {
        let _mutation = self.mutations.enter();
        let value = kernel()?;
        Ok((value, self.set(new, None)?))
    }

    /// `close`: table, then kernel. The file is handed back with the kernel's answer.
    pub fn remove(&self, fd: i32) -> Op<(Arc<OpenFile>, Result<(), Errno>)> {
        let _mutation = self.mutations.enter();
        match self.set(fd, None)? {
            Some(file) => Ok((file, number::release(fd))),
            None => Err(nobodys(fd)),
        }
    }

    /// Takes the entry of a number out of the table; the kernel's side is the caller's.
    pub fn forget(&self, fd: i32) -> Option<Arc<OpenFile>> {
        self.set(fd, None).ok().flatten()
    }

    /// Puts an open file under a number the kernel already has as a placeholder (after an exec).
    pub fn adopt(&self, fd: i32, file: Arc<OpenFile>) -> Result<(), Errno> {
        self.set(fd, Some(file)).map(drop)
    }

    /// The kernel has handed out `fd` to somebody else: whatever we thought of it is stale. Drops
    /// it, counts it, reports it once.
    pub fn born(&self, fd: i32) {
        match filter::fd_is(fd) {
            filter::HIDDEN => hidden::lost(fd),
            filter::NAMES => filter::mark_fd(fd, filter::KERNEL),
            filter::OURS if self.forget(fd).is_some() => self.note_stale(fd),
            _ => {}
        }
    }

    /// Calls `f` with every number of ours and its file. Numbers opened or closed meanwhile may be
    /// missed.
    pub fn each(&self, f: &mut dyn FnMut(i32, &Arc<OpenFile>)) {
        for fd in 0..filter::end() {
            if filter::fd_is(fd) == filter::OURS {
                if let Ok(file) = self.get(fd) {
                    f(fd, &file);
                }
            }
        }
        for index in 0..self.high_end.load(Ordering::Acquire) as usize {
            if let Some(file) = self.high.get(index).and_then(|entry| entry.lock().clone()) {
                f(number::HIGH_BASE + index as i32, &file);
            }
        }
    }

    /// Entries dropped because their number had been closed behind our back.
    pub fn stale(&self) -> u64 {
        self.stale.load(Ordering::Relaxed)
    }

    /// True if any number is ours, or may be.
    pub fn has_any(&self) -> bool {
        (0..filter::end()).any(|fd| filter::fd_is(fd) == filter::OURS)
            || self.high_end.load(Ordering::Acquire) > 0
    }

    /// Before a fork: no descriptor is half made (`lock`: there are other threads), and every open
    /// file gets a reference for the child.
    pub fn fork_prepare(&self, lock: bool) {
        if lock {
            self.mutations.close();
        }
        let fork = self.forks.fetch_add(1, Ordering::Relaxed) + 1;
        self.each(&mut |_, file| {
            if file.first_in_fork(fork) {
                file.slot.take();
            }
        });
    }

    /// After a fork for which changes were locked out, in the parent.
    pub fn fork_parent(&self) {
        self.mutations.open();
    }

    /// Lets changes in again after a fork, in the child: whoever was at one does not exist here. The
    /// entries' own locks belong to the parent's image and are free.
    pub fn reset_locks_after_fork(&self) {
        self.mutations.reset();
    }

    /// After a fork that failed, in the parent: gives the child's references back.
    pub fn fork_failed(&self) {
        let fork = self.forks.fetch_add(1, Ordering::Relaxed) + 1;
        self.each(&mut |_, file| {
            if file.first_in_fork(fork) {
                file.slot.give();
            }
        });
    }

    /// In the child of a raw `clone(2)` that ran no [`Table::fork_prepare`]: takes the references
    /// now. A file the parent closed meanwhile keeps its offset to itself.
    pub fn fork_unprepared(&self) {
        self.fork_prepare(false);
    }

    #[inline]
    fn place(&self, fd: i32) -> Op<(&Array, usize)> {
        if fd < 0 {
            return Err(Reject::NotOurs);
        }
        match number::is_high(fd) {
            true => Ok((&self.high, (fd - number::HIGH_BASE) as usize)),
            false => Ok((&self.kernel, fd as usize)),
        }
    }

    /// Replaces the entry of a number and says so in the filter; hands back what was there.
    fn set(&self, fd: i32, file: Option<Arc<OpenFile>>) -> Result<Option<Arc<OpenFile>>, Errno> {
        if inherit::in_shared_child() {
            let before = self.get(fd).ok();
            if file.is_some() {
                filter::mark_fd(fd, filter::OURS);
            }
            return match inherit::overlay_set(fd, file) {
                true => Ok(before),
                false => Err(Errno::EMFILE),
            };
        }
        let Ok((array, index)) = self.place(fd) else {
            return Err(Errno::EBADF);
        };
        let kernels = std::ptr::eq(array, &self.kernel);
        if kernels && fd as u32 >= filter::pil_filter.nfds.load(Ordering::Acquire) {
            return if file.is_some() {
                Err(Errno::EMFILE)
            } else {
                Ok(None)
            };
        }
        let entry = match (&file, array.get(index)) {
            (None, None) => return Ok(None),
            (_, Some(entry)) => entry,
            (Some(_), None) => array.get_or_make(index)?,
        };
        let mut held = entry.lock();
        match file.is_some() {
            true if kernels => filter::mark_fd(fd, filter::OURS),
            true => drop(self.high_end.fetch_max(index as u32 + 1, Ordering::AcqRel)),
            false if kernels && filter::fd_is(fd) == filter::OURS => {
                filter::mark_fd(fd, filter::KERNEL)
            }
            false if !kernels => drop(self.high_hint.fetch_min(index as u32, Ordering::AcqRel)),
            false => {}
        }
        Ok(std::mem::replace(&mut *held, file))
    }

    /// The lowest free high number from index `min` on, within `RLIMIT_NOFILE`.
    fn install_high(&self, file: Arc<OpenFile>, min: usize) -> Result<i32, Errno> {
        let from = min.max(if min == 0 {
            self.high_hint.load(Ordering::Acquire) as usize
        } else {
            0
        });
        for index in from..number::limit() as usize {
            let mut entry = self.high.get_or_make(index)?.lock();
            if entry.is_none() {
                *entry = Some(file);
                self.high_end.fetch_max(index as u32 + 1, Ordering::AcqRel);
                if min == 0 {
                    self.high_hint.store(index as u32 + 1, Ordering::Release);
                }
                return Ok(number::HIGH_BASE + index as i32);
            }
        }
        Err(Errno::EMFILE)
    }

    fn note_stale(&self, fd: i32) {
        if self.stale.fetch_add(1, Ordering::Relaxed) == 0 {
            log::warn!("descriptor {fd} was closed without our knowledge (raw system call); its file is released");
        }
    }
}

/// What a number without an entry is.
fn nobodys(fd: i32) -> Reject {
    let high = filter::pil_filter.high_base.load(Ordering::Relaxed);
    if hidden::is_hidden(fd) || (high != 0 && fd as u32 >= high) {
        Reject::Errno(Errno::EBADF)
    } else {
        Reject::NotOurs
    }
}
