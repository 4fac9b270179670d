//! The walk itself: component by component from a node, with object handles. Directories on the way
//! come from the dcache where they may; links are read and followed here, never by DFS.
use crate::board;
use crate::dcache::now_ms;
use crate::links::{self, Way};
use crate::magic::{self, magic};
use crate::mount::Mount;
use crate::node::Node;
use crate::permission::EXEC;
use crate::process::Process;
use crate::resolve::*;
use crate::{fail, Errno, Op, Reject};
use dfs::{Attr, Kind, Object};
use std::borrow::Cow;
use std::ffi::{CStr, CString};
use std::sync::Arc;

/// What a path is before its first component.
#[allow(clippy::large_enum_variant)] // lives on the stack of one call
pub(crate) enum Started<'a> {
    /// Something to walk.
    Walk(Walk<'a>),
    /// The start itself.
    Node(Arc<Node>, Last),
}

/// Where a walk to the end ended.
#[allow(clippy::large_enum_variant)] // lives on the stack of one call
pub(crate) enum End {
    /// An entry of which only the attributes were wanted, and its mount.
    Seen(&'static Mount, Attr),
    /// Anything else.
    Located(Located),
}

/// A resolution under way.
pub(crate) struct Walk<'a> {
    p: &'static Process,
    options: Options,
    /// What is still to be walked begins at `pos`.
    path: Cow<'a, [u8]>,
    pos: usize,
    at: Arc<Node>,
    /// What `at` was reached by.
    last: Last,
    /// The path ended in a ".." that led out of a mount; what is walked since is our spelling.
    went_up: bool,
    links: u32,
    /// When it began ([`now_ms`]): what is cached is as old as it was then.
    now: u64,
    /// For `RESOLVE_BENEATH` and `RESOLVE_IN_ROOT`: where the walk began.
    scope: Option<Arc<Node>>,
    /// A cached directory on the way was older than [`FRESH_MS`].
    pub(crate) stale: bool,
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

/// The magic link of a descriptor as the whole path: where it leads, if it is followed.
fn at_descriptor<'a>(node: Arc<Node>, options: &Options) -> Op<Started<'a>> {
    if options.follow == Follow::No {
        return Err(Reject::NotOurs);
    }
    if options.resolve & (NO_MAGICLINKS | NO_SYMLINKS) != 0 {
        return fail(Errno::ELOOP);
    }
    Ok(Started::Node(node, Last::Magic))
}

impl<'a> Walk<'a> {
    pub(crate) fn start(
        p: &'static Process,
        dirfd: i64,
        path: &'a [u8],
        options: &Options,
    ) -> Op<Started<'a>> {
        let scoped = options.resolve & (BENEATH | IN_ROOT) != 0;
        let now = now_ms();
        p.mounts.look_again(now);
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
                went_up: false,
                links: 0,
                now,
                scope,
                stale: false,
            }
        };
        if path.first() == Some(&b'/') && options.resolve & IN_ROOT == 0 {
            return match absolute(p, path)? {
                Absolute::Kernel => Err(Reject::NotOurs),
                Absolute::At(..) if options.resolve & BENEATH != 0 => fail(Errno::EXDEV),
                Absolute::At(node, rest, Last::Magic) if rest >= path.len() => {
                    at_descriptor(node, options)
                }
                Absolute::At(at, rest, last) => {
                    Ok(Started::Walk(walk(Cow::Borrowed(path), rest, at, last)))
                }
            };
        }
        if let Some(whole) = magic::relative(p, dirfd, path) {
            // a link out of where it starts
            return match magic::magic(p, &whole) {
                Some(_) if scoped => Err(Reject::NotOurs),
                Some((node, rest)) if rest >= whole.len() => at_descriptor(node, options),
                Some((node, rest)) => Ok(Started::Walk(walk(
                    Cow::Owned(whole),
                    rest,
                    node,
                    Last::Magic,
                ))),
                None => Err(Reject::NotOurs),
            };
        }
        match start_node(p, dirfd) {
            Ok(node) if path.is_empty() => match options.empty {
                true => Ok(Started::Node(node, Last::Empty)),
                false => fail(Errno::ENOENT),
            },
            Ok(node) => {
                if options.fresh {
                    still_there(&node)?;
                }
                Ok(Started::Walk(walk(Cow::Borrowed(path), 0, node, Last::Dot)))
            }
            // from a directory of the kernel's above a mount, or by "..", a path may still come to us
            Err(Reject::NotOurs) if dirfd as i32 == libc::AT_FDCWD => {
                let Some(whole) = p.cwd.may_enter_mount(p, path) else {
                    return Err(Reject::NotOurs);
                };
                match absolute(p, &whole)? {
                    Absolute::At(at, rest, last @ Last::Root) => {
                        Ok(Started::Walk(walk(Cow::Owned(whole), rest, at, last)))
                    }
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
        let mode = mode_at(self.p, &self.at, self.now)?;
        Ok(self
            .p
            .credentials
            .ids()
            .check(mode, EXEC, self.options.whose)?)
    }

    /// Walks to the last component.
    pub(crate) fn walk_to_parent(&mut self) -> Op<Target> {
        loop {
            while self.path.get(self.pos) == Some(&b'/') {
                self.pos += 1;
            }
            if self.pos >= self.path.len() {
                // "dir/" of a descriptor's path, or the root itself
                let last = match self.went_up {
                    true => Last::DotDot,
                    false => self.last,
                };
                return Ok(Target::Node(self.at.clone(), last));
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
                    match self.inner_mount(&name)? {
                        Inner::None => {}
                        Inner::Root(root) => {
                            (self.at, self.last) = (root, Last::Root);
                            continue;
                        }
                        Inner::Kernel(mut path) => {
                            path.extend_from_slice(&self.path[end..]);
                            if let Some(outside) = self.outside(path)? {
                                return Ok(Target::Outside(outside));
                            }
                        }
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
    #[inline(always)]
    pub(crate) fn walk_to_end(&mut self) -> Op<End> {
        loop {
            let found = match self.walk_to_parent()? {
                Target::Outside(path) => return Ok(End::Located(Located::Outside(path))),
                Target::Node(node, _) => return Ok(End::Located(Located::Node(node))),
                Target::Name(found) if found.trailing_slash && self.options.create => {
                    return fail(Errno::EISDIR)
                }
                Target::Name(found) => found,
            };
            let fs = found.parent.mount.fs()?;
            if self.options.seen {
                match fs.stat(&found.parent.object, &found.name) {
                    Err(Errno::ENOENT) => return Ok(End::Located(Located::Missing(found))),
                    Err(e) => return fail(e),
                    // a link needs its handle
                    Ok(attr) if attr.kind() == Kind::Symlink => {}
                    Ok(attr) if found.trailing_slash && attr.kind() != Kind::Directory => {
                        return fail(Errno::ENOTDIR)
                    }
                    Ok(mut attr) => {
                        attr.stat.st_dev = found.parent.mount.dev;
                        return Ok(End::Seen(found.parent.mount, attr));
                    }
                }
            }
            let access = found.parent.mount.access();
            let (object, mut attr) = match fs.lookup(&found.parent.object, &found.name, access) {
                Ok(entry) => entry,
                Err(Errno::ENOENT) => return Ok(End::Located(Located::Missing(found))),
                Err(e) => return fail(e),
            };
            let follow = self.options.follow == Follow::Yes || found.trailing_slash;
            match attr.kind() {
                Kind::Symlink if follow => {
                    if let Some(outside) = self.follow(&object)? {
                        return Ok(End::Located(Located::Outside(outside)));
                    }
                }
                Kind::Directory => {
                    attr.stat.st_dev = found.parent.mount.dev;
                    return Ok(End::Located(Located::Entry(Entry {
                        found,
                        object,
                        attr,
                    })));
                }
                _ if found.trailing_slash => return fail(Errno::ENOTDIR),
                _ => {
                    attr.stat.st_dev = found.parent.mount.dev;
                    return Ok(End::Located(Located::Entry(Entry {
                        found,
                        object,
                        attr,
                    })));
                }
            }
        }
    }

    /// Into the directory `name`, through a link if it is one.
    fn step(&mut self, name: &Name) -> Op<Option<CString>> {
        let known = self.p.dcache.get(&self.at, name, self.max_age(), self.now);
        if let Some((node, age)) = known {
            self.stale |= age > FRESH_MS;
            (self.at, self.last) = (node, Last::Dot);
            return Ok(None);
        }
        let fs = self.at.mount.fs()?;
        let count = board::entry(self.at.oid, name);
        let (object, attr) = fs.lookup(&self.at.object, name, self.at.mount.access())?;
        match attr.kind() {
            Kind::Directory => {
                let node = self.p.nodes.intern_entry(&self.at, name, object, &attr);
                self.p.dcache.put(&self.at, name, &node, count);
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
        self.at.verify();
        if let Some(parent) = self.at.parent() {
            self.at = parent;
            return Ok(None);
        }
        let point = self.at.mount.point.as_bytes();
        let above = point.iter().rposition(|&b| b == b'/').unwrap_or(0);
        let mut path = point[..above].to_vec();
        path.push(b'/');
        let rest = &self.path[self.pos..];
        if rest.iter().all(|&b| b == b'/') {
            // no name: nothing is made, renamed or removed by it
            path.push(b'.');
            self.went_up = true;
        }
        path.extend_from_slice(rest);
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
        let last = match self.options.follow {
            _ if self.options.named => links::Last::Named,
            Follow::Yes => links::Last::Followed,
            Follow::No => links::Last::Seen,
        };
        let path = match links::into_mount(self.p, path.clone(), last, &mut self.links)? {
            Way::Into(path) => path,
            // the kernel's own links and all
            Way::Elsewhere => return self.outside(path),
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

    /// The mount at `name` of the current directory.
    fn inner_mount(&self, name: &CStr) -> Op<Inner> {
        if !self.at.mount.is_covered() {
            return Ok(Inner::None);
        }
        let (mut path, _) = self.at.last_path().map(|(p, g)| (p.into_bytes(), g))?;
        path.push(b'/');
        path.extend_from_slice(name.to_bytes());
        match self.p.mounts.at(&path) {
            Some(_) if self.options.resolve & NO_XDEV != 0 => fail(Errno::EXDEV),
            Some(mount) => match mount.root() {
                // the kernel has it from now on
                Err(_) if mount.given_up() => Ok(Inner::Kernel(path)),
                root => Ok(Inner::Root(root?)),
            },
            None if self.p.mounts.is_kernels(&path) => Ok(Inner::Kernel(path)),
            None => Ok(Inner::None),
        }
    }
}

/// What lies at a name besides an entry.
enum Inner {
    None,
    /// The root of a mount of ours.
    Root(Arc<Node>),
    /// A mount that is the kernel's: this path.
    Kernel(Vec<u8>),
}

/// Something will be changed in a directory that was opened or entered long ago: DFS would let a
/// file be made in one that another node has removed, and nobody would find it again. `ESTALE` if
/// the directory is not where it was. One call a second.
fn still_there(dir: &Node) -> Result<(), Errno> {
    if dir.permissions.get(FRESH_MS).is_some() || dir.parent().is_none() {
        return Ok(());
    }
    match dir.attr() {
        Err(Errno::ESTALE) => Err(Errno::ESTALE),
        _ => Ok(()),
    }
}
