//! What follows a call the kernel answered: descriptors born, identities and directories changed,
//! and the late walk of a path that failed - it may lead into a mount through a link the kernel
//! could not follow to its end.
use crate::catalogue::{self as op, OpId};
use crate::dcache::now_ms;
use crate::filter;
use crate::gate::Guarded;
use crate::hash::Mix;
use crate::links::{self, Way};
use crate::magic;
use crate::mount::fd_path;
use crate::ops::{births, limits};
use crate::process::Process;
use crate::resolve::{self, Follow, Options};
use crate::{fail, ownfd, user, Errno, Op, Reject};
use std::ffi::CString;
use std::hash::Hasher;
use std::mem::MaybeUninit;

/// The after-step of `op`, called with the general call's arguments and the kernel's answer; gives
/// what the application gets.
pub fn after(p: &'static Process, op: OpId, a: [i64; 6], ret: i64) -> i64 {
    match op {
        op::umask => p.credentials.set_umask(a[0] as u32),
        op::credentials if ret >= 0 => p.credentials.invalidate(),
        op::unshare if ret == 0 => {
            if a[0] as i32 & libc::CLONE_NEWUSER != 0 {
                p.credentials.invalidate();
            }
            if a[0] as i32 & libc::CLONE_NEWNS != 0 {
                p.mounts.other_name_space();
            }
        }
        op::fchdir if ret == 0 => {
            let names = filter::fd_is(a[0] as i32) == filter::NAMES;
            let path = names.then(|| fd_path(a[0] as i32)).flatten();
            p.cwd.left_by(p, path.as_deref());
        }
        op::chdir if ret == 0 => {
            let mut buffer = user::PathBuffer::new();
            p.cwd.left_by(p, buffer.copy(a[0]).ok());
        }
        op::prlimit64 => limits::changed(),
        op::sync => sync_mappings(p),
        op::chroot | op::setns if ret == 0 => p.mounts.switch_off(),
        _ => {}
    }
    if matches!(
        Errno(-ret as i32),
        Errno::ENOENT | Errno::ENOTDIR | Errno::EACCES | Errno::EROFS
    ) {
        return late(p, op, a, ret);
    }
    births::born(p, op, a, ret)
}

/// sync(2) has no errors to tell.
fn sync_mappings(p: &Process) {
    if let Err(e) = p.mappings.sync_all() {
        log::error!("a mapped file could not be written back by a sync: {e}");
    }
}

/// Where an operation has its paths: (index of the dirfd, index of the path, follows the last
/// component).
fn paths(op: OpId, a: &[i64; 6]) -> [Option<(Option<usize>, usize, bool)>; 2] {
    let nofollow = |flags: i64| flags as i32 & libc::AT_SYMLINK_NOFOLLOW == 0;
    let at = |follow| [Some((Some(0), 1, follow)), None];
    let plain = |follow| [Some((None, 0, follow)), None];
    match op {
        op::openat => {
            let flags = a[2] as i32;
            let exclusive = flags & libc::O_CREAT != 0 && flags & libc::O_EXCL != 0;
            at(flags & libc::O_NOFOLLOW == 0 && !exclusive)
        }
        op::openat2 => at(true),
        op::statat | op::faccessat2 | op::fchmodat2 | op::utimensat => at(nofollow(a[3])),
        op::statx | op::getxattr_args | op::setxattr_args => at(nofollow(a[2])),
        op::fchownat => at(nofollow(a[4])),
        op::utimesat | op::execveat => at(true),
        op::mkdirat | op::mknodat | op::unlinkat | op::readlinkat => at(false),
        op::getxattrat | op::setxattrat => at(nofollow(a[5])),
        op::listxattrat => at(nofollow(a[4])),
        op::removexattrat => at(nofollow(a[3])),
        op::symlinkat => [Some((Some(1), 2, false)), None],
        op::renameat2 => [Some((Some(0), 1, false)), Some((Some(2), 3, false))],
        op::linkat => [Some((Some(0), 1, false)), Some((Some(2), 3, false))],
        op::truncate | op::utime | op::statfs | op::chdir => plain(true),
        _ => [None, None],
    }
}

/// The kernel could not find a path: does it lead into a mount? Then the operation is done there,
/// else the answer stands.
fn late(p: &'static Process, op: OpId, a: [i64; 6], ret: i64) -> i64 {
    let mut b = a;
    let mut kept: [Option<CString>; 2] = [None, None];
    for (slot, place) in kept.iter_mut().zip(paths(op, &a)) {
        let Some((dirfd, path, follow)) = place else {
            continue;
        };
        let from = dirfd.map_or(i64::from(libc::AT_FDCWD), |d| a[d]);
        let Some(inside) = enters(p, from, a[path], follow) else {
            continue;
        };
        if let Some(d) = dirfd {
            b[d] = i64::from(libc::AT_FDCWD);
        }
        b[path] = inside.as_ptr() as i64;
        *slot = Some(inside);
    }
    if kept.iter().all(Option::is_none) {
        return ret;
    }
    match op::dispatch(p, op, b) {
        Ok(value) => value,
        Err(Reject::Errno(e)) => -i64::from(e.0),
        Err(Reject::NotOurs) => ret,
    }
}

