//! The process that stays: connects, leaves its handles in the run directory (`vfs::keep`), looks
//! after them, and takes them away again when it is told to end.
use super::{text, READY};
use crate::{print, Failure};
use dfs::{Client, Filesystem};
use std::ffi::CStr;
use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use vfs::keep::{Found, Held, Published, Standing};

/// How often it is looked whether anything has changed.
const TICK: Duration = Duration::from_secs(1);
/// Every so many ticks the servers are asked whether they still know the handles: one RPC.
const ASK: u64 = 10;

/// Keeps the handles of a container until a signal, or until nobody has asked for `idle`.
pub fn run(
    pool: &CStr,
    cont: &CStr,
    idle: Option<Duration>,
    ready: bool,
) -> Result<ExitCode, Failure> {
    let signals = block_signals();
    let failed = |why: String| Failure {
        text: format!("pool {}, container {}: {why}", text(pool), text(cont)),
        code: 1,
    };
    if let Some(pid) = kept_already(pool, cont) {
        eprintln!(
            "pil4dfs: {}",
            failed(format!("kept by process {pid} already")).text
        );
        return there(ready);
    }
    let fs = connect(pool, cont).map_err(failed)?;
    let held = export(&fs, pool, cont, now()).map_err(failed)?;
    let mut published = publish(&held).map_err(failed)?;
    let mut bytes = held.encode();
    there(ready)?;
    for tick in 1u64.. {
        if signal_within(&signals, TICK) {
            break;
        }
        if idle.is_some_and(|idle| now() - published.used() >= idle.as_secs() as i64) {
            break;
        }
        let standing = published.standing();
        if standing == Standing::Replaced {
            break;
        }
        if tick % ASK == 0 {
            // Handles an administrator has evicted are replaced by this call.
            let _ = fs.root().attr();
        }
        let Ok(new) = export(&fs, pool, cont, held.since) else {
            continue;
        };
        if standing == Standing::Gone || new.encode() != bytes {
            if let Ok(made) = publish(&new) {
                (published, bytes) = (made, new.encode());
            }
        }
    }
    // First nobody finds them any more, then they go: those who have them connect for themselves.
    drop(published);
    drop(fs);
    Ok(ExitCode::SUCCESS)
}

/// Seconds since 1970.
pub fn now() -> i64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.map_or(0, |d| d.as_secs() as i64)
}

fn kept_already(pool: &CStr, cont: &CStr) -> Option<i32> {
    let path = vfs::keep::path(pool, cont).ok()?;
    Found::open(&path).ok()?.keeper()
}

fn connect(pool: &CStr, cont: &CStr) -> Result<Arc<Filesystem>, String> {
    let dir = super::value("PIL4DFS_DAOS_DIR");
    let api = daos_sys::load::open(dir.as_deref()).map_err(|e| e.to_string())?;
    let client = Client::start(api)
        .map_err(|e| format!("cannot start the DAOS client ({e}): is daos_agent running?"))?;
    Filesystem::connect(&client, pool, cont).map_err(|e| format!("cannot be mounted ({e})"))
}

fn export(fs: &Filesystem, pool: &CStr, cont: &CStr, since: i64) -> Result<Held, String> {
    let handles = fs
        .export_handles()
        .map_err(|e| format!("no handles to hand on ({e})"))?;
    let (pool, cont) = (pool.to_owned(), cont.to_owned());
    Ok(Held {
        pool,
        cont,
        since,
        handles,
    })
}

fn publish(held: &Held) -> Result<Published, String> {
    Published::new(held).map_err(|e| {
        format!("cannot write into the run directory ({e}): see PIL4DFS_RUNDIR in libpil4dfs(7)")
    })
}

/// Says that the handles can be used.
fn there(ready: bool) -> Result<ExitCode, Failure> {
    if !ready {
        return Ok(ExitCode::SUCCESS);
    }
    let done = print(&String::from_utf8_lossy(READY));
    let _ = std::io::stdout().flush();
    if let Ok(null) = File::options().read(true).write(true).open("/dev/null") {
        for fd in 0..3 {
            // SAFETY: both are descriptors of ours.
            unsafe { libc::dup2(null.as_raw_fd(), fd) };
        }
    }
    done
}

/// Keeps the signals that end us from this thread and all that are started later.
fn block_signals() -> libc::sigset_t {
    // SAFETY: a set of our own.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&mut set);
        for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP] {
            libc::sigaddset(&mut set, signal);
        }
        libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut());
        set
    }
}

/// Waits; true if one of the signals came.
fn signal_within(set: &libc::sigset_t, time: Duration) -> bool {
    let time = libc::timespec {
        tv_sec: time.as_secs() as libc::time_t,
        tv_nsec: time.subsec_nanos().into(),
    };
    // SAFETY: the set was blocked; nothing is asked about the signal.
    unsafe { libc::sigtimedwait(set, std::ptr::null_mut(), &time) > 0 }
}
