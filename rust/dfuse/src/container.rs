//! The containers behind a mount: connected at their first use, each once, whatever name it was
//! entered by. A container's number (its ordinal) goes into the inode numbers of its files.
use crate::cache::Times;
use dfs::{uuid_text, Access, Client, EntryPoint, Errno, Filesystem, Object, Pool, Result, Uuids};
use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::sync::{Arc, Mutex, OnceLock};

/// One container and how it is shown.
pub struct Container {
    /// Its file system.
    pub fs: Arc<Filesystem>,
    /// Pool and container.
    pub uuids: Uuids,
    /// How long the kernel may keep what it was told.
    pub times: Times,
    /// Where removed files that are still open wait; made at the first one.
    pub hidden: OnceLock<Object>,
}

impl Container {
    /// The access handles are opened with.
    pub fn access(&self) -> Access {
        match self.fs.is_read_only() {
            true => Access::Read,
            false => Access::ReadWrite,
        }
    }

    /// `user.daos` of its root: without a final NUL, as dfuse answers it.
    pub fn entry_point(&self) -> Vec<u8> {
        let (pool, cont) = (uuid_text(&self.uuids.pool), uuid_text(&self.uuids.cont));
        [b"DAOS.POSIX://", pool.as_bytes(), b"/", cont.as_bytes()].concat()
    }
}

/// A pool that was entered, as a directory.
pub struct PoolDir {
    /// The connection.
    pub pool: Pool,
    /// The name it was entered by.
    pub name: CString,
    /// Its inode number.
    pub ordinal: u64,
}

#[derive(Default)]
struct Known {
    last_ordinal: u64,
    containers: Vec<Arc<Container>>,
    /// By (pool, container) as they were named.
    by_name: HashMap<(CString, CString), Arc<Container>>,
    pools: Vec<Arc<PoolDir>>,
}

/// All that was entered so far.
pub struct Containers {
    client: Arc<Client>,
    caching: bool,
    known: Mutex<Known>,
}

impl Containers {
    /// None yet. Ordinals begin at `first`: 1 belongs to the root directory.
    pub fn new(client: Arc<Client>, caching: bool, first: u64) -> Containers {
        let known = Known {
            last_ordinal: first - 1,
            ..Known::default()
        };
        Containers {
            client,
            caching,
            known: Mutex::new(known),
        }
    }

    /// The container of these names, connected if it is not yet.
    pub fn enter(&self, pool: &CStr, cont: &CStr) -> Result<Arc<Container>> {
        let names = (pool.to_owned(), cont.to_owned());
        // Held while connecting: of two that enter at once, one connects.
        let mut known = crate::locked(&self.known);
        if let Some(found) = known.by_name.get(&names) {
            return Ok(found.clone());
        }
        let ordinal = known.last_ordinal + 1;
        let fs = Filesystem::connect_numbered(&self.client, pool, cont, ordinal)?;
        let uuids = fs.uuids()?;
        let same = known.containers.iter().find(|c| c.uuids == uuids).cloned();
        let container = match same {
            Some(container) => container,
            None => {
                known.last_ordinal = ordinal;
                let times = match self.caching {
                    true => Times::of(&fs),
                    false => Times::NONE,
                };
                let container = Arc::new(Container {
                    fs,
                    uuids,
                    times,
                    hidden: OnceLock::new(),
                });
                known.containers.push(container.clone());
                container
            }
        };
        known.by_name.insert(names, container.clone());
        Ok(container)
    }

    /// The container an entry point leads to; `ENOLINK` if there is none.
    pub fn cross(&self, entry: &EntryPoint) -> Result<Arc<Container>> {
        self.enter(&entry.pool, &entry.cont).map_err(|e| match e {
            Errno::ENOENT => Errno::ENOLINK,
            other => other,
        })
    }

    /// The pool of this name, connected if it is not yet.
    pub fn pool(&self, name: &CStr) -> Result<Arc<PoolDir>> {
        let mut known = crate::locked(&self.known);
        if let Some(found) = known.pools.iter().find(|p| p.name.as_c_str() == name) {
            return Ok(found.clone());
        }
        let pool = Pool::connect(&self.client, name)?;
        known.last_ordinal += 1;
        let dir = Arc::new(PoolDir {
            pool,
            name: name.to_owned(),
            ordinal: known.last_ordinal,
        });
        known.pools.push(dir.clone());
        Ok(dir)
    }

    /// The pools entered so far.
    pub fn pools(&self) -> Vec<Arc<PoolDir>> {
        crate::locked(&self.known).pools.clone()
    }

    /// The containers entered so far.
    pub fn entered(&self) -> Vec<Arc<Container>> {
        crate::locked(&self.known).containers.clone()
    }
}
