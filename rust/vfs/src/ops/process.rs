//! The end of a process.
use crate::process::Process;
use crate::{inherit, Op, Reject};

/// exit_group(2): what shared mappings changed is written, hidden files whose last descriptor this
/// was go, and the kernel ends the process.
pub fn exit_group(p: &'static Process, _a: [i64; 6]) -> Op<i64> {
    if inherit::in_shared_child() {
        return Err(Reject::NotOurs);
    }
    if let Err(e) = p.mappings.sync_all() {
        log::error!("a mapped file could not be written back at exit: {e}");
    }
    Err(Reject::NotOurs)
}
