//! The store: a directory with the metadata of all pools (`meta`, LMDB), the bytes of every file
//! (`data/<container>/<2 digits>/<object>`), and the counters. It may be shared by the users of a
//! node if its creator made the directory sticky and world-writable (01777).
use crate::counters::{Counters, Word};
use crate::entry::{Entry, Time};
use crate::error::{der, errno, Error, Result};
use crate::key::{Key, Oid, CONTAINER_TAGS, ROOT, ROOT_NAME, SUPERBLOCK};
use crate::lmdb::{Env, Txn, WriteTxn};
use crate::record::{is_label, random_uuid, uuid_from, Container, NewContainer, Pool};
use crate::spin::Spin;
use std::ffi::CString;
use std::sync::atomic::Ordering;

/// An open store.
pub struct Store {
    root: String,
    env: &'static Env,
    shared: bool,
}

/// Environments this process has open, by process id (a fork child needs its own) and path: LMDB must not open one
/// twice, since closing either would drop the locks of both. They are never closed.
static OPEN: Spin<Vec<(u32, String, &'static Env)>> = Spin::new(Vec::new());

fn open_env(meta: &str) -> Result<&'static Env> {
    let me = std::process::id();
    let known = |open: &Vec<(u32, String, &'static Env)>| {
        open.iter()
            .find(|(opener, path, _)| *opener == me && path == meta)
            .map(|(_, _, env)| *env)
    };
    // The lock is held over the opening: two threads must not both do it.
    let mut open = OPEN.lock();
    if let Some(env) = known(&open) {
        return Ok(env);
    }
    let env: &'static Env = Box::leak(Box::new(Env::open(meta.as_bytes(), 0o666)?));
    open.push((me, meta.to_string(), env));
    Ok(env)
}

fn mode_of(path: &str) -> Option<u32> {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).ok().map(|meta| meta.mode())
}

/// Hexadecimal, at least so many digits: every stat of a file needs a path, and `format!` would
/// be half its cost.
fn push_hex(text: &mut Vec<u8>, number: u64, least: u32) {
    let digits = (16 - number.leading_zeros() / 4).max(least);
    for digit in (0..digits).rev() {
        text.push(b"0123456789abcdef"[(number >> (4 * digit)) as usize & 15]);
    }
}

fn host<T>(result: std::io::Result<T>) -> Result<T> {
    result.map_err(|error| Error::Errno(error.raw_os_error().unwrap_or(libc::EIO)))
}

/// Makes a directory (it may exist) and, in a shared store, opens it to all.
fn make_dir(path: &str, shared: bool) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    match std::fs::create_dir(path) {
        Ok(()) if shared => host(std::fs::set_permissions(
            path,
            std::fs::Permissions::from_mode(0o777),
        )),
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => host(Err(error)),
    }
}

