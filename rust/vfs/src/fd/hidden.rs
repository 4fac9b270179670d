//! Hidden numbers: descriptors of the library and of libdaos, which live in the application's
//! number space but must look closed to it. They sit above a floor, close on exec, and are marked
//! [`filter::HIDDEN`]; ours can move away when the application wants their number.
use crate::{call, filter, Errno};
use std::sync::atomic::{AtomicI32, AtomicPtr, Ordering};

/// The lowest number for hidden descriptors: 512, or half the soft limit where that is lower.
fn floor() -> i32 {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the kernel fills the struct.
    let got = unsafe { call!(SYS_prlimit64, 0, libc::RLIMIT_NOFILE, 0, &raw mut limit) };
    match got {
        Ok(_) => (limit.rlim_cur / 2).min(512) as i32,
        Err(_) => 512,
    }
}

/// Moves a descriptor born beneath us above the floor, close-on-exec, and hides it. Where there is
/// no room above the floor it is hidden under its own number. Answers the number it has now.
pub fn hide(fd: i32) -> i32 {
    // SAFETY: plain descriptor numbers.
    let moved = unsafe { call!(SYS_fcntl, fd, libc::F_DUPFD_CLOEXEC, floor()) };
    match moved {
        Ok(new) => {
            filter::mark_fd(new as i32, filter::HIDDEN);
            // SAFETY: fd was handed to us by its creator.
            let _ = unsafe { call!(SYS_close, fd) };
            new as i32
        }
        Err(_) => {
            filter::mark_fd(fd, filter::HIDDEN);
            fd
        }
    }
}

/// A hidden copy of a descriptor, close-on-exec.
pub fn duplicate(fd: i32) -> Result<i32, Errno> {
    // SAFETY: plain descriptor numbers.
    let new = unsafe { call!(SYS_fcntl, fd, libc::F_DUPFD_CLOEXEC, floor()) }?;
    filter::mark_fd(new as i32, filter::HIDDEN);
    Ok(new as i32)
}

/// Closes a hidden descriptor that is not kept in a [`Hidden`].
pub fn close(fd: i32) {
    filter::mark_fd(fd, filter::KERNEL);
    // SAFETY: the caller owns fd.
    let _ = unsafe { call!(SYS_close, fd) };
}

/// True for a number that must look closed to the application.
pub fn is_hidden(fd: i32) -> bool {
    filter::fd_is(fd) == filter::HIDDEN
}

/// A hidden descriptor of the library's own: a static that knows its number, so that it can move.
pub struct Hidden(AtomicI32);

/// The library has a handful of them.
static OWN: [AtomicPtr<Hidden>; 16] = [const { AtomicPtr::new(std::ptr::null_mut()) }; 16];

impl Hidden {
    /// One that is not open.
    pub const fn new() -> Hidden {
        Hidden(AtomicI32::new(-1))
    }

    /// Its number, if it is open.
    pub fn get(&self) -> Option<i32> {
        Some(self.0.load(Ordering::Acquire)).filter(|fd| *fd >= 0)
    }

    /// Hides `fd` and keeps it; what was kept before is forgotten, not closed.
    pub fn put(&'static self, fd: i32) -> i32 {
        let fd = hide(fd);
        self.0.store(fd, Ordering::Release);
        let me = std::ptr::from_ref(self).cast_mut();
        let known = OWN.iter().any(|cell| cell.load(Ordering::Acquire) == me);
        let free = |cell: &&AtomicPtr<Hidden>| {
            cell.compare_exchange(
                std::ptr::null_mut(),
                me,
                Ordering::AcqRel,
                Ordering::Acquire,
            )
            .is_ok()
        };
        if !known && OWN.iter().find(free).is_none() {
            log::debug!("hidden descriptor {fd} cannot move");
        }
        fd
    }

    /// Closes it.
    pub fn close(&self) {
        let fd = self.0.swap(-1, Ordering::AcqRel);
        if fd >= 0 {
            close(fd);
        }
    }
}

impl Default for Hidden {
    fn default() -> Self {
        Hidden::new()
    }
}

fn own(fd: i32) -> Option<&'static Hidden> {
    OWN.iter().find_map(|cell| {
        // SAFETY: cells hold null or a static.
        let hidden = unsafe { cell.load(Ordering::Acquire).as_ref() }?;
        (hidden.get() == Some(fd)).then_some(hidden)
    })
}

/// Clears the way for the application's `dup2(x, fd)` onto a hidden number: ours moves elsewhere;
/// libdaos's cannot, the answer is `EBUSY` (as in Linux when a number is being opened).
pub fn make_way(fd: i32) -> Result<(), Errno> {
    let Some(hidden) = own(fd) else {
        log::warn!("descriptor {fd} belongs to DAOS: dup2 onto it is refused");
        return Err(Errno::EBUSY);
    };
    // SAFETY: plain numbers; floor + 1 keeps it from landing on a low number.
    let new = unsafe { call!(SYS_fcntl, fd, libc::F_DUPFD_CLOEXEC, floor().max(fd + 1)) }
        // SAFETY: as above.
        .or_else(|_| unsafe { call!(SYS_fcntl, fd, libc::F_DUPFD_CLOEXEC, floor()) })?;
    filter::mark_fd(new as i32, filter::HIDDEN);
    hidden.0.store(new as i32, Ordering::Release);
    filter::mark_fd(fd, filter::KERNEL);
    Ok(())
}

/// The kernel handed out a number that was marked hidden: somebody closed it behind our back.
pub(super) fn lost(fd: i32) {
    if let Some(hidden) = own(fd) {
        let _ = hidden
            .0
            .compare_exchange(fd, -1, Ordering::AcqRel, Ordering::Acquire);
    }
    filter::mark_fd(fd, filter::KERNEL);
}
