//! Nodes: the objects this process has open or remembers, one [`Node`] each (Linux: inode).
//!
//! A node knows where its entry is (parent and name) as far as this process has seen; our own
//! renames move it. Directories are kept by the dcache, files by their open descriptions.
use crate::board;
use crate::dcache::now_ms;
use crate::gate::{Guard, Guarded};
use crate::hash::Build;
use crate::holders::{self, Hold};
use crate::mount::Mount;
use crate::permission::Mode;
use crate::process::Process;
use crate::resolve::{self, Follow, Located, Options};
use crate::whereabouts::last_move;
use crate::Errno;
use dfs::{Attr, Kind, Object, ObjectId, SetAttr, SetTime};
use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicU8, Ordering};
use std::sync::{Arc, LockResult, Weak};

/// One object of a mount.
pub struct Node {
    /// The mount it belongs to; mounts live as long as the process.
    pub mount: &'static Mount,
    /// Its handle: read-write, or read-only on a read-only mount.
    pub object: Object,
    /// Identity.
    pub oid: ObjectId,
    /// Kind, fixed.
    pub kind: Kind,
    /// Where its entry is.
    pub place: PlaceLock,
    /// Mode and owner as last seen.
    pub permissions: Permissions,
    /// [`board::object`] as last seen.
    count: AtomicU32,
    /// Open file descriptions of it in this process; kept by `file::OpenFile`.
    pub opens: AtomicU32,
    /// Another process shares a description of it that was closed here: it is not ours to destroy.
    /// (For where there is no table of holders.)
    pub elsewhere: AtomicBool,
    /// Its entry in the node's table of open objects.
    pub hold: Hold,
    /// Record locks were asked for: it may have a shadow file.
    pub shadowed: AtomicBool,
    /// The end of the file as far as this process has seen it.
    end_seen: AtomicU64,
    /// `F_SET_RW_HINT`, for who asks.
    pub hint: AtomicU8,
}

impl Node {
    /// True while a descriptor of this process stands on it (the dcache alone does not count).
    pub fn is_open(&self) -> bool {
        self.opens.load(Ordering::Acquire) > 0
    }

    /// The end of the file as far as this process has seen it; 0: never.
    #[inline]
    pub fn end_seen(&self) -> u64 {
        self.end_seen.load(Ordering::Relaxed)
    }

    /// Notes that the file reaches to `end` at least.
    #[inline]
    pub fn saw_end(&self, end: u64) {
        if end > self.end_seen() {
            self.set_end(end);
        }
    }

    /// The file was looked up or truncated here, or found shorter.
    pub fn set_end(&self, end: u64) {
        self.end_seen.store(end, Ordering::Relaxed);
    }

    /// Its number in the table of open objects.
    pub fn key(&self) -> u64 {
        holders::key(self.mount.hash(), self.oid)
    }

    /// It is open here: other processes will keep it, and say so, when they remove its name.
    pub fn list(&self) {
        if !self.hold.is_taken() {
            self.hold.take(self.key());
        }
    }

    /// Takes notice of another process that removed its name. Two loads if nobody did.
    #[inline]
    pub fn heed(&self) {
        if self.hold.news() & holders::GONE != 0 {
            self.heed_removal();
        }
    }

    #[cold]
    fn heed_removal(&self) {
        let known = self.place.0.lock().gone.is_some();
        if !known {
            match self.kind {
                Kind::Directory => self.remember_as_gone(),
                _ => crate::ops::hidden::learn(self),
            }
        }
    }

    /// A copy of the place (the lock is held for the copy only).
    pub fn place(&self) -> Place {
        self.heed();
        self.place.lock().unwrap_or_else(|e| e.into_inner()).clone()
    }

    /// The directory it is in; `None` for the root of a mount.
    pub fn parent(&self) -> Option<Arc<Node>> {
        self.heed();
        self.place
            .lock()
            .unwrap_or_else(|e| e.into_inner())
            .parent
            .clone()
    }

    /// Its name was removed while it was open here.
    pub fn is_gone(&self) -> bool {
        self.heed();
        self.place
            .lock()
            .unwrap_or_else(|e| e.into_inner())
            .gone
            .is_some()
    }

    /// `st_ino`: dfuse's number.
    pub fn ino(&self) -> u64 {
        match self.parent() {
            Some(_) => self.oid.ino(1),
            None => 1,
        }
    }

