//! Extended attributes (xattr(7)): the name space `user.` on files and directories.
use crate::ops::outside;
use crate::permission::{As, Mode, READ, WRITE};
use crate::process::Process;
use crate::resolve::{self, Located, Options};
use crate::{fail, user, Errno, Op};
use dfs::{Kind, Object, XattrFlags};
use std::ffi::{CStr, CString};

/// `XATTR_SIZE_MAX`, `XATTR_LIST_MAX`
const SIZE_MAX: usize = 65536;
const PREFIX: &[u8] = b"user.";

/// The call of the kernel for a path that leads outside.
fn elsewhere(numbers: [i64; 2], path: &CStr, flags: i32, rest: [i64; 4]) -> Op<i64> {
    let nr = numbers[usize::from(flags & libc::AT_SYMLINK_NOFOLLOW != 0)];
    let [b, c, d, e] = rest;
    outside::path(nr, path, 0, [0, b, c, d, e, 0])
}

/// Makes a call on what was found.
fn on<T>(located: &Located, call: impl Fn(&Object) -> Result<T, Errno>) -> Op<T> {
    match located {
        Located::Entry(entry) => Ok(call(&entry.object)?),
        Located::Node(node) => Ok(node.by_entry(call)?),
        _ => fail(Errno::ENOENT),
    }
}

/// The f forms refuse `O_PATH`.
fn find(p: &'static Process, a: [i64; 6], options: &Options) -> Op<Located> {
    let flags = if options.empty {
        libc::AT_EMPTY_PATH
    } else {
        0
    };
    if resolve::is_descriptor(a[0], a[1], flags) {
        p.fds.get_data(a[0] as i32)?;
    }
    resolve::lookup(p, a[0], a[1], options)
}

/// Copies the name: `ERANGE` for an empty or too long one.
fn name(ptr: i64) -> Result<CString, Errno> {
    let name = user::string(ptr, 256, Errno::ERANGE)?;
    match name.as_bytes().len() {
        1..=255 => Ok(name),
        _ => Err(Errno::ERANGE),
    }
}

/// Name space and permission, as `xattr_permission` of the kernel.
fn allowed(p: &Process, located: &Located, name: &CStr, mask: u32) -> Op<()> {
    let attr = resolve::attr_of(located)?;
    let mount = match located {
        Located::Entry(entry) => entry.found.parent.mount,
        Located::Node(node) => node.mount,
        _ => return fail(Errno::ENOENT),
    };
    if mask == WRITE && mount.is_read_only() {
        return fail(Errno::EROFS);
    }
    let Some(rest) = name.to_bytes().strip_prefix(PREFIX) else {
        return fail(Errno::ENOTSUP);
    };
    let (ids, file) = (p.credentials.ids(), Mode::from(&attr));
    if attr.kind() == Kind::Symlink {
        return fail(if mask == WRITE {
            Errno::EPERM
        } else {
            Errno::ENODATA
        });
    }
    let sticky_dir = attr.kind() == Kind::Directory && file.mode & libc::S_ISVTX != 0;
    if mask == WRITE && sticky_dir && !ids.owns(file) {
        return fail(Errno::EPERM);
    }
    if rest.is_empty() {
        return fail(Errno::EINVAL);
    }
    Ok(ids.check(file, mask, As::Effective)?)
}

/// Hands a value out: its size alone for size 0, `ERANGE` if it does not fit.
fn give(value: &[u8], buf: i64, size: usize) -> Op<i64> {
    if size != 0 {
        if value.len() > size {
            return fail(Errno::ERANGE);
        }
        user::put_bytes(buf, value)?;
    }
    Ok(value.len() as i64)
}

/// `getxattrat(dirfd, path, name, value, size, flags)`
pub fn getxattrat(p: &'static Process, a: [i64; 6]) -> Op<i64> {
    let flags = a[5] as i32;
    let located = find(p, a, &Options::from_flags(flags))?;
    if let Located::Outside(path) = located {
        let numbers = [libc::SYS_getxattr, libc::SYS_lgetxattr];
        return elsewhere(numbers, &path, flags, [a[2], a[3], a[4], 0]);
    }
    let name = name(a[2])?;
    allowed(p, &located, &name, READ)?;
    let value = on(&located, |object| object.get_xattr(&name))?;
    give(&value, a[3], a[4] as usize)
}

