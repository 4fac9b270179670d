//! Start and end of the process, and the forks in between: what the constructor, pthread_atfork and
//! exit_group call. Nothing here touches a mount unless the process already stands in one.
use crate::boundary::{boundary, install_panic_hook};
use crate::config::{variable, Config};
use crate::{bypass, config, entry, hook, logging, mounts, report, statistics, trace};
use once_cell::sync::OnceCell;
use std::ffi::{CStr, CString};
use std::sync::atomic::Ordering;
use vfs::gate::Guarded;
use vfs::mount::{MountConfig, MountTable};
use vfs::process::Process;
use vfs::{call, filter, Errno};

/// `PIL4DFS_DAOS_DIR`, for the loader.
static DAOS_DIR: OnceCell<CString> = OnceCell::new();
static REPORT: OnceCell<bool> = OnceCell::new();
/// `PIL4DFS_REPORT_DIR`.
static REPORT_DIR: OnceCell<CString> = OnceCell::new();
/// `PIL4DFS_TRACE`.
static TRACE: OnceCell<CString> = OnceCell::new();

/// The constructor's first step: environment and mount table. 1 if there is something to serve.
#[no_mangle]
pub extern "C" fn pil_start() -> i32 {
    boundary(0, || i32::from(start()))
}

fn start() -> bool {
    let mut config = Config::from_environment();
    logging::start(config.log.as_deref());
    let _ = REPORT.set(config.report);
    if let Some(dir) = &config.report_dir {
        let _ = REPORT_DIR.set(dir.clone());
    }
    if let Some(file) = &config.trace {
        let _ = TRACE.set(file.clone());
    }
    if let Some(line) = &config.asked.complaint {
        log::error!("{line}");
    }
    if config.hook_off {
        logging::note("PIL4DFS_HOOK=off: nothing is intercepted");
    }
    let on = !config.hook_off && with_file(&mut config) && prepare(&mut config);
    if !on {
        started(false);
    }
    on
}

/// Adds the mounts of the configuration file, in front: those of the variables win. A file that
/// cannot be read as a whole counts as none of it, and nothing is served: half of a job's mounts
/// would be worse than none.
fn with_file(config: &mut Config) -> bool {
    let Some(path) = &config.file else {
        return true;
    };
    match mounts::by_file(path) {
        Ok(mut all) => {
            all.append(&mut config.asked.mounts);
            config.asked.mounts = all;
            true
        }
        Err(line) => {
            log::error!("{line}; interception stays off");
            false
        }
    }
}

/// Makes the process state if there is a mount to serve. The filter stays unarmed: the entry layer
/// arms it when the call sites are patched ([`pil_started`]).
fn prepare(config: &mut Config) -> bool {
    let dfuse = mentions(c"/proc/self/mountinfo", b" - fuse.daos ");
    let left = dfuse && (config.compatible || bypassed(config));
    if config.asked.mounts.is_empty() && (!dfuse || left) {
        if config.asked.complaint.is_none() {
            logging::note(match (dfuse, config.compatible) {
                (true, true) => "D_IL_COMPATIBLE: the mounts of dfuse are left to it",
                (true, false) => "this program is one of those that are left to dfuse; D_IL_NO_BYPASS=1 takes it back",
                _ => "no mount: D_IL_POOL, D_IL_CONTAINER and D_IL_MOUNT_POINT are not set, and no dfuse is mounted",
            });
        }
        return false;
    }
    equip(config);
    let seen = match dfuse {
        true => read_file(c"/proc/self/mountinfo").unwrap_or_default(),
        false => Vec::new(),
    };
    let mounts = MountTable::from_config(&MountConfig {
        explicit: std::mem::take(&mut config.asked.mounts),
        mountinfo: &seen,
        left_to_dfuse: left,
    });
    if !mounts.serves() {
        return false;
    }
    let complaints = crate::values::complaints(&variable);
    if !complaints.is_empty() {
        log::warn!("{}", complaints.join("; "));
    }
    match build(config, mounts) {
        Ok(_) => true,
        Err(e) => {
            log::error!("cannot start ({e}): interception stays off");
            false
        }
    }
}

