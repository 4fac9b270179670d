//! The door between the entry layer and the VFS.
use crate::boundary::boundary;
use crate::{report, statistics};
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
        match catalogue::dispatch(process, op, args) {
            Ok(value) => counted(op, &args, value),
            Err(Reject::Errno(e)) => counted(op, &args, -i64::from(e.0)),
            Err(Reject::NotOurs) => {
                statistics::passed(op);
                NOT_OURS
            }
        }
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

fn counted(op: i32, args: &[i64; 6], value: i64) -> i64 {
    statistics::served(op, value);
    if report::enabled() {
        if let Some(row) = catalogue::report_call(op, args).and_then(report::row) {
            report::count(row);
        }
    }
    value
}
