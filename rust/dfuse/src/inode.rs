//! Inodes: what the kernel knows by number. Each lives as long as the kernel remembers it or has it
//! open; the number is dfuse's (see `dfs::ObjectId::ino`), so that the library shows the same.
use crate::cache::Times;
use crate::container::{Container, PoolDir};
use dfs::{Attr, Errno, Kind, Object, ObjectId, Result};
use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// What an inode stands for.
pub enum Body {
    /// The root above the pools.
    Pools,
    /// A pool: its containers are directories.
    Pool(Arc<PoolDir>),
    /// A file, directory or link of a container.
    Object(Arc<Container>, ObjectId),
}

/// One inode.
pub struct Inode {
    /// Its number, fixed.
    pub ino: u64,
    /// What it is.
    pub body: Body,
    /// Fixed as well.
    pub kind: Kind,
    /// Everything that changes. Held over the DAOS calls that open and remove, so that a file is
    /// never removed while it is being opened.
    pub state: Mutex<State>,
    /// A program has taken handles and reads and writes past us: its pages are not kept.
    pub bypassed: AtomicBool,
}

/// The changing part.
pub struct State {
    /// The handle; `None` above containers.
    pub object: Option<Arc<Object>>,
    /// Where it was seen last: the parent's number and the name.
    pub place: (u64, CString),
    /// Open files of it.
    pub opens: u32,
    /// Whether it has a name.
    pub named: Named,
    /// Attributes as last seen.
    pub last: libc::stat,
    /// When it was closed last.
    pub closed: Option<Instant>,
}

/// Whether a file has a name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Named {
    /// It has one.
    Yes,
    /// It has none, and lies in the hidden directory until it is closed.
    Hidden,
    /// It has none, and is no more.
    Gone,
}

impl Inode {
    /// An inode above containers.
    pub fn above(ino: u64, body: Body, stat: libc::stat) -> Arc<Inode> {
        Inode::new(
            ino,
            body,
            Kind::Directory,
            None,
            (1, CString::default()),
            stat,
        )
    }

    /// The root of the mount, a container's.
    pub fn root(container: &Arc<Container>, object: Object, attr: &Attr) -> Arc<Inode> {
        let body = Body::Object(container.clone(), object.id());
        let object = Some(Arc::new(object));
        let place = (1, CString::default());
        Inode::new(1, body, Kind::Directory, object, place, attr.stat)
    }

    fn new(
        ino: u64,
        body: Body,
        kind: Kind,
        object: Option<Arc<Object>>,
        place: (u64, CString),
        last: libc::stat,
    ) -> Arc<Inode> {
        let state = State {
            object,
            place,
            opens: 0,
            named: Named::Yes,
            last,
            closed: None,
        };
        Arc::new(Inode {
            ino,
            body,
            kind,
            state: Mutex::new(state),
            bypassed: AtomicBool::new(false),
        })
    }

    /// Container and handle; `ENOTSUP` above containers.
    pub fn object(&self) -> Result<(&Arc<Container>, Arc<Object>)> {
        match (&self.body, &crate::locked(&self.state).object) {
            (Body::Object(container, _), Some(object)) => Ok((container, object.clone())),
            _ => Err(Errno::ENOTSUP),
        }
    }

    /// As [`Inode::object`], of a directory; `EPERM` above containers (nothing is made there).
    pub fn directory(&self) -> Result<(&Arc<Container>, Arc<Object>)> {
        match self.kind {
            Kind::Directory => self.object().map_err(|_| Errno::EPERM),
            _ => Err(Errno::ENOTDIR),
        }
    }

    /// How long the kernel may keep what it is told of this inode.
    pub fn times(&self) -> Times {
        match &self.body {
            Body::Object(container, _) => container.times,
            _ => Times::NONE,
        }
    }

    /// Attributes now. Of an open file without a name, or whose name somebody else took away: as
    /// last seen, with the size of now and no link.
    pub fn stat(&self) -> Result<libc::stat> {
        let Ok((_, object)) = self.object() else {
            return Ok(crate::locked(&self.state).last);
        };
        match object.attr() {
            Ok(attr) => {
                let mut state = crate::locked(&self.state);
                state.last = attr.stat;
                if state.named != Named::Yes {
                    state.last.st_nlink = 0;
                }
                Ok(state.last)
            }
            Err(Errno::ESTALE) => self.remembered(&object),
            Err(e) => Err(e),
        }
    }

    fn remembered(&self, object: &Object) -> Result<libc::stat> {
        let mut state = crate::locked(&self.state);
        if state.opens == 0 && state.named == Named::Yes {
            return Err(Errno::ESTALE);
        }
        // A file that somebody else removed has no bytes any more: shorter is no news, and a reader
        // shall not take it for the end of file.
        let least = match state.named {
            Named::Yes => state.last.st_size as u64,
            _ => 0,
        };
        if let Some(size) = object.size().ok().filter(|size| *size >= least) {
            state.last.st_size = size as i64;
            state.last.st_blocks = size.div_ceil(512) as i64;
        }
        state.last.st_nlink = 0;
        Ok(state.last)
    }

