//! What Linux keeps in `task_struct` and `files_struct`, for the part of the tree that is ours.
use crate::cwd::Cwd;
use crate::dcache::Dcache;
use crate::fd::Table;
use crate::lock::Locks;
use crate::mapping::Mappings;
use crate::mount::MountTable;
use crate::node::NodeIndex;
use crate::permission::Credentials;
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
    /// Publishes the process state; the second call keeps the first.
    pub fn set(process: Process) -> &'static Process {
        PROCESS.get_or_init(|| process)
    }

    /// The process state, if any mount is known.
    pub fn get() -> Option<&'static Process> {
        PROCESS.get()
    }
}