/// Tells the VFS what it asks of the entry layer and of the environment.
fn equip(config: &Config) {
    install_panic_hook();
    entry::connect();
    if let Some(dir) = &config.daos_dir {
        let _ = DAOS_DIR.set(dir.clone());
    }
    if let Some(dir) = &config.rundir {
        vfs::rundir::set(dir.clone());
    }
    vfs::mount::set_loader(load);
    vfs::inherit::set_child(|| {
        report::reset();
        statistics::forked();
    });
    vfs::dirstream::set_names_only(config.names_only);
    vfs::inherit::keep(config::kept());
}

/// For a mount by call: the process state, made and armed now if the process began without. `ETXTBSY` where
/// that would be now and other threads run; `ENOTSUP` where nothing can be intercepted, `EPERM` in a
/// set-id program.
pub fn process() -> Result<&'static Process, Errno> {
    static STARTING: Guarded<()> = Guarded::new(());
    let _alone = STARTING.lock();
    let known = Process::get();
    if let Some(process) = known.filter(|_| armed()) {
        return Ok(process);
    }
    let config = Config::from_environment();
    if config.hook_off {
        return Err(Errno(libc::ENOTSUP));
    }
    if !funchook_sys::patch::alone() {
        logging::note("the first mount by call comes while other threads run: libc cannot be patched beside them");
        return Err(Errno(libc::ETXTBSY));
    }
    let process = match known {
        Some(process) => process,
        None => {
            equip(&config);
            build(&config, MountTable::from_config(&MountConfig::default()))?
        }
    };
    entry::arm_late()?;
    logging::forget();
    Ok(process)
}

/// Calls are intercepted.
pub fn armed() -> bool {
    filter::pil_filter.armed.load(Ordering::Relaxed) != 0
}

/// A text of the entry layer's about why nothing is intercepted.
///
/// # Safety
/// A string.
#[no_mangle]
pub unsafe extern "C" fn pil_note(text: *const std::ffi::c_char) {
    boundary((), || {
        // SAFETY: the caller's promise.
        let text = unsafe { CStr::from_ptr(text) };
        logging::note(&String::from_utf8_lossy(text.to_bytes()));
    })
}

/// Puts the process state together.
fn build(config: &Config, mounts: MountTable) -> Result<&'static Process, Errno> {
    let numbering = match config.high_numbers {
        true => vfs::fd::Numbering::High,
        false => vfs::fd::Numbering::Kernel,
    };
    vfs::inherit::start();
    let mut dcache = config.dcache;
    if config.no_dcache_in_shells && bypass::is_shell(&program()) {
        dcache.life_ms = 0;
    }
    let process = Process::new(mounts, numbering, dcache).map(Process::set)?;
    if let Some(bytes) = config.mmap_limit {
        process.mappings.set_limit(bytes);
    }
    Ok(process)
}

/// Whether this program is left to dfuse on the mounts it serves.
fn bypassed(config: &Config) -> bool {
    let cmdline = read_file(c"/proc/self/cmdline").unwrap_or_default();
    let argv: Vec<&str> = cmdline
        .split(|&b| b == 0)
        .filter_map(|a| std::str::from_utf8(a).ok())
        .collect();
    bypass::listed(&argv, &config.programs)
}

/// The call sites are patched (or could not be): the last step of the constructor.
#[no_mangle]
pub extern "C" fn pil_started(armed: i32) {
    boundary((), || started(armed != 0));
}

fn started(armed: bool) {
    if armed {
        filter::pil_filter.armed.store(1, Ordering::Release);
    }
    if REPORT.get() == Some(&true) {
        report::announce(&program(), armed);
    }
    if let (true, Some(file)) = (armed, TRACE.get()) {
        trace::start(file);
    }
    if let (true, Some(dir), Some(process)) = (armed, REPORT_DIR.get(), Process::get()) {
        statistics::start(dir, &program(), process);
    }
}

/// The program's base name.
fn program() -> String {
    let cmdline = read_file(c"/proc/self/cmdline").unwrap_or_default();
    let argv0 = cmdline.split(|&b| b == 0).next().unwrap_or_default();
    bypass::base_name(&String::from_utf8_lossy(argv0)).to_owned()
}

