//! The public C API (include/pil4dfs.h is made from this file by cbindgen): for programs that link
//! the library. It works the same when the library is preloaded. Each function is listed with the
//! version it came with in spec/abi.map.
use crate::boundary::boundary;
use crate::{entry, logging, start, statistics};
use std::ffi::{c_char, c_int, c_uint, CStr};
use std::sync::atomic::Ordering;
use vfs::mount::ExplicitMount;
use vfs::process::Process;
use vfs::{filter, Errno};

/// The version of the library, as `"0.1.0"`.
const VERSION: &CStr =
    match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
        Ok(version) => version,
        Err(_) => unreachable!(),
    };

/// For `pil4dfs_mount`: nothing can be changed through this mount (EROFS), whatever the container allows.
pub const PIL4DFS_RDONLY: c_uint = 1;

/// What the library did for this process. Later versions add members at the end; `size` keeps programs
/// and libraries of different versions together.
///
/// Counts of calls and bytes begin with the first call of `pil4dfs_mount` or `pil4dfs_statistics`, or,
/// with PIL4DFS_REPORT_DIR set, with the first call on a mount. The child of a fork begins at 0.
#[allow(non_camel_case_types)]
#[repr(C)]
pub struct pil4dfs_stats {
    /// In: `sizeof(struct pil4dfs_stats)`. Out: how many of these bytes the library has filled.
    pub size: u64,
    /// File calls on mounts that succeeded.
    pub calls: u64,
    /// File calls on mounts that failed.
    pub errors: u64,
    /// Calls that looked like a mount's and were the kernel's after all.
    pub passed: u64,
    /// Bytes read into the program's memory by read calls (not through mappings).
    pub bytes_read: u64,
    /// Bytes written by write calls (not through mappings).
    pub bytes_written: u64,
    /// Bytes moved by copy_file_range, sendfile and splice.
    pub bytes_copied: u64,
    /// Calls of libdfs that may have gone to a server.
    pub dfs_calls: u64,
    /// Nanoseconds in the start of libdaos. Always counted.
    pub daos_start_ns: u64,
    /// Nanoseconds in connects to pools and containers. Always counted.
    pub daos_connect_ns: u64,
    /// Containers connected. Always counted.
    pub daos_connects: u64,
    /// Mounts now.
    pub mounts: u64,
    /// Of these, the ones in use: connected.
    pub mounts_up: u64,
    /// Descriptors of files and directories on mounts, now.
    pub open_files: u64,
    /// Mappings of files on mounts, now.
    pub mappings: u64,
}

/// The version of the library: a static string such as `"0.1.0"`, never freed.
///
/// Never fails. Thread-safe and async-signal-safe.
#[no_mangle]
pub extern "C" fn pil4dfs_version() -> *const c_char {
    VERSION.as_ptr()
}

/// 1 when calls below a mount are intercepted in this process, else 0: there is no mount, the program
/// is left to dfuse, or interception is switched off or impossible here (`pil4dfs_reason` says which).
///
/// Never fails, leaves errno alone. Thread-safe and async-signal-safe.
#[no_mangle]
pub extern "C" fn pil4dfs_active() -> c_int {
    boundary(0, || c_int::from(start::armed()))
}

/// 1 when `fd` is an open descriptor served by this library, else 0 (the kernel's, closed, or no
/// descriptor at all).
///
/// Never fails, leaves errno alone. Thread-safe and async-signal-safe.
#[no_mangle]
pub extern "C" fn pil4dfs_owns(fd: c_int) -> c_int {
    boundary(0, || c_int::from(filter::fd_is(fd) == filter::OURS))
}

/// 1 when calls with `path` are served by this library, else 0. Relative paths start at the working
/// directory; symbolic links are followed; nothing need exist there. A null, unreadable or empty
/// path is nobody's: 0.
///
/// Never fails, leaves errno alone. May look directories up, and connect to the container if nobody
/// has yet. Thread-safe, not async-signal-safe.
#[no_mangle]
pub extern "C" fn pil4dfs_owns_path(path: *const c_char) -> c_int {
    inside(|process| Ok(vfs::resolve::is_ours(process, path as i64)))
        .map_or(0, |ours| c_int::from(ours == Some(true)))
}