/// `setxattrat(dirfd, path, name, value, size, flags)`: both kinds of flags in one word.
pub fn setxattrat(p: &'static Process, a: [i64; 6]) -> Op<i64> {
    let flags = a[5] as i32;
    let options = Options::from_flags(flags).fresh();
    let set = flags & !(libc::AT_SYMLINK_NOFOLLOW | libc::AT_EMPTY_PATH);
    let located = find(p, a, &options)?;
    if let Located::Outside(path) = located {
        let numbers = [libc::SYS_setxattr, libc::SYS_lsetxattr];
        return elsewhere(numbers, &path, flags, [a[2], a[3], a[4], i64::from(set)]);
    }
    let how = match set {
        0 => XattrFlags::Any,
        libc::XATTR_CREATE => XattrFlags::Create,
        libc::XATTR_REPLACE => XattrFlags::Replace,
        _ => return fail(Errno::EINVAL),
    };
    let name = name(a[2])?;
    let size = a[4] as usize;
    if size > SIZE_MAX {
        return fail(Errno::E2BIG);
    }
    user::readable(a[3], size)?;
    let value = match size {
        0 => &[][..],
        // SAFETY: the caller of setxattr(2) promises `size` readable bytes; they were probed.
        size => unsafe { std::slice::from_raw_parts(a[3] as usize as *const u8, size) },
    };
    allowed(p, &located, &name, WRITE)?;
    on(&located, |object| object.set_xattr(&name, value, how))?;
    Ok(0)
}

/// The kernel's `struct xattr_args`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Args {
    value: u64,
    size: u32,
    flags: u32,
}

const AT_FLAGS: i32 = libc::AT_SYMLINK_NOFOLLOW | libc::AT_EMPTY_PATH;

/// The structure of `getxattrat` and `setxattrat`, `len` bytes at `ptr`: larger ones may only hold
/// zeros beyond what is known. `EINVAL`, `E2BIG`, `EFAULT`.
fn args(ptr: i64, len: i64, at_flags: i64, flags: i32) -> Result<Args, Errno> {
    const KNOWN: usize = size_of::<Args>();
    let len = len as usize;
    if at_flags as i32 & !AT_FLAGS != 0 || len < KNOWN {
        return Err(Errno::EINVAL);
    }
    if len > 4096 {
        return Err(Errno(libc::E2BIG));
    }
    let args = user::get::<Args>(ptr)?;
    for at in KNOWN..len {
        if user::get::<u8>(ptr + at as i64)? != 0 {
            return Err(Errno(libc::E2BIG));
        }
    }
    if args.flags & !(flags as u32) != 0 {
        return Err(Errno::EINVAL);
    }
    Ok(args)
}

/// The same, where the path is ours.
fn args_of(p: &'static Process, a: [i64; 6], flags: i32) -> Op<Args> {
    let args = args(a[4], a[5], a[2], flags);
    if args.is_err() {
        find(p, a, &Options::from_flags(a[2] as i32 & AT_FLAGS))?;
    }
    Ok(args?)
}

/// `getxattr_args(dirfd, path, at_flags, name, args, size)`: the kernel's `getxattrat`.
pub fn getxattr_args(p: &'static Process, a: [i64; 6]) -> Op<i64> {
    let given = args_of(p, a, 0)?;
    let (value, size) = (given.value as i64, i64::from(given.size));
    getxattrat(p, [a[0], a[1], a[3], value, size, a[2]])
}

/// `setxattr_args(dirfd, path, at_flags, name, args, size)`: the kernel's `setxattrat`.
pub fn setxattr_args(p: &'static Process, a: [i64; 6]) -> Op<i64> {
    let given = args_of(p, a, libc::XATTR_CREATE | libc::XATTR_REPLACE)?;
    let (value, size) = (given.value as i64, i64::from(given.size));
    let flags = a[2] | i64::from(given.flags);
    setxattrat(p, [a[0], a[1], a[3], value, size, flags])
}

/// `listxattrat(dirfd, path, list, size, flags)`
pub fn listxattrat(p: &'static Process, a: [i64; 6]) -> Op<i64> {
    let flags = a[4] as i32;
    let located = find(p, a, &Options::from_flags(flags))?;
    if let Located::Outside(path) = located {
        let numbers = [libc::SYS_listxattr, libc::SYS_llistxattr];
        return elsewhere(numbers, &path, flags, [a[2], a[3], 0, 0]);
    }
    let all = on(&located, Object::list_xattr)?;
    let mut shown = Vec::with_capacity(all.len());
    for name in all.split_inclusive(|&b| b == 0) {
        if name.starts_with(PREFIX) {
            shown.extend_from_slice(name);
        }
    }
    give(&shown, a[2], a[3] as usize)
}

/// `removexattrat(dirfd, path, name, flags)`
pub fn removexattrat(p: &'static Process, a: [i64; 6]) -> Op<i64> {
    let flags = a[3] as i32;
    let located = find(p, a, &Options::from_flags(flags).fresh())?;
    if let Located::Outside(path) = located {
        let numbers = [libc::SYS_removexattr, libc::SYS_lremovexattr];
        return elsewhere(numbers, &path, flags, [a[2], 0, 0, 0]);
    }
    let name = name(a[2])?;
    allowed(p, &located, &name, WRITE)?;
    on(&located, |object| object.remove_xattr(&name))?;
    Ok(0)
}