/// Inherited descriptors and working directory, and the cases in which DAOS must be up before main.
/// At depth 1, on the private stack, after arming.
#[no_mangle]
pub extern "C" fn pil_adopt() {
    boundary((), || {
        let Some(process) = Process::get() else {
            return;
        };
        vfs::inherit::adopt(process);
        let early = ["LD_LIBRARY_PATH", "TZ", "TZDIR"]
            .iter()
            .filter_map(|name| variable(name));
        for value in early {
            for dir in value.to_bytes().split(|&b| b == b':') {
                let below = process.mounts.locate(dir);
                if let Some((mount, _)) = below.filter(|(m, _)| !m.served_by_dfuse) {
                    let _ = mount.fs();
                }
            }
        }
    })
}

/// Starts DAOS, and connects to the containers if they are few: of many a job uses some.
fn bring_up(process: &Process) {
    const FEW: usize = 8;
    let own = || process.mounts.iter().filter(|m| !m.served_by_dfuse);
    if own().nth(FEW).is_some() {
        let _ = vfs::mount::start_client();
        return;
    }
    own().for_each(|m| {
        let _ = m.fs();
    });
}

/// Before the real MPI_Init: DAOS is started outside of it, never in the middle. What MPI opens
/// there lies in directories of the environment (`TMPDIR`, `HOME`) and in the working directory;
/// where none of them is ours nothing is started. An MPI with a driver for DAOS is linked with libdfs.
#[no_mangle]
pub extern "C" fn pil_mpi_init() {
    boundary((), || {
        let Some(process) = Process::get() else {
            return;
        };
        if !daos_sys::load::is_exported() {
            vfs::ops::statfs::set_type_of_dfuse();
        }
        let named = |value: &[u8]| {
            process
                .mounts
                .iter()
                .any(|m| holds(value, m.point.to_bytes()))
        };
        if process.cwd.is_ours() || config::others().any(|entry| named(entry.to_bytes())) {
            bring_up(process);
        }
    })
}

/// Whether `text` stands somewhere in `bytes`.
fn holds(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len().max(1)).any(|w| w == text)
}

/// Before the real posix_spawn, on the private stack: brings up what its child would use first.
/// `actions` is libc's list; `search`: `PATH` counts.
#[no_mangle]
pub extern "C" fn pil_spawn_prepare(
    path: *const std::ffi::c_char,
    actions: *const std::ffi::c_void,
    search: i32,
) {
    boundary((), || {
        if let Some(process) = Process::get() {
            vfs::inherit::catch_up();
            vfs::inherit::spawn::prepare(process, path as i64, actions as i64, search != 0);
        }
    })
}

/// Before the real dlopen: nothing to do until libdaos is to be loaded by one.
#[no_mangle]
pub extern "C" fn pil_dlopen_prepare(_file: *const std::ffi::c_char) {}

/// Loads libdaos and libdfs, or says why that is impossible and what to do.
fn load() -> Result<&'static daos_sys::Api, String> {
    daos_sys::load::open(DAOS_DIR.get().map(CString::as_c_str)).map_err(|e| {
        format!(
            "{e}; install daos-client, or name the directory of libdaos.so.2 in PIL4DFS_DAOS_DIR"
        )
    })
}

/// pthread_atfork: before the fork.
#[no_mangle]
pub extern "C" fn pil_fork_prepare() {
    boundary((), || {
        if let Some(process) = Process::get() {
            vfs::inherit::fork_prepare(process);
        }
    });
}

/// pthread_atfork: after it, in the parent; `failed`: there is no child.
#[no_mangle]
pub extern "C" fn pil_fork_parent(failed: i32) {
    boundary((), || {
        if let Some(process) = Process::get() {
            vfs::inherit::fork_parent(process, failed != 0);
        }
    })
}

/// pthread_atfork: after it, in the child.
#[no_mangle]
pub extern "C" fn pil_fork_child() {
    boundary((), vfs::inherit::fork_child)
}

