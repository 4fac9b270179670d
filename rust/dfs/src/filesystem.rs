//! A mounted POSIX container: its connection, its root directory, its space.
//! The calls that take a directory and a name are in [`crate::entry`] and [`crate::rename`].
//! A mount lives as long as its file system and every object of it; a process that ends does not
//! take it down in order, and need not.
use crate::connect::{self, Found};
use crate::handle::Handle;
use crate::mount::{Call, Mount, Session, Traits};
use crate::{Access, Client, Object, Result};
use daos_sys::{daos_pool_info_t, DPI_SPACE};
use std::ffi::{CStr, CString};
use std::ptr::null_mut;
use std::sync::Arc;

/// A mounted container.
pub struct Filesystem {
    root: Arc<Object>,
}

/// Space of the pool in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Space {
    /// All bytes, SCM and NVMe.
    pub total: u64,
    /// Free bytes.
    pub free: u64,
}

impl Filesystem {
    /// Connects to a pool, opens a container (labels or UUIDs) and mounts it: read-write, else
    /// read-only where only that is allowed; balanced containers with their flag. `ENOENT` for an
    /// unknown pool or container, `EINVAL` for one without POSIX layout. Four calls of libdaos.
    pub fn connect(client: &Arc<Client>, pool: &CStr, cont: &CStr) -> Result<Arc<Filesystem>> {
        Filesystem::connect_numbered(client, pool, cont, 1)
    }

    /// As [`Filesystem::connect`], for a container entered inside another one: `ordinal` (2, 3,
    /// ...) goes into inode numbers and is the root directory's own, as in dfuse.
    pub fn connect_numbered(
        client: &Arc<Client>,
        pool: &CStr,
        cont: &CStr,
        ordinal: u64,
    ) -> Result<Arc<Filesystem>> {
        let (session, found) = connect::open(client, pool, cont)?;
        let (names, shown) = (found.names(pool, cont), shown(pool, cont));
        Filesystem::over(client, session, found, ordinal, names, shown)
    }

    /// As [`Filesystem::connect`]; with `read_only` nothing may be changed, whatever the container
    /// allows.
    pub fn connect_limited(
        client: &Arc<Client>,
        pool: &CStr,
        cont: &CStr,
        read_only: bool,
    ) -> Result<Arc<Filesystem>> {
        let (session, mut found) = connect::open(client, pool, cont)?;
        found.read_only |= read_only;
        let (names, shown) = (found.names(pool, cont), shown(pool, cont));
        Filesystem::over(client, session, found, 1, names, shown)
    }

    /// A file system over a session just made: opens the root directory.
    pub(crate) fn over(
        client: &Arc<Client>,
        session: Session,
        found: Found,
        ordinal: u64,
        names: Option<(CString, CString)>,
        shown: String,
    ) -> Result<Arc<Filesystem>> {
        let api = client.api()?;
        let (access, flags) = match found.read_only {
            true => (Access::Read, libc::O_RDONLY),
            false => (Access::ReadWrite, libc::O_RDWR),
        };
        let (raw, stat) = match connect::lookup_root(api, session.dfs, flags) {
            Ok(root) => root,
            Err(e) => {
                crate::mount::close(api, &session);
                return Err(e);
            }
        };
        let traits = Traits {
            read_only: found.read_only,
            balanced: found.balanced,
            ordinal,
            chunk_size: connect::chunk_size(api, session.dfs, raw),
            names,
            shown,
        };
        let mount = Mount::new(client.clone(), traits, session);
        let call = mount.begin()?;
        let root = Handle { call: &call, raw }
            .into_object(&mount, stat.st_mode, access)
            .mark_root();
        Ok(Arc::new(Filesystem {
            root: Arc::new(root),
        }))
    }

    pub(crate) fn mount(&self) -> &Arc<Mount> {
        &self.root.mount
    }

    /// True if nothing can be changed below (mutations answer `EROFS`).
    pub fn is_read_only(&self) -> bool {
        self.mount().traits.read_only
    }

    /// True for a second after a call that the servers did not answer.
    pub fn is_away(&self) -> bool {
        self.mount().is_away()
    }

    /// The container's root directory.
    pub fn root(&self) -> &Arc<Object> {
        &self.root
    }

    /// Default chunk size in bytes.
    pub fn chunk_size(&self) -> u64 {
        self.mount().traits.chunk_size
    }

    /// The container's number in inode numbers; also the inode number of its root directory.
    pub fn ordinal(&self) -> u64 {
        self.mount().traits.ordinal
    }

    /// Ends the mount while the file system still exists: from now on every call answers `ESTALE`.
    /// Followed by [`Filesystem::disconnect`] once nobody is inside.
    pub fn bar(&self) {
        self.mount().bar();
    }

    /// Unmounts and disconnects; `kept` are the objects that outlive this.
    ///
    /// # Safety
    /// After [`Filesystem::bar`]; no call on the file system is under way, and but for `kept` and the
    /// root no object of it exists.
    pub unsafe fn disconnect(&self, kept: &[&Object]) {
        // SAFETY: the caller's promise; the mount is barred.
        unsafe {
            kept.iter().for_each(|object| object.let_go());
            self.root.let_go();
            self.mount().end();
        }
    }

    /// Pool space (`daos_pool_query`); one RPC.
    pub fn space(&self) -> Result<Space> {
        let mut info = daos_pool_info_t::zeroed();
        self.mount().call(|call| {
            info = daos_pool_info_t::zeroed();
            info.pi_bits = DPI_SPACE;
            query(call, &mut info)
        })?;
        let space = info.pi_space.ps_space;
        Ok(Space {
            total: space.s_total.iter().sum(),
            free: space.s_free.iter().sum(),
        })
    }
}

/// Pool and container for messages.
pub(crate) fn shown(pool: &CStr, cont: &CStr) -> String {
    let text = |name: &CStr| name.to_string_lossy().into_owned();
    format!("pool {}, container {}", text(pool), text(cont))
}

/// `daos_pool_query` in libdfs's numbers, for [`Mount::call`].
fn query(call: &Call<'_>, info: &mut daos_pool_info_t) -> i32 {
    // SAFETY: the pool handle is open; the result lives through the call.
    let rc = unsafe {
        (call.api.daos_pool_query)(call.session.pool, null_mut(), info, null_mut(), null_mut())
    };
    daos_sys::der_to_errno(rc)
}
