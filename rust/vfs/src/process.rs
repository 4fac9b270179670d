//! What Linux keeps in `task_struct` and `files_struct`, for the part of the tree that is ours.
use crate::credentials::Credentials;
use crate::cwd::Cwd;
use crate::dcache::{Dcache, Limits};
use crate::fd::{Numbering, Table};
use crate::lock::Locks;
use crate::mapping::Mappings;
use crate::mount::MountTable;
use crate::node::NodeIndex;
use crate::Errno;
use once_cell::sync::OnceCell;

/// The state of this process; made once by the entry layer when at least one mount is known.
pub struct Process {
    /// The mounts, immutable after start.
    pub mounts: MountTable,
    /// Descriptors.
    pub fds: Table,
    /// Working directory.
    pub cwd: Cwd,
    /// Directories by (parent, name).
    pub dcache: Dcache,
    /// Open nodes by identity.
    pub nodes: NodeIndex,
    /// Effective ids, groups and umask, cached between the calls that change them.
    pub credentials: Credentials,
    /// Record and file locks within the node.
    pub locks: Locks,
    /// Memory mappings of our files.
    pub mappings: Mappings,
}

static PROCESS: OnceCell<Process> = OnceCell::new();

impl Process {
    /// The state of a process that has used nothing yet. `ENOMEM`.
    pub fn new(mounts: MountTable, numbering: Numbering, dcache: Limits) -> Result<Process, Errno> {
        Ok(Process {
            mounts,
            fds: Table::new(numbering)?,
            cwd: Cwd::new(),
            dcache: Dcache::new(dcache),
            nodes: NodeIndex::default(),
            credentials: Credentials::new(),
            locks: Locks::default(),
            mappings: Mappings::default(),
        })
    }

    /// Publishes the process state; the second call keeps the first.
    pub fn set(process: Process) -> &'static Process {
        let process = PROCESS.get_or_init(|| process);
        process.cwd.changed_by_kernel(process);
        process
    }

    /// The process state, if any mount is known.
    pub fn get() -> Option<&'static Process> {
        PROCESS.get()
    }

    /// Before a fork: takes every lock of the name tables, so that the child finds them whole.
    /// Followed by [`Process::names_release`] in the parent; the child's new lock image frees them.
    pub fn names_hold(&self) {
        self.dcache.hold();
        self.nodes.hold();
    }

    /// After a fork, in the parent.
    pub fn names_release(&self) {
        self.nodes.release();
        self.dcache.release();
    }

    /// After a fork, in the child (its lock image is new already).
    pub fn names_forked(&self) {
        self.cwd.forked();
        self.credentials.forked();
    }
}