/// Mounts the POSIX container `cont` of `pool` (labels or UUIDs) at `path`: absolute, not "/",
/// without "..". The path need not exist; what lies there is out of the program's sight until
/// `pil4dfs_unmount`. `flags` is 0 or PIL4DFS_RDONLY. The strings stay the caller's and are copied.
///
/// The mount is this process's and its fork children's; a program started by exec gets its mounts from
/// its environment. Where the process began without any mount, this first patches libc, and then the
/// process must have one thread: call it early.
///
/// 0, or a negative error number: -EINVAL a bad path, flag or null pointer; -EBUSY a mount is there
/// already; -ENOENT, -EACCES, -EIO the connect failed; -ETXTBSY other threads run, and libc is not
/// patched yet; -EPERM a set-id program; -ENOTSUP interception is off or impossible; -EDEADLK
/// called from within a file call. `pil4dfs_reason` has a sentence about a connect that failed, and
/// about why nothing is intercepted. errno is left alone.
/// Blocks for the time of a connect (and of the start of libdaos, the first time). Thread-safe, not
/// async-signal-safe.
///
/// # Safety
/// `pool`, `cont` and `path` are null or strings.
#[no_mangle]
pub unsafe extern "C" fn pil4dfs_mount(
    pool: *const c_char,
    cont: *const c_char,
    path: *const c_char,
    flags: c_uint,
) -> c_int {
    answer(|| {
        if pool.is_null() || cont.is_null() || path.is_null() || flags & !PIL4DFS_RDONLY != 0 {
            return Err(Errno::EINVAL);
        }
        // SAFETY: the caller's promise.
        let [pool, cont, point] = unsafe { [pool, cont, path].map(|s| CStr::from_ptr(s)) };
        let process = start::process()?;
        entry::within(|| {
            vfs::inherit::catch_up();
            statistics::count();
            let wanted = ExplicitMount {
                read_only: flags & PIL4DFS_RDONLY != 0,
                ..ExplicitMount::named(point, pool, cont)
            };
            vfs::mount::mount(process, &wanted)
        })?
    })
}

/// Ends the mount at `path`, which was made by `pil4dfs_mount` or by the variables D_IL_MOUNT_POINT,
/// D_IL_POOL and D_IL_CONTAINER, and gives its connection back. What lies there in the kernel's file
/// systems is in sight again. `flags` is 0.
///
/// 0, or a negative error number: -EINVAL no such mount, or a mount of dfuse's, a bad flag or null
/// pointer; -EBUSY a descriptor, a mapping or the working directory of this process is in it, a call of
/// another thread does not end, or another mount lies below it; -EDEADLK called from within a file
/// call. errno is left alone. In a fork child the parent's mount stays as it is. Waits for calls under
/// way, at most some seconds. Thread-safe, not async-signal-safe.
///
/// # Safety
/// `path` is null or a string.
#[no_mangle]
pub unsafe extern "C" fn pil4dfs_unmount(path: *const c_char, flags: c_uint) -> c_int {
    answer(|| {
        if path.is_null() || flags != 0 {
            return Err(Errno::EINVAL);
        }
        // SAFETY: the caller's promise.
        let path = unsafe { CStr::from_ptr(path) };
        inside(|process| vfs::mount::unmount(process, path.to_bytes()))?.ok_or(Errno::EINVAL)
    })
}

/// Writes to DAOS whatever this process has changed below its mounts and is not written yet: the
/// dirty pages of shared mappings (what write calls wrote is there when they return). The streams of
/// stdio are the program's to flush, before.
///
/// 0, also without a mount, or the first failure as a negative error number (-EIO, -ENOSPC, ...; the
/// other files are written all the same); -EDEADLK called from within a file call. errno is left
/// alone. Blocks. Thread-safe, not async-signal-safe.
#[no_mangle]
pub extern "C" fn pil4dfs_flush() -> c_int {
    answer(|| inside(|process| process.mappings.sync_all()).map(|_| ()))
}

