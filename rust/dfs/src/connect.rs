//! Connecting: pool, container, mount, as every DAOS client does it, with the fallbacks for users
//! who may only read, for balanced containers, and for containers still being created.
use crate::meter::{self, timed};
use crate::mount::{close, Session};
use crate::{uuid_text, Client, Errno, Result};
use daos_sys::{
    daos_cont_info_t, daos_handle_t, dfs_attr_t, dfs_obj_info_buf, dfs_obj_t, dfs_t, uuid_t, Api,
    DAOS_COO_RO, DAOS_COO_RW, DAOS_PC_RO, DFS_BALANCED, DFS_DEFAULT_CHUNK_SIZE,
};
use std::ffi::{CStr, CString};
use std::mem::MaybeUninit;
use std::ptr::{null, null_mut};

/// A superblock not there yet is asked for again this often, 20 ms apart.
const SUPERBLOCK_TRIES: u32 = 10;

/// How a container could be mounted.
pub(crate) struct Found {
    pub(crate) read_only: bool,
    pub(crate) balanced: bool,
    /// The container; zeros where this is not known.
    pub(crate) uuid: uuid_t,
}

impl Found {
    /// The names to connect by again: the container by its UUID, because its label may be
    /// another's by then.
    pub(crate) fn names(&self, pool: &CStr, cont: &CStr) -> Option<(CString, CString)> {
        let cont = match self.uuid {
            [0, rest @ ..] if rest == [0; 15] => cont.to_owned(),
            uuid => uuid_text(&uuid),
        };
        Some((pool.to_owned(), cont))
    }
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
        shares: false,
        previous: null_mut(),
    };
    let opened = timed(
        |m| &m.connect,
        || open_handles(api, &mut session, pool, cont),
    );
    match opened {
        Ok(found) => {
            meter::add(|m| &m.connects, 1);
            Ok((session, found))
        }
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
    let mut info = daos_cont_info_t::zeroed();
    let writable = open_container(api, session, cont, &mut info)?;
    mount(api, session, writable).map(|found| Found {
        uuid: info.ci_uuid,
        ..found
    })
}

