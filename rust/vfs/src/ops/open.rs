//! openat(2), openat2(2).
//!
//! A name that may be created is created first (one DFS call where it was new) and looked up only
//! if it was there; everything else is one lookup.
use crate::file::OpenFile;
use crate::filter;
use crate::magic;
use crate::node::Node;
use crate::ops::outside;
use crate::permission::{As, Mode, EXEC, READ, WRITE};
use crate::process::Process;
use crate::resolve::{self, Entry, Follow, Found, Located, Options};
use crate::{call, fail, user, Errno, Op, Reject};
use dfs::{Create, Kind};
use std::sync::Arc;

/// The kernel's own bit of `O_TMPFILE`.
const TMPFILE: i32 = libc::O_TMPFILE & !libc::O_DIRECTORY;
/// All that counts beside `O_PATH`.
const PATH_FLAGS: i32 = libc::O_DIRECTORY | libc::O_NOFOLLOW | libc::O_PATH | libc::O_CLOEXEC;
/// How often a name may come and go under a create before we give up.
const RACES: usize = 20;

/// `openat(dirfd, path, flags, mode)`
pub fn openat(p: &'static Process, a: [i64; 6]) -> Op<i64> {
    let mut buffer = user::PathBuffer::new();
    // unknown flags are ignored, as by the kernel
    let path = buffer.copy(a[1])?;
    match open(p, a[0], path, a[2] as i32, a[3] as u32, 0) {
        Err(Reject::NotOurs) => kernels_names(p, a[0], path, &a),
        answer => answer,
    }
}

/// A directory of the kernel's in which descriptors of ours have names is opened here, to be known.
#[cold]
fn kernels_names(p: &'static Process, dirfd: i64, path: &[u8], a: &[i64; 6]) -> Op<i64> {
    if !magic::holds_names_at(p, dirfd, path) {
        return Err(Reject::NotOurs);
    }
    // SAFETY: the application's own arguments.
    let fd = unsafe { call!(SYS_openat, a[0], a[1], a[2], a[3]) }?;
    p.fds.born(fd as i32);
    filter::mark_fd(fd as i32, filter::NAMES);
    Ok(fd)
}

/// `openat2(dirfd, path, how, size)`
pub fn openat2(p: &'static Process, a: [i64; 6]) -> Op<i64> {
    const KNOWN: u64 = (libc::O_ACCMODE
        | libc::O_CREAT
        | libc::O_EXCL
        | libc::O_NOCTTY
        | libc::O_TRUNC
        | libc::O_APPEND
        | libc::O_NONBLOCK
        | libc::O_SYNC
        | libc::O_DSYNC
        | libc::O_ASYNC
        | libc::O_DIRECT
        | libc::O_DIRECTORY
        | libc::O_NOFOLLOW
        | libc::O_NOATIME
        | libc::O_CLOEXEC
        | libc::O_PATH
        | libc::O_TMPFILE) as u64
        | 0o100_000;
    const SIZE: usize = 24;
    let path = user::path(a[1])?;
    // whose call is it? before any other error is ours to give (in a root of its own an absolute
    // path is as ours as the descriptor, and beneath it nothing leads outside)
    let size = a[3] as usize;
    let wanted = match size {
        0..SIZE => 0,
        _ => user::get::<[u64; 3]>(a[2]).map_or(0, |how| how[2]),
    };
    let options = Options {
        resolve: wanted,
        ..Options::new(Follow::No)
    };
    match resolve::lookup_path(p, a[0], path.to_bytes(), &options) {
        Err(Reject::NotOurs) => return Err(Reject::NotOurs),
        Ok(Located::Outside(path)) => {
            // SAFETY: the application's own structure, checked by the kernel.
            return Ok(unsafe { call!(SYS_openat2, libc::AT_FDCWD, path.as_ptr(), a[2], a[3]) }?);
        }
        _ => {}
    }
    if size < SIZE {
        return fail(Errno::EINVAL);
    }
    let how: [u64; 3] = user::get(a[2])?;
    for byte in SIZE..size.min(4096) {
        if user::get::<u8>(a[2] + byte as i64)? != 0 {
            return fail(Errno::E2BIG);
        }
    }
    let [flags, mode, resolve] = how;
    let creates = flags & (libc::O_CREAT | TMPFILE) as u64 != 0;
    let path_only = flags & libc::O_PATH as u64 != 0 && flags & !(PATH_FLAGS as u64) != 0;
    if flags & !KNOWN != 0
        || resolve & !0x3f != 0
        || mode & !0o7777 != 0
        || (mode != 0 && !creates)
        || path_only
        || resolve & (resolve::BENEATH | resolve::IN_ROOT) == resolve::BENEATH | resolve::IN_ROOT
    {
        return fail(Errno::EINVAL);
    }
    if resolve & 0x20 != 0 {
        return fail(Errno::EAGAIN); // RESOLVE_CACHED: we would have to ask
    }
    open(p, a[0], path.to_bytes(), flags as i32, mode as u32, resolve)
}

