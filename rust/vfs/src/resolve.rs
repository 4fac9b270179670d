//! Path resolution (path_resolution(7)): from a directory and a string to a node or a name in one.
//!
//! Says what a path leads to; the walk itself is in walk.rs. A path that leaves our mounts ends as [`Target::Outside`] with the kernel's own absolute path for the rest.
use crate::dcache::now_ms;
use crate::links;
use crate::magic;
use crate::mount::Mount;
use crate::node::Node;
use crate::permission::{As, Mode};
use crate::process::Process;
use crate::user::{self, PathBuffer};
use crate::walk::{End, Started, Walk};
use crate::{fail, Errno, Op, Reject};
use dfs::{Attr, Object};
use std::ffi::{CStr, CString};
use std::sync::Arc;

/// `NAME_MAX`
pub const NAME_MAX: usize = 255;
/// Links followed in one resolution before `ELOOP`.
pub(crate) const MAX_LINKS: u32 = 40;
/// A cached directory older than this is looked at again before something is changed in it, or
/// before a name is said not to be there.
pub(crate) const FRESH_MS: u64 = 1_000;

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
    pub(crate) fn new(component: &[u8]) -> Result<Name, Errno> {
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
#[allow(clippy::large_enum_variant)] // lives on the stack of one call
pub enum Target {
    /// A name in a directory.
    Name(Found),
    /// A node without a name to look up.
    Node(Arc<Node>, Last),
    /// Not below our mounts any more: the kernel's absolute path.
    Outside(CString),
}

/// What a path leads to.
#[allow(clippy::large_enum_variant)] // lives on the stack of one call
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
    #[inline]
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
    /// The last component is a name to be made, removed or renamed: a link there is not followed,
    /// slashes behind it or not.
    pub named: bool,
    /// Only attributes are wanted, no handle ([`attributes`]).
    pub(crate) seen: bool,
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
            named: false,
            seen: false,
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
    let mut buffer = PathBuffer::new();
    parent_of(p, dirfd, buffer.copy(path)?)
}

/// [`parent`] of a path in our memory.
pub fn parent_of(p: &'static Process, dirfd: i64, path: &[u8]) -> Op<Target> {
    let options = Options {
        named: true,
        ..Options::new(Follow::No).fresh()
    };
    parent_with(p, dirfd, path, &options)
}

/// [`parent_of`] with options.
pub fn parent_with(p: &'static Process, dirfd: i64, path: &[u8], options: &Options) -> Op<Target> {
    match Walk::start(p, dirfd, path, options)? {
        Started::Node(node, last) => Ok(Target::Node(node, last)),
        Started::Walk(mut walk) => walk.walk_to_parent(),
    }
}

/// Looks an application's path up, the last component too. `NotOurs` if it starts at the kernel's.
pub fn lookup(p: &'static Process, dirfd: i64, path: i64, options: &Options) -> Op<Located> {
    // an empty path is the descriptor's business, and the fast way of fstat
    if options.empty && user::get::<u8>(path) == Ok(0) {
        return Ok(Located::Node(start_node(p, dirfd)?));
    }
    let mut buffer = PathBuffer::new();
    lookup_path(p, dirfd, buffer.copy(path)?, options)
}

/// [`lookup`] of a path in our memory.
pub fn lookup_path(p: &'static Process, dirfd: i64, path: &[u8], o: &Options) -> Op<Located> {
    match find(p, dirfd, path, o)? {
        End::Located(located) => Ok(located),
        // not without asking for it
        End::Seen(..) => fail(Errno::EIO),
    }
}

