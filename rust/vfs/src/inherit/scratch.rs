//! Memory for an exec in progress: a successful one never returns, so in a child that shares our
//! memory nothing of it would be freed. Each thread has one such block, used again by its next
//! exec - or that of its next vfork child, which borrows the thread.
use super::identity::thread_pointer;
use crate::gate::Guarded;
use std::ffi::{c_char, CString};

/// Pointers and strings an execve(2) is made with, and what to put back should it fail.
#[derive(Default)]
pub struct Scratch {
    /// `argv`, ending in null.
    pub argv: Vec<*const c_char>,
    /// `envp`, ending in null.
    pub envp: Vec<*const c_char>,
    /// The application's `envp` as it was when the exec began, ending in null: it may be `environ`,
    /// which moves when DAOS is started on the way.
    pub given: Vec<*const c_char>,
    /// Strings of ours the two point to.
    pub strings: Vec<CString>,
    /// Leading arguments of an interpreter, in order; they replace the first `replaced` ones.
    pub prefix: Vec<CString>,
    /// 0: as 1.
    pub replaced: usize,
}

// SAFETY: a block is used by one thread at a time; the pointers are only handed to the kernel.
unsafe impl Send for Scratch {}

static BLOCKS: Guarded<Vec<(usize, Box<Scratch>)>> = Guarded::new(Vec::new());

/// The block of the calling thread, emptied. Owned by [`BLOCKS`] for good; the caller uses it until
/// its exec returns or the thread's next one begins.
pub fn scratch() -> &'static mut Scratch {
    let thread = thread_pointer();
    let mut blocks = BLOCKS.lock();
    let at = match blocks.iter().position(|(owner, _)| *owner == thread) {
        Some(at) => at,
        None => {
            blocks.push((thread, Box::default()));
            blocks.len() - 1
        }
    };
    let block: *mut Scratch = &raw mut *blocks[at].1;
    // SAFETY: boxes are never removed, and only this thread (or the child that borrows it while it
    // sleeps) finds this one.
    let block = unsafe { &mut *block };
    *block = Scratch {
        argv: emptied(std::mem::take(&mut block.argv)),
        envp: emptied(std::mem::take(&mut block.envp)),
        given: emptied(std::mem::take(&mut block.given)),
        ..Scratch::default()
    };
    block
}

fn emptied<T>(mut v: Vec<T>) -> Vec<T> {
    v.clear();
    v
}
