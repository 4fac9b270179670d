//! Changing attributes: chmod(2), chown(2), utimensat(2), truncate(2).
use crate::node::Node;
use crate::ops::outside;
use crate::permission::{As, Mode, WRITE};
use crate::process::Process;
use crate::resolve::{self, settle, Follow, Located, Options};
use crate::{fail, user, Errno, Op};
use dfs::{Attr, Kind, SetAttr, SetTime};

const AT_FLAGS: i32 = libc::AT_SYMLINK_NOFOLLOW | libc::AT_EMPTY_PATH;
/// The table's mark of fchmod(2) and fchown(2), which refuse an `O_PATH` descriptor as their kin with
/// `AT_EMPTY_PATH` do not.
const AT_BY_NUMBER: i32 = 0x4000_0000;
const SETID: u32 = libc::S_ISUID | libc::S_ISGID;

/// Applies a change and lets the process's own node of that object know.
fn apply(p: &Process, located: &Located, attr: &Attr, set: &SetAttr) -> Op<i64> {
    let mount = match located {
        Located::Entry(entry) => {
            entry.object.set_attr(set)?;
            entry.found.parent.mount
        }
        Located::Node(node) => {
            node.set_attr(set)?;
            node.mount
        }
        _ => return fail(Errno::ENOENT),
    };
    if let Some(node) = p.nodes.find(mount, attr.oid) {
        let old = Mode::from(attr);
        let kept = |old: u32, new: Option<u32>| new.unwrap_or(old);
        let bits = kept(old.mode & 0o7777, set.mode);
        let mode = old.mode & libc::S_IFMT | bits;
        node.permissions.set(Mode {
            mode,
            uid: kept(old.uid, set.uid),
            gid: kept(old.gid, set.gid),
        });
    }
    Ok(0)
}

/// The content of a file was changed: an unprivileged writer takes its set-id bits away. Costs
/// nothing where there are none, as last seen.
#[inline]
pub fn written(p: &Process, node: &Node) {
    let seen = node.permissions.get_at(u64::MAX, 0); // without a look at the clock
    if seen.is_some_and(|mode| mode.mode & SETID != 0) {
        drop_setid(p, node);
    }
}

#[cold]
fn drop_setid(p: &Process, node: &Node) {
    let Some(mut mode) = node.permissions.get(u64::MAX) else {
        return;
    };
    let executable = mode.mode & libc::S_IXGRP != 0;
    let kept = match executable {
        true => mode.mode & !SETID,
        false => mode.mode & !libc::S_ISUID,
    };
    if kept == mode.mode || p.credentials.ids().keeps_setid() {
        return;
    }
    let set = SetAttr {
        mode: Some(kept & 0o7777 & !libc::S_ISVTX),
        ..SetAttr::default()
    };
    if node.set_attr(&set).is_ok() {
        mode.mode = kept;
        node.permissions.set(mode);
    }
}

fn writable(located: &Located) -> Result<(), Errno> {
    let mount = match located {
        Located::Entry(entry) => entry.found.parent.mount,
        Located::Node(node) => node.mount,
        _ => return Err(Errno::ENOENT),
    };
    match mount.is_read_only() {
        true => Err(Errno::EROFS),
        false => Ok(()),
    }
}

/// `fchmodat2(dirfd, path, mode, flags)`: the owner; links have no mode of their own.
pub fn fchmodat2(p: &'static Process, a: [i64; 6]) -> Op<i64> {
    let (mode, flags) = (a[2] as u32 & 0o7777, a[3] as i32 & !AT_BY_NUMBER);
    let located = settle(resolve::lookup(
        p,
        a[0],
        a[1],
        &Options::from_flags(flags).fresh(),
    ))?;
    if flags & !AT_FLAGS != 0 {
        return fail(Errno::EINVAL);
    }
    if a[3] as i32 & AT_BY_NUMBER != 0 {
        p.fds.get_data(a[0] as i32)?;
    }
    let located = located?;
    if let Located::Outside(path) = located {
        let nr = if flags == 0 {
            libc::SYS_fchmodat
        } else {
            SYS_FCHMODAT2
        };
        return outside::at(nr, &path, 0, a);
    }
    let attr = resolve::attr_of(&located)?;
    writable(&located)?;
    if attr.kind() == Kind::Symlink {
        return fail(Errno::ENOTSUP);
    }
    let (ids, file) = (p.credentials.ids(), Mode::from(&attr));
    if !ids.owns(file) {
        return fail(Errno::EPERM);
    }
    let mode = match ids.keeps_setgid(file) {
        true => mode,
        false => mode & !libc::S_ISGID,
    };
    if mode & libc::S_ISVTX != 0 && mode == file.mode & 0o7777 {
        // libdfs keeps the sticky bit of a mkdir, but refuses to be told of it again
        return Ok(0);
    }
    apply(
        p,
        &located,
        &attr,
        &SetAttr {
            mode: Some(mode),
            ..SetAttr::default()
        },
    )
}

