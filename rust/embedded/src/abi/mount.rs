//! Mounts: `dfs_t`, by handles, by labels, or of bytes from another process.
use super::pool::process;
use super::{container, glob, life, required, text};
use crate::counters::Word;
use crate::error::{der, errno, Error, Result};
use crate::evict::Owner;
use crate::handle;
use crate::key::Oid;
use crate::namespace::Tree;
use crate::record::{Container, NewContainer};
use crate::spin::Spin;
use daos_sys::*;
use std::ffi::{c_char, c_int};
use std::sync::atomic::{AtomicU32, Ordering};

const MARK: u64 = 0x7069_6c34_6466_7321;

/// Ids for new objects: `lo` belongs to this mount alone, and is fetched by its first creation. As
/// in libdfs a fork copies it with its count: a child that goes on with the mount gives the same
/// ids as its parent.
struct OidRange {
    lo: u64,
    next: u64,
}

/// `next` of a range that is used up, or not there yet.
const NO_IDS: u64 = 1 << 32;

/// What a `dfs_t` points to.
pub(crate) struct Mount {
    mark: u64,
    /// Who opened the container; with him the mount dies where eviction is on order.
    owner: Owner,
    pub(crate) poh: daos_handle_t,
    pub(crate) coh: daos_handle_t,
    pub(crate) cont: Container,
    /// `O_RDONLY`, `O_WRONLY` or `O_RDWR`; only the last lets names change.
    pub(crate) access: c_int,
    /// Renames run in a transaction: the container is balanced, or the flag was given.
    pub(crate) balanced: bool,
    /// Made by `dfs_connect`; to be ended by `dfs_disconnect` and nothing else.
    connected: bool,
    /// [`Word::Destroyed`] when the container was last seen.
    looked: AtomicU32,
    prefix: Spin<Vec<u8>>,
    ids: Spin<OidRange>,
}

impl Mount {
    /// The mount behind a pointer; `EINVAL` if it is none.
    ///
    /// # Safety
    /// Null or a pointer that `dfs_mount` and its kin gave out, and not unmounted meanwhile.
    pub(crate) unsafe fn of<'a>(dfs: *mut dfs_t) -> Result<&'a Mount> {
        // SAFETY: as this function asks.
        match unsafe { dfs.cast::<Mount>().as_ref() } {
            Some(mount) if mount.mark == MARK => {
                mount.owner.check()?;
                mount.exists().map(|()| mount)
            }
            _ => errno(libc::EINVAL),
        }
    }

    /// -DER_NO_HDL once the container is destroyed; looked up only when some container was.
    #[inline]
    fn exists(&self) -> Result<()> {
        let process = process()?;
        let destroyed = process
            .counters
            .word(Word::Destroyed)
            .load(Ordering::Relaxed);
        if destroyed == self.looked.load(Ordering::Relaxed) {
            return Ok(());
        }
        match process.store.container_by_uuid(&self.cont.uuid) {
            Ok(_) => {
                self.looked.store(destroyed, Ordering::Relaxed);
                Ok(())
            }
            Err(_) => der(DER_NO_HDL),
        }
    }

    /// The container's tree.
    pub(crate) fn tree(&self) -> Result<Tree<'static>> {
        Ok(Tree {
            store: &process()?.store,
            cont: self.cont.id,
        })
    }

    /// `EPERM` unless mounted to read and write.
    pub(crate) fn writable(&self) -> Result<()> {
        match self.access {
            libc::O_RDWR => Ok(()),
            _ => errno(libc::EPERM),
        }
    }

    /// A new object's id: unique in the container (but see [`OidRange`]), the type and class in the upper half of `hi`.
    pub(crate) fn new_oid(&self, mode: u32, oclass: u32) -> Result<Oid> {
        let mut ids = self.ids.lock();
        if ids.next >= NO_IDS {
            ids.lo = process()?.store.alloc_oid_range(self.cont.id)?;
            ids.next = 0;
        }
        let low = ids.next;
        ids.next += 1;
        let kind: u64 = if mode & libc::S_IFMT == libc::S_IFREG {
            13
        } else {
            0
        };
        Ok(Oid {
            lo: ids.lo,
            hi: kind << 56 | u64::from(oclass >> 24) << 48 | 1 << 32 | low,
        })
    }

    /// A path without the prefix that `dfs_set_prefix` set: plain text, not by component.
    pub(crate) fn without_prefix<'p>(&self, path: &'p [u8]) -> Result<std::borrow::Cow<'p, [u8]>> {
        let prefix = self.prefix.lock();
        if prefix.is_empty() {
            return Ok(path.into());
        }
        match path.strip_prefix(prefix.as_slice()) {
            Some(rest) if rest.first() == Some(&b'/') => Ok(rest.into()),
            Some(rest) => Ok([b"/", rest].concat().into()),
            None => errno(libc::EINVAL),
        }
    }
}

