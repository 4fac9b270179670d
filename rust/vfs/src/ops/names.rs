//! Names coming and going: unlink(2), rename(2), symlink(2), link(2), mknod(2), readlink(2).
//!
//! A file whose last name goes while it is open here keeps its object under a hidden name
//! ([`crate::ops::hidden`]); a directory keeps its last attributes only.
use crate::board;
use crate::holders;
use crate::magic;
use crate::mount::Mount;
use crate::node::{Gone, Node};
use crate::ops::hidden;
use crate::ops::outside::{self, Side};
use crate::permission::{As, Mode, EXEC, WRITE};
use crate::process::Process;
use crate::resolve::{self, settle, Follow, Found, Last, Located, Options, Target};
use crate::{fail, user, Errno, Op, Reject};
use dfs::{Access, Attr, Create, Kind, Object};
use std::ffi::CStr;
use std::sync::Arc;

/// Owner of a new file, as (uid, gid).
type Owner = (u32, u32);

/// May something be made in this directory? Who will own it, and the directory's mode. `ENOENT`
/// in a removed one.
pub fn may_create(p: &Process, dir: &Node) -> Result<(Owner, Mode), Errno> {
    dir.verify();
    if dir.is_gone() {
        return Err(Errno::ENOENT);
    }
    if dir.mount.is_read_only() {
        return Err(Errno::EROFS);
    }
    let ids = p.credentials.ids();
    let mode = resolve::mode_of(p, dir)?;
    ids.check(mode, WRITE | EXEC, As::Effective)?;
    let (uid, gid) = ids.owner();
    let gid = if mode.mode & libc::S_ISGID != 0 {
        mode.gid
    } else {
        gid
    };
    Ok(((uid, gid), mode))
}

/// Makes a name with `how`, if that is allowed. An existing name is `EEXIST` even where making
/// one is not allowed.
pub fn make(
    p: &Process,
    found: &Found,
    how: impl FnOnce(&Object, Owner, Mode) -> Result<(), Errno>,
) -> Op<()> {
    match may_create(p, &found.parent) {
        Ok((owner, mode)) => Ok(how(&found.parent.object, owner, mode)?),
        Err(e @ (Errno::EACCES | Errno::EROFS)) => match entry(found) {
            Ok(_) => fail(Errno::EEXIST),
            _ => fail(e),
        },
        Err(e) => fail(e),
    }
}

/// As [`make`], for what is no directory: a name that ends in a slash cannot be made.
fn make_file(
    p: &Process,
    found: &Found,
    how: impl FnOnce(&Object, Owner, Mode) -> Result<(), Errno>,
) -> Op<()> {
    if found.trailing_slash {
        return match entry(found) {
            Ok(_) => fail(Errno::EEXIST),
            Err(e) => fail(e),
        };
    }
    make(p, found, how)
}

/// Attributes of the entry.
fn entry(found: &Found) -> Result<Attr, Errno> {
    found
        .parent
        .mount
        .fs()?
        .stat(&found.parent.object, &found.name)
}

/// `mknodat(dirfd, path, mode, dev)`: regular files; DFS holds nothing else.
pub fn mknodat(p: &'static Process, a: [i64; 6]) -> Op<i64> {
    let found = match resolve::parent(p, a[0], a[1])? {
        Target::Outside(path) => return outside::at(libc::SYS_mknodat, &path, 0, a),
        Target::Node(..) => return fail(Errno::EEXIST),
        Target::Name(found) => found,
    };
    let mode = a[2] as u32;
    let kind = mode & libc::S_IFMT;
    match kind {
        0 | libc::S_IFREG | libc::S_IFCHR | libc::S_IFBLK | libc::S_IFIFO | libc::S_IFSOCK => {}
        libc::S_IFDIR => return fail(Errno::EPERM),
        _ => return fail(Errno::EINVAL),
    }
    make_file(p, &found, |dir, owner, _| {
        let fs = found.parent.mount.fs()?;
        if kind & !libc::S_IFREG != 0 {
            return Err(match entry(&found) {
                Ok(_) => Errno::EEXIST,
                Err(_) => Errno::EPERM,
            });
        }
        let mode = mode & 0o7777 & !p.credentials.umask();
        let how = Create {
            mode,
            exclusive: true,
            access: Access::ReadWrite,
        };
        fs.create(dir, &found.name, how, owner).map(drop)
    })?;
    Ok(0)
}

