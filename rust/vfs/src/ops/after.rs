//! What follows a call the kernel answered: descriptors born, identities and directories changed,
//! and the late walk of a path that failed - it may lead into a mount through a link the kernel
//! could not follow to its end.
use crate::catalogue::{self as op, OpId};
use crate::dcache::now_ms;
use crate::filter;
use crate::gate::Guarded;
use crate::hash::Mix;
use crate::links::{self, Last, Way};
use crate::magic;
use crate::mount::fd_path;
use crate::ops::{births, limits};
use crate::process::Process;
use crate::resolve::{self, Follow, Options};
use crate::{fail, inherit, ownfd, user, Errno, Op, Reject};
use std::ffi::CString;
use std::hash::Hasher;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicU32, Ordering};

/// The after-step of `op`, called with the general call's arguments and the kernel's answer; gives
/// what the application gets.
pub fn after(p: &'static Process, op: OpId, a: [i64; 6], ret: i64) -> i64 {
    match op {
        op::umask => p.credentials.set_umask(a[0] as u32),
        op::credentials if ret >= 0 => p.credentials.invalidate(),
        op::unshare if ret == 0 => {
            if a[0] as i32 & libc::CLONE_NEWUSER != 0 {
                inherit::left_user_name_space();
                p.credentials.renumbered();
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
        op::symlinkat | op::renameat2 if ret == 0 => forget(),
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

/// Where an operation has a path: index of the dirfd, index of the path, what its end means.
type Place = (Option<usize>, usize, Last);

/// The paths of an operation.
fn paths(op: OpId, a: &[i64; 6]) -> [Option<Place>; 2] {
    let by_flags = |flags: i64| match flags as i32 & libc::AT_SYMLINK_NOFOLLOW {
        0 => Last::Followed,
        _ => Last::Seen,
    };
    let at = |last| [Some((Some(0), 1, last)), None];
    let plain = |last| [Some((None, 0, last)), None];
    let two = [(0, 1), (2, 3)].map(|(dirfd, path)| Some((Some(dirfd), path, Last::Named)));
    match op {
        op::openat => {
            let flags = a[2] as i32;
            let exclusive = libc::O_CREAT | libc::O_EXCL;
            at(match flags & (exclusive | libc::O_PATH) {
                // which O_PATH leaves out
                all if all == exclusive => Last::Named,
                _ if flags & libc::O_NOFOLLOW != 0 => Last::Seen,
                _ => Last::Followed,
            })
        }
        op::openat2 => at(Last::Followed),
        op::statat | op::faccessat2 | op::fchmodat2 | op::utimensat => at(by_flags(a[3])),
        op::statx | op::getxattr_args | op::setxattr_args => at(by_flags(a[2])),
        op::fchownat => at(by_flags(a[4])),
        op::utimesat | op::execveat => at(Last::Followed),
        op::mkdirat | op::mknodat | op::unlinkat => at(Last::Named),
        op::readlinkat => at(Last::Seen),
        op::getxattrat | op::setxattrat => at(by_flags(a[5])),
        op::listxattrat => at(by_flags(a[4])),
        op::removexattrat => at(by_flags(a[3])),
        op::symlinkat => [Some((Some(1), 2, Last::Named)), None],
        op::renameat2 | op::linkat => two,
        op::truncate | op::utime | op::statfs | op::chdir => plain(Last::Followed),
        _ => [None, None],
    }
}

/// The kernel could not find a path: does it lead into a mount? Then the operation is done there,
/// else the answer stands.
fn late(p: &'static Process, op: OpId, a: [i64; 6], ret: i64) -> i64 {
    let mut b = a;
    let mut kept: [Option<CString>; 2] = [None, None];
    for (slot, place) in kept.iter_mut().zip(paths(op, &a)) {
        let Some((dirfd, path, last)) = place else {
            continue;
        };
        let from = dirfd.map_or(i64::from(libc::AT_FDCWD), |d| a[d]);
        let Some(inside) = enters(p, from, a[path], last) else {
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
    may.then(|| enters(p, dirfd, path, Last::Followed))
        .flatten()
}

/// The absolute path in a mount that an application's path leads to through the kernel's links.
fn enters(p: &'static Process, dirfd: i64, ptr: i64, last: Last) -> Option<CString> {
    let mut buffer = user::PathBuffer::new();
    let path = buffer.copy(ptr).ok()?;
    if path.is_empty() {
        return None;
    }
    let end = match last {
        Last::Named => path.iter().rposition(|&b| b != b'/').map_or(0, |i| i + 1),
        _ => path.len(),
    };
    let slash = path[..end].iter().rposition(|&b| b == b'/');
    let base = slash.map_or(&b""[..], |at| &path[..=at]);
    let known = Remembered::key(p, dirfd, base);
    if known.is_some_and(Remembered::has) && !p.mounts.has_name(&path[base.len()..end]) {
        // the directory leads into no mount: only a link in it may
        let followed = last == Last::Followed;
        let link = followed.then(|| last_link(dirfd, ptr)).flatten()?;
        let mut whole = match link.first() {
            Some(b'/') => Vec::new(),
            _ => base.to_vec(),
        };
        whole.extend_from_slice(&link);
        let whole = magic::kernel_path(dirfd, &whole)?;
        return links::into_mount(p, whole, Last::Followed, &mut 0)
            .ok()?
            .inside();
    }
    let whole = magic::kernel_path(dirfd, path)?;
    match links::into_mount(p, whole, last, &mut 0).ok()? {
        Way::Into(path) => CString::new(path).ok(),
        // the directory exists (or does not) without us: remember that for a moment
        Way::Elsewhere => {
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

/// A link of the kernel's was made or moved: what led nowhere may lead into a mount now.
pub(super) fn forget() {
    LINKS.fetch_add(1, Ordering::Relaxed);
}

/// Counts the links this process made on the kernel's side; another's are seen after [`LIFE_MS`].
static LINKS: AtomicU32 = AtomicU32::new(0);

/// Directories that lead into no mount, by (where the path starts, its text but the last
/// component), for a second: `ENOENT` is the commonest answer of all.
struct Remembered;

const LIFE_MS: u64 = 1_000;
const SLOTS: usize = 256;
static KNOWN: Guarded<[(u64, u64); SLOTS]> = Guarded::new([(0, 0); SLOTS]);

impl Remembered {
    fn key(p: &Process, dirfd: i64, base: &[u8]) -> Option<u64> {
        let mut h = Mix::default();
        h.write_u32(LINKS.load(Ordering::Relaxed));
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