fn open(
    p: &'static Process,
    dirfd: i64,
    path: &[u8],
    flags: i32,
    mode: u32,
    resolve: u64,
) -> Op<i64> {
    let flags = match flags & libc::O_PATH {
        0 => flags,
        _ => flags & PATH_FLAGS,
    };
    let exclusive = flags & (libc::O_CREAT | libc::O_EXCL) == libc::O_CREAT | libc::O_EXCL;
    let follow = match exclusive || flags & libc::O_NOFOLLOW != 0 {
        true => Follow::No,
        false => Follow::Yes,
    };
    let mut options = Options {
        resolve,
        ..Options::new(follow)
    };
    options.create = flags & libc::O_CREAT != 0;
    options.fresh = options.create;
    let wish = Wish {
        flags,
        mode: mode & 0o7777,
        exclusive,
    };
    for _ in 0..RACES {
        let located = match wish.creates() {
            true => wish.create_first(p, dirfd, path, &options),
            false => resolve::lookup_path(p, dirfd, path, &options).map(Opened::Located),
        };
        if !matches!(located, Err(Reject::NotOurs)) {
            wish.valid()?;
        }
        let located = located?;
        let made = matches!(located, Opened::Created(_));
        let node = match located {
            Opened::Created(node) => node,
            Opened::Located(Located::Outside(path)) => return outside::open(p, &path, flags, mode),
            Opened::Located(located) => match wish.check(p, located)? {
                Some(node) => node,
                None => continue,
            },
        };
        let kept = if made { flags } else { flags & !libc::O_CREAT };
        let file = OpenFile::open(p, node, kept)?;
        return Ok(i64::from(
            p.fds.install(file, flags & libc::O_CLOEXEC != 0)?,
        ));
    }
    fail(Errno::EBUSY)
}

/// What the caller asked for.
struct Wish {
    flags: i32,
    mode: u32,
    exclusive: bool,
}

#[allow(clippy::large_enum_variant)] // lives on the stack of one call
enum Opened {
    Created(Arc<Node>),
    Located(Located),
}

impl Wish {
    fn has(&self, flag: i32) -> bool {
        self.flags & flag == flag
    }

    fn creates(&self) -> bool {
        self.has(libc::O_CREAT)
    }

    /// Flags the kernel refuses before it looks at the path.
    fn valid(&self) -> Result<(), Errno> {
        let writes = self.flags & libc::O_ACCMODE != libc::O_RDONLY;
        let good = match self.has(TMPFILE) {
            true => self.has(libc::O_DIRECTORY) && writes && !self.creates(),
            false => !self.has(libc::O_CREAT | libc::O_DIRECTORY),
        };
        good.then_some(()).ok_or(Errno::EINVAL)
    }

    /// What must be allowed on the file.
    fn mask(&self) -> u32 {
        if self.has(libc::O_PATH) {
            return 0;
        }
        let access = match self.flags & libc::O_ACCMODE {
            libc::O_RDONLY => READ,
            libc::O_WRONLY => WRITE,
            _ => READ | WRITE,
        };
        access | if self.has(libc::O_TRUNC) { WRITE } else { 0 }
    }

