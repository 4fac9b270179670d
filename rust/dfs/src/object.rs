//! An open file, directory or symbolic link: `dfs_obj_t`, released on drop.
//! All calls may run concurrently on one object. A `dfs_obj_t` carries the id of its parent and its
//! own name, by which libdfs finds attributes; when these change (our own rename, a new session)
//! the handle is replaced by a changed copy, and the old one stays until the object is dropped,
//! because another thread may be using it.
use crate::handle::{export_raw, import_raw, Handle};
use crate::mount::{release, Call, Mount};
use crate::{Attr, Errno, Kind, ObjectId, Result, SetAttr};
use daos_sys::{
    dfs_obj_t, DFS_SET_ATTR_GID, DFS_SET_ATTR_MODE, DFS_SET_ATTR_MTIME, DFS_SET_ATTR_UID,
};
use std::ffi::{CStr, CString};
use std::mem::MaybeUninit;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};
use std::sync::Arc;

/// What may be done with an [`Object`]'s contents. Attributes and entries may be changed through
/// any handle.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// `O_RDONLY`
    Read,
    /// `O_RDWR`
    ReadWrite,
}

/// An open DFS object.
pub struct Object {
    pub(crate) mount: Arc<Mount>,
    raw: AtomicPtr<dfs_obj_t>,
    /// The session `raw` was made in.
    generation: AtomicU32,
    /// Handles replaced by a newer one.
    retired: AtomicPtr<Retired>,
    id: ObjectId,
    kind: Kind,
    access: Access,
    /// Chunk size of a file in bytes, 0 for other kinds or where libdfs does not tell.
    pub(crate) chunk_size: u64,
    is_root: bool,
}

struct Retired {
    raw: *mut dfs_obj_t,
    next: *mut Retired,
}

// SAFETY: dfs_obj_t may be used by all threads at once, except for being released or renamed
// (dfs.h): both happen to handles no other thread can reach.
unsafe impl Send for Object {}
// SAFETY: as above.
unsafe impl Sync for Object {}

impl Object {
    /// Takes over a handle just got.
    pub(crate) fn new(
        mount: &Arc<Mount>,
        handle: &Handle<'_>,
        mode: u32,
        access: Access,
    ) -> Object {
        let kind = Kind::from_mode(mode).unwrap_or(Kind::File);
        Object {
            mount: mount.clone(),
            raw: AtomicPtr::new(handle.raw),
            generation: AtomicU32::new(handle.call.session.generation),
            retired: AtomicPtr::new(null_mut()),
            id: handle.id(),
            kind,
            access,
            chunk_size: match kind {
                Kind::File => handle.chunk_size(),
                _ => 0,
            },
            is_root: false,
        }
    }

    /// Identity.
    pub fn id(&self) -> ObjectId {
        self.id
    }

    /// Kind, fixed for the object's life.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Access of this handle.
    pub fn access(&self) -> Access {
        self.access
    }

    /// True for the container's root directory.
    pub fn is_root(&self) -> bool {
        self.is_root
    }

    pub(crate) fn mark_root(mut self) -> Object {
        self.is_root = true;
        self
    }

    /// The handle for a call, brought into the call's session first if it is older.
    #[inline]
    pub(crate) fn raw(&self, call: &Call<'_>) -> *mut dfs_obj_t {
        if self.generation.load(Ordering::Acquire) >= call.session.generation {
            return self.raw.load(Ordering::Acquire);
        }
        self.follow(call)
    }

    /// Moves into a newer session by object id; local. A link's handle holds no DAOS handle and
    /// goes on as it is, and so does what cannot be moved: its calls will fail and say why.
    #[cold]
    fn follow(&self, call: &Call<'_>) -> *mut dfs_obj_t {
        let old = self.raw.load(Ordering::Acquire);
        if self.kind == Kind::Symlink {
            return old;
        }
        let moved = export_raw(call, old)
            .and_then(|blob| import_raw(call, &blob, self.mount.traits.open_flags()));
        if let Ok(new) = moved {
            self.copy_defaults(call, old, new);
            self.replace(call, old, new);
            self.generation
                .fetch_max(call.session.generation, Ordering::AcqRel);
        }
        self.raw.load(Ordering::Acquire)
    }

    /// A copy of a handle, with everything libdfs knows about it; local.
    fn duplicate(&self, call: &Call<'_>, old: *mut dfs_obj_t, new: &mut *mut dfs_obj_t) -> i32 {
        let flags = self.mount.traits.open_flags();
        // SAFETY: the object's handle is alive; the result lives through the call.
        let rc = unsafe { (call.api.dfs_dup)(call.dfs(), old, flags, new) };
        if rc == 0 {
            self.copy_defaults(call, old, *new);
        }
        rc
    }