/// Fills `stats`, whose `size` the caller has set, with the numbers of this process; the first call
/// begins to count. `stats` stays the caller's.
///
/// 0, or a negative error number: -EINVAL a null pointer, or a `size` that holds not even itself; -EDEADLK
/// called from within a file call. errno is left alone. Numbers of calls under way in other threads
/// may be in some members and not yet in others. Thread-safe, not async-signal-safe.
///
/// # Safety
/// `stats` is null, or points to `stats->size` writable bytes.
#[no_mangle]
pub unsafe extern "C" fn pil4dfs_statistics(stats: *mut pil4dfs_stats) -> c_int {
    answer(|| {
        if stats.is_null() {
            return Err(Errno::EINVAL);
        }
        // SAFETY: the caller's promise; the first member is there in every version.
        let size = unsafe { (*stats).size };
        let fits = size_of::<pil4dfs_stats>().min(usize::try_from(size).unwrap_or(usize::MAX));
        if fits < size_of::<u64>() {
            return Err(Errno::EINVAL);
        }
        let mut all = entry::within(gather)?;
        all.size = fits as u64;
        // SAFETY: the caller's promise; as many bytes as both have.
        unsafe { std::ptr::copy_nonoverlapping((&raw const all).cast::<u8>(), stats.cast(), fits) };
        Ok(())
    })
}

/// Copies the reason of the last failure of this process into `text`, at most `size` bytes with the
/// closing NUL: why nothing is intercepted here, why a mount cannot be used, or why the last
/// `pil4dfs_mount` failed; an empty string if nothing has failed. One sentence in English, the one
/// that is in the log where the log has it.
///
/// The length of the whole sentence, as snprintf's (at most 512); `text` may be null when `size` is
/// 0. errno is left alone. Thread-safe, not async-signal-safe.
///
/// # Safety
/// `text` points to `size` writable bytes.
#[no_mangle]
pub unsafe extern "C" fn pil4dfs_reason(text: *mut c_char, size: usize) -> usize {
    let copy = || {
        logging::reason(|reason| {
            if size > 0 && !text.is_null() {
                let n = reason.len().min(size - 1);
                // SAFETY: the caller's promise.
                unsafe {
                    std::ptr::copy_nonoverlapping(reason.as_ptr(), text.cast(), n);
                    text.add(n).write(0);
                }
            }
            reason.len()
        })
    };
    boundary(0, || entry::within(copy).unwrap_or(0))
}

/// The numbers as they are; begins to count.
fn gather() -> pil4dfs_stats {
    vfs::inherit::catch_up();
    statistics::count();
    let sums = statistics::sums();
    let cost = dfs::cost();
    let (mut mounts, mut mounts_up, mut open_files) = (0, 0, 0);
    if let Some(process) = serving() {
        for mount in process.mounts.iter().filter(|m| !m.is_gone()) {
            mounts += 1;
            mounts_up += u64::from(mount.is_up());
        }
        process.fds.each(&mut |_, _| open_files += 1);
    }
    pil4dfs_stats {
        size: 0,
        calls: sums.served,
        errors: sums.failed,
        passed: sums.passed,
        bytes_read: sums.read,
        bytes_written: sums.written,
        bytes_copied: sums.copied,
        dfs_calls: sums.dfs_calls,
        daos_start_ns: cost.start.load(Ordering::Relaxed),
        daos_connect_ns: cost.connect.load(Ordering::Relaxed),
        daos_connects: cost.connects.load(Ordering::Relaxed),
        mounts,
        mounts_up,
        open_files,
        mappings: filter::pil_filter.mappings.load(Ordering::Relaxed).into(),
    }
}

/// The process's state, if calls are intercepted.
fn serving() -> Option<&'static Process> {
    Process::get().filter(|_| start::armed())
}

/// Runs `f` with the process's state as calls of ours run; `None` where nothing is intercepted.
fn inside<R>(f: impl FnOnce(&'static Process) -> Result<R, Errno>) -> Result<Option<R>, Errno> {
    match serving() {
        Some(process) => entry::within(|| {
            vfs::inherit::catch_up();
            f(process)
        })?
        .map(Some),
        None => Ok(None),
    }
}

/// 0 or `-errno`.
fn answer(f: impl FnOnce() -> Result<(), Errno>) -> c_int {
    match boundary(Err(Errno::EIO), f) {
        Ok(()) => 0,
        Err(e) => -e.0,
    }
}