    /// True if the IL ioctl has said that somebody goes past us.
    pub fn is_bypassed(&self) -> bool {
        self.bypassed.load(Ordering::Relaxed)
    }

    fn is(&self, container: &Arc<Container>, oid: ObjectId) -> bool {
        matches!(&self.body, Body::Object(c, o) if Arc::ptr_eq(c, container) && *o == oid)
    }
}

struct Entry {
    inode: Arc<Inode>,
    /// How often the kernel was told of it.
    lookups: u64,
}

/// The inodes the kernel knows.
pub struct Inodes {
    root: Arc<Inode>,
    known: Mutex<HashMap<u64, Entry>>,
}

impl Inodes {
    /// The root alone, which is never forgotten.
    pub fn new(root: Arc<Inode>) -> Inodes {
        Inodes {
            root,
            known: Mutex::new(HashMap::new()),
        }
    }

    /// The inode of a number the kernel was told; `ESTALE` for any other.
    pub fn get(&self, ino: u64) -> Result<Arc<Inode>> {
        if ino == self.root.ino {
            return Ok(self.root.clone());
        }
        let known = crate::locked(&self.known);
        known
            .get(&ino)
            .map(|e| e.inode.clone())
            .ok_or(Errno::ESTALE)
    }

    /// The inode of an object found at (parent, name), counted once for the kernel.
    pub fn found(
        &self,
        container: &Arc<Container>,
        parent: u64,
        name: &CStr,
        object: Object,
        attr: &Attr,
    ) -> Arc<Inode> {
        let oid = object.id();
        if self.root.is(container, oid) {
            return self.root.clone();
        }
        let mut known = crate::locked(&self.known);
        let mut ino = attr.stat.st_ino;
        loop {
            match known.get_mut(&ino) {
                Some(entry) if entry.inode.is(container, oid) => {
                    entry.lookups += 1;
                    seen_at(&entry.inode, parent, name, object, attr);
                    return entry.inode.clone();
                }
                // Two objects of one number (dfuse's recipe drops bits): the second gets another.
                Some(_) => ino = ino.wrapping_add(0x9e37_79b9_7f4a_7c15).max(2),
                None if ino < 2 => ino = 0x9e37_79b9_7f4a_7c15,
                None => break,
            }
        }
        let inode = Inode::new(
            ino,
            Body::Object(container.clone(), oid),
            attr.kind(),
            Some(Arc::new(object)),
            (parent, name.to_owned()),
            attr.stat,
        );
        let entry = Entry {
            inode: inode.clone(),
            lookups: 1,
        };
        known.insert(ino, entry);
        inode
    }

    /// An inode above containers, counted once for the kernel.
    pub fn found_above(&self, ino: u64, make: impl FnOnce() -> Arc<Inode>) -> Arc<Inode> {
        let mut known = crate::locked(&self.known);
        let entry = known.entry(ino).or_insert_with(|| Entry {
            inode: make(),
            lookups: 0,
        });
        entry.lookups += 1;
        entry.inode.clone()
    }

    /// The inode of an object, if the kernel knows it.
    pub fn known(&self, container: &Arc<Container>, oid: ObjectId, ino: u64) -> Option<Arc<Inode>> {
        let known = crate::locked(&self.known);
        if let Some(entry) = known.get(&ino).filter(|e| e.inode.is(container, oid)) {
            return Some(entry.inode.clone());
        }
        // Under another number only if two objects shared theirs.
        let entry = known.values().find(|e| e.inode.is(container, oid))?;
        Some(entry.inode.clone())
    }

    /// The kernel forgets `count` of the times it was told.
    pub fn forget(&self, ino: u64, count: u64) {
        let mut known = crate::locked(&self.known);
        let Some(entry) = known.get_mut(&ino) else {
            return;
        };
        entry.lookups = entry.lookups.saturating_sub(count);
        let gone = (entry.lookups == 0).then(|| known.remove(&ino));
        drop(known);
        drop(gone); // releases a DAOS handle
    }
}

/// Takes the new handle where the name is another than the old handle's.
fn seen_at(inode: &Inode, parent: u64, name: &CStr, object: Object, attr: &Attr) {
    let mut state = crate::locked(&inode.state);
    state.last = attr.stat;
    if state.named != Named::Yes || state.place.0 != parent || state.place.1.as_c_str() != name {
        state.place = (parent, name.to_owned());
        state.object = Some(Arc::new(object));
        state.named = Named::Yes;
    }
}
