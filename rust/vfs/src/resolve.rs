//! Path resolution (path_resolution(7)): from a directory and a string to a node or a name in one.
//!
//! The walk goes component by component with object handles. Directories on the way come from the
//! dcache where they may; links are read and followed here, never by DFS. A path that
//! leaves our mounts ends as [`Target::Outside`] with the kernel's own absolute path for the rest.
use crate::links::{self, Way};
use crate::mount::{components, fd_path};
use crate::node::Node;
use crate::permission::{As, Mode, EXEC};
use crate::process::Process;
use crate::{fail, filter, ownfd, user, Errno, Op, Reject};
use dfs::{Attr, Kind, Object};
use std::borrow::Cow;
use std::ffi::{CStr, CString};
use std::sync::Arc;

/// `NAME_MAX`
pub const NAME_MAX: usize = 255;
/// Links followed in one resolution before `ELOOP`.
pub(crate) const MAX_LINKS: u32 = 40;
/// A cached directory older than this is looked at again before something is changed in it, or
/// before a name is said not to be there.
const FRESH_MS: u64 = 1_000;

/// Whether a link as the last component is followed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Follow {
    /// It is.
    Yes,
    /// The link itself is meant.
    No,
}

/// A single component, NUL-terminated, without allocation.
#[derive(Clone)]
pub struct Name {
    len: u8,
    bytes: [u8; NAME_MAX + 1],
}

impl Name {
    fn new(component: &[u8]) -> Result<Name, Errno> {
        if component.len() > NAME_MAX {
            return Err(Errno::ENAMETOOLONG);
        }
        let mut bytes = [0; NAME_MAX + 1];
        bytes[..component.len()].copy_from_slice(component);
        Ok(Name {
            len: component.len() as u8,
            bytes,
        })
    }
}

impl std::ops::Deref for Name {
    type Target = CStr;
    fn deref(&self) -> &CStr {
        // SAFETY: made of a component, which has no NUL, with one behind it.
        unsafe { CStr::from_bytes_with_nul_unchecked(&self.bytes[..=self.len as usize]) }
    }
}

/// A name in a directory, not yet looked up.
pub struct Found {
    /// The directory; search permission was checked.
    pub parent: Arc<Node>,
    /// The name.
    pub name: Name,
    /// The path ended in a slash: it must be a directory.
    pub trailing_slash: bool,
}

/// How a path that names no directory entry ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Last {
    /// The root of a mount.
    Root,
    /// "."
    Dot,
    /// ".."
    DotDot,
    /// An empty path with `AT_EMPTY_PATH`, or a null one where that means the descriptor.
    Empty,
    /// `/proc/self/fd/N` and its like.
    Magic,
}

/// Where a walk of all but the last component ended.
pub enum Target {
    /// A name in a directory.
    Name(Found),
    /// A node without a name to look up.
    Node(Arc<Node>, Last),
    /// Not below our mounts any more: the kernel's absolute path.
    Outside(CString),
}

/// What a path leads to.
pub enum Located {
    /// An existing entry.
    Entry(Entry),
    /// A node without a name looked up on the way (root, ".", "..", a descriptor).
    Node(Arc<Node>),
    /// No such entry in an existing directory.
    Missing(Found),
    /// As [`Target::Outside`].
    Outside(CString),
}

/// An existing entry.
pub struct Entry {
    /// Where it is.
    pub found: Found,
    /// Its handle, opened with the access of the mount ([`crate::mount::Mount::access`]).
    pub object: Object,
    /// Its attributes, device filled in, owner as DAOS has it.
    pub attr: Attr,
}

impl Entry {
    /// The node of this entry.
    pub fn node(self, p: &Process) -> Arc<Node> {
        let Entry {
            found,
            object,
            attr,
        } = self;
        p.nodes
            .intern_entry(&found.parent, &found.name, object, &attr)
    }
}

