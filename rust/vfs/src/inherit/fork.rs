//! Around fork(2): what must be true in the child before its first call. Called by the entry
//! layer through pthread_atfork; a child made behind its back is recognised at its first change
//! of the table. The allocator's own locks are the entry layer's.
//!
//! Order: prepare takes the child's references on every open file description and gives them
//! their lock owners, so that parent and child share those, then waits for every change of a table
//! to end; the child's token in the table of open objects is taken, too. The child begins a new
//! lock image, tells DAOS, and forgets what belongs to its parent.
use super::{identity, overlay};
use crate::holders;
use crate::process::Process;

/// In the parent, before fork(2).
pub fn fork_prepare(p: &'static Process) {
    identity::start();
    overlay::sweep();
    share_descriptions(p);
    // Made while it is cheap: the child's programs will want them.
    for mount in p.mounts.iter() {
        let _ = mount.handles();
    }
    if holders::fork_prepare() {
        p.nodes.each(&mut |node| node.hold.fork_prepare(node.key()));
    }
    p.fds.fork_prepare();
    p.names_hold();
}

/// In the parent, after fork(2). Where it failed, the references taken for the child go back.
pub fn fork_parent(p: &'static Process, failed: bool) {
    p.names_release();
    match failed {
        true => p.fds.fork_failed(),
        false => p.fds.fork_parent(),
    }
    holders::fork_parent();
}

/// In the child, before anything else runs. Async-signal-safe but for the locks of the parent's
/// other threads, which it frees.
pub fn fork_child(p: &'static Process) {
    crate::gate::new_image();
    identity::record();
    overlay::forget();
    p.fds.reset_locks_after_fork();
    p.locks.forked();
    p.names_forked();
    if holders::fork_child() {
        p.nodes.each(&mut |node| node.hold.fork_child(node.key()));
    }
    if let Some(client) = crate::mount::client() {
        client.forked();
    }
}

/// The child step of a fork nobody announced (raw clone): the references are taken late, which is
/// right as long as the parent still holds its own.
pub(super) fn unannounced_child() {
    identity::record();
    let Some(p) = Process::get() else { return };
    fork_child(p);
    p.fds.fork_unprepared();
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