/// `symlinkat(target, newdirfd, linkpath)`
pub fn symlinkat(p: &'static Process, a: [i64; 6]) -> Op<i64> {
    let found = match resolve::parent(p, a[1], a[2])? {
        Target::Outside(path) => return outside::at(libc::SYS_symlinkat, &path, 1, a),
        Target::Node(..) => return fail(Errno::EEXIST),
        Target::Name(found) => found,
    };
    let target = user::path(a[0])?;
    if target.is_empty() {
        return fail(Errno::ENOENT);
    }
    make_file(p, &found, |dir, owner, _| {
        found
            .parent
            .mount
            .fs()?
            .symlink(dir, &found.name, &target, owner)
    })?;
    Ok(0)
}

/// `linkat(olddirfd, oldpath, newdirfd, newpath, flags)`: `EPERM`, once everything else is right.
pub fn linkat(p: &'static Process, a: [i64; 6]) -> Op<i64> {
    let flags = a[4] as i32;
    let follow = match flags & libc::AT_SYMLINK_FOLLOW {
        0 => Follow::No,
        _ => Follow::Yes,
    };
    let empty = flags & libc::AT_EMPTY_PATH != 0;
    let old = resolve::lookup(
        p,
        a[0],
        a[1],
        &Options {
            empty,
            ..Options::new(follow)
        },
    );
    let new = outside::side(resolve::parent(p, a[2], a[3]))?;
    let (old, found) = match (old, new) {
        (Err(Reject::NotOurs), Side::Kernel(new)) => {
            return outside::both(libc::SYS_linkat, &None, &new, a)
        }
        (Ok(Located::Outside(old)), Side::Kernel(new)) => {
            return outside::both(libc::SYS_linkat, &Some(old), &new, a)
        }
        (Err(Reject::Errno(e)), _) => return fail(e),
        (_, Side::Kernel(_)) | (Err(_) | Ok(Located::Outside(_)), _) => return fail(Errno::EXDEV),
        (Ok(old), Side::Ours(new)) => (old, new),
    };
    resolve::attr_of(&old)?;
    let mount = match &old {
        Located::Entry(entry) => entry.found.parent.mount,
        Located::Node(node) => node.mount,
        Located::Missing(_) | Located::Outside(_) => return fail(Errno::ENOENT),
    };
    match found {
        Target::Name(found) => make_file(p, &found, |_, _, _| match entry(&found) {
            Ok(_) => Err(Errno::EEXIST),
            Err(_) if !std::ptr::eq(mount, found.parent.mount) => Err(Errno::EXDEV),
            Err(_) => Err(Errno::EPERM),
        })?,
        _ => return fail(Errno::EEXIST),
    }
    fail(Errno::EPERM)
}

/// `readlinkat(dirfd, path, buf, size)`: cut to the buffer, no NUL.
pub fn readlinkat(p: &'static Process, a: [i64; 6]) -> Op<i64> {
    let path = user::path(a[1])?;
    let options = Options {
        empty: true,
        ..Options::new(Follow::No)
    };
    let whole = magic::relative(p, a[0], path.to_bytes());
    let whole = whole.as_deref().unwrap_or(path.to_bytes());
    let text = match magic::magic(p, whole) {
        Some((node, rest)) if rest >= whole.len() => shown_path(&node)?,
        None if magic::program(whole).is_some() => {
            magic::program(whole).unwrap_or_default().to_vec()
        }
        _ => match resolve::lookup_path(p, a[0], path.to_bytes(), &options)? {
            Located::Outside(path) => return outside::at(libc::SYS_readlinkat, &path, 0, a),
            Located::Missing(_) => return fail(Errno::ENOENT),
            Located::Entry(entry) if entry.attr.kind() == Kind::Symlink => {
                entry.object.readlink()?.into_bytes()
            }
            Located::Node(node) if node.kind == Kind::Symlink => {
                node.object.readlink()?.into_bytes()
            }
            Located::Node(_) if path.is_empty() => return fail(Errno::ENOENT),
            _ => return fail(Errno::EINVAL),
        },
    };
    let size = a[3] as i32;
    if size <= 0 {
        return fail(Errno::EINVAL);
    }
    let text = &text[..text.len().min(size as usize)];
    user::put_bytes(a[2], text)?;
    Ok(text.len() as i64)
}