    /// `fstat(2)`, device filled in; one RPC. Without a name any more: the last attributes, no
    /// links, the size as it is. `ESTALE` if somebody else removed or moved it.
    pub fn attr(&self) -> Result<Attr, Errno> {
        self.heed();
        let gone = self
            .place
            .lock()
            .unwrap_or_else(|e| e.into_inner())
            .gone
            .clone();
        let mut attr = match gone {
            None => match self.object.attr() {
                Err(Errno::ESTALE) => self.find_again()?,
                result => result?,
            },
            Some(Gone {
                attr,
                hidden: false,
            }) => attr,
            Some(Gone { attr, hidden: true }) => self.object.attr().unwrap_or(attr),
        };
        if self.is_gone() {
            attr.stat.st_nlink = 0;
        }
        self.complete(&mut attr);
        self.permissions.set(Mode::from(&attr));
        Ok(attr)
    }

    /// Looks whether another process of this node took the name of this directory away, or changed
    /// it; costs nothing when none did.
    #[inline]
    pub fn verify(&self) {
        let count = board::object(self.oid);
        if self.count.load(Ordering::Relaxed) != count {
            self.look_again(count);
        }
    }

    #[cold]
    fn look_again(&self, count: u32) {
        self.count.store(count, Ordering::Relaxed);
        let place = self.place();
        if place.gone.is_some() || place.parent.is_none() || self.kind != Kind::Directory {
            return;
        }
        if self.object.attr().err() == Some(Errno::ESTALE)
            && self.find_again().err() == Some(Errno::ESTALE)
        {
            self.remember_as_gone();
        }
    }

    /// The entry is not where it was: another process of this node may have moved it.
    #[cold]
    fn find_again(&self) -> Result<Attr, Errno> {
        let p = Process::get().ok_or(Errno::ESTALE)?;
        let path = last_move(self.mount, self.oid).ok_or(Errno::ESTALE)?;
        let options = Options::new(Follow::No).fresh();
        match resolve::lookup_path(p, libc::AT_FDCWD.into(), &path, &options) {
            Ok(Located::Entry(entry))
                if entry.attr.oid == self.oid
                    && std::ptr::eq(entry.found.parent.mount, self.mount) =>
            {
                self.moved(&entry.found.parent, &entry.found.name);
                Ok(entry.attr)
            }
            _ => Err(Errno::ESTALE),
        }
    }

    /// A directory that is nowhere: its mode as last seen, no links.
    fn remember_as_gone(&self) {
        let attr = self.remembered();
        self.place.0.lock().gone = Some(Gone {
            attr,
            hidden: false,
        });
    }

    /// Mode and owner as last seen, for want of better.
    pub(crate) fn remembered(&self) -> Attr {
        // SAFETY: a plain C structure.
        let mut stat: libc::stat = unsafe { std::mem::zeroed() };
        stat.st_mode = self.kind.mode();
        if let Some(mode) = self.permissions.get(u64::MAX) {
            (stat.st_mode, stat.st_uid, stat.st_gid) = (mode.mode, mode.uid, mode.gid);
        }
        let oid = self.oid;
        Attr { stat, oid }
    }

    /// Changes attributes; of a removed directory, those it is remembered with.
    pub fn set_attr(&self, set: &SetAttr) -> Result<(), Errno> {
        self.heed();
        let mut place = self.place.0.lock();
        if let Some(Gone {
            attr,
            hidden: false,
        }) = &mut place.gone
        {
            let st = &mut attr.stat;
            st.st_mode = set
                .mode
                .map_or(st.st_mode, |m| st.st_mode & libc::S_IFMT | m);
            st.st_uid = set.uid.unwrap_or(st.st_uid);
            st.st_gid = set.gid.unwrap_or(st.st_gid);
            if let Some(SetTime::At(sec, nsec)) = set.mtime {
                (st.st_mtime, st.st_mtime_nsec) = (sec, nsec);
            }
            return Ok(());
        }
        drop(place);
        self.by_entry(|object| object.set_attr(set))
    }

    /// Makes a call for which libdfs looks the entry up by its directory and name: once more where
    /// another process of this node has moved it.
    pub fn by_entry<T>(&self, call: impl Fn(&Object) -> Result<T, Errno>) -> Result<T, Errno> {
        self.heed();
        match call(&self.object) {
            Err(Errno::ESTALE) => {
                self.find_again()?;
                call(&self.object)
            }
            answer => answer,
        }
    }

