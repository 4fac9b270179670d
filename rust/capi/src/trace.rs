//! `PIL4DFS_TRACE`: a line of JSON for every call on a mount, appended to a file: when, who, what,
//! about which descriptor or path, the answer, how long. Made on the stack and written by one
//! write(2), so that lines of threads and processes do not mix. A signal's handler may come
//! this way: no lock, no allocation.
use crate::dispatch::NOT_OURS;
use crate::text::{Json, Line};
use crate::watch;
use once_cell::sync::OnceCell;
use std::ffi::CStr;
use std::fmt::Write;
use vfs::catalogue::{self, PLACES};
use vfs::ownfd::OwnFd;
use vfs::user::PathBuffer;
use vfs::{call, lock};

static FILE: OnceCell<OwnFd> = OnceCell::new();

/// Room for a line with two paths; longer paths are cut.
const LONGEST: usize = 3072;
/// Kept free behind the paths.
const REST: usize = 256;

/// Traces from now on, to the end of `file`; a file that cannot be written is worth one line.
pub fn start(file: &CStr) {
    let flags = libc::O_WRONLY | libc::O_APPEND | libc::O_CREAT | libc::O_NOCTTY;
    match OwnFd::open(libc::AT_FDCWD, file, flags, 0o644) {
        Ok(fd) => {
            if FILE.set(fd).is_ok() {
                watch::add(watch::TRACE);
            }
        }
        Err(e) => log::warn!(
            "PIL4DFS_TRACE={}: {e}: nothing is traced",
            file.to_string_lossy()
        ),
    }
}

/// Nanoseconds since 1970.
pub fn now() -> u64 {
    // SAFETY: all-zero is a timespec, and the call fills it.
    let time = unsafe {
        let mut time: libc::timespec = std::mem::zeroed();
        libc::clock_gettime(libc::CLOCK_REALTIME, &mut time);
        time
    };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Writes the line of a call that began at `began` ([`now`]) and was answered with `value`.
pub fn call(op: i32, args: &[i64; 6], value: i64, by: u32, began: u64) {
    let Some(file) = FILE.get() else { return };
    let took = now().saturating_sub(began);
    let Some(place) = usize::try_from(op).ok().and_then(|op| PLACES.get(op)) else {
        return;
    };
    // Calls of the process's that are asked about in any case.
    if value == NOT_OURS && place.fd < 0 && place.paths[0] < 0 {
        return;
    }
    let mut line = Line::<LONGEST>::new();
    let name = catalogue::name(op);
    let by = catalogue::caller(by).map_or(name, catalogue::caller_name);
    let verdict = match value {
        NOT_OURS => "passed",
        lock::LATER => "served",
        0.. => "served",
        e if catalogue::declines(op, -e as i32) => "declined",
        _ => "failed",
    };
    // SAFETY: only asks.
    let (pid, tid) = unsafe {
        (
            call!(SYS_getpid).unwrap_or(0),
            call!(SYS_gettid).unwrap_or(0),
        )
    };
    let _ = write!(
        line,
        "{{\"time\":{}.{:06},\"pid\":{pid},\"tid\":{tid},\"call\":\"{name}\",\"by\":\"{by}\",\"verdict\":\"{verdict}\"",
        began / 1_000_000_000,
        began / 1000 % 1_000_000
    );
    about(&mut line, args, place);
    match value {
        NOT_OURS => {}
        lock::LATER => drop(line.write_str(",\"waits\":true")),
        0.. => drop(write!(line, ",\"result\":{value}")),
        e => drop(write!(line, ",\"errno\":{}", -e)),
    }
    let _ = writeln!(line, ",\"us\":{}.{}}}", took / 1000, took / 100 % 10);
    append(file, line.bytes());
}

/// The descriptor and the paths.
fn about(line: &mut Line<LONGEST>, args: &[i64; 6], place: &catalogue::Places) {
    if let Ok(index) = usize::try_from(place.fd) {
        let fd = args[index] as i32;
        if fd != libc::AT_FDCWD {
            let _ = write!(line, ",\"fd\":{fd}");
        }
    }
    let mut room = PathBuffer::new();
    for (name, index) in ["path", "to"].into_iter().zip(place.paths) {
        let Ok(index) = usize::try_from(index) else {
            continue;
        };
        let Ok(path) = room.copy(args[index]) else {
            continue;
        };
        let before = line.len();
        let path = Json(&path[..path.len().min(1024)]);
        let whole = write!(line, ",\"{name}\":{path}").is_ok();
        if !whole || line.len() > LONGEST - REST {
            line.truncate(before);
            let _ = write!(line, ",\"{name}\":\"...\"");
        }
    }
}

/// A file that would pass the limit of file sizes (ulimit -f) is left alone: its signal ends programs.
fn append(file: &OwnFd, line: &[u8]) {
    // SAFETY: all-zero is an rlimit, which the call fills; a line valid for its length.
    unsafe {
        let mut limit: libc::rlimit = std::mem::zeroed();
        let none = std::ptr::null::<libc::rlimit>();
        let asked = call!(SYS_prlimit64, 0, libc::RLIMIT_FSIZE, none, &raw mut limit);
        if asked.is_ok() && limit.rlim_cur == libc::RLIM_INFINITY {
            let _ = call!(SYS_write, file.raw(), line.as_ptr(), line.len());
        }
    }
}