/// Limits of one resolution (openat2's and access(2)'s).
#[derive(Clone, Copy)]
pub struct Options {
    /// Whether the last component is followed.
    pub follow: Follow,
    /// An empty path means the start itself (`AT_EMPTY_PATH`).
    pub empty: bool,
    /// Directories on the way are no older than a second: something will be changed.
    pub fresh: bool,
    /// The name may be created (`O_CREAT`): one that ends in a slash is `EISDIR`.
    pub create: bool,
    /// Whose search permission counts.
    pub whose: As,
    /// `RESOLVE_*` of openat2(2).
    pub resolve: u64,
}

impl Options {
    /// The plain case.
    pub const fn new(follow: Follow) -> Options {
        Options {
            follow,
            empty: false,
            fresh: false,
            create: false,
            whose: As::Effective,
            resolve: 0,
        }
    }

    /// From `AT_*` flags: `AT_SYMLINK_NOFOLLOW` and `AT_EMPTY_PATH`.
    pub fn from_flags(flags: i32) -> Options {
        let follow = match flags & libc::AT_SYMLINK_NOFOLLOW {
            0 => Follow::Yes,
            _ => Follow::No,
        };
        Options {
            empty: flags & libc::AT_EMPTY_PATH != 0,
            ..Options::new(follow)
        }
    }

    /// The same for a call that changes something.
    pub fn fresh(self) -> Options {
        Options {
            fresh: true,
            ..self
        }
    }
}

/// `RESOLVE_NO_XDEV`
pub const NO_XDEV: u64 = 0x01;
/// `RESOLVE_NO_MAGICLINKS`
pub const NO_MAGICLINKS: u64 = 0x02;
/// `RESOLVE_NO_SYMLINKS`
pub const NO_SYMLINKS: u64 = 0x04;
/// `RESOLVE_BENEATH`
pub const BENEATH: u64 = 0x08;
/// `RESOLVE_IN_ROOT`
pub const IN_ROOT: u64 = 0x10;

/// Walks all but the last component of an application's path. `NotOurs` if it starts at the
/// kernel's. Something will be changed at the name: directories on the way are fresh.
pub fn parent(p: &'static Process, dirfd: i64, path: i64) -> Op<Target> {
    let path = user::path(path)?;
    parent_of(p, dirfd, path.to_bytes())
}

/// [`parent`] of a path in our memory.
pub fn parent_of(p: &'static Process, dirfd: i64, path: &[u8]) -> Op<Target> {
    parent_with(p, dirfd, path, &Options::new(Follow::No).fresh())
}

/// [`parent_of`] with options.
pub fn parent_with(p: &'static Process, dirfd: i64, path: &[u8], options: &Options) -> Op<Target> {
    match Walk::start(p, dirfd, path, options)? {
        Started::Node(node, last) => Ok(Target::Node(node, last)),
        Started::Walk(mut walk) => walk.to_parent(),
    }
}

/// Looks an application's path up, the last component too. `NotOurs` if it starts at the kernel's.
pub fn lookup(p: &'static Process, dirfd: i64, path: i64, options: &Options) -> Op<Located> {
    // an empty path is the descriptor's business, and the fast way of fstat
    if options.empty && user::get::<u8>(path) == Ok(0) {
        return Ok(Located::Node(start_node(p, dirfd)?));
    }
    let path = user::path(path)?;
    lookup_path(p, dirfd, path.to_bytes(), options)
}

/// [`lookup`] of a path in our memory.
pub fn lookup_path(p: &'static Process, dirfd: i64, path: &[u8], o: &Options) -> Op<Located> {
    let mut options = *o;
    loop {
        let (result, stale) = match Walk::start(p, dirfd, path, &options)? {
            Started::Node(node, _) => return Ok(Located::Node(node)),
            Started::Walk(mut walk) => (walk.to_end(), walk.stale),
        };
        let missing = matches!(
            result,
            Ok(Located::Missing(_))
                | Err(Reject::Errno(
                    Errno::ENOENT | Errno::ENOTDIR | Errno::ESTALE
                ))
        );
        if !(missing && stale && !options.fresh) {
            return result;
        }
        options.fresh = true;
    }
}

/// Splits what is not ours from what failed, so that a wrong argument can be said before a wrong
/// path, as the kernel does.
pub fn settle<T>(result: Op<T>) -> Op<Result<T, Errno>> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(Reject::Errno(e)) => Ok(Err(e)),
        Err(Reject::NotOurs) => Err(Reject::NotOurs),
    }
}

