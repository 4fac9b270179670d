//! The connection beneath a [`crate::Filesystem`]: pool, container and `dfs_t`, and the way every
//! call to libdfs takes. Objects keep their mount alive, so the handles below outlive them.
//!
//! Handles are a cache. Those that this process did not open itself (imported ones, and all of
//! them in a fork child) are forgotten by the servers some seconds after their owner is gone, and
//! an administrator may evict any: every call then answers `NO_HDL`, which libdfs shows as
//! `EINVAL`. Then a new session is connected, objects follow it by their ids, and the call is
//! repeated once (nothing has happened yet when a server refuses a handle). Old sessions stay
//! allocated as long as the mount: other threads may be using them. Nothing here is guarded by a
//! lock, so a fork may happen at any instant.
use crate::outage::Outage;
use crate::{connect, Access, Attr, Client, Errno, Kind, ObjectId, Result};
use daos_sys::{daos_handle_t, dfs_obj_t, dfs_t, Api};
use std::ffi::CString;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::Arc;

/// Preferred I/O size shown for directories and links: `opendir(3)` allocates that much.
const SMALL_BLOCK: libc::blksize_t = 4096;

/// One set of handles.
pub(crate) struct Session {
    pub(crate) pool: daos_handle_t,
    pub(crate) cont: daos_handle_t,
    pub(crate) dfs: *mut dfs_t,
    /// Counts the sessions of a mount, from 1.
    pub(crate) generation: u32,
    /// [`Client::forks`] when it was made.
    pub(crate) forks: u32,
    /// Made from another process's handles.
    pub(crate) imported: bool,
    /// Pool and container are the previous session's, which closes them.
    pub(crate) shares: bool,
    /// The session this one replaced.
    pub(crate) previous: *mut Session,
}

/// What a mount is, whatever session serves it.
pub(crate) struct Traits {
    /// Mutations answer `EROFS`.
    pub(crate) read_only: bool,
    /// Renames run in distributed transactions (`DFS_BALANCED`).
    pub(crate) balanced: bool,
    /// The container's number in inode numbers: 1 for a mounted one.
    pub(crate) ordinal: u64,
    /// Default chunk size in bytes.
    pub(crate) chunk_size: u64,
    /// Pool and container, where known: needed to connect again.
    pub(crate) names: Option<(CString, CString)>,
    /// Pool and container for messages.
    pub(crate) shown: String,
}

impl Traits {
    /// The flags every handle is opened with: all the access the mount has. An [`Access`] is
    /// enforced by this crate, because libdfs wants a writable handle where Linux does not: for a
    /// change of attributes, and of the directory that holds the changed entry.
    #[inline]
    pub(crate) fn open_flags(&self) -> i32 {
        match self.read_only {
            true => libc::O_RDONLY,
            false => libc::O_RDWR,
        }
    }

    /// `EROFS` for write access where there is none.
    pub(crate) fn permits(&self, access: Access) -> Result<()> {
        match access {
            Access::ReadWrite if self.read_only => Err(Errno::EROFS),
            _ => Ok(()),
        }
    }
}

/// A mounted container without its root object.
pub(crate) struct Mount {
    pub(crate) client: Arc<Client>,
    pub(crate) traits: Traits,
    /// The session in use; never null.
    session: AtomicPtr<Session>,
    outage: Outage,
}

// SAFETY: libdaos handles and dfs_t may be used by all threads at once (dfs.h); the session list
// is only ever grown, by compare-and-swap.
unsafe impl Send for Mount {}
// SAFETY: as above.
unsafe impl Sync for Mount {}

/// One call to libdfs: the functions and the session it uses.
pub(crate) struct Call<'a> {
    pub(crate) api: &'static Api,
    pub(crate) session: &'a Session,
}

impl Call<'_> {
    /// The `dfs_t` of the session.
    #[inline]
    pub(crate) fn dfs(&self) -> *mut dfs_t {
        self.session.dfs
    }
}

impl Mount {
    pub(crate) fn new(client: Arc<Client>, traits: Traits, session: Session) -> Arc<Mount> {
        Arc::new(Mount {
            client,
            traits,
            session: AtomicPtr::new(Box::into_raw(Box::new(session))),
            outage: Outage::default(),
        })
    }

