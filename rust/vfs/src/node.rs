//! Nodes: the objects this process has open or remembers, one [`Node`] each (Linux: inode).
//!
//! A node knows where its entry is (parent and name) as far as this process has seen; our own
//! renames move it. Directories are kept by the dcache, files by their open descriptions.
use crate::mount::Mount;
use dfs::{Attr, Kind, Object, ObjectId};
use std::collections::HashMap;
use std::ffi::CString;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, Weak};

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
    pub place: Mutex<Place>,
    /// Open file descriptions of it in this process; kept by `file::OpenFile`.
    pub opens: AtomicU32,
    /// Another process shares a description of it that was closed here: it is not ours to destroy.
    pub elsewhere: AtomicBool,
}

impl Node {
    /// True while a descriptor of this process stands on it (the dcache alone does not count).
    pub fn is_open(&self) -> bool {
        self.opens.load(Ordering::Acquire) > 0
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
    map: Mutex<HashMap<(usize, ObjectId), Weak<Node>>>,
}

impl NodeIndex {
    /// The node of this object, if the process has one.
    pub fn find(&self, mount: &'static Mount, oid: ObjectId) -> Option<Arc<Node>> {
        self.lock().get(&key(mount, oid))?.upgrade()
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
        let mut map = self.lock();
        if let Some(node) = map.get(&key(mount, oid)).and_then(Weak::upgrade) {
            return node;
        }
        let place = Mutex::new(Place { parent, name, gone: None });
        let node = Arc::new(Node {
            mount,
            object,
            oid,
            kind,
            place,
            opens: AtomicU32::new(0),
            elsewhere: AtomicBool::new(false),
        });
        map.insert(key(mount, oid), Arc::downgrade(&node));
        if map.len() % 1024 == 0 {
            map.retain(|_, n| n.strong_count() > 0);
        }
        node
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<(usize, ObjectId), Weak<Node>>> {
        self.map.lock().unwrap_or_else(|e| e.into_inner())
    }
}

fn key(mount: &'static Mount, oid: ObjectId) -> (usize, ObjectId) {
    (std::ptr::from_ref(mount) as usize, oid)
}