/// What `/proc/self/fd/N` shows.
fn shown_path(node: &Node) -> Result<Vec<u8>, Errno> {
    let (path, gone) = node.last_path()?;
    let mut text = path.into_bytes();
    if gone {
        text.extend_from_slice(b" (deleted)");
    }
    Ok(text)
}

/// `unlinkat(dirfd, path, flags)`
pub fn unlinkat(p: &'static Process, a: [i64; 6]) -> Op<i64> {
    let directory = a[2] as i32 & libc::AT_REMOVEDIR != 0;
    let target = settle(resolve::parent(p, a[0], a[1]))?;
    if a[2] as i32 & !libc::AT_REMOVEDIR != 0 {
        return fail(Errno::EINVAL);
    }
    let found = match target? {
        Target::Outside(path) if directory && outside::went_up(a[1], &path)? => {
            return fail(Errno::ENOTEMPTY)
        }
        Target::Outside(path) => return outside::at(libc::SYS_unlinkat, &path, 0, a),
        Target::Node(_, last) if directory => {
            return fail(match last {
                Last::Dot => Errno::EINVAL,
                Last::DotDot => Errno::ENOTEMPTY,
                _ => Errno::EBUSY,
            })
        }
        Target::Node(..) => return fail(Errno::EISDIR),
        Target::Name(found) => found,
    };
    let Found {
        parent,
        name,
        trailing_slash,
    } = &found;
    if parent.mount.is_read_only() {
        return fail(Errno::EROFS);
    }
    let attr = entry(&found)?;
    let is_dir = attr.kind() == Kind::Directory;
    if *trailing_slash && !directory {
        return fail(if is_dir {
            Errno::EISDIR
        } else {
            Errno::ENOTDIR
        });
    }
    p.credentials
        .ids()
        .may_delete(resolve::mode_of(p, parent)?, Mode::from(&attr))?;
    match (directory, is_dir) {
        (true, false) => return fail(Errno::ENOTDIR),
        (false, true) => return fail(Errno::EISDIR),
        _ => {}
    }
    remove(p, parent, name, &attr)?;
    Ok(0)
}

/// Removes an entry and tells the node behind it.
fn remove(p: &'static Process, parent: &Arc<Node>, name: &CStr, attr: &Attr) -> Result<(), Errno> {
    let fs = parent.mount.fs()?;
    let node = p.nodes.find(parent.mount, attr.oid);
    if attr.kind() == Kind::Directory {
        let result = fs.rmdir(&parent.object, name);
        if matches!(result, Ok(()) | Err(Errno::ENOENT)) {
            board::entry_changed(parent.oid, name);
            p.dcache.remove(parent, name);
        }
        result?;
        lost(parent.mount, node.as_deref(), attr);
        return Ok(());
    }
    hidden::remove(p, node.as_ref(), parent, name, attr)
}

/// A directory lost its name: it is empty, and nothing can be made in it any more.
fn lost(mount: &Mount, node: Option<&Node>, attr: &Attr) {
    board::object_changed(attr.oid);
    holders::tell(holders::key(mount.hash(), attr.oid), holders::GONE);
    let Some(node) = node else { return };
    let mut place = node.place.lock().unwrap_or_else(|e| e.into_inner());
    place.gone = Some(Gone {
        attr: *attr,
        hidden: false,
    });
}

