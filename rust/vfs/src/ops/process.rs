//! The end of a process.
use crate::process::Process;
use crate::{inherit, Op, Reject};
use std::collections::HashSet;
use std::sync::atomic::{AtomicI32, Ordering};

/// exit_group(2): what shared mappings changed is written, the references on open file descriptions
/// go back, files kept only by descriptors of this process are removed, and the kernel ends it.
/// Everything else the kernel and the DAOS servers clean up.
pub fn exit_group(p: &'static Process, _a: [i64; 6]) -> Op<i64> {
    // Two threads may come here; a reference goes back once.
    static ENDED: AtomicI32 = AtomicI32::new(0);
    if !p.mounts.iter().any(|mount| mount.is_up()) {
        return Err(Reject::NotOurs); // nothing was ever served
    }
    if inherit::in_shared_child() || ENDED.swap(inherit::pid(), Ordering::AcqRel) == inherit::pid()
    {
        return Err(Reject::NotOurs);
    }
    if let Err(e) = p.mappings.sync_all() {
        log::error!("a mapped file could not be written back at exit: {e}");
    }
    let mut seen = HashSet::new();
    let mut gone = Vec::new();
    p.fds.each(&mut |fd, file| {
        if file.node.is_gone() {
            gone.push(fd);
        } else if seen.insert(file.slot.index()) {
            file.slot.give();
        }
    });
    for fd in gone {
        drop(p.fds.forget(fd));
    }
    // what a mapping alone keeps goes as well
    p.mappings.forget_gone();
    p.nodes.each(&mut |node| {
        node.hold.release();
    });
    Err(Reject::NotOurs)
}