/// The absolute path in a mount that a path the kernel answered with `error` leads to through links
/// of the kernel's, the last one followed.
pub fn leads_into_mount(
    p: &'static Process,
    dirfd: i64,
    path: i64,
    error: Errno,
) -> Option<CString> {
    let may = matches!(
        error,
        Errno::ENOENT | Errno::ENOTDIR | Errno::EACCES | Errno::EROFS
    );
    may.then(|| enters(p, dirfd, path, true)).flatten()
}

/// The absolute path in a mount that an application's path leads to through the kernel's links.
fn enters(p: &'static Process, dirfd: i64, ptr: i64, follow: bool) -> Option<CString> {
    let mut buffer = user::PathBuffer::new();
    let path = buffer.copy(ptr).ok()?;
    if path.is_empty() {
        return None;
    }
    let slash = path.iter().rposition(|&b| b == b'/');
    let base = slash.map_or(&b""[..], |at| &path[..=at]);
    let known = Remembered::key(p, dirfd, base);
    if known.is_some_and(Remembered::has) {
        // the directory leads into no mount: only the last component itself may
        let link = follow.then(|| last_link(dirfd, ptr)).flatten()?;
        let mut whole = match link.first() {
            Some(b'/') => Vec::new(),
            _ => base.to_vec(),
        };
        whole.extend_from_slice(&link);
        let whole = magic::kernel_path(dirfd, &whole)?;
        return links::into_mount(p, whole, true, &mut 0).ok()?.inside();
    }
    let whole = magic::kernel_path(dirfd, path)?;
    match links::into_mount(p, whole, follow, &mut 0).ok()? {
        Way::Into(path) => CString::new(path).ok(),
        // the directory exists (or does not) without us: remember that for a moment
        Way::Elsewhere(_) => {
            if let Some(key) = known {
                Remembered::put(key);
            }
            None
        }
    }
}

/// The text of the link at the application's own path.
fn last_link(dirfd: i64, path: i64) -> Option<Vec<u8>> {
    let mut buf = MaybeUninit::<[u8; user::PATH_MAX]>::uninit();
    let (to, size) = (buf.as_mut_ptr(), user::PATH_MAX);
    // SAFETY: the kernel checks the path; the buffer has the stated length.
    let n = unsafe { crate::call!(SYS_readlinkat, dirfd, path, to, size) }.ok()?;
    // SAFETY: the kernel has written n bytes.
    Some(unsafe { std::slice::from_raw_parts(to.cast::<u8>(), n as usize) }.to_vec())
}

/// Directories that lead into no mount, by (where the path starts, its text but the last
/// component), for a second: `ENOENT` is the commonest answer of all.
struct Remembered;

const LIFE_MS: u64 = 1_000;
const SLOTS: usize = 256;
static KNOWN: Guarded<[(u64, u64); SLOTS]> = Guarded::new([(0, 0); SLOTS]);

impl Remembered {
    fn key(p: &Process, dirfd: i64, base: &[u8]) -> Option<u64> {
        let mut h = Mix::default();
        h.write(base);
        if base.first() != Some(&b'/') {
            match dirfd as i32 {
                libc::AT_FDCWD => h.write_u32(p.cwd.generation()),
                fd => {
                    let st = ownfd::stat_of(fd).ok()?;
                    h.write_u64(st.st_dev);
                    h.write_u64(st.st_ino);
                }
            }
        }
        Some(h.finish().max(1))
    }

    fn has(key: u64) -> bool {
        let (known, when) = KNOWN.lock()[key as usize % SLOTS];
        known == key && now_ms().saturating_sub(when) < LIFE_MS
    }

    fn put(key: u64) {
        KNOWN.lock()[key as usize % SLOTS] = (key, now_ms());
    }
}

/// Rows without an operation: `errno` where the path is ours.
pub fn refuse(p: &'static Process, dirfd: i64, path: i64, errno: Errno) -> Op<i64> {
    let path = user::path(path).map_err(|_| Reject::NotOurs)?;
    match resolve::lookup_path(p, dirfd, path.to_bytes(), &Options::new(Follow::Yes))? {
        resolve::Located::Missing(_) => fail(Errno::ENOENT),
        resolve::Located::Outside(_) => fail(Errno::EXDEV),
        _ => fail(errno),
    }
}