/// Whether this process shares the memory of another.
#[no_mangle]
pub extern "C" fn pil_in_shared_child() -> bool {
    boundary(false, vfs::inherit::in_shared_child)
}

/// The last moment of the process, after stdio's flush.
#[no_mangle]
pub extern "C" fn pil_exit(_status: i32) {
    boundary((), || {
        if let Some(process) = Process::get() {
            // A child that has done nothing has nothing to say, unless it was asked.
            let silent = !report::enabled() && !statistics::enabled();
            if silent && vfs::inherit::is_idle_child(process) {
                return;
            }
            // A posix_spawn child that could not exec: what is there to report is its parent's.
            if vfs::inherit::in_shared_child() {
                return;
            }
        }
        // A fork child would read every patched page to say what its parent will.
        if vfs::gate::image() == 1 || REPORT.get() == Some(&true) {
            hook::census();
        }
        report::summary();
        statistics::finish();
    })
}

/// Whether a file of /proc holds `text`. Allocates nothing: every program with the library loaded asks.
fn mentions(path: &CStr, text: &[u8]) -> bool {
    // SAFETY: a string.
    let Ok(fd) = (unsafe {
        call!(
            SYS_openat,
            libc::AT_FDCWD,
            path.as_ptr(),
            libc::O_RDONLY | libc::O_CLOEXEC
        )
    }) else {
        return false;
    };
    let mut bytes = [0u8; 4096];
    // What is left of the part before: a text may lie across two.
    let mut kept = 0;
    let found = loop {
        // SAFETY: the buffer has so many bytes behind those kept.
        let read = unsafe {
            call!(
                SYS_read,
                fd,
                bytes.as_mut_ptr().add(kept),
                bytes.len() - kept
            )
        };
        let end = match read {
            Ok(0) => break false,
            Ok(n) => kept + n as usize,
            Err(Errno::EINTR) => continue,
            Err(_) => break false,
        };
        if holds(&bytes[..end], text) {
            break true;
        }
        let rest = end.saturating_sub(text.len() - 1);
        bytes.copy_within(rest..end, 0);
        kept = end - rest;
    };
    // SAFETY: the descriptor is ours.
    let _ = unsafe { call!(SYS_close, fd) };
    found
}

/// The bytes of a file of /proc.
fn read_file(path: &CStr) -> Result<Vec<u8>, Errno> {
    // SAFETY: a string, and a buffer of the given size below.
    let fd = unsafe {
        call!(
            SYS_openat,
            libc::AT_FDCWD,
            path.as_ptr(),
            libc::O_RDONLY | libc::O_CLOEXEC
        )
    }?;
    let mut bytes: Vec<u8> = Vec::with_capacity(8192);
    let result = loop {
        bytes.reserve(4096);
        let (at, room) = (bytes.len(), bytes.capacity() - bytes.len());
        // SAFETY: `room` bytes from `at` on are the vector's own.
        match unsafe { call!(SYS_read, fd, bytes.as_mut_ptr().add(at), room) } {
            Ok(0) => break Ok(()),
            // SAFETY: the kernel has filled n bytes.
            Ok(n) => unsafe { bytes.set_len(at + n as usize) },
            Err(Errno::EINTR) => {}
            Err(e) => break Err(e),
        }
    };
    // SAFETY: the descriptor is ours.
    let _ = unsafe { call!(SYS_close, fd) };
    result.map(|()| bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_found_wherever_it_lies() {
        let path = format!("/tmp/pil4dfs-test-mentions-{}", std::process::id());
        let file = CString::new(path.as_str()).unwrap();
        for at in [0, 1, 4080, 4090, 4095, 4096, 8185, 9000] {
            let mut bytes = vec![b'-'; at];
            bytes.extend_from_slice(b" - fuse.daos x");
            std::fs::write(&path, &bytes).unwrap();
            assert!(mentions(&file, b" - fuse.daos "), "{at}");
            assert!(!mentions(&file, b" - fuse.other "));
        }
        std::fs::remove_file(&path).unwrap();
        assert!(!mentions(&file, b"x"));
    }
}