/// True if the container could be opened for writing.
fn open_container(
    api: &Api,
    session: &mut Session,
    cont: &CStr,
    info: &mut daos_cont_info_t,
) -> Result<bool> {
    let mut open = |flags| {
        // SAFETY: strings and result live through the call; the pool handle is open.
        daos(unsafe {
            (api.daos_cont_open)(
                session.pool,
                cont.as_ptr(),
                flags,
                &mut session.cont,
                info,
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
                    uuid: [0; 16],
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
    flags: i32,
) -> Result<(*mut dfs_obj_t, libc::stat)> {
    let mut raw = null_mut();
    let mut mode = 0;
    let mut stat = MaybeUninit::<libc::stat>::zeroed();
    // SAFETY: results live through the call; a zeroed stat is valid.
    unsafe {
        match (api.dfs_lookup)(
            dfs,
            c"/".as_ptr(),
            flags,
            &mut raw,
            &mut mode,
            stat.as_mut_ptr(),
        ) {
            0 => Ok((raw, stat.assume_init())),
            rc => Err(Errno::from_dfs(rc)),
        }
    }
}

/// Whether the container is a balanced one, as far as this libdfs tells; local.
pub(crate) fn is_balanced(api: &Api, dfs: *mut dfs_t) -> bool {
    query(api, dfs).is_some_and(|attr| attr.da_mode as i32 & DFS_BALANCED != 0)
}

/// The container's default chunk size, as far as this libdfs tells; local.
pub(crate) fn chunk_size(api: &Api, dfs: *mut dfs_t, root: *mut dfs_obj_t) -> u64 {
    let asked = query(api, dfs).map(|attr| attr.da_chunk_size);
    let asked = asked.or_else(|| object_chunk_size(api, dfs, root));
    match asked {
        None | Some(0) => DFS_DEFAULT_CHUNK_SIZE,
        Some(size) => size,
    }
}

fn query(api: &Api, dfs: *mut dfs_t) -> Option<dfs_attr_t> {
    let query = api.dfs_query?;
    let mut attr = MaybeUninit::<dfs_attr_t>::zeroed();
    // SAFETY: the result lives through the call; a zeroed dfs_attr_t is valid.
    unsafe { (query(dfs, attr.as_mut_ptr()) == 0).then(|| attr.assume_init()) }
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

#[cfg(test)]
mod tests {
    use super::*;
    use daos_sys::{daos_cont_info_t, daos_event_t, daos_pool_info_t, der_to_errno, DAOS_PC_RW};
    use std::cell::{Cell, RefCell};
    use std::ffi::{c_char, c_int, c_uint};

    thread_local! {
        /// What a user may do, and how the container is.
        static MAY_WRITE: Cell<bool> = const { Cell::new(true) };
        static BALANCED: Cell<bool> = const { Cell::new(false) };
        static SUPERBLOCK_IN: Cell<u32> = const { Cell::new(0) };
        static LOG: RefCell<Vec<&'static str>> = const { RefCell::new(Vec::new()) };
    }

    fn log(what: &'static str) {
        LOG.with_borrow_mut(|l| l.push(what));
    }

    unsafe extern "C" fn init() -> c_int {
        0
    }

    unsafe extern "C" fn pool_connect(
        _: *const c_char,
        _: *const c_char,
        flags: c_uint,
        poh: *mut daos_handle_t,
        _: *mut daos_pool_info_t,
        _: *mut daos_event_t,
    ) -> c_int {
        assert_ne!(flags, DAOS_PC_RW);
        // SAFETY: the code under test passes its result.
        unsafe { (*poh).cookie = 1 };
        0
    }

    unsafe extern "C" fn pool_disconnect(_: daos_handle_t, _: *mut daos_event_t) -> c_int {
        log("disconnect");
        0
    }

    unsafe extern "C" fn cont_open(
        _: daos_handle_t,
        cont: *const c_char,
        flags: c_uint,
        coh: *mut daos_handle_t,
        _: *mut daos_cont_info_t,
        _: *mut daos_event_t,
    ) -> c_int {
        // SAFETY: the code under test passes a string.
        if unsafe { CStr::from_ptr(cont) } == c"missing" {
            return -1005;
        }
        if flags == DAOS_COO_RW && !MAY_WRITE.get() {
            return -1001;
        }
        // SAFETY: the code under test passes its result.
        unsafe { (*coh).cookie = 2 };
        0
    }

    unsafe extern "C" fn cont_close(_: daos_handle_t, _: *mut daos_event_t) -> c_int {
        log("close");
        0
    }

    unsafe extern "C" fn dfs_mount(
        _: daos_handle_t,
        _: daos_handle_t,
        flags: c_int,
        dfs: *mut *mut dfs_t,
    ) -> c_int {
        log("mount");
        if SUPERBLOCK_IN.get() > 0 {
            SUPERBLOCK_IN.set(SUPERBLOCK_IN.get() - 1);
            return libc::ENOENT;
        }
        if BALANCED.get() && flags & DFS_BALANCED == 0 {
            return libc::EPERM;
        }
        // SAFETY: the code under test passes its result.
        unsafe { *dfs = std::ptr::dangling_mut() };
        0
    }

    fn client() -> std::sync::Arc<Client> {
        let mut api = crate::stub::api();
        api.daos_init = init;
        api.daos_pool_connect = pool_connect;
        api.daos_pool_disconnect = pool_disconnect;
        api.daos_cont_open = cont_open;
        api.daos_cont_close = cont_close;
        api.dfs_mount = dfs_mount;
        crate::stub::start(api).unwrap()
    }

    fn mounted() -> (bool, bool) {
        let found = open(&client(), c"p", c"c").unwrap().1;
        (found.read_only, found.balanced)
    }

    #[test]
    fn every_kind_of_container_is_mounted_as_far_as_allowed() {
        assert_eq!(mounted(), (false, false));
        BALANCED.set(true);
        assert_eq!(mounted(), (false, true));
        MAY_WRITE.set(false);
        assert_eq!(mounted(), (true, true));
        BALANCED.set(false);
        assert_eq!(mounted(), (true, false));
    }

    #[test]
    fn a_container_being_created_is_waited_for() {
        SUPERBLOCK_IN.set(3);
        assert_eq!(mounted(), (false, false));
        assert_eq!(LOG.take(), ["mount"; 4]);
        SUPERBLOCK_IN.set(1000);
        let error = open(&client(), c"p", c"c").err();
        assert_eq!(error, Some(Errno::ENOENT));
    }

    #[test]
    fn a_failure_leaves_nothing_open() {
        let error = open(&client(), c"p", c"missing").err();
        assert_eq!(error.map(|e| e.0), Some(der_to_errno(-1005)));
        assert_eq!(LOG.take(), ["disconnect"]);
        SUPERBLOCK_IN.set(1000);
        assert!(open(&client(), c"p", c"c").is_err());
        assert_eq!(LOG.take()[10..], ["close", "disconnect"]);
    }
}