    /// What DFS does not know of an attribute record of this node.
    pub fn complete(&self, attr: &mut Attr) {
        attr.stat.st_dev = self.mount.dev;
        attr.stat.st_ino = self.ino();
    }

    /// Absolute path. `ENOENT` if it or a directory above was removed, `ENAMETOOLONG` from
    /// `PATH_MAX` on.
    pub fn path(&self) -> Result<CString, Errno> {
        let (path, gone) = self.last_path()?;
        match gone {
            false => Ok(path),
            true => Err(Errno::ENOENT),
        }
    }

    /// Absolute path as last known, and whether it is gone.
    pub fn last_path(&self) -> Result<(CString, bool), Errno> {
        let mut names: Vec<CString> = Vec::new();
        self.verify();
        let Place {
            parent: mut up,
            name,
            gone,
        } = self.place();
        let (mut gone, mut len) = (gone.is_some(), name.as_bytes().len());
        if up.is_some() {
            names.push(name);
        }
        while let Some(node) = up {
            node.verify();
            let place = node.place();
            gone |= place.gone.is_some();
            if place.parent.is_some() {
                len += 1 + place.name.as_bytes().len();
                names.push(place.name);
            }
            if len >= crate::user::PATH_MAX {
                return Err(Errno::ENAMETOOLONG);
            }
            up = place.parent;
        }
        let mut path = self.mount.point.as_bytes().to_vec();
        for name in names.iter().rev() {
            path.push(b'/');
            path.extend_from_slice(name.as_bytes());
        }
        // SAFETY: made of strings without NUL.
        Ok((unsafe { CString::from_vec_unchecked(path) }, gone))
    }

    /// True if this is the directory `oid` or lies below it, as far as this process has seen.
    pub fn descends_from(self: &Arc<Node>, oid: ObjectId) -> bool {
        let mut at = Some(self.clone());
        for _ in 0..crate::user::PATH_MAX {
            match at {
                Some(node) if node.oid == oid => return true,
                Some(node) => at = node.parent(),
                None => return false,
            }
        }
        false
    }

    /// Its entry now is `name` in `dir`.
    pub fn moved(&self, dir: &Arc<Node>, name: &CStr) {
        let mut place = self.place.lock().unwrap_or_else(|e| e.into_inner());
        let old = place.parent.replace(dir.clone());
        place.name = name.into();
        drop(place);
        drop(old);
        let _ = self.object.renamed(&dir.object, name);
    }

    fn is_at(&self, dir: &Node, name: &CStr) -> bool {
        let place = self.place.lock().unwrap_or_else(|e| e.into_inner());
        place.gone.is_some()
            || (place.parent.as_ref().is_some_and(|p| p.oid == dir.oid) && *place.name == *name)
    }
}

/// The last descriptor, mapping and call are done with it: one that has no name any more goes, if
/// no other process has it open.
impl Drop for Node {
    fn drop(&mut self) {
        if let Some(p) = Process::get() {
            p.locks.node_gone(self, &p.nodes);
        }
        crate::ops::hidden::last_use(self);
    }
}

/// Mode and owner of a node as last seen on DAOS. Readers take no lock; a reader that meets a
/// change sees either mode.
#[derive(Default)]
pub struct Permissions {
    mode: AtomicU32,
    uid: AtomicU32,
    gid: AtomicU32,
    seen: AtomicU64,
}

impl Permissions {
    /// Just seen.
    pub fn set(&self, mode: Mode) {
        self.mode.store(mode.mode, Ordering::Relaxed);
        self.uid.store(mode.uid, Ordering::Relaxed);
        self.gid.store(mode.gid, Ordering::Relaxed);
        self.seen.store(now_ms().max(1), Ordering::Release);
    }

    /// As seen at most `max_age` milliseconds ago.
    pub fn get(&self, max_age: u64) -> Option<Mode> {
        self.get_at(max_age, now_ms())
    }

    /// [`Permissions::get`] for somebody who knows the time.
    pub fn get_at(&self, max_age: u64, now: u64) -> Option<Mode> {
        let seen = self.seen.load(Ordering::Acquire);
        if seen == 0 || now.saturating_sub(seen) > max_age {
            return None;
        }
        Some(Mode {
            mode: self.mode.load(Ordering::Relaxed),
            uid: self.uid.load(Ordering::Relaxed),
            gid: self.gid.load(Ordering::Relaxed),
        })
    }
}