impl Store {
    /// Opens the store at `root` (absolute). `-DER_AGENT_COMM` if there is none, as without an
    /// agent; `-DER_NO_PERM` if it cannot be read.
    pub fn open(root: &str) -> Result<Store> {
        let missing = |_| Error::Der(daos_sys::DER_AGENT_COMM);
        let meta = format!("{root}/meta");
        let mode = match std::fs::metadata(format!("{meta}/data.mdb")) {
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                crate::log::error(&format!("no permission to read the store {root}"));
                return der(daos_sys::DER_NO_PERM);
            }
            Err(_) => {
                crate::log::error(&format!("there is no store at {root}"));
                return der(daos_sys::DER_AGENT_COMM);
            }
            Ok(_) => mode_of(root).ok_or(()).map_err(missing)?,
        };
        let shared = mode & 0o1777 == 0o1777;
        let env = open_env(&meta)?;
        Ok(Store {
            root: root.to_string(),
            env,
            shared,
        })
    }

    /// Makes a store at `root` if there is none yet, and opens it.
    pub fn create(root: &str) -> Result<Store> {
        use std::os::unix::fs::PermissionsExt;
        host(std::fs::create_dir_all(root))?;
        let shared = mode_of(root).unwrap_or(0) & 0o1777 == 0o1777;
        make_dir(&format!("{root}/data"), shared)?;
        let meta = format!("{root}/meta");
        make_dir(&meta, shared)?;
        if std::fs::metadata(format!("{meta}/data.mdb")).is_err() {
            let env = open_env(&meta)?;
            env.write(|txn| txn.put(b"VERSION", b"1"))?; // so that the first page is there for readers
            if shared {
                for file in ["data.mdb", "lock.mdb"] {
                    let path = format!("{meta}/{file}");
                    host(std::fs::set_permissions(
                        path,
                        std::fs::Permissions::from_mode(0o666),
                    ))?;
                }
            }
            return Ok(Store {
                root: root.to_string(),
                env,
                shared,
            });
        }
        Store::open(root)
    }

    /// The directory.
    pub fn root(&self) -> &str {
        &self.root
    }

    /// The metadata.
    pub fn env(&self) -> &'static Env {
        self.env
    }

    /// Permissions that new files of the store are asked for (the umask takes its part).
    pub fn file_mode(&self) -> libc::mode_t {
        0o666
    }

    /// True when the store is for all users of the node.
    pub fn is_shared(&self) -> bool {
        self.shared
    }

    /// Where the bytes of an object are.
    pub fn data_path(&self, cont: u32, oid: Oid) -> CString {
        let place = crate::key::hash(&oid.hi.to_le_bytes()) ^ oid.lo;
        let mut path = Vec::with_capacity(self.root.len() + 64);
        path.extend_from_slice(self.root.as_bytes());
        path.extend_from_slice(b"/data/");
        push_hex(&mut path, cont.into(), 1);
        path.push(b'/');
        push_hex(&mut path, place & 0xff, 2);
        path.push(b'/');
        push_hex(&mut path, oid.lo, 1);
        path.push(b'.');
        push_hex(&mut path, oid.hi, 1);
        path.push(0);
        CString::from_vec_with_nul(path).unwrap_or_default()
    }

    /// Makes the directory of a data path, which the first file in it needs.
    pub fn make_data_dir(&self, path: &std::ffi::CStr) -> Result<()> {
        let path = path.to_string_lossy();
        match path.rfind('/') {
            Some(end) => make_dir(&path[..end], self.shared),
            None => errno(libc::EINVAL),
        }
    }

    fn next(txn: &WriteTxn<'_>, key: &Key) -> Result<u64> {
        let read = |bytes: &[u8]| bytes.try_into().map(u64::from_le_bytes).unwrap_or(0);
        let next = txn.get(key, read)?.unwrap_or(0) + 1;
        txn.put(key, &next.to_le_bytes())?;
        Ok(next)
    }

    /// A number no other client of the container has: the `lo` of its next objects.
    pub fn alloc_oid_range(&self, cont: u32) -> Result<u64> {
        self.env.write(|txn| Store::next(txn, &Key::next_oid(cont)))
    }

    /// All pools.
    pub fn pools(&self) -> Result<Vec<Pool>> {
        let mut pools = Vec::new();
        let txn = self.env.read()?;
        txn.scan(&Key::pool(b""), &Key::pool(b""), |key, bytes| {
            pools.extend(Pool::decode(&key[1..], bytes));
            true
        })?;
        Ok(pools)
    }

    /// A pool by label or UUID; `-DER_NONEXIST`.
    pub fn pool(&self, name: &str) -> Result<Pool> {
        let uuid = uuid_from(name);
        let wanted = |pool: &Pool| pool.label == name || Some(pool.uuid) == uuid;
        self.pools()?
            .into_iter()
            .find(wanted)
            .ok_or(Error::Der(daos_sys::DER_NONEXIST))
    }

    /// A new pool; `-DER_EXIST`, `-DER_INVAL` for a bad label.
    pub fn create_pool(&self, label: &str) -> Result<Pool> {
        if !is_label(label) {
            return der(daos_sys::DER_INVAL);
        }
        self.env.write(|txn| {
            let id = Store::next(txn, &Key::next_number())? as u32;
            let pool = Pool {
                id,
                uuid: random_uuid(),
                label: label.to_string(),
            };
            txn.insert(&Key::pool(label.as_bytes()), &pool.encode())?;
            Ok(pool)
        })
    }

    /// Destroys an empty pool; `-DER_BUSY` while it has containers.
    pub fn destroy_pool(&self, name: &str) -> Result<()> {
        let pool = self.pool(name)?;
        if !self.containers(pool.id)?.is_empty() {
            return der(daos_sys::DER_BUSY);
        }
        self.env
            .write(|txn| txn.delete(&Key::pool(pool.label.as_bytes())).map(|_| ()))
    }

    /// All containers of a pool.
    pub fn containers(&self, pool: u32) -> Result<Vec<Container>> {
        let txn = self.env.read()?;
        Store::containers_in(&txn, pool)
    }

    fn containers_in(txn: &Txn<'_>, pool: u32) -> Result<Vec<Container>> {
        let mut containers = Vec::new();
        let prefix = Key::container(pool, b"");
        txn.scan(&prefix, &prefix, |key, bytes| {
            containers.extend(Container::decode(pool, &key[prefix.len()..], bytes));
            true
        })?;
        Ok(containers)
    }

    /// A container by label or UUID; `-DER_NONEXIST`.
    pub fn container(&self, pool: u32, name: &str) -> Result<Container> {
        let uuid = uuid_from(name);
        let wanted = |cont: &Container| cont.label == name || Some(cont.uuid) == uuid;
        let found = self.containers(pool)?.into_iter().find(wanted);
        found.ok_or(Error::Der(daos_sys::DER_NONEXIST))
    }

    /// A container by its number, in any pool.
    pub fn container_by_uuid(&self, uuid: &[u8; 16]) -> Result<(Pool, Container)> {
        for pool in self.pools()? {
            if let Some(cont) = self
                .containers(pool.id)?
                .into_iter()
                .find(|cont| cont.uuid == *uuid)
            {
                return Ok((pool, cont));
            }
        }
        der(daos_sys::DER_NONEXIST)
    }

    /// A new container with its superblock and root directory (if POSIX) and its place for data.
    pub fn create_container(&self, pool: u32, label: &str, new: NewContainer) -> Result<Container> {
        if !is_label(label) {
            return der(daos_sys::DER_INVAL);
        }
        // SAFETY: these two cannot fail.
        let (uid, gid) = unsafe { (libc::geteuid(), libc::getegid()) };
        let chunk = if new.chunk == 0 {
            daos_sys::DFS_DEFAULT_CHUNK_SIZE
        } else {
            new.chunk
        };
        let id = self
            .env
            .write(|txn| Store::next(txn, &Key::next_number()))? as u32;
        let place = format!("{}/data/{id:x}", self.root);
        make_dir(&place, self.shared)?;
        let container = Container {
            id,
            pool,
            uuid: random_uuid(),
            label: label.to_string(),
            posix: new.posix,
            balanced: new.balanced,
            protected: false,
            chunk,
            oclass: new.oclass,
        };
        let made = self.env.write(|txn| {
            txn.insert(&Key::container(pool, label.as_bytes()), &container.encode())?;
            if new.posix {
                let root = Entry::new(libc::S_IFDIR | 0o755, uid, gid, ROOT, 0, 0);
                txn.insert(&Key::entry(id, SUPERBLOCK, ROOT_NAME), &root.encode(b""))?;
                txn.put(&Key::directory(id, ROOT), &Time::now().encode())?;
            }
            Ok(())
        });
        if let Err(error) = made {
            let _ = std::fs::remove_dir_all(place);
            return Err(error);
        }
        Ok(container)
    }

    /// Lets a container be opened only to read, or to write again.
    pub fn protect(&self, pool: u32, name: &str, protected: bool) -> Result<()> {
        let container = Container {
            protected,
            ..self.container(pool, name)?
        };
        let key = Key::container(pool, container.label.as_bytes());
        self.env.write(|txn| txn.put(&key, &container.encode()))
    }

    /// Destroys a container with all it holds.
    pub fn destroy_container(&self, pool: u32, name: &str) -> Result<()> {
        let container = self.container(pool, name)?;
        self.env.shrink(|txn| {
            for tag in CONTAINER_TAGS {
                txn.delete_prefix(&Key::all(*tag, container.id))?;
            }
            txn.delete(&Key::container(pool, container.label.as_bytes()))
        })?;
        let _ = std::fs::remove_dir_all(format!("{}/data/{:x}", self.root, container.id));
        let counters = Counters::open(&self.root);
        counters
            .word(Word::Destroyed)
            .fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// (total, free) bytes of the file system below.
    pub fn space(&self) -> Result<(u64, u64)> {
        let path = CString::new(self.root.as_str()).or(errno(libc::EINVAL))?;
        // SAFETY: a zeroed structure of integers, and a NUL-terminated path.
        unsafe {
            let mut answer: libc::statvfs = std::mem::zeroed();
            match libc::statvfs(path.as_ptr(), &mut answer) {
                0 => Ok((
                    answer.f_blocks * answer.f_frsize,
                    answer.f_bavail * answer.f_frsize,
                )),
                _ => Err(Error::last()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_paths_are_as_format_writes_them() {
        let text = |number, least| {
            let mut text = Vec::new();
            push_hex(&mut text, number, least);
            String::from_utf8(text).expect("ASCII")
        };
        for number in [0, 1, 9, 0xa, 0x10, 0xff, 0x1234, 1 << 60, u64::MAX] {
            assert_eq!(text(number, 1), format!("{number:x}"));
            assert_eq!(text(number, 2), format!("{number:02x}"));
        }
    }
}