fn new_mount(
    poh: daos_handle_t,
    coh: daos_handle_t,
    flags: c_int,
    connected: bool,
) -> Result<*mut dfs_t> {
    let open = handle::cont(coh)?;
    handle::pool(poh)?;
    if !open.cont.posix {
        return errno(libc::EINVAL);
    }
    let access = flags & libc::O_ACCMODE;
    let balanced = flags & DFS_BALANCED != 0;
    if access != libc::O_RDONLY && open.cont.balanced && !balanced {
        return errno(libc::EPERM);
    }
    let writes = open.flags & (DAOS_COO_RW | DAOS_COO_EX) != 0;
    if access != libc::O_RDONLY && !writes {
        return errno(libc::EPERM);
    }
    let mount = Box::new(Mount {
        mark: MARK,
        owner: open.owner,
        poh,
        coh,
        balanced: balanced || open.cont.balanced,
        cont: open.cont,
        access,
        connected,
        looked: AtomicU32::new(0),
        prefix: Spin::new(Vec::new()),
        ids: Spin::new(OidRange {
            lo: 0,
            next: NO_IDS,
        }),
    });
    Ok(Box::into_raw(mount).cast())
}

/// As `dfs_mount`.
pub(crate) fn mount(poh: daos_handle_t, coh: daos_handle_t, flags: c_int) -> Result<*mut dfs_t> {
    new_mount(poh, coh, flags, false).inspect_err(|error| {
        crate::log::error(&format!("dfs_mount failed: {error:?}"));
    })
}

/// Ends a mount of the kind.
unsafe fn end(dfs: *mut dfs_t, connected: bool) -> Result<(daos_handle_t, daos_handle_t)> {
    // SAFETY: the caller gives up its last use of the mount.
    unsafe {
        let mount = match dfs.cast::<Mount>().as_ref() {
            Some(mount) if mount.mark == MARK => mount, // evicted or not
            _ => return errno(libc::EINVAL),
        };
        if mount.connected != connected {
            return errno(libc::EINVAL);
        }
        let handles = (mount.poh, mount.coh);
        (*dfs.cast::<Mount>()).mark = 0;
        drop(Box::from_raw(dfs.cast::<Mount>()));
        Ok(handles)
    }
}