/// The lock of a [`Place`]: as a `Mutex`, but never found taken by a fork child.
pub struct PlaceLock(Guarded<Place>);

impl PlaceLock {
    fn new(place: Place) -> PlaceLock {
        PlaceLock(Guarded::new(place))
    }

    /// Takes the lock; never poisoned.
    pub fn lock(&self) -> LockResult<Guard<'_, Place>> {
        Ok(self.0.lock())
    }
}

/// The entry of a node.
#[derive(Clone)]
pub struct Place {
    /// The directory; `None` for the root of a mount.
    pub parent: Option<Arc<Node>>,
    /// The name in it (empty for the root).
    pub name: CString,
    /// The name is gone while the node is open here: attributes as last seen, and - when the object was kept
    /// under a hidden name to be destroyed on last close - that it must be removed.
    pub gone: Option<Gone>,
}

/// A node whose name was removed or replaced while it was open.
#[derive(Clone)]
pub struct Gone {
    /// Attributes when it went (`st_nlink` 0).
    pub attr: Attr,
    /// It lies under its hidden name (`place.parent`/`place.name` point there).
    pub hidden: bool,
}

/// The open nodes of the process by identity.
#[derive(Default)]
pub struct NodeIndex {
    map: Guarded<Index>,
}

#[derive(Default)]
struct Index {
    nodes: HashMap<(usize, ObjectId), Weak<Node>, Build>,
    /// Entries at which the dead ones are looked for next.
    limit: usize,
}

impl NodeIndex {
    /// The node of this object, if the process has one.
    pub fn find(&self, mount: &'static Mount, oid: ObjectId) -> Option<Arc<Node>> {
        self.lock().nodes.get(&key(mount, oid))?.upgrade()
    }

    /// The one node of this object: the existing one, or a new one made of `object`.
    pub fn intern(
        &self,
        mount: &'static Mount,
        object: Object,
        parent: Option<Arc<Node>>,
        name: CString,
    ) -> Arc<Node> {
        let (oid, kind) = (object.id(), object.kind());
        let mut index = self.lock();
        if let Some(node) = index.nodes.get(&key(mount, oid)).and_then(Weak::upgrade) {
            return node;
        }
        let place = PlaceLock::new(Place {
            parent,
            name,
            gone: None,
        });
        let node = Arc::new(Node {
            mount,
            object,
            oid,
            kind,
            place,
            permissions: Permissions::default(),
            count: AtomicU32::new(board::object(oid)),
            opens: AtomicU32::new(0),
            elsewhere: AtomicBool::new(false),
            hold: Hold::default(),
            shadowed: AtomicBool::new(false),
            end_seen: AtomicU64::new(0),
            hint: AtomicU8::new(0),
        });
        index.nodes.insert(key(mount, oid), Arc::downgrade(&node));
        if index.nodes.len() > index.limit {
            index.nodes.retain(|_, n| n.strong_count() > 0);
            index.limit = 1024.max(index.nodes.len() * 2);
        }
        node
    }

    /// The node of the entry `name` of `parent` just looked up; one known under another name
    /// (somebody else renamed it) is moved.
    pub fn intern_entry(
        &self,
        parent: &Arc<Node>,
        name: &CStr,
        object: Object,
        attr: &Attr,
    ) -> Arc<Node> {
        let node = self.intern(parent.mount, object, Some(parent.clone()), name.into());
        if !node.is_at(parent, name) {
            node.moved(parent, name);
        }
        node.permissions.set(Mode::from(attr));
        node
    }

    /// Calls `f` with every node, unlocked.
    pub fn each(&self, f: &mut dyn FnMut(&Arc<Node>)) {
        let all: Vec<_> = self
            .lock()
            .nodes
            .values()
            .filter_map(Weak::upgrade)
            .collect();
        all.iter().for_each(f);
    }

    /// Removes dead entries.
    pub fn sweep(&self) {
        self.lock().nodes.retain(|_, n| n.strong_count() > 0);
    }

    fn lock(&self) -> Guard<'_, Index> {
        self.map.lock()
    }

    /// Takes the lock over a fork.
    pub(crate) fn hold(&self) {
        std::mem::forget(self.lock());
    }

    /// Gives back what [`NodeIndex::hold`] took.
    pub(crate) fn release(&self) {
        self.map.release();
    }
}

fn key(mount: &'static Mount, oid: ObjectId) -> (usize, ObjectId) {
    (std::ptr::from_ref(mount) as usize, oid)
}