/// `renameat2(olddirfd, oldpath, newdirfd, newpath, flags)`
pub fn renameat2(p: &'static Process, a: [i64; 6]) -> Op<i64> {
    let old = resolve::parent(p, a[0], a[1]);
    if let Err(Reject::Errno(e)) = old {
        if e.is_outage() {
            return fail(e); // one attempt is enough
        }
    }
    let new = resolve::parent(p, a[2], a[3]);
    if matches!((&old, &new), (Err(Reject::NotOurs), Err(Reject::NotOurs))) {
        return Err(Reject::NotOurs);
    }
    let mode = Mode2::from_flags(a[4] as u32)?;
    let (old, new) = match outside::sides(p, old, new, a)? {
        (Side::Kernel(old), Side::Kernel(new)) => {
            return outside::both(libc::SYS_renameat2, &old, &new, a)
        }
        (Side::Ours(old), Side::Ours(new)) => (old, new),
        _ => return fail(Errno::EXDEV),
    };
    if !std::ptr::eq(mount_of(p, &old), mount_of(p, &new)) {
        return fail(Errno::EXDEV);
    }
    let (old, new) = match (old, new) {
        (Target::Name(old), Target::Name(new)) => (old, new),
        (Target::Name(_), _) if mode == Mode2::NoReplace => return fail(Errno::EEXIST),
        _ => return fail(Errno::EBUSY),
    };
    if old.parent.mount.is_read_only() {
        return fail(Errno::EROFS);
    }
    let from = entry(&old)?;
    if new.parent.is_gone() {
        return fail(Errno::ENOENT);
    }
    let to = match entry(&new) {
        Ok(attr) => Some(attr),
        Err(Errno::ENOENT) => None,
        Err(e) => return fail(e),
    };
    mode.check(p, &old, &from, &new, to.as_ref())?;
    match (mode, to) {
        (_, Some(to)) if to.oid == from.oid => {}
        (Mode2::Exchange, Some(to)) => exchange(p, &old, &from, &new, &to)?,
        (_, to) => replace(p, &old, &from, &new, to.as_ref(), mode == Mode2::NoReplace)?,
    }
    Ok(0)
}

/// The mount of the directory a name is in: for a mount point that of the mount around it.
fn mount_of(p: &Process, target: &Target) -> *const crate::mount::Mount {
    match target {
        Target::Name(found) => found.parent.mount,
        Target::Node(node, Last::Root) => p.mounts.around(node.mount),
        Target::Node(node, _) => node.mount,
        Target::Outside(_) => std::ptr::null(),
    }
}

/// What kind of rename it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode2 {
    Replace,
    NoReplace,
    Exchange,
}

impl Mode2 {
    fn from_flags(flags: u32) -> Result<Mode2, Errno> {
        match flags {
            0 => Ok(Mode2::Replace),
            libc::RENAME_NOREPLACE => Ok(Mode2::NoReplace),
            libc::RENAME_EXCHANGE => Ok(Mode2::Exchange),
            _ => Err(Errno::EINVAL),
        }
    }

    /// The kernel's checks, in its order.
    fn check(
        self,
        p: &Process,
        old: &Found,
        from: &Attr,
        new: &Found,
        to: Option<&Attr>,
    ) -> Result<(), Errno> {
        let is_dir = |attr: &Attr| attr.kind() == Kind::Directory;
        match (self, to) {
            (Mode2::NoReplace, Some(_)) => return Err(Errno::EEXIST),
            (Mode2::Exchange, None) => return Err(Errno::ENOENT),
            (Mode2::Exchange, Some(to)) if !is_dir(to) && new.trailing_slash => {
                return Err(Errno::ENOTDIR)
            }
            _ => {}
        }
        let new_slash = new.trailing_slash && self != Mode2::Exchange;
        if !is_dir(from) && (old.trailing_slash || new_slash) {
            return Err(Errno::ENOTDIR);
        }
        if is_dir(from) && new.parent.descends_from(from.oid) {
            return Err(Errno::EINVAL);
        }
        if to.is_some_and(|to| is_dir(to) && old.parent.descends_from(to.oid)) {
            return Err(if self == Mode2::Exchange {
                Errno::EINVAL
            } else {
                Errno::ENOTEMPTY
            });
        }
        if to.is_some_and(|to| to.oid == from.oid) {
            return Ok(());
        }
        let ids = p.credentials.ids();
        let (old_dir, new_dir) = (
            resolve::mode_of(p, &old.parent)?,
            resolve::mode_of(p, &new.parent)?,
        );
        ids.may_delete(old_dir, Mode::from(from))?;
        match to {
            None => {
                may_create(p, &new.parent)?;
            }
            Some(to) => {
                ids.may_delete(new_dir, Mode::from(to))?;
                match (is_dir(from), is_dir(to)) {
                    (true, false) if self != Mode2::Exchange => return Err(Errno::ENOTDIR),
                    (false, true) if self != Mode2::Exchange => return Err(Errno::EISDIR),
                    _ => {}
                }
            }
        }
        // a directory that gets another "..", must be writable itself
        if old.parent.oid != new.parent.oid {
            let both = [Some(from), to.filter(|_| self == Mode2::Exchange)];
            for moved in both.into_iter().flatten().filter(|attr| is_dir(attr)) {
                ids.check(Mode::from(moved), WRITE, As::Effective)?;
            }
        }
        Ok(())
    }
}

