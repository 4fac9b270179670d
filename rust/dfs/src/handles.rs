//! Handles as bytes, for a program started by exec, a child, or a process that gets them from
//! dfuse: `local2global` and `global2local`, all of it local. What is imported dies some seconds
//! after the process that connected; the mount then connects anew by name ([`crate::mount`]).
use crate::handle::{import_raw, Handle};
use crate::mount::{close, Session};
use crate::{connect, filesystem, Access, Client, Errno, Filesystem, Object, Result};
use daos_sys::{d_iov_t, daos_handle_t, dfs_t, Api};
use std::ffi::CString;
use std::ptr::null_mut;
use std::sync::Arc;

/// A mounted container as bytes: what dfuse's ioctls or [`Filesystem::export_handles`] give.
#[derive(Clone, Debug)]
pub struct Handles {
    /// `daos_pool_local2global`
    pub pool: Vec<u8>,
    /// `daos_cont_local2global`
    pub cont: Vec<u8>,
    /// `dfs_local2global`
    pub dfs: Vec<u8>,
    /// Nothing may be changed through them: libdfs does not tell.
    pub read_only: bool,
    /// Mounted in balanced mode: libdfs does not always tell, either.
    pub balanced: bool,
    /// The container's number in inode numbers, see [`Filesystem::connect_numbered`].
    pub ordinal: u64,
    /// Pool and container (labels or UUIDs), for connecting when the handles die. Without them
    /// dead handles stay dead.
    pub names: Option<(CString, CString)>,
}

impl Filesystem {
    /// Handles for [`Filesystem::import_handles`] of another process of the same user on this
    /// node. They are as good as full access to the container: keep them from others.
    pub fn export_handles(&self) -> Result<Handles> {
        let mount = self.mount();
        let call = mount.begin()?;
        let (api, session) = (call.api, call.session);
        let from_daos = Errno::from_daos;
        // SAFETY: the handles are open; each iov is empty or describes its buffer.
        unsafe {
            Ok(Handles {
                pool: blob(|iov| (api.daos_pool_local2global)(session.pool, iov))
                    .map_err(from_daos)?,
                cont: blob(|iov| (api.daos_cont_local2global)(session.cont, iov))
                    .map_err(from_daos)?,
                dfs: blob(|iov| (api.dfs_local2global)(session.dfs, iov))
                    .map_err(|rc| mount.errno(rc))?,
                read_only: mount.traits.read_only,
                balanced: mount.traits.balanced,
                ordinal: mount.traits.ordinal,
                names: mount.traits.names.clone(),
            })
        }
    }

    /// A file system from another process's handles, without a connect: one RPC (the root
    /// directory). `EINVAL` where they were made by another release of libdfs, or are dead.
    pub fn import_handles(client: &Arc<Client>, handles: &Handles) -> Result<Arc<Filesystem>> {
        let api = client.api()?;
        let mut session = Session {
            pool: daos_handle_t { cookie: 0 },
            cont: daos_handle_t { cookie: 0 },
            dfs: null_mut(),
            generation: 1,
            forks: client.forks(),
            imported: true,
            shares: false,
            previous: null_mut(),
        };
        if let Err(e) = open(api, &mut session, handles) {
            close(api, &session);
            return Err(e);
        }
        let found = connect::Found {
            read_only: handles.read_only,
            balanced: handles.balanced || connect::is_balanced(api, session.dfs),
            uuid: [0; 16],
        };
        let shown = match &handles.names {
            Some((pool, cont)) => filesystem::shown(pool, cont),
            None => "a container".to_owned(),
        };
        Filesystem::over(
            client,
            session,
            found,
            handles.ordinal,
            handles.names.clone(),
            shown,
        )
    }

