//! Calls whose path led out of our mounts: made on the kernel's own path for the rest.
use crate::links::{self, Last, Way};
use crate::magic;
use crate::ops::after;
use crate::process::Process;
use crate::resolve::{self, Target};
use crate::{call, fail, kernel, ownfd, user, Errno, Op, Reject};
use std::ffi::{CStr, CString};

/// The kernel's call `nr` with a path in place of (dirfd, path) at `at` and `at + 1`.
pub fn at(nr: i64, path: &CStr, at: usize, mut a: [i64; 6]) -> Op<i64> {
    a[at] = i64::from(libc::AT_FDCWD);
    a[at + 1] = path.as_ptr() as i64;
    if nr == libc::SYS_symlinkat {
        after::forget();
    }
    // SAFETY: the path is a string; the rest is the application's, checked by the kernel.
    Ok(unsafe { kernel::syscall(nr, a) }?)
}

/// The kernel's call `nr` with a path in place of the one at `at`.
pub fn path(nr: i64, path: &CStr, at: usize, mut a: [i64; 6]) -> Op<i64> {
    a[at] = path.as_ptr() as i64;
    // SAFETY: as above.
    Ok(unsafe { kernel::syscall(nr, a) }?)
}

/// An application's path went out of a mount by a last "..": the kernel's path has another name for
/// the directory it led to, which exists.
pub fn went_up(given: i64, path: &CStr) -> Op<bool> {
    let above = |path: &[u8]| {
        let last = path.split(|&b| b == b'/').rfind(|part| !part.is_empty());
        last == Some(b"..")
    };
    let mut buffer = user::PathBuffer::new();
    Ok(above(buffer.copy(given)?) && !above(path.to_bytes()))
}

/// `openat(2)`: the number born may still carry a stale entry of ours.
pub fn open(p: &'static Process, path: &CStr, flags: i32, mode: u32) -> Op<i64> {
    // SAFETY: a string.
    let fd = unsafe { call!(SYS_openat, libc::AT_FDCWD, path.as_ptr(), flags, mode) }?;
    p.fds.born(fd as i32);
    Ok(fd)
}

/// One side of a call with two paths, as the kernel is to see it.
#[allow(clippy::large_enum_variant)] // lives on the stack of one call
pub enum Side {
    /// It is ours.
    Ours(Target),
    /// It is the kernel's, by the application's own arguments or another path.
    Kernel(Option<CString>),
}

/// Sorts a resolution into ours and the kernel's.
pub fn side(target: Op<Target>) -> Op<Side> {
    match target {
        Ok(Target::Outside(path)) => Ok(Side::Kernel(Some(path))),
        Ok(target) => Ok(Side::Ours(target)),
        Err(Reject::NotOurs) => Ok(Side::Kernel(None)),
        Err(e) => Err(e),
    }
}

/// Sorts the two paths of a call (at 0 and 2). Where one of them is ours, or came out of a mount, a
/// look is taken at the other: it may lead into a mount through links of the kernel's, and where it
/// does not, its directory must exist - before two file systems are seen. Errors of the first come
/// first.
pub fn sides(
    p: &'static Process,
    old: Op<Target>,
    new: Op<Target>,
    a: [i64; 6],
) -> Op<(Side, Side)> {
    let is_ours =
        |target: &Op<Target>| !matches!(target, Ok(Target::Outside(_)) | Err(Reject::NotOurs));
    let mixed = is_ours(&old) != is_ours(&new);
    let look = |target, dirfd, ptr| match side(target)? {
        Side::Kernel(path) if mixed => kernel_side(p, dirfd, ptr, path),
        Side::Kernel(None) => {
            let inside = inside(p, dirfd, &user::path(ptr)?)?;
            Ok(inside.map_or(Side::Kernel(None), Side::Ours))
        }
        side => Ok(side),
    };
    let old = look(old, a[0], a[1])?;
    Ok((old, look(new, a[2], a[3])?))
}

fn kernel_side(p: &'static Process, dirfd: i64, ptr: i64, path: Option<CString>) -> Op<Side> {
    let (dirfd, path) = match path {
        Some(path) => (i64::from(libc::AT_FDCWD), path),
        None => (dirfd, user::path(ptr)?),
    };
    if path.is_empty() {
        return fail(Errno::ENOENT);
    }
    if let Some(target) = inside(p, dirfd, &path)? {
        return Ok(Side::Ours(target));
    }
    parent_exists(dirfd, &path)?;
    Ok(Side::Kernel(None))
}

/// What a path of the kernel's leads to in a mount, if it does.
fn inside(p: &'static Process, dirfd: i64, path: &CStr) -> Op<Option<Target>> {
    let Some(whole) = magic::kernel_path(dirfd, path.to_bytes()) else {
        return Ok(None);
    };
    let Way::Into(inside) = links::into_mount(p, whole, Last::Named, &mut 0)? else {
        return Ok(None);
    };
    match resolve::parent_of(p, dirfd, &inside) {
        // a name in /proc of a descriptor: itself no name of ours
        Err(Reject::NotOurs) => Ok(None),
        target => target.map(Some),
    }
}

/// The answer of call `nr` where neither of two paths, at 0 and 2, is ours.
pub fn both(nr: i64, old: &Option<CString>, new: &Option<CString>, mut a: [i64; 6]) -> Op<i64> {
    if old.is_none() && new.is_none() {
        return Err(Reject::NotOurs);
    }
    for (at, path) in [(0, old), (2, new)] {
        if let Some(path) = path {
            a[at] = i64::from(libc::AT_FDCWD);
            a[at + 1] = path.as_ptr() as i64;
        }
    }
    after::forget();
    // SAFETY: strings; the rest is the application's, checked by the kernel.
    Ok(unsafe { kernel::syscall(nr, a) }?)
}

/// The directory of a name on the kernel's side is there.
fn parent_exists(dirfd: i64, path: &CStr) -> Op<()> {
    let text = path.to_bytes();
    let end = text.iter().rposition(|&b| b != b'/').map_or(0, |i| i + 1);
    let dir = match text[..end].iter().rposition(|&b| b == b'/') {
        Some(slash) => &text[..=slash],
        None => &b"."[..],
    };
    let dir = CString::new(dir).map_err(|_| Errno::EINVAL)?;
    match ownfd::stat_at(dirfd as i32, &dir, 0)?.st_mode & libc::S_IFMT {
        libc::S_IFDIR => Ok(()),
        _ => fail(Errno::ENOTDIR),
    }
}