    /// The functions and the current session, without the repetition of [`Mount::call`]. `ESTALE`
    /// once the mount was ended.
    #[inline]
    pub(crate) fn begin(&self) -> Result<Call<'_>> {
        if let Some(meter) = crate::meter::get() {
            meter.calls.fetch_add(1, Ordering::Relaxed);
        }
        let session = self.session();
        if session.dfs.is_null() {
            return Err(Errno::ESTALE);
        }
        Ok(Call {
            api: self.client.api()?,
            session,
        })
    }

    /// Puts a session without handles in the place of the current one: no call begins any more.
    pub(crate) fn bar(&self) {
        loop {
            let old = self.session();
            let barred = Box::into_raw(Box::new(Session {
                pool: daos_handle_t { cookie: 0 },
                cont: daos_handle_t { cookie: 0 },
                dfs: std::ptr::null_mut(),
                generation: old.generation + 1,
                forks: old.forks,
                imported: false,
                shares: false,
                previous: std::ptr::from_ref(old).cast_mut(),
            }));
            let swapped = self.session.compare_exchange(
                std::ptr::from_ref(old).cast_mut(),
                barred,
                Ordering::SeqCst,
                Ordering::Acquire,
            );
            if swapped.is_ok() {
                return;
            }
            // SAFETY: nobody else has seen it; another thread has connected anew.
            drop(unsafe { Box::from_raw(barred) });
        }
    }

    /// Gives back the handles of every session before [`Mount::bar`]'s, but for those that a parent
    /// made before the fork: they are the parent's.
    ///
    /// # Safety
    /// The mount is barred, no call is under way, and no object of it has a handle.
    pub(crate) unsafe fn end(&self) {
        let forks = self.client.forks();
        let barred = self.session.load(Ordering::Acquire);
        // SAFETY: never null; nobody else changes a barred session.
        let mut next = std::mem::replace(unsafe { &mut (*barred).previous }, std::ptr::null_mut());
        while !next.is_null() {
            // SAFETY: the list is made of boxes, and the last user is gone.
            let session = unsafe { Box::from_raw(next) };
            next = session.previous;
            if session.forks == forks {
                close(self.client.raw_api(), &session);
            }
        }
    }

    /// The session in use.
    #[inline]
    pub(crate) fn session(&self) -> &Session {
        // SAFETY: sessions are freed only when the mount is dropped.
        unsafe { &*self.session.load(Ordering::Acquire) }
    }

    /// Runs one libdfs function (`f` answers its result: 0 or an errno), once more with new
    /// handles if the ones at hand turn out to be dead.
    #[inline]
    pub(crate) fn call(&self, mut f: impl FnMut(&Call<'_>) -> i32) -> Result<()> {
        let call = self.begin()?;
        match f(&call) {
            0 => Ok(()),
            rc if self.may_be_dead(rc) => self.again(&call, rc, &mut f),
            rc => Err(self.errno(rc)),
        }
    }

    /// As [`Mount::call`], for what changes the container: `EROFS` on a read-only mount.
    #[inline]
    pub(crate) fn change(&self, f: impl FnMut(&Call<'_>) -> i32) -> Result<()> {
        if self.traits.read_only {
            return Err(Errno::EROFS);
        }
        self.call(f)
    }

    /// As [`Mount::change`], for what makes objects: with ids that no other process gives.
    #[inline]
    pub(crate) fn create(&self, f: impl FnMut(&Call<'_>) -> i32) -> Result<()> {
        if !self.traits.read_only && self.session().forks != self.client.forks() {
            self.part()?;
        }
        self.change(f)
    }

    /// Replaces a session inherited over a fork by one with a `dfs_t` of its own, which fetches
    /// its object ids when it needs them. The handles stay the parent's: all of it is local. (Its
    /// locks are new, too: another thread of the parent may have held the old ones at the fork.)
    #[cold]
    fn part(&self) -> Result<()> {
        let call = self.begin()?;
        let (api, old) = (call.api, call.session);
        let forks = self.client.forks();
        if old.forks == forks {
            return Ok(());
        }
        let mut new = Session {
            pool: old.pool,
            cont: old.cont,
            dfs: std::ptr::null_mut(),
            generation: old.generation + 1,
            forks,
            imported: true,
            shares: true,
            previous: std::ptr::from_ref(old).cast_mut(),
        };
        match crate::handles::copy_mount(api, old.dfs, &mut new) {
            Ok(()) => {
                self.install(api, new);
                Ok(())
            }
            // Dead handles, as a rule: only a connection of our own helps.
            Err(_) => self.reconnect(old.generation),
        }
    }

    fn may_be_dead(&self, rc: i32) -> bool {
        matches!(rc, libc::EINVAL | libc::ESTALE) && self.traits.names.is_some()
    }

    /// `EINVAL` or `ESTALE`: dead handles, or a call that is really invalid? One RPC tells.
    #[cold]
    fn again(&self, call: &Call<'_>, rc: i32, f: &mut dyn FnMut(&Call<'_>) -> i32) -> Result<()> {
        if let Some(errno) = self.outage.refused() {
            return Err(errno);
        }
        // The root directory tells whether the servers still know the session.
        match connect::lookup_root(call.api, call.session.dfs, libc::O_RDONLY) {
            Ok((raw, _)) => {
                release(call.api, raw);
                return Err(self.errno(rc));
            }
            // They do not answer, and would not answer a connect.
            Err(e) if e.is_outage() => return Err(self.errno(e.0)),
            Err(_) => {}
        }
        self.reconnect(call.session.generation)?;
        match f(&self.begin()?) {
            0 => Ok(()),
            rc => Err(self.errno(rc)),
        }
    }

    /// Replaces the session numbered `dead` by one connected by this process; nothing happens if
    /// another thread was faster. `EIO` if pool and container are not known by name, `ESTALE` if
    /// they are no more. After a failure the next try is ten seconds later; until then calls get the
    /// errno of the failure.
    pub(crate) fn reconnect(&self, dead: u32) -> Result<()> {
        let call = self.begin()?;
        if call.session.generation != dead {
            return Ok(());
        }
        let (pool, cont) = self.traits.names.as_ref().ok_or(Errno::EIO)?;
        if let Some(errno) = self.outage.refused() {
            return Err(errno);
        }
        let (mut new, found) = connect::open(&self.client, pool, cont).map_err(|e| {
            let errno = e.entry_gone();
            self.outage.connect_failed(errno, &self.traits.shown);
            errno
        })?;
        self.outage.connected();
        if found.read_only && !self.traits.read_only {
            close(call.api, &new);
            return Err(Errno::EROFS);
        }
        new.generation = dead + 1;
        new.previous = std::ptr::from_ref(call.session).cast_mut();
        self.install(call.api, new);
        Ok(())
    }

    /// Puts a session in its predecessor's place, or closes it if another thread was faster.
    fn install(&self, api: &Api, new: Session) {
        let old = new.previous;
        let new = Box::into_raw(Box::new(new));
        let swapped = self
            .session
            .compare_exchange(old, new, Ordering::AcqRel, Ordering::Acquire);
        if swapped.is_err() {
            // SAFETY: nobody else has seen this session.
            close(api, &*unsafe { Box::from_raw(new) });
        }
    }

    /// See [`crate::Filesystem::is_away`].
    pub(crate) fn is_away(&self) -> bool {
        self.outage.is_recent()
    }

    /// An errno of libdfs as the kernel would say it for this mount.
    pub(crate) fn errno(&self, rc: i32) -> Errno {
        let errno = Errno::from_dfs(rc);
        self.outage.note(errno, &self.traits.shown);
        match errno {
            Errno::EPERM if self.traits.read_only => Errno::EROFS,
            e => e,
        }
    }

    /// Completes what libdfs filled in. `chunk` is the file's own chunk size (0: unknown).
    pub(crate) fn attr(&self, mut stat: libc::stat, oid: ObjectId, root: bool, chunk: u64) -> Attr {
        let kind = Kind::from_mode(stat.st_mode);
        stat.st_dev = 0;
        stat.st_ino = if root {
            self.traits.ordinal
        } else {
            oid.ino(self.traits.ordinal)
        };
        stat.st_nlink = if kind == Some(Kind::Directory) { 2 } else { 1 };
        stat.st_blksize = match kind {
            Some(Kind::File) if chunk != 0 => chunk as libc::blksize_t,
            Some(Kind::File) => self.traits.chunk_size as libc::blksize_t,
            _ => SMALL_BLOCK,
        };
        Attr { stat, oid }
    }
}

impl Drop for Mount {
    /// Unmounts and disconnects; in a fork child that has not re-attached the handles are left to
    /// the parent.
    fn drop(&mut self) {
        let attached = self.client.is_attached();
        let mut next = *self.session.get_mut();
        while !next.is_null() {
            // SAFETY: the list is made of boxes, and the last user is gone.
            let session = unsafe { Box::from_raw(next) };
            next = session.previous;
            if attached {
                close(self.client.raw_api(), &session);
            }
        }
    }
}

/// Gives a session's handles back; errors leave nothing to be done.
pub(crate) fn close(api: &Api, session: &Session) {
    // SAFETY: the session is not used any more; its objects are released.
    unsafe {
        if !session.dfs.is_null() {
            (api.dfs_umount)(session.dfs);
        }
        if session.shares {
            return;
        }
        if session.cont.cookie != 0 {
            (api.daos_cont_close)(session.cont, std::ptr::null_mut());
        }
        if session.pool.cookie != 0 {
            (api.daos_pool_disconnect)(session.pool, std::ptr::null_mut());
        }
    }
}

/// `dfs_release`; local.
#[inline]
pub(crate) fn release(api: &Api, raw: *mut dfs_obj_t) {
    // SAFETY: the caller owns the handle and uses it no more.
    unsafe { (api.dfs_release)(raw) };
}
