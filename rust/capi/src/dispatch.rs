//! The door between the entry layer and the VFS.
use crate::boundary::boundary;
use crate::{entry, report, statistics, trace, watch};
use vfs::process::Process;
use vfs::{catalogue, Reject};

/// "Make the call yourself": the entry layer's sentinel (`PIL_NOT_OURS`).
pub const NOT_OURS: i64 = i64::MIN;

const EIO: i64 = -(libc::EIO as i64);

/// Serves a general operation: its value, `-errno`, [`NOT_OURS`], or `PIL_WAIT`
/// ([`vfs::lock::LATER`]).
/// Runs with depth raised, signals deferred and errno saved by the caller.
///
/// # Safety
/// `args` points to six words, the operation's arguments as the application gave them.
#[no_mangle]
pub unsafe extern "C" fn pil_dispatch(op: i32, args: *const [i64; 6]) -> i64 {
    boundary(EIO, || {
        let Some(process) = Process::get() else {
            return NOT_OURS;
        };
        if op == catalogue::exit_group && vfs::inherit::is_idle_child(process) {
            return NOT_OURS;
        }
        vfs::inherit::catch_up();
        // SAFETY: the caller passes six words.
        let args = unsafe { *args };
        let watch = watch::flags();
        let began = match watch & watch::TRACE {
            0 => 0,
            _ => trace::now(),
        };
        let value = match catalogue::dispatch(process, op, args) {
            Ok(value) => value,
            Err(Reject::Errno(e)) => -i64::from(e.0),
            Err(Reject::NotOurs) => NOT_OURS,
        };
        if watch != 0 {
            seen(op, &args, value, began);
        }
        value
    })
}

/// The after-step of a call the kernel answered with `ret` (births, failed path calls, changed ids):
/// what to hand to the application instead.
///
/// # Safety
/// As for [`pil_dispatch`].
#[no_mangle]
pub unsafe extern "C" fn pil_after(op: i32, args: *const [i64; 6], ret: i64) -> i64 {
    boundary(ret, || {
        let Some(process) = Process::get() else {
            return ret;
        };
        vfs::inherit::catch_up();
        // SAFETY: the caller passes six words.
        vfs::ops::after(process, op, unsafe { *args }, ret)
    })
}

/// Tells whoever watches what became of a call.
#[cold]
fn seen(op: i32, args: &[i64; 6], value: i64, began: u64) {
    let by = entry::caller();
    // Asked about in any case, and not a call on a mount.
    let asked = matches!(op, catalogue::execveat | catalogue::exit_group);
    match value {
        NOT_OURS => statistics::passed(op, by),
        // What a caller waits for above us is no error.
        vfs::lock::LATER => statistics::served(op, 0, by),
        _ if asked => {}
        _ => statistics::served(op, value, by),
    }
    if value != NOT_OURS && report::enabled() {
        report::call(op, args, value, by);
    }
    if began != 0 && !asked {
        trace::call(op, args, value, by, began);
    }
}