    /// Creates the name where the path is new; else says what is there.
    fn create_first(
        &self,
        p: &'static Process,
        dirfd: i64,
        path: &[u8],
        options: &Options,
    ) -> Op<Opened> {
        use resolve::{Last, Target};
        let found = match resolve::parent_with(p, dirfd, path, options)? {
            Target::Outside(path) => return Ok(Opened::Located(Located::Outside(path))),
            // the root of a mount has a name, too
            Target::Node(_, Last::Root) if path.ends_with(b"/") => return fail(Errno::EISDIR),
            Target::Node(node, _) => return Ok(Opened::Located(Located::Node(node))),
            Target::Name(found) => found,
        };
        self.valid()?;
        if found.trailing_slash {
            return fail(Errno::EISDIR);
        }
        match self.create(p, found) {
            Ok(node) => return Ok(Opened::Created(node)),
            Err(Errno::EEXIST) if self.exclusive => return fail(Errno::EEXIST),
            // it is there, or may be: then that is what counts
            Err(Errno::EEXIST | Errno::EACCES | Errno::EROFS) => {}
            Err(e) => return fail(e),
        }
        match resolve::lookup_path(p, dirfd, path, options)? {
            // the end of a dangling link, or gone again
            Located::Missing(found) => match self.create(p, found) {
                Ok(node) => Ok(Opened::Created(node)),
                Err(Errno::EEXIST) => self.retry(p, dirfd, path, options),
                Err(e) => fail(e),
            },
            located => Ok(Opened::Located(located)),
        }
    }

    fn retry(&self, p: &'static Process, dirfd: i64, path: &[u8], options: &Options) -> Op<Opened> {
        Ok(Opened::Located(resolve::lookup_path(
            p, dirfd, path, options,
        )?))
    }

    fn create(&self, p: &'static Process, found: Found) -> Result<Arc<Node>, Errno> {
        let Found { parent, name, .. } = &found;
        let (owner, directory) = crate::ops::names::may_create(p, parent)?;
        let mut mode = self.mode & !p.credentials.umask();
        let setgid = libc::S_ISGID | libc::S_IXGRP;
        if directory.mode & libc::S_ISGID != 0
            && mode & setgid == setgid
            && !p.credentials.ids().keeps_setgid(Mode {
                mode,
                uid: owner.0,
                gid: owner.1,
            })
        {
            mode &= !libc::S_ISGID;
        }
        let how = Create {
            mode,
            exclusive: true,
            access: parent.mount.access(),
        };
        let fs = parent.mount.fs()?;
        let object = fs.create(&parent.object, name, how, owner)?;
        let node = p
            .nodes
            .intern(parent.mount, object, Some(parent.clone()), (**name).into());
        let (uid, gid) = owner;
        node.permissions.set(Mode {
            mode: libc::S_IFREG | mode,
            uid,
            gid,
        });
        Ok(node)
    }

    /// May what is there be opened this way? Truncates it if asked to. `None`: look again.
    fn check(&self, p: &'static Process, located: Located) -> Op<Option<Arc<Node>>> {
        let (kind, mode) = match &located {
            Located::Missing(_) if self.creates() => return Ok(None),
            Located::Missing(_) | Located::Outside(_) => return fail(Errno::ENOENT),
            Located::Entry(entry) => (entry.attr.kind(), Mode::from(&entry.attr)),
            Located::Node(node) => (node.kind, resolve::mode_of(p, node)?),
        };
        if self.exclusive {
            return fail(Errno::EEXIST);
        }
        if kind == Kind::Directory && self.creates() {
            return fail(Errno::EISDIR);
        }
        if kind != Kind::Directory && self.has(libc::O_DIRECTORY) {
            return fail(Errno::ENOTDIR);
        }
        if self.has(TMPFILE) {
            return fail(Errno::ENOTSUP);
        }
        if kind == Kind::Symlink && !self.has(libc::O_PATH) {
            return fail(Errno::ELOOP);
        }
        let mask = self.mask();
        if kind == Kind::Directory && mask & WRITE != 0 {
            return fail(Errno::EISDIR);
        }
        let ids = p.credentials.ids();
        let mount = match &located {
            Located::Entry(Entry { found, .. }) => found.parent.mount,
            Located::Node(node) => node.mount,
            _ => return fail(Errno::ENOENT),
        };
        if mask & WRITE != 0 && mount.is_read_only() {
            return fail(Errno::EROFS);
        }
        ids.check(mode, mask & !EXEC, As::Effective)?;
        if self.has(libc::O_NOATIME) && !self.has(libc::O_PATH) && !ids.owns(mode) {
            return fail(Errno::EPERM);
        }
        let node = match located {
            Located::Entry(entry) => {
                let size = entry.attr.stat.st_size as u64;
                let node = entry.node(p);
                node.set_end(size);
                node
            }
            Located::Node(node) => node,
            _ => return fail(Errno::ENOENT),
        };
        if self.has(libc::O_TRUNC) && kind == Kind::File && !self.has(libc::O_PATH) {
            crate::ops::resize(p, &node, 0)?;
            node.set_end(0);
        }
        Ok(Some(node))
    }
}