/// What a descriptor, or `AT_FDCWD`, stands on. `NotOurs` for the kernel's.
pub fn start_node(p: &'static Process, dirfd: i64) -> Op<Arc<Node>> {
    if dirfd as i32 == libc::AT_FDCWD {
        return p.cwd.node().ok_or(Reject::NotOurs);
    }
    Ok(p.fds.get(dirfd as i32)?.node.clone())
}

/// Attributes of what was found, complete.
pub fn attr_of(located: &Located) -> Result<Attr, Errno> {
    match located {
        Located::Entry(entry) => Ok(entry.attr),
        Located::Node(node) => node.attr(),
        _ => Err(Errno::ENOENT),
    }
}

enum Started<'a> {
    Walk(Box<Walk<'a>>),
    Node(Arc<Node>, Last),
}

/// A resolution under way.
struct Walk<'a> {
    p: &'static Process,
    options: Options,
    /// What is still to be walked begins at `pos`.
    path: Cow<'a, [u8]>,
    pos: usize,
    at: Arc<Node>,
    /// What `at` was reached by.
    last: Last,
    links: u32,
    /// For `RESOLVE_BENEATH` and `RESOLVE_IN_ROOT`: where the walk began.
    scope: Option<Arc<Node>>,
    /// A cached directory on the way was older than [`FRESH_MS`].
    stale: bool,
}

/// Where an absolute path begins.
enum Absolute {
    At(Arc<Node>, usize, Last),
    Kernel,
}

fn absolute(p: &'static Process, path: &[u8]) -> Op<Absolute> {
    if let Some((mount, rest)) = p.mounts.locate(path) {
        let root = match mount.root() {
            // the kernel has it from now on
            Err(_) if mount.given_up() => return Ok(Absolute::Kernel),
            root => root?,
        };
        return Ok(Absolute::At(root, rest, Last::Root));
    }
    Ok(match magic(p, path) {
        Some((node, rest)) => Absolute::At(node, rest, Last::Magic),
        None => Absolute::Kernel,
    })
}

