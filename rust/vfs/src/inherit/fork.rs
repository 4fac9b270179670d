//! Around fork(2): what must be true in the child before its first use of ours. Called by the entry
//! layer through pthread_atfork; a child made behind its back is recognised at that use. The
//! allocator's own locks are the entry layer's.
//!
//! Order: prepare takes the child's references on every open file description and gives them
//! their lock owners, so that parent and child share those, then waits for every change of a table
//! to end; the child's token in the table of open objects is taken, too. The child only notes that
//! it is one ([`fork_child`]): its step - a new lock image, word to DAOS, forgetting what belongs to
//! its parent - follows when it uses something of ours ([`identity::catch_up`]), and never in one that
//! ends or was given nothing. Where the parent is one thread nobody else can hold a lock, and none is
//! taken: each page written here is copied afterwards, in both.
use super::{identity, overlay};
use crate::process::Process;
use crate::{holders, user};
use once_cell::sync::OnceCell;

/// What [`fork_parent`] has to undo: locks of the tables, and the child's token.
const LOCKS: u32 = 1;
const TOKEN: u32 = 2;

/// What a child's step begins with, in the layer above.
static ABOVE: OnceCell<fn()> = OnceCell::new();

/// Sets the routine of the layer above that a child's step begins with (counters that begin
/// anew), once, at start.
pub fn set_child(step: fn()) {
    let _ = ABOVE.set(step);
}

/// In the parent, before fork(2).
pub fn fork_prepare(p: &'static Process) {
    identity::start();
    identity::catch_up();
    overlay::sweep();
    let alone = user::is_alone() && !overlay::active();
    // Made while it is cheap: the child's programs will want them.
    for mount in p.mounts.iter() {
        let _ = mount.handles();
    }
    let mut undo = 0;
    if holders::fork_prepare() {
        undo |= TOKEN;
        p.nodes.each(&mut |node| node.hold.fork_prepare(node.key()));
    }
    if !alone {
        undo |= LOCKS;
    }
    if !alone || p.fds.has_any() {
        share_descriptions(p);
        p.fds.fork_prepare(!alone);
    }
    if !alone {
        p.names_hold();
    }
    identity::to_undo(undo);
}

/// In the parent, after fork(2). Where it failed, the references taken for the child go back.
pub fn fork_parent(p: &'static Process, failed: bool) {
    let undo = identity::undo();
    if undo & LOCKS != 0 {
        p.names_release();
        p.fds.fork_parent();
    }
    if failed {
        p.fds.fork_failed();
    }
    if undo & TOKEN != 0 {
        holders::fork_parent();
    }
}

/// In the child, before anything else runs. Async-signal-safe, and writes to one page.
pub fn fork_child() {
    holders::fork_child_begins();
    if !identity::announce() {
        identity::catch_up();
    }
}

/// True in a child of a fork that has used nothing of ours and was given nothing that it has to give
/// back; also in one that shares its memory.
pub fn is_idle_child(p: &'static Process) -> bool {
    identity::is_waiting() && !p.fds.has_any() && !p.mappings.has_any() && !holders::has_any()
}

/// The step of a fork child; of a raw clone's (not `announced`) the references are taken late, which
/// is right as long as the parent still holds its own. `own`: this is that child, and not one that
/// shares its memory, to which descriptors are nothing. Async-signal-safe but for the locks of the
/// parent's other threads, which it frees.
pub(super) fn child(announced: bool, own: bool) {
    crate::gate::new_image();
    if let Some(above) = ABOVE.get() {
        above();
    }
    let Some(p) = Process::get() else { return };
    overlay::forget();
    p.fds.reset_locks_after_fork();
    p.locks.forked(own);
    p.names_forked();
    if holders::fork_child(announced, own) {
        p.nodes
            .each(&mut |node| node.hold.fork_child(node.key(), announced));
    }
    if let Some(client) = crate::mount::client() {
        client.forked();
    }
    if !announced {
        p.fds.fork_unprepared();
    }
}

/// Each lock owner costs a descriptor: of this many open files all share theirs with a child, of
/// more only those that stay open over an exec.
const SHARED_MOST: u32 = 256;

/// flock(2) belongs to the description: where a child will go on with it, the kernel's owner of
/// the lock has to exist before the fork.
fn share_descriptions(p: &'static Process) {
    let mut count = 0;
    p.fds.each(&mut |fd, file| {
        count += 1;
        // SAFETY: no memory involved.
        let stays = || unsafe { crate::call!(SYS_fcntl, fd, libc::F_GETFD) } == Ok(0);
        if count <= SHARED_MOST || stays() {
            p.locks.share(file);
        }
    });
}