export! {
    /// Mounts a POSIX container. A balanced one needs `DFS_BALANCED` to be written (else `EPERM`).
    Dfs fn dfs_mount(poh: daos_handle_t, coh: daos_handle_t, flags: c_int, dfs: *mut *mut dfs_t) {
        let dfs = required(dfs)?;
        *dfs = mount(poh, coh, flags)?;
        Ok(0)
    }

    /// Ends a mount; `EINVAL` for one of `dfs_connect`.
    DfsLocal fn dfs_umount(dfs: *mut dfs_t) {
        end(dfs, false)?;
        Ok(0)
    }

    /// Connects by label; `EACCES` before `dfs_init`. Flags but the access mode and `O_CREAT` are
    /// dropped, so that a balanced container cannot be written this way.
    Dfs fn dfs_connect(pool: *const c_char, sys: *const c_char, cont: *const c_char, flags: c_int, attr: *mut dfs_attr_t, dfs: *mut *mut dfs_t) {
        let _ = sys;
        let (pool, cont, dfs) = (text(pool)?, text(cont)?, required(dfs)?);
        if !life::dfs_is_up() {
            return errno(libc::EACCES);
        }
        let process = process()?;
        crate::call::spin(process.connect_delay);
        let writes = flags & libc::O_ACCMODE != libc::O_RDONLY;
        let pool = process.store.pool(pool)?;
        if flags & libc::O_CREAT != 0 {
            // SAFETY: the caller's own pointers, as DAOS's header asks.
            let attr = unsafe { attr.as_ref() }.copied().unwrap_or_default();
            let new = NewContainer {
                posix: true,
                balanced: attr.da_mode & DFS_BALANCED as u32 != 0,
                chunk: attr.da_chunk_size,
                oclass: attr.da_oclass_id,
            };
            match process.store.create_container(pool.id, cont, new) {
                Err(Error::Errno(libc::EEXIST)) if flags & libc::O_EXCL == 0 => {}
                other => drop(other?),
            }
        }
        let pool_flags = if writes { DAOS_PC_RW } else { DAOS_PC_RO };
        let poh = handle::add_pool(handle::PoolHandle {
            owner: Owner::me(), pool, flags: pool_flags });
        let opened = container::open(poh, cont, if writes { DAOS_COO_RW } else { DAOS_COO_RO })
            .and_then(|coh| {
                new_mount(poh, coh, flags & libc::O_ACCMODE, true).inspect_err(|_| {
                    let _ = handle::close_cont(coh);
                })
            })
            .inspect_err(|_| {
                let _ = handle::close_pool(poh);
            });
        *dfs = opened?;
        Ok(0)
    }

    /// Ends a mount of `dfs_connect` or `dfs_global2local_all`; `EINVAL` for any other.
    Dfs fn dfs_disconnect(dfs: *mut dfs_t) {
        let (poh, coh) = end(dfs, true)?;
        let _ = handle::close_cont(coh);
        let _ = handle::close_pool(poh);
        Ok(0)
    }

    /// What the container was made with.
    DfsLocal fn dfs_query(dfs: *mut dfs_t, attr: *mut dfs_attr_t) {
        let (mount, attr) = (Mount::of(dfs)?, required(attr)?);
        attr.write(dfs_attr_t {
            da_chunk_size: mount.cont.chunk,
            da_oclass_id: mount.cont.oclass,
            da_mode: if mount.cont.balanced { DFS_BALANCED as u32 } else { DFS_RELAXED as u32 },
            ..dfs_attr_t::zeroed()
        });
        Ok(0)
    }

    /// The mount as bytes.
    DfsLocal fn dfs_local2global(dfs: *mut dfs_t, glob: *mut d_iov_t) {
        let mount = Mount::of(dfs)?;
        let flags = mount.access | if mount.balanced { DFS_BALANCED } else { 0 };
        glob::export(required(glob)?, &glob::mount(&mount.cont.uuid, flags))
    }

    /// A mount of bytes of exactly this release's size; flags 0 takes over the sender's.
    DfsLocal fn dfs_global2local(poh: daos_handle_t, coh: daos_handle_t, flags: c_int, glob: d_iov_t, dfs: *mut *mut dfs_t) {
        let dfs = required(dfs)?;
        let (uuid, sent) = glob::mount_from(glob::import(&glob)?)?;
        if handle::cont(coh)?.cont.uuid != uuid {
            return errno(libc::EINVAL);
        }
        *dfs = new_mount(poh, coh, if flags == 0 { sent } else { flags }, false)?;
        Ok(0)
    }

    /// Text that `dfs_lookup` takes off the front of every path.
    DfsLocal fn dfs_set_prefix(dfs: *mut dfs_t, prefix: *const c_char) {
        let mount = Mount::of(dfs)?;
        let text: &[u8] = if prefix.is_null() { b"" } else { super::bytes(prefix)? };
        if !text.is_empty() && text[0] != b'/' {
            return errno(libc::EINVAL);
        }
        *mount.prefix.lock() = text.strip_suffix(b"/").unwrap_or(text).to_vec();
        Ok(0)
    }

    /// Nothing to do; `EPERM` when mounted read-only.
    Dfs fn dfs_sync(dfs: *mut dfs_t) {
        Mount::of(dfs)?.writable()?;
        Ok(0)
    }
}
