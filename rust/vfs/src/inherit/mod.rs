//! What one process hands to the next: over fork, vfork and exec.
//!
//! Linux copies or shares `files_struct` and `fs_struct`; here [`fork`] does it around fork(2),
//! [`overlay`] stands in for the table of a child that shares our memory (vfork, posix_spawn),
//! and [`carry`] with [`adopt`] take descriptors and working directory through execve(2).
//! Relies on pthread_atfork (called by the entry layer) and on a `MADV_WIPEONFORK` page for the
//! forks that bypass it.
pub mod adopt;
pub mod carry;
pub mod elf;
pub mod environment;
pub mod fork;
pub mod identity;
pub mod libraries;
pub mod loader;
pub mod manifest;
pub mod overlay;
pub mod privileged;
pub mod scratch;
pub mod script;
pub mod spawn;
pub mod stage;

pub use adopt::{adopt, adopt_from, program};
pub use environment::{keep, Kept};
pub use fork::{fork_child, fork_parent, fork_prepare, is_idle_child, set_child};
pub use identity::{
    catch_up, in_shared_child, left_user_name_space, only_in_own_memory, pid, start,
};
pub use overlay::{overlay_get, overlay_set, Seen};