/// fchmodat2(2) has one number everywhere.
const SYS_FCHMODAT2: i64 = 452;

/// `fchownat(dirfd, path, uid, gid, flags)`. Set-id bits of files go, as in Linux.
pub fn fchownat(p: &'static Process, a: [i64; 6]) -> Op<i64> {
    let flags = a[4] as i32 & !AT_BY_NUMBER;
    let located = settle(resolve::lookup(
        p,
        a[0],
        a[1],
        &Options::from_flags(flags).fresh(),
    ))?;
    if flags & !AT_FLAGS != 0 {
        return fail(Errno::EINVAL);
    }
    if a[4] as i32 & AT_BY_NUMBER != 0 {
        p.fds.get_data(a[0] as i32)?;
    }
    let located = located?;
    if let Located::Outside(path) = located {
        return outside::at(libc::SYS_fchownat, &path, 0, a);
    }
    let attr = resolve::attr_of(&located)?;
    writable(&located)?;
    let (ids, file) = (p.credentials.ids(), Mode::from(&attr));
    let (uid, gid) = (ids.user_in(a[2])?, ids.group_in(a[3])?);
    let same_owner = |uid| ids.owner().0 == file.uid && uid == file.uid;
    if uid.is_some_and(|uid| !ids.may_give_away(file) && !same_owner(uid))
        || gid.is_some_and(|gid| !ids.may_take_group(file, gid))
    {
        return fail(Errno::EPERM);
    }
    let mut kept = file.mode & 0o7777;
    if attr.kind() == Kind::File {
        // (a file's sticky bit means nothing, and libdfs would refuse it)
        kept &= !(libc::S_ISUID | libc::S_ISVTX);
        if file.mode & libc::S_IXGRP != 0 || !ids.keeps_setgid(file) {
            kept &= !libc::S_ISGID;
        }
    }
    let mode = (file.mode & SETID != kept & SETID).then_some(kept);
    if uid.is_none() && gid.is_none() && mode.is_none() {
        return Ok(0);
    }
    apply(
        p,
        &located,
        &attr,
        &SetAttr {
            mode,
            uid,
            gid,
            ..SetAttr::default()
        },
    )
}

/// One time as the caller gave it; `None` leaves it.
fn time(t: &libc::timespec) -> Result<Option<SetTime>, Errno> {
    match t.tv_nsec {
        libc::UTIME_OMIT => Ok(None),
        libc::UTIME_NOW => Ok(Some(SetTime::Now)),
        nsec @ 0..=999_999_999 => Ok(Some(SetTime::At(t.tv_sec, nsec))),
        _ => Err(Errno::EINVAL),
    }
}

const NOW: [Option<SetTime>; 2] = [Some(SetTime::Now); 2];

/// The file of a call that changes times; a null path means the descriptor itself.
fn timed(p: &'static Process, dirfd: i64, path: i64, flags: i32) -> Op<Located> {
    match path {
        0 => Ok(Located::Node(p.fds.get_data(dirfd as i32)?.node.clone())),
        path => resolve::lookup(p, dirfd, path, &Options::from_flags(flags).fresh()),
    }
}

/// Sets both times: any writer may set them to now, only the owner to anything else.
fn set_times(p: &Process, located: &Located, times: [Option<SetTime>; 2]) -> Op<i64> {
    let attr = resolve::attr_of(located)?;
    writable(located)?;
    let (ids, file) = (p.credentials.ids(), Mode::from(&attr));
    if !ids.owns(file) {
        if times != NOW {
            return fail(Errno::EPERM);
        }
        ids.check(file, WRITE, As::Effective)?;
    }
    let [atime, mtime] = times;
    if mtime.is_none() {
        return Ok(0); // DFS keeps no time of access
    }
    apply(
        p,
        located,
        &attr,
        &SetAttr {
            atime,
            mtime,
            ..SetAttr::default()
        },
    )
}

