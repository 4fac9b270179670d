//! The directory name cache: (parent object, name) to directory (Linux: the dcache, positive
//! entries of directories only). Each entry says when it was last seen on DAOS; the asker says
//! how old it may be. Sharded; a lock is held for one map operation only.
use crate::board;
use crate::gate::{Guard, Guarded};
use crate::hash::{Build, Mix};
use crate::node::Node;
use dfs::ObjectId;
use std::collections::HashMap;
use std::ffi::CStr;
use std::hash::Hasher;
use std::sync::Arc;

/// Milliseconds of the monotonic clock, coarse (a few ms), without a system call.
pub fn now_ms() -> u64 {
    let mut ts = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: a valid pointer; the vDSO answers.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC_COARSE, &mut ts) };
    ts.tv_sec as u64 * 1000 + ts.tv_nsec as u64 / 1_000_000
}

/// How long an entry is believed without asking (D_IL_DCACHE_REC_TIMEOUT), by default.
pub const DEFAULT_TTL_MS: u64 = 5_000;

const SHARDS: usize = 32;
/// Entries a shard holds before the old ones go.
const SHARD_LIMIT: usize = 4096;

/// The cache of the process.
pub struct Dcache {
    shards: [Guarded<HashMap<u64, Vec<Entry>, Build>>; SHARDS],
    ttl: u64,
}

struct Entry {
    parent: ObjectId,
    mount: usize,
    name: Box<CStr>,
    node: Arc<Node>,
    seen: u64,
    /// [`board::entry`] from before it was looked up.
    count: u32,
}

impl Entry {
    fn is(&self, parent: &Node, name: &CStr) -> bool {
        self.parent == parent.oid && self.mount == mount_of(parent) && *self.name == *name
    }
}

fn mount_of(node: &Node) -> usize {
    std::ptr::from_ref(node.mount) as usize
}

impl Default for Dcache {
    fn default() -> Self {
        Self::new(DEFAULT_TTL_MS)
    }
}

impl Dcache {
    /// An empty cache; entries expire after `ttl` milliseconds, 0 turns it off.
    pub fn new(ttl: u64) -> Dcache {
        let shards = std::array::from_fn(|_| Guarded::new(HashMap::default()));
        Dcache { shards, ttl }
    }

    /// The life of an entry in milliseconds.
    pub fn ttl(&self) -> u64 {
        self.ttl
    }

    fn key(&self, parent: &Node, name: &CStr) -> u64 {
        let mut h = Mix::default();
        h.write_u64(parent.oid.lo);
        h.write_u64(parent.oid.hi);
        h.write_usize(mount_of(parent));
        h.write(name.to_bytes());
        h.finish()
    }

    fn shard(&self, key: u64) -> Guard<'_, HashMap<u64, Vec<Entry>, Build>> {
        self.shards[key as usize % SHARDS].lock()
    }

    /// The directory `name` of `parent`, seen at most `max_age` milliseconds before `now`, and its
    /// age.
    pub fn get(
        &self,
        parent: &Node,
        name: &CStr,
        max_age: u64,
        now: u64,
    ) -> Option<(Arc<Node>, u64)> {
        if self.ttl == 0 {
            return None;
        }
        let key = self.key(parent, name);
        let shard = self.shard(key);
        let entry = shard.get(&key)?.iter().find(|e| e.is(parent, name))?;
        if entry.count != board::entry(parent.oid, name) {
            return None;
        }
        let age = now.saturating_sub(entry.seen);
        (age <= max_age.min(self.ttl)).then(|| (entry.node.clone(), age))
    }

    /// Remembers a directory just seen on DAOS; `count` is [`board::entry`] from before that.
    pub fn put(&self, parent: &Node, name: &CStr, node: &Arc<Node>, count: u32) {
        if self.ttl == 0 {
            return;
        }
        let key = self.key(parent, name);
        let entry = Entry {
            parent: parent.oid,
            mount: mount_of(parent),
            name: name.into(),
            node: node.clone(),
            seen: now_ms(),
            count,
        };
        // what is displaced is dropped after the lock: it may release DAOS handles
        let mut old = Vec::new();
        let mut shard = self.shard(key);
        if shard.len() >= SHARD_LIMIT {
            let limit = entry.seen.saturating_sub(self.ttl / 2);
            shard.retain(|_, bucket| {
                let (keep, drop): (Vec<_>, Vec<_>) = bucket.drain(..).partition(|e| e.seen > limit);
                *bucket = keep;
                old.extend(drop);
                !bucket.is_empty()
            });
            if shard.len() >= SHARD_LIMIT {
                old.extend(shard.drain().flat_map(|(_, bucket)| bucket));
            }
        }
        let bucket = shard.entry(key).or_default();
        match bucket.iter_mut().find(|e| e.is(parent, name)) {
            Some(slot) => old.push(std::mem::replace(slot, entry)),
            None => bucket.push(entry),
        }
        drop(shard);
    }

    /// Forgets the directory `name` of `parent`.
    pub fn remove(&self, parent: &Node, name: &CStr) {
        if self.ttl == 0 {
            return;
        }
        let key = self.key(parent, name);
        let mut gone = None;
        let mut shard = self.shard(key);
        if let Some(bucket) = shard.get_mut(&key) {
            gone = bucket
                .iter()
                .position(|e| e.is(parent, name))
                .map(|i| bucket.swap_remove(i));
            if bucket.is_empty() {
                shard.remove(&key);
            }
        }
        drop(shard);
        drop(gone);
    }

    /// Takes every lock over a fork.
    pub(crate) fn hold(&self) {
        self.shards
            .iter()
            .for_each(|shard| std::mem::forget(shard.lock()));
    }

    /// Gives back what [`Dcache::hold`] took.
    pub(crate) fn release(&self) {
        self.shards.iter().for_each(Guarded::release);
    }

    /// Forgets everything (a fork child that must not use its parent's handles, tests).
    pub fn clear(&self) {
        for shard in &self.shards {
            let old = std::mem::take(&mut *shard.lock());
            drop(old);
        }
    }
}