    /// An object from [`Object::export`] of any process on this container; local. `EINVAL` for
    /// bytes that are none. A directory comes without its own object class and chunk size: files
    /// made in it get the container's. `access` may be less than the exporter had, and more only where the
    /// mount can write.
    pub fn import(&self, blob: &[u8], access: Access) -> Result<Object> {
        let mount = self.mount();
        mount.traits.permits(access)?;
        let call = mount.begin()?;
        let raw =
            import_raw(&call, blob, mount.traits.open_flags()).map_err(|rc| mount.errno(rc))?;
        let handle = Handle { call: &call, raw };
        let mut mode = 0;
        // SAFETY: the handle is ours; the result lives through the call.
        match unsafe { (call.api.dfs_get_mode)(raw, &mut mode) } {
            0 => {}
            rc => return Err(mount.errno(rc)),
        }
        let is_root = handle.id() == self.root().id();
        let object = handle.into_object(mount, mode, access);
        Ok(if is_root { object.mark_root() } else { object })
    }

    /// True while the handles in use belong to another process (they were imported, or a fork lies
    /// between, even if this process has a `dfs_t` of its own over them): they die some seconds
    /// after it does.
    pub fn is_borrowed(&self) -> bool {
        let mount = self.mount();
        let session = mount.session();
        session.imported || session.forks != mount.client.forks()
    }

    /// Connects anew, whatever the state of the handles at hand; objects follow at their next
    /// call. Calls do so by themselves when borrowed handles turn out to be dead; a fork child
    /// that will live may do it early. `EIO` if pool and container are not known by name.
    pub fn reconnect(&self) -> Result<()> {
        let mount = self.mount();
        mount.reconnect(mount.session().generation)
    }
}

fn open(api: &Api, session: &mut Session, handles: &Handles) -> Result<()> {
    // libdaos may byte-swap what it is given.
    let (mut pool, mut cont, mut dfs) = (
        handles.pool.clone(),
        handles.cont.clone(),
        handles.dfs.clone(),
    );
    // SAFETY: each iov describes a buffer that lives through its call, as do the results.
    unsafe {
        connect::daos((api.daos_pool_global2local)(
            iov(&mut pool),
            &mut session.pool,
        ))?;
        connect::daos((api.daos_cont_global2local)(
            session.pool,
            iov(&mut cont),
            &mut session.cont,
        ))?;
    }
    open_mount(api, session, &mut dfs)
}

/// `dfs_global2local` over the session's pool and container; local.
fn open_mount(api: &Api, session: &mut Session, dfs: &mut [u8]) -> Result<()> {
    // The open flags are part of the bytes: 0 keeps them.
    const AS_EXPORTED: i32 = 0;
    let (pool, cont) = (session.pool, session.cont);
    // SAFETY: the handles are open; the iov describes a buffer that lives through the call, as does
    // the result.
    match unsafe { (api.dfs_global2local)(pool, cont, AS_EXPORTED, iov(dfs), &mut session.dfs) } {
        0 => Ok(()),
        rc => Err(Errno::from_dfs(rc)),
    }
}

/// A second `dfs_t` like `dfs` over the pool and container of `session`; local.
pub(crate) fn copy_mount(api: &Api, dfs: *mut dfs_t, session: &mut Session) -> Result<()> {
    // SAFETY: the mount is alive; the iov is empty or describes its buffer.
    let bytes = blob(|iov| unsafe { (api.dfs_local2global)(dfs, iov) });
    open_mount(api, session, &mut bytes.map_err(Errno::from_dfs)?)
}

fn iov(bytes: &mut [u8]) -> d_iov_t {
    d_iov_t::new(bytes.as_mut_ptr().cast(), bytes.len() as u64)
}

/// The protocol of every `local2global`: asked for the size, then for the bytes. `Err` is the
/// function's own number.
pub(crate) fn blob(mut f: impl FnMut(*mut d_iov_t) -> i32) -> std::result::Result<Vec<u8>, i32> {
    let mut iov = d_iov_t::new(null_mut(), 0);
    match f(&mut iov) {
        0 => {}
        rc => return Err(rc),
    }
    let mut bytes = vec![0u8; iov.iov_buf_len as usize];
    iov = d_iov_t::new(bytes.as_mut_ptr().cast(), bytes.len() as u64);
    match f(&mut iov) {
        0 => {}
        rc => return Err(rc),
    }
    bytes.truncate(iov.iov_len as usize);
    Ok(bytes)
}
