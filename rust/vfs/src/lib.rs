//! The kernel part: a small Linux VFS inside somebody else's process.
//!
//! The unit of work is a Linux file system call in its most general form (`openat`, `statat`,
//! `renameat2`); [`dispatch`] finds the operation of a number, the operations in [`ops`] read like
//! their man pages. An operation answers a value, an errno, or "not ours" - decided before its
//! first effect, so that the entry layer can hand the untouched call to the kernel.
//!
//! Lock order (take only downwards; none is held while DAOS or the application is called, except
//! where the type says so):
//!
//! ```text
//! Mount::bring_up          one container's first use
//!   fd::Table entry        one descriptor number
//!     Slot                 offset of one open file description (held over the data call, as Linux's f_pos_lock)
//!       DirStream          one directory stream
//!         Node::place      parent and name of one object
//!           NodeIndex, Dcache shards
//! ```
pub mod aside;
pub mod board;
mod codec;
pub mod filter;
pub mod gate;
mod hash;
pub mod holders;
pub mod keep;
pub mod kernel;
mod links;
pub mod magic;
pub mod node;
pub mod ownfd;
pub mod process;
pub mod rundir;
pub mod user;

pub mod credentials;
pub mod cwd;
pub mod dcache;
pub mod dfuse;
mod discover;
mod idmap;
pub mod mount;
pub mod permission;
pub mod resolve;
mod walk;
pub mod whereabouts;

pub mod dirstream;
pub mod fd;
pub mod file;
pub mod inherit;
pub mod lock;
pub mod mapping;

pub mod ops;

/// Generated from spec/calls.tbl: operation ids, names, report counters and the dispatch match.
#[allow(non_upper_case_globals, missing_docs, clippy::all)]
pub mod catalogue {
    include!(concat!(env!("OUT_DIR"), "/ops.rs"));
}

pub use dfs::Errno;

/// Why an operation gives no value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reject {
    /// The call is the kernel's: make it with the application's own arguments.
    NotOurs,
    /// The call is ours and failed.
    Errno(Errno),
}

/// What an operation answers.
pub type Op<T> = Result<T, Reject>;

impl From<Errno> for Reject {
    fn from(e: Errno) -> Self {
        Reject::Errno(e)
    }
}

/// `Err(errno)` as an operation answers it.
pub fn fail<T>(e: Errno) -> Op<T> {
    Err(Reject::Errno(e))
}