/// Moves `from` to a name that holds `to` or nothing.
fn replace(
    p: &'static Process,
    old: &Found,
    from: &Attr,
    new: &Found,
    to: Option<&Attr>,
    no_replace: bool,
) -> Result<(), Errno> {
    let (fs, mount) = (old.parent.mount.fs()?, old.parent.mount);
    let mut target = to;
    let victim = to.and_then(|to| p.nodes.find(mount, to.oid));
    if let Some(to) = to.filter(|to| to.kind() != Kind::Directory) {
        // if it is open on this node: two steps for other clients
        if hidden::hide(p, victim.as_ref(), &new.parent, &new.name, to)? {
            target = None;
        }
    }
    fs.rename(
        &old.parent.object,
        &old.name,
        from,
        &new.parent.object,
        &new.name,
        target,
        no_replace,
    )?;
    if let Some(to) = target {
        lost(mount, victim.as_deref(), to);
    }
    forget(p, old);
    forget(p, new);
    moved(p, from, old, new);
    Ok(())
}

fn exchange(
    p: &'static Process,
    old: &Found,
    from: &Attr,
    new: &Found,
    to: &Attr,
) -> Result<(), Errno> {
    let fs = old.parent.mount.fs()?;
    fs.exchange(&old.parent.object, &old.name, &new.parent.object, &new.name)?;
    forget(p, old);
    forget(p, new);
    moved(p, from, old, new);
    moved(p, to, new, old);
    Ok(())
}

/// The entry names something else now, or nothing.
fn forget(p: &Process, found: &Found) {
    board::entry_changed(found.parent.oid, &found.name);
    p.dcache.remove(&found.parent, &found.name);
}

/// The path of an entry below its mount point.
fn path_of(found: &Found) -> Result<Vec<u8>, Errno> {
    let mut path = found.parent.last_path()?.0.into_bytes();
    path.drain(..found.parent.mount.point.as_bytes().len());
    path.push(b'/');
    path.extend_from_slice(found.name.to_bytes());
    Ok(path)
}

/// What `attr` is of was at `from` and now is at `found`: tells the process's own node, and the
/// other processes.
fn moved(p: &'static Process, attr: &Attr, from: &Found, found: &Found) {
    let container = found.parent.mount.hash();
    let directory = attr.kind() == Kind::Directory;
    // The board holds few moves: none of files that nobody would look for.
    if directory || holders::is_held(holders::key(container, attr.oid), true) {
        if let (Ok(from), Ok(to)) = (path_of(from), path_of(found)) {
            board::moved((container, attr.oid), &from, &to);
        }
    }
    if directory {
        board::object_changed(attr.oid);
    }
    let count = board::entry(found.parent.oid, &found.name);
    if let Some(node) = p.nodes.find(found.parent.mount, attr.oid) {
        node.moved(&found.parent, &found.name);
        if node.kind == Kind::Directory {
            p.dcache.put(&found.parent, &found.name, &node, count);
        }
    }
}
