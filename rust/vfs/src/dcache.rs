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
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
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

/// Upstream's settings (`D_IL_DCACHE_*`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// How long an entry is believed without asking, milliseconds; 0: there is no cache.
    pub life_ms: u64,
    /// So many directories are remembered at most, as a power of two.
    pub size_bits: u32,
    /// How often what is too old is looked for, milliseconds; 0: never.
    pub sweep_ms: u64,
    /// How many of those go at a time.
    pub sweep_most: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            life_ms: 60_000,
            size_bits: 16,
            sweep_ms: 120_000,
            sweep_most: 1_000,
        }
    }
}

const SHARDS: usize = 32;

/// The cache of the process.
pub struct Dcache {
    shards: [Guarded<HashMap<u64, Vec<Entry>, Build>>; SHARDS],
    ttl: u64,
    limits: Limits,
    /// When what is too old was last looked for ([`now_ms`]).
    swept: AtomicU64,
    /// Where to look next.
    next: AtomicUsize,
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
        Self::new(Limits::default())
    }
}

impl Dcache {
    /// An empty cache.
    pub fn new(limits: Limits) -> Dcache {
        Dcache {
            shards: std::array::from_fn(|_| Guarded::new(HashMap::default())),
            ttl: limits.life_ms,
            limits,
            swept: AtomicU64::new(now_ms()),
            next: AtomicUsize::new(0),
        }
    }

    /// Entries a shard holds before the old ones go.
    fn shard_limit(&self) -> usize {
        ((1 << self.limits.size_bits) / SHARDS).max(1)
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
        if shard.len() >= self.shard_limit() {
            let limit = entry.seen.saturating_sub(self.ttl / 2);
            shard.retain(|_, bucket| {
                let (keep, drop): (Vec<_>, Vec<_>) = bucket.drain(..).partition(|e| e.seen > limit);
                *bucket = keep;
                old.extend(drop);
                !bucket.is_empty()
            });
            if shard.len() >= self.shard_limit() {
                old.extend(shard.drain().flat_map(|(_, bucket)| bucket));
            }
        }
        let bucket = shard.entry(key).or_default();
        match bucket.iter_mut().find(|e| e.is(parent, name)) {
            Some(slot) => old.push(std::mem::replace(slot, entry)),
            None => bucket.push(entry),
        }
        let now = bucket.last().map_or(0, |e| e.seen);
        drop(shard);
        drop(old);
        self.sweep(now);
    }

    /// Lets go of what is too old to be believed, now and then and some at a time, so that its
    /// handles are given back.
    fn sweep(&self, now: u64) {
        let last = self.swept.load(Ordering::Relaxed);
        let due = self.limits.sweep_ms != 0 && now.saturating_sub(last) >= self.limits.sweep_ms;
        let one =
            |to| (self.swept).compare_exchange(last, to, Ordering::Relaxed, Ordering::Relaxed);
        if !due || one(now).is_err() {
            return;
        }
        let limit = now.saturating_sub(self.ttl);
        let mut old = Vec::new();
        for _ in 0..SHARDS {
            let at = self.next.load(Ordering::Relaxed) % SHARDS;
            let mut shard = self.shards[at].lock();
            shard.retain(|_, bucket| {
                let mut i = 0;
                while i < bucket.len() && old.len() < self.limits.sweep_most {
                    match bucket[i].seen < limit {
                        true => old.push(bucket.swap_remove(i)),
                        false => i += 1,
                    }
                }
                !bucket.is_empty()
            });
            drop(shard);
            if old.len() >= self.limits.sweep_most {
                return;
            }
            self.next.store(at + 1, Ordering::Relaxed);
        }
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