impl<'a> Walk<'a> {
    fn start(
        p: &'static Process,
        dirfd: i64,
        path: &'a [u8],
        options: &Options,
    ) -> Op<Started<'a>> {
        let scoped = options.resolve & (BENEATH | IN_ROOT) != 0;
        let walk = |path, pos, at: Arc<Node>, last| {
            let scope = scoped.then(|| at.clone());
            let options = *options;
            Walk {
                p,
                options,
                path,
                pos,
                at,
                last,
                links: 0,
                scope,
                stale: false,
            }
        };
        if path.first() == Some(&b'/') && options.resolve & IN_ROOT == 0 {
            return match absolute(p, path)? {
                Absolute::Kernel => Err(Reject::NotOurs),
                Absolute::At(..) if options.resolve & BENEATH != 0 => fail(Errno::EXDEV),
                Absolute::At(node, rest, Last::Magic) if rest >= path.len() => {
                    if options.follow == Follow::No {
                        return Err(Reject::NotOurs);
                    }
                    if options.resolve & (NO_MAGICLINKS | NO_SYMLINKS) != 0 {
                        return fail(Errno::ELOOP);
                    }
                    Ok(Started::Node(node, Last::Magic))
                }
                Absolute::At(at, rest, last) => Ok(Started::Walk(Box::new(walk(
                    Cow::Borrowed(path),
                    rest,
                    at,
                    last,
                )))),
            };
        }
        match start_node(p, dirfd) {
            Ok(node) if path.is_empty() => match options.empty {
                true => Ok(Started::Node(node, Last::Empty)),
                false => fail(Errno::ENOENT),
            },
            Ok(node) => Ok(Started::Walk(Box::new(walk(
                Cow::Borrowed(path),
                0,
                node,
                Last::Dot,
            )))),
            // from a directory of the kernel's above a mount, or by "..", a path may still come to us
            Err(Reject::NotOurs) if dirfd as i32 == libc::AT_FDCWD => {
                let Some(whole) = p.cwd.may_enter_mount(p, path) else {
                    return Err(Reject::NotOurs);
                };
                match absolute(p, &whole)? {
                    Absolute::At(at, rest, last @ Last::Root) => Ok(Started::Walk(Box::new(walk(
                        Cow::Owned(whole),
                        rest,
                        at,
                        last,
                    )))),
                    _ => Err(Reject::NotOurs),
                }
            }
            Err(e) => Err(e),
        }
    }

    fn max_age(&self) -> u64 {
        if self.options.fresh {
            FRESH_MS
        } else {
            u64::MAX
        }
    }

    /// Search permission on the current directory.
    fn may_search(&self) -> Op<()> {
        if self.at.kind != Kind::Directory {
            return fail(Errno::ENOTDIR);
        }
        let mode = mode_of(self.p, &self.at)?;
        Ok(self
            .p
            .credentials
            .ids()
            .check(mode, EXEC, self.options.whose)?)
    }

    /// Walks to the last component.
    fn to_parent(&mut self) -> Op<Target> {
        loop {
            while self.path.get(self.pos) == Some(&b'/') {
                self.pos += 1;
            }
            if self.pos >= self.path.len() {
                // "dir/" of a descriptor's path, or the root itself
                return Ok(Target::Node(self.at.clone(), self.last));
            }
            let start = self.pos;
            let len = self.path[start..].iter().position(|&b| b == b'/');
            let end = len.map_or(self.path.len(), |len| start + len);
            self.may_search()?;
            match &self.path[start..end] {
                b"." => {
                    self.last = Last::Dot;
                    self.pos = end;
                }
                b".." => {
                    self.pos = end;
                    if let Some(outside) = self.up()? {
                        return Ok(Target::Outside(outside));
                    }
                }
                component => {
                    let name = Name::new(component)?;
                    self.pos = end;
                    let mut rest = self.path[end..].iter();
                    let last = rest.all(|&b| b == b'/');
                    if let Some(inner) = self.inner_mount(&name)? {
                        (self.at, self.last) = (inner, Last::Root);
                        continue;
                    }
                    if last {
                        let trailing_slash = end < self.path.len();
                        let parent = self.at.clone();
                        return Ok(Target::Name(Found {
                            parent,
                            name,
                            trailing_slash,
                        }));
                    }
                    if let Some(outside) = self.step(&name)? {
                        return Ok(Target::Outside(outside));
                    }
                }
            }
        }
    }

    /// Walks to the end and looks it up.
    fn to_end(&mut self) -> Op<Located> {
        loop {
            let found = match self.to_parent()? {
                Target::Outside(path) => return Ok(Located::Outside(path)),
                Target::Node(node, _) => return Ok(Located::Node(node)),
                Target::Name(found) if found.trailing_slash && self.options.create => {
                    return fail(Errno::EISDIR)
                }
                Target::Name(found) => found,
            };
            let fs = found.parent.mount.fs()?;
            let access = found.parent.mount.access();
            let (object, mut attr) = match fs.lookup(&found.parent.object, &found.name, access) {
                Ok(entry) => entry,
                Err(Errno::ENOENT) => return Ok(Located::Missing(found)),
                Err(e) => return fail(e),
            };
            let follow = self.options.follow == Follow::Yes || found.trailing_slash;
            match attr.kind() {
                Kind::Symlink if follow => {
                    if let Some(outside) = self.follow(&object)? {
                        return Ok(Located::Outside(outside));
                    }
                }
                Kind::Directory => {
                    attr.stat.st_dev = found.parent.mount.dev;
                    return Ok(Located::Entry(Entry {
                        found,
                        object,
                        attr,
                    }));
                }
                _ if found.trailing_slash => return fail(Errno::ENOTDIR),
                _ => {
                    attr.stat.st_dev = found.parent.mount.dev;
                    return Ok(Located::Entry(Entry {
                        found,
                        object,
                        attr,
                    }));
                }
            }
        }
    }

    /// Into the directory `name`, through a link if it is one.
    fn step(&mut self, name: &Name) -> Op<Option<CString>> {
        if let Some((node, age)) = self.p.dcache.get(&self.at, name, self.max_age()) {
            self.stale |= age > FRESH_MS;
            (self.at, self.last) = (node, Last::Dot);
            return Ok(None);
        }
        let fs = self.at.mount.fs()?;
        let (object, attr) = fs.lookup(&self.at.object, name, self.at.mount.access())?;
        match attr.kind() {
            Kind::Directory => {
                let node = self.p.nodes.intern_entry(&self.at, name, object, &attr);
                self.p.dcache.put(&self.at, name, &node);
                (self.at, self.last) = (node, Last::Dot);
                Ok(None)
            }
            Kind::Symlink => self.follow(&object),
            Kind::File => fail(Errno::ENOTDIR),
        }
    }

    /// "..", which may leave the mount.
    fn up(&mut self) -> Op<Option<CString>> {
        self.last = Last::DotDot;
        if let Some(scope) = &self.scope {
            if Arc::ptr_eq(scope, &self.at) {
                return match self.options.resolve & IN_ROOT {
                    0 => fail(Errno::EXDEV),
                    _ => Ok(None),
                };
            }
        }
        if let Some(parent) = self.at.parent() {
            self.at = parent;
            return Ok(None);
        }
        let point = self.at.mount.point.as_bytes();
        let above = point.iter().rposition(|&b| b == b'/').unwrap_or(0);
        let mut path = point[..above].to_vec();
        path.push(b'/');
        path.extend_from_slice(&self.path[self.pos..]);
        self.leave(path)
    }

    /// Splices the text of a link in front of what is left.
    fn follow(&mut self, link: &Object) -> Op<Option<CString>> {
        self.links += 1;
        if self.links > MAX_LINKS || self.options.resolve & NO_SYMLINKS != 0 {
            return fail(Errno::ELOOP);
        }
        let target = link.readlink()?;
        let target = target.to_bytes();
        if target.is_empty() {
            return fail(Errno::ENOENT);
        }
        let mut path = Vec::with_capacity(target.len() + self.path.len() - self.pos);
        path.extend_from_slice(target);
        path.extend_from_slice(&self.path[self.pos..]);
        if target[0] != b'/' {
            (self.path, self.pos) = (Cow::Owned(path), 0);
            return Ok(None);
        }
        if let Some(scope) = self.scope.clone() {
            if self.options.resolve & IN_ROOT == 0 {
                return fail(Errno::EXDEV);
            }
            (self.at, self.path, self.pos) = (scope, Cow::Owned(path), 0);
            return Ok(None);
        }
        self.leave(path)
    }

    /// Goes on at an absolute path: in a mount of ours - perhaps through links of the kernel's -
    /// or outside.
    fn leave(&mut self, path: Vec<u8>) -> Op<Option<CString>> {
        let follow = self.options.follow == Follow::Yes;
        let path = match links::into_mount(self.p, path, follow, &mut self.links)? {
            Way::Into(path) => path,
            Way::Elsewhere(path) => return self.outside(path),
        };
        match absolute(self.p, &path)? {
            Absolute::At(node, rest, last) => {
                let resolve = self.options.resolve;
                if resolve & NO_XDEV != 0 && !std::ptr::eq(node.mount, self.at.mount) {
                    return fail(Errno::EXDEV);
                }
                if last == Last::Magic && resolve & NO_MAGICLINKS != 0 {
                    return fail(Errno::ELOOP);
                }
                (self.at, self.last) = (node, last);
                (self.path, self.pos) = (Cow::Owned(path), rest);
                Ok(None)
            }
            Absolute::Kernel => self.outside(path),
        }
    }

    fn outside(&self, path: Vec<u8>) -> Op<Option<CString>> {
        if self.options.resolve & (NO_XDEV | BENEATH | IN_ROOT) != 0 {
            return fail(Errno::EXDEV);
        }
        Ok(Some(CString::new(path).map_err(|_| Errno::EINVAL)?))
    }

    /// The root of a mount at `name` of the current directory.
    fn inner_mount(&self, name: &CStr) -> Op<Option<Arc<Node>>> {
        if !self.at.mount.covered {
            return Ok(None);
        }
        let (mut path, _) = self.at.last_path().map(|(p, g)| (p.into_bytes(), g))?;
        path.push(b'/');
        path.extend_from_slice(name.to_bytes());
        match self.p.mounts.at(&path) {
            Some(mount) if self.options.resolve & NO_XDEV != 0 => {
                let _ = mount;
                fail(Errno::EXDEV)
            }
            Some(mount) => Ok(Some(mount.root()?)),
            None => Ok(None),
        }
    }
}