    /// What a directory's new files get (object class, chunk size) stays behind when libdfs copies
    /// a handle.
    fn copy_defaults(&self, call: &Call<'_>, old: *mut dfs_obj_t, new: *mut dfs_obj_t) {
        if let (Kind::Directory, Some(copy)) = (self.kind, call.api.dfs_obj_copy_attr) {
            // SAFETY: both handles are alive, and nobody else knows the new one.
            unsafe { copy(new, old) };
        }
    }

    /// Installs a new handle; false, and the new one released, if another thread replaced the same
    /// one.
    fn replace(&self, call: &Call<'_>, old: *mut dfs_obj_t, new: *mut dfs_obj_t) -> bool {
        let swapped = self
            .raw
            .compare_exchange(old, new, Ordering::AcqRel, Ordering::Acquire);
        if swapped.is_err() {
            release(call.api, new);
            return false;
        }
        let node = Box::into_raw(Box::new(Retired {
            raw: old,
            next: null_mut(),
        }));
        let mut head = self.retired.load(Ordering::Acquire);
        loop {
            // SAFETY: the node is not shared yet.
            unsafe { (*node).next = head };
            match self.retired.compare_exchange_weak(
                head,
                node,
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) => return true,
                Err(now) => head = now,
            }
        }
    }

    /// A second handle on the same object with another access (`dfs_dup`, local). `EROFS` for
    /// write access on a read-only mount.
    pub fn reopen(&self, access: Access) -> Result<Object> {
        self.mount.traits.permits(access)?;
        let mut made = None;
        self.mount.call(|call| {
            let mut raw = null_mut();
            let rc = self.duplicate(call, self.raw(call), &mut raw);
            if rc == 0 {
                made = Some(self.sibling(call, raw, access));
            }
            rc
        })?;
        made.ok_or(Errno::EIO)
    }

    fn sibling(&self, call: &Call<'_>, raw: *mut dfs_obj_t, access: Access) -> Object {
        Object {
            mount: self.mount.clone(),
            raw: AtomicPtr::new(raw),
            generation: AtomicU32::new(call.session.generation),
            retired: AtomicPtr::new(null_mut()),
            access,
            id: self.id,
            kind: self.kind,
            chunk_size: self.chunk_size,
            is_root: self.is_root,
        }
    }

    /// `fstat(2)`. If the entry is gone (unlinked or moved by someone else) `ESTALE`; the caller
    /// decides. One DFS call (two round trips: entry and object).
    pub fn attr(&self) -> Result<Attr> {
        let mut stat = MaybeUninit::<libc::stat>::zeroed();
        self.mount
            .call(|call| {
                // SAFETY: the handle is alive; the result lives through the call.
                unsafe { (call.api.dfs_ostat)(call.dfs(), self.raw(call), stat.as_mut_ptr()) }
            })
            .map_err(Errno::entry_gone)?;
        // SAFETY: filled by dfs_ostat, and valid when zeroed.
        let stat = unsafe { stat.assume_init() };
        Ok(self
            .mount
            .attr(stat, self.id, self.is_root, self.chunk_size))
    }

    /// Changes attributes; one DFS call, none where nothing is to change (a time of access is not
    /// stored). Works on handles of either access. `ESTALE` as in [`Object::attr`]; `ENOTSUP` for
    /// the sticky bit, which libdfs keeps at creation only.
    pub fn set_attr(&self, set: &SetAttr) -> Result<()> {
        if self.mount.traits.read_only {
            return Err(Errno::EROFS);
        }
        let (mut stat, flags) = self.stat_of(set);
        if flags == 0 {
            return Ok(());
        }
        self.mount
            .change(|call| {
                // SAFETY: the handle is alive; libdfs reads and refills the stat.
                unsafe { (call.api.dfs_osetattr)(call.dfs(), self.raw(call), &mut stat, flags) }
            })
            .map_err(Errno::entry_gone)
    }

    /// The fields and flags of `dfs_osetattr`; the mode needs its type bits.
    fn stat_of(&self, set: &SetAttr) -> (libc::stat, i32) {
        // SAFETY: a stat of zeros is valid.
        let mut stat: libc::stat = unsafe { std::mem::zeroed() };
        let mut flags = 0;
        if let Some(mode) = set.mode {
            stat.st_mode = (mode & 0o7777) | self.kind.mode();
            flags |= DFS_SET_ATTR_MODE;
        }
        if let Some(uid) = set.uid {
            stat.st_uid = uid;
            flags |= DFS_SET_ATTR_UID;
        }
        if let Some(gid) = set.gid {
            stat.st_gid = gid;
            flags |= DFS_SET_ATTR_GID;
        }
        if let Some(time) = set.mtime {
            (stat.st_mtime, stat.st_mtime_nsec) = time.resolve();
            flags |= DFS_SET_ATTR_MTIME;
        }
        (stat, flags)
    }

    /// The text of a symbolic link, without NUL; local. `EINVAL` for other kinds.
    pub fn readlink(&self) -> Result<CString> {
        if self.kind != Kind::Symlink {
            return Err(Errno::EINVAL);
        }
        let mut text = vec![0u8; libc::PATH_MAX as usize];
        self.mount.call(|call| {
            let mut size = text.len() as u64;
            // SAFETY: the handle is alive; the buffer holds `size` bytes.
            unsafe {
                (call.api.dfs_get_symlink_value)(
                    self.raw(call),
                    text.as_mut_ptr().cast(),
                    &mut size,
                )
            }
        })?;
        // libdfs ends a text it cut short with a NUL, too.
        let text = CStr::from_bytes_until_nul(&text).map_err(|_| Errno::EIO)?;
        Ok(text.to_owned())
    }

    /// Tells the handle that its entry now is `name` in `dir` (after our own rename), so that
    /// attribute calls find it again. Local with libdfs's internal `dfs_update_parentfd`, else one
    /// DFS call. The handle used so far is kept until the object is dropped.
    pub fn renamed(&self, dir: &Object, name: &CStr) -> Result<()> {
        crate::name::check(name)?;
        self.mount.call(|call| loop {
            let old = self.raw(call);
            let mut new = null_mut();
            let rc = match call.api.dfs_update_parentfd {
                Some(update) => {
                    let rc = self.duplicate(call, old, &mut new);
                    if rc == 0 {
                        // SAFETY: handles are alive; nobody else knows the copy yet.
                        unsafe { update(new, dir.raw(call), name.as_ptr()) };
                    }
                    rc
                }
                None => self.found_at(call, dir, name, &mut new),
            };
            if rc != 0 || self.replace(call, old, new) {
                return rc;
            }
        })
    }

    /// A handle looked up at (dir, name), if that is this object.
    fn found_at(
        &self,
        call: &Call<'_>,
        dir: &Object,
        name: &CStr,
        new: &mut *mut dfs_obj_t,
    ) -> i32 {
        // SAFETY: handles are alive; results live through the call.
        let rc = unsafe {
            (call.api.dfs_lookup_rel)(
                call.dfs(),
                dir.raw(call),
                name.as_ptr(),
                self.mount.traits.open_flags() | libc::O_NOFOLLOW,
                new,
                null_mut(),
                null_mut(),
            )
        };
        if rc != 0 {
            return rc;
        }
        let found = Handle { call, raw: *new };
        if found.id() != self.id {
            return libc::ESTALE;
        }
        std::mem::forget(found);
        0
    }

    /// Releases the handle before the object's end; local. For what outlives its mount.
    ///
    /// # Safety
    /// No call on the object is under way, and none is made any more.
    pub(crate) unsafe fn let_go(&self) {
        let raw = self.raw.swap(null_mut(), Ordering::AcqRel);
        if !raw.is_null() && self.mount.client.is_attached() {
            release(self.mount.client.raw_api(), raw);
        }
    }

    /// The handle as bytes that [`crate::Filesystem::import`] of any process on the same
    /// container understands, as long as it runs the same libdfs; local. `EINVAL` for symbolic
    /// links.
    pub fn export(&self) -> Result<Vec<u8>> {
        if self.kind == Kind::Symlink {
            return Err(Errno::EINVAL);
        }
        let call = self.mount.begin()?;
        export_raw(&call, self.raw(&call)).map_err(|rc| self.mount.errno(rc))
    }
}

impl Drop for Object {
    /// `dfs_release`; local. In a fork child that has not re-attached the handle is left alone.
    fn drop(&mut self) {
        let attached = self.mount.client.is_attached();
        let api = self.mount.client.raw_api();
        let raw = *self.raw.get_mut();
        if attached && !raw.is_null() {
            release(api, raw);
        }
        let mut next = *self.retired.get_mut();
        while !next.is_null() {
            // SAFETY: the list is made of boxes, and the last user is gone.
            let node = unsafe { Box::from_raw(next) };
            next = node.next;
            if attached {
                release(api, node.raw);
            }
        }
    }
}
