//! Connecting: pool, container, mount, as every DAOS client does it, with the fallbacks for users
//! who may only read, for balanced containers, and for containers still being created.
use crate::mount::{close, Session};
use crate::{Access, Client, Errno, Result};
use daos_sys::{
    daos_handle_t, dfs_attr_t, dfs_obj_info_buf, dfs_obj_t, dfs_t, Api, DAOS_COO_RO, DAOS_COO_RW,
    DAOS_PC_RO, DFS_BALANCED, DFS_DEFAULT_CHUNK_SIZE,
};
use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::ptr::{null, null_mut};

/// A superblock not there yet is asked for again this often, 20 ms apart.
const SUPERBLOCK_TRIES: u32 = 10;

/// How a container could be mounted.
pub(crate) struct Found {
    pub(crate) read_only: bool,
    pub(crate) balanced: bool,
}

/// Connects pool and container and mounts: 3 calls, one more for each fallback.
pub(crate) fn open(client: &Client, pool: &CStr, cont: &CStr) -> Result<(Session, Found)> {
    let api = client.api()?;
    let mut session = Session {
        pool: daos_handle_t { cookie: 0 },
        cont: daos_handle_t { cookie: 0 },
        dfs: null_mut(),
        generation: 1,
        forks: client.forks(),
        imported: false,
        previous: null_mut(),
    };
    match open_handles(api, &mut session, pool, cont) {
        Ok(found) => Ok((session, found)),
        Err(e) => {
            close(api, &session);
            Err(e)
        }
    }
}

fn open_handles(api: &Api, session: &mut Session, pool: &CStr, cont: &CStr) -> Result<Found> {
    // A pool handle that may read suffices for a container that may write.
    // SAFETY: strings and result live through the call.
    daos(unsafe {
        (api.daos_pool_connect)(
            pool.as_ptr(),
            null(),
            DAOS_PC_RO,
            &mut session.pool,
            null_mut(),
            null_mut(),
        )
    })?;
    let writable = open_container(api, session, cont)?;
    mount(api, session, writable)
}

/// True if the container could be opened for writing.
fn open_container(api: &Api, session: &mut Session, cont: &CStr) -> Result<bool> {
    let mut open = |flags| {
        // SAFETY: strings and result live through the call; the pool handle is open.
        daos(unsafe {
            (api.daos_cont_open)(
                session.pool,
                cont.as_ptr(),
                flags,
                &mut session.cont,
                null_mut(),
                null_mut(),
            )
        })
    };
    match open(DAOS_COO_RW) {
        Err(Errno::EPERM | Errno::EACCES) => open(DAOS_COO_RO).map(|()| false),
        other => other.map(|()| true),
    }
}

/// Mounts read-write if possible; a balanced container refuses (`EPERM`) without its flag.
fn mount(api: &Api, session: &mut Session, writable: bool) -> Result<Found> {
    const WAYS: [(i32, bool, bool); 4] = [
        (libc::O_RDWR, false, false),
        (libc::O_RDWR | DFS_BALANCED, false, true),
        (libc::O_RDONLY, true, false),
        (libc::O_RDONLY | DFS_BALANCED, true, true),
    ];
    let mut error = Errno::EPERM;
    for (flags, read_only, balanced) in WAYS {
        if !read_only && !writable {
            continue;
        }
        match mount_patiently(api, session, flags) {
            Ok(()) => {
                return Ok(Found {
                    read_only,
                    balanced,
                })
            }
            Err(Errno::EPERM) => error = Errno::EPERM,
            Err(e) => return Err(e),
        }
    }
    Err(error)
}

/// `ENOENT` from a mount is a superblock that another process is still writing.
fn mount_patiently(api: &Api, session: &mut Session, flags: i32) -> Result<()> {
    let mut tries = SUPERBLOCK_TRIES;
    loop {
        // SAFETY: both handles are open; the result lives through the call.
        match unsafe { (api.dfs_mount)(session.pool, session.cont, flags, &mut session.dfs) } {
            0 => return Ok(()),
            libc::ENOENT if tries > 1 => tries -= 1,
            rc => return Err(Errno::from_dfs(rc)),
        }
        let pause = libc::timespec {
            tv_sec: 0,
            tv_nsec: 20_000_000,
        };
        // SAFETY: plain sleep; a signal may shorten it.
        unsafe { libc::nanosleep(&pause, null_mut()) };
    }
}

/// Opens the root directory: one RPC.
pub(crate) fn lookup_root(
    api: &Api,
    dfs: *mut dfs_t,
    access: Access,
) -> Result<(*mut dfs_obj_t, libc::stat)> {
    let mut raw = null_mut();
    let mut mode = 0;
    let mut stat = MaybeUninit::<libc::stat>::zeroed();
    // SAFETY: results live through the call; a zeroed stat is valid.
    unsafe {
        match (api.dfs_lookup)(
            dfs,
            c"/".as_ptr(),
            access.flags(),
            &mut raw,
            &mut mode,
            stat.as_mut_ptr(),
        ) {
            0 => Ok((raw, stat.assume_init())),
            rc => Err(Errno::from_dfs(rc)),
        }
    }
}

/// The container's default chunk size, as far as this libdfs tells; local.
pub(crate) fn chunk_size(api: &Api, dfs: *mut dfs_t, root: *mut dfs_obj_t) -> u64 {
    let asked = query_chunk_size(api, dfs).or_else(|| object_chunk_size(api, dfs, root));
    match asked {
        None | Some(0) => DFS_DEFAULT_CHUNK_SIZE,
        Some(size) => size,
    }
}

fn query_chunk_size(api: &Api, dfs: *mut dfs_t) -> Option<u64> {
    let query = api.dfs_query?;
    let mut attr = MaybeUninit::<dfs_attr_t>::zeroed();
    // SAFETY: the result lives through the call; a zeroed dfs_attr_t is valid.
    unsafe { (query(dfs, attr.as_mut_ptr()) == 0).then(|| attr.assume_init().da_chunk_size) }
}

fn object_chunk_size(api: &Api, dfs: *mut dfs_t, root: *mut dfs_obj_t) -> Option<u64> {
    let get = api.dfs_obj_get_info?;
    let mut buf = dfs_obj_info_buf::zeroed();
    // SAFETY: the buffer has room for every release's struct; the chunk size is in all of them.
    let rc = unsafe { get(dfs, root, (&raw mut buf).cast()) };
    (rc == 0).then_some(buf.info.doi_chunk_size)
}

/// A libdaos result.
pub(crate) fn daos(rc: i32) -> Result<()> {
    match rc {
        0 => Ok(()),
        rc => Err(Errno::from_daos(rc)),
    }
}