/// What a path shows, to calls that only look.
pub enum Seen {
    /// Attributes, device filled in, owner as DAOS has it; and the mount.
    Attr(Attr, &'static Mount),
    /// As [`Target::Outside`].
    Outside(CString),
}

/// Attributes of what an application's path leads to, `ENOENT` for nothing. One DFS call for the
/// last component, no allocation of ours.
pub fn attributes(p: &'static Process, dirfd: i64, path: i64, o: &Options) -> Op<Seen> {
    let of_node = |node: Arc<Node>| Ok(Seen::Attr(node.attr()?, node.mount));
    if o.empty && user::get::<u8>(path) == Ok(0) {
        return of_node(start_node(p, dirfd)?);
    }
    let mut buffer = PathBuffer::new();
    let options = Options { seen: true, ..*o };
    match find(p, dirfd, buffer.copy(path)?, &options)? {
        End::Seen(mount, attr) => Ok(Seen::Attr(attr, mount)),
        End::Located(Located::Entry(e)) => Ok(Seen::Attr(e.attr, e.found.parent.mount)),
        End::Located(Located::Node(node)) => of_node(node),
        End::Located(Located::Missing(_)) => fail(Errno::ENOENT),
        End::Located(Located::Outside(path)) => Ok(Seen::Outside(path)),
    }
}

#[inline(always)]
fn find(p: &'static Process, dirfd: i64, path: &[u8], o: &Options) -> Op<End> {
    let mut options = *o;
    loop {
        let (result, stale) = match Walk::start(p, dirfd, path, &options)? {
            Started::Node(node, _) => return Ok(End::Located(Located::Node(node))),
            Started::Walk(mut walk) => (walk.walk_to_end(), walk.stale),
        };
        let missing = matches!(
            result,
            Ok(End::Located(Located::Missing(_)))
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

/// Whether calls with an application's path are ours, whatever they would answer. Links of the
/// kernel's into a mount are followed.
pub fn is_ours(p: &'static Process, path: i64) -> bool {
    let cwd = i64::from(libc::AT_FDCWD);
    let mut buffer = PathBuffer::new();
    let Ok(path) = buffer.copy(path) else {
        return false;
    };
    match parent_of(p, cwd, path) {
        Ok(Target::Outside(_)) => false,
        Ok(_) | Err(Reject::Errno(_)) => !path.is_empty(),
        Err(Reject::NotOurs) => magic::kernel_path(cwd, path)
            .and_then(|whole| links::into_mount(p, whole, links::Last::Followed, &mut 0).ok())
            .is_some_and(|way| way.inside().is_some()),
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

/// True for an empty path that means a descriptor.
pub fn is_descriptor(dirfd: i64, path: i64, flags: i32) -> bool {
    dirfd as i32 >= 0 && flags & libc::AT_EMPTY_PATH != 0 && user::get::<u8>(path) == Ok(0)
}

/// What a descriptor, or `AT_FDCWD`, stands on. `NotOurs` for the kernel's.
pub fn start_node(p: &'static Process, dirfd: i64) -> Op<Arc<Node>> {
    let node = match dirfd as i32 {
        libc::AT_FDCWD => p.cwd.node().ok_or(Reject::NotOurs)?,
        fd => p.fds.get(fd)?.node.clone(),
    };
    node.verify();
    Ok(node)
}

/// Attributes of what was found, complete.
pub fn attr_of(located: &Located) -> Result<Attr, Errno> {
    match located {
        Located::Entry(entry) => Ok(entry.attr),
        Located::Node(node) => node.attr(),
        _ => Err(Errno::ENOENT),
    }
}

/// Mode and owner of a directory (or file) as known, not older than the dcache allows.
pub fn mode_of(p: &Process, node: &Node) -> Result<Mode, Errno> {
    mode_at(p, node, now_ms())
}

/// [`mode_of`] by somebody who knows the time.
pub(crate) fn mode_at(p: &Process, node: &Node, now: u64) -> Result<Mode, Errno> {
    let max_age = p.dcache.ttl().max(FRESH_MS);
    match node.permissions.get_at(max_age, now) {
        Some(mode) => Ok(mode),
        None => match node.attr() {
            Ok(attr) => Ok(Mode::from(&attr)),
            // moved or removed by somebody else: judged as last seen
            Err(e @ (Errno::ENOENT | Errno::ESTALE)) => node.permissions.get(u64::MAX).ok_or(e),
            Err(e) => Err(e),
        },
    }
}