/// `utimensat(dirfd, path, times, flags)`
pub fn utimensat(p: &'static Process, a: [i64; 6]) -> Op<i64> {
    let flags = a[3] as i32;
    let located = settle(timed(p, a[0], a[1], flags))?;
    if flags & !AT_FLAGS != 0 {
        return fail(Errno::EINVAL);
    }
    let times = match a[2] {
        0 => NOW,
        ptr => {
            let [atime, mtime]: [libc::timespec; 2] = user::get(ptr)?;
            [time(&atime)?, time(&mtime)?]
        }
    };
    if times == [None, None] {
        return Ok(0);
    }
    let located = located?;
    if let Located::Outside(path) = located {
        return outside::at(libc::SYS_utimensat, &path, 0, a);
    }
    set_times(p, &located, times)
}

/// `utimesat(dirfd, path, times)`: microseconds.
pub fn utimesat(p: &'static Process, a: [i64; 6]) -> Op<i64> {
    let located = timed(p, a[0], a[1], 0)?;
    let times = match a[2] {
        0 => None,
        ptr => {
            let given: [libc::timeval; 2] = user::get(ptr)?;
            if given.iter().any(|t| !(0..1_000_000).contains(&t.tv_usec)) {
                return fail(Errno::EINVAL);
            }
            Some(given.map(|t| libc::timespec {
                tv_sec: t.tv_sec,
                tv_nsec: t.tv_usec * 1000,
            }))
        }
    };
    if let Located::Outside(path) = located {
        let times = times.as_ref().map_or(std::ptr::null(), |t| t.as_ptr());
        let b = [0, 0, times as i64, 0, 0, 0];
        return outside::at(libc::SYS_utimensat, &path, 0, b);
    }
    let set = |t: libc::timespec| Some(SetTime::At(t.tv_sec, t.tv_nsec));
    set_times(p, &located, times.map_or(NOW, |t| t.map(set)))
}

/// `utime(path, times)`: whole seconds.
pub fn utime(p: &'static Process, a: [i64; 6]) -> Op<i64> {
    let options = Options::new(Follow::Yes).fresh();
    let located = resolve::lookup(p, i64::from(libc::AT_FDCWD), a[0], &options)?;
    let times: Option<[i64; 2]> = match a[1] {
        0 => None,
        ptr => Some(user::get(ptr)?),
    };
    if let Located::Outside(path) = located {
        let times = times.map(|t| t.map(|tv_sec| libc::timespec { tv_sec, tv_nsec: 0 }));
        let times = times.as_ref().map_or(std::ptr::null(), |t| t.as_ptr());
        let b = [0, 0, times as i64, 0, 0, 0];
        return outside::at(libc::SYS_utimensat, &path, 0, b);
    }
    let set = |sec| Some(SetTime::At(sec, 0));
    set_times(p, &located, times.map_or(NOW, |t| t.map(set)))
}

/// `truncate(path, length)`
pub fn truncate(p: &'static Process, a: [i64; 6]) -> Op<i64> {
    let options = Options::new(Follow::Yes).fresh();
    let located = settle(resolve::lookup(
        p,
        i64::from(libc::AT_FDCWD),
        a[0],
        &options,
    ))?;
    if a[1] < 0 {
        return fail(Errno::EINVAL);
    }
    let located = located?;
    if let Located::Outside(path) = located {
        return outside::path(libc::SYS_truncate, &path, 0, a);
    }
    let (kind, mode) = match &located {
        Located::Entry(entry) => (entry.attr.kind(), Mode::from(&entry.attr)),
        Located::Node(node) => (node.kind, resolve::mode_of(p, node)?),
        _ => return fail(Errno::ENOENT),
    };
    match kind {
        Kind::Directory => return fail(Errno::EISDIR),
        Kind::Symlink => return fail(Errno::EINVAL),
        Kind::File => {}
    }
    writable(&located)?;
    p.credentials.ids().check(mode, WRITE, As::Effective)?;
    let node = match located {
        Located::Entry(entry) => entry.node(p),
        Located::Node(node) => node,
        _ => return fail(Errno::ENOENT),
    };
    crate::ops::resize(p, &node, a[1])?;
    Ok(0)
}