/// Mode and owner of a directory (or file) as known, not older than the dcache allows.
pub fn mode_of(p: &Process, node: &Node) -> Result<Mode, Errno> {
    let max_age = p.dcache.ttl().max(FRESH_MS);
    match node.permissions.get(max_age) {
        Some(mode) => Ok(mode),
        None => match node.attr() {
            Ok(attr) => Ok(Mode::from(&attr)),
            // moved or removed by somebody else: judged as last seen
            Err(e) => node.permissions.get(u64::MAX).ok_or(e),
        },
    }
}

/// `/proc/self/fd/N`, `/proc/<own pid>/fd/N`, `/proc/thread-self/fd/N`, `/dev/fd/N`, `/dev/stdin`
/// and the like where the descriptor is ours; `/proc/self/cwd` where the directory is. The
/// second value is where the rest of the path begins.
pub fn magic(p: &'static Process, path: &[u8]) -> Option<(Arc<Node>, usize)> {
    let part = |&(start, end): &(usize, usize)| &path[start..end];
    let mut parts = components(path).filter(|c| part(c) != b".");
    let mut next = || parts.next();
    let first = next()?;
    let fd_text = match part(&first) {
        b"dev" => match part(&next()?) {
            b"fd" => next()?,
            name @ (b"stdin" | b"stdout" | b"stderr") => {
                let fd = match name {
                    b"stdin" => 0,
                    b"stdout" => 1,
                    _ => 2,
                };
                let end = path.windows(name.len()).position(|w| w == name)? + name.len();
                return Some((p.fds.get(fd).ok()?.node.clone(), end));
            }
            _ => return None,
        },
        b"proc" => {
            let who = next()?;
            match part(&who) {
                b"self" | b"thread-self" => {}
                pid if number(pid).is_some_and(is_own_pid) => {}
                _ => return None,
            }
            match part(&next()?) {
                b"fd" => next()?,
                b"cwd" => {
                    let at = path.windows(4).position(|w| w == b"/cwd")?;
                    return Some((p.cwd.node()?, at + 4));
                }
                b"task" => {
                    next()?;
                    match part(&next()?) {
                        b"fd" => next()?,
                        _ => return None,
                    }
                }
                _ => return None,
            }
        }
        _ => return None,
    };
    let fd = number(part(&fd_text))?;
    if filter::fd_is(fd) == filter::KERNEL && p.fds.get(fd).is_err() {
        return None;
    }
    Some((p.fds.get(fd).ok()?.node.clone(), fd_text.1))
}

fn number(text: &[u8]) -> Option<i32> {
    let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    digits
        .then(|| std::str::from_utf8(text).ok()?.parse().ok())
        .flatten()
}

fn is_own_pid(pid: i32) -> bool {
    // SAFETY: no arguments.
    let own = unsafe { crate::call!(SYS_getpid) };
    own == Ok(i64::from(pid))
}

/// The kernel's absolute path of `path` as seen from `dirfd`, by text.
pub(crate) fn kernel_path(dirfd: i64, path: &[u8]) -> Option<Vec<u8>> {
    if path.first() == Some(&b'/') {
        return Some(path.to_vec());
    }
    let mut base = match dirfd as i32 {
        libc::AT_FDCWD => crate::cwd::kernel_cwd()?,
        fd if filter::fd_is(fd) == filter::KERNEL => {
            let st = ownfd::stat_of(fd).ok()?;
            (st.st_mode & libc::S_IFMT == libc::S_IFDIR).then_some(())?;
            fd_path(fd)?
        }
        _ => return None,
    };
    if base.first() != Some(&b'/') {
        return None;
    }
    base.push(b'/');
    base.extend_from_slice(path);
    Some(base)
}
