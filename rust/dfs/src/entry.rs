//! The calls that take a directory and a name: look up, create, remove.
//! Names are single components: never empty, ".", "..", longer than 255 bytes or with a slash;
//! such names answer `EINVAL`/`ENAMETOOLONG` here as a last line of defence. A parent that is no
//! directory answers `ENOTDIR`.
use crate::handle::Handle;
use crate::{name, Access, Attr, Errno, Filesystem, Kind, Object, Result, SetAttr};
use daos_sys::dfs_obj_t;
use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::ptr::{null, null_mut};
use std::sync::Arc;

/// How [`Filesystem::create`] makes a file.
#[derive(Clone, Copy, Debug)]
pub struct Create {
    /// Permission bits, umask already applied.
    pub mode: u32,
    /// `O_EXCL`: `EEXIST` if the name exists.
    pub exclusive: bool,
    /// Access of the returned handle.
    pub access: Access,
}

impl Filesystem {
    /// Opens the entry `name` of `dir` without following a link, and its attributes: one DFS call
    /// (two round trips: entry and object). Files and directories come with the access asked for.
    /// `EROFS` for write access on a read-only mount.
    pub fn lookup(
        self: &Arc<Self>,
        dir: &Object,
        name: &CStr,
        access: Access,
    ) -> Result<(Object, Attr)> {
        self.mount().traits.permits(access)?;
        let mut stat = MaybeUninit::zeroed();
        self.look(dir, name, Some(&mut stat), |handle, mode| {
            // SAFETY: filled by libdfs, and valid when zeroed.
            self.keep(handle, mode, access, unsafe { stat.assume_init() })
        })
    }

    /// A handle just looked up as object and attributes; local.
    pub(crate) fn keep(
        &self,
        handle: Handle<'_>,
        mode: u32,
        access: Access,
        stat: libc::stat,
    ) -> (Object, Attr) {
        let attr = self.attr_of(&handle, stat);
        (handle.into_object(self.mount(), mode, access), attr)
    }

    /// As [`Filesystem::lookup`] without the attributes, which saves one of the two round trips:
    /// for the directories on a path's way, and for opening what is known. Mode as in `st_mode`.
    pub fn open(
        self: &Arc<Self>,
        dir: &Object,
        name: &CStr,
        access: Access,
    ) -> Result<(Object, u32)> {
        self.mount().traits.permits(access)?;
        self.look(dir, name, None, |handle, mode| {
            (handle.into_object(self.mount(), mode, access), mode)
        })
    }

    /// Attributes of an entry, not following a link; one DFS call (a lookup whose handle is
    /// released), no allocation of ours.
    pub fn stat(self: &Arc<Self>, dir: &Object, name: &CStr) -> Result<Attr> {
        let mut stat = MaybeUninit::zeroed();
        self.look(dir, name, Some(&mut stat), |handle, _| {
            // SAFETY: filled by libdfs, and valid when zeroed.
            self.attr_of(&handle, unsafe { stat.assume_init() })
        })
    }

    /// `dfs_lookup_rel`, and `found` with the handle and its mode.
    fn look<R>(
        &self,
        dir: &Object,
        name: &CStr,
        stat: Option<*mut MaybeUninit<libc::stat>>,
        found: impl FnOnce(Handle<'_>, u32) -> R,
    ) -> Result<R> {
        check(dir, name)?;
        let stat = stat.map_or(null_mut(), |s| s.cast());
        let (mut found, mut answer) = (Some(found), None);
        self.mount().call(|call| {
            let (mut raw, mut mode) = (null_mut(), 0);
            // SAFETY: the parent's handle is alive; results live through the call.
            let rc = unsafe {
                (call.api.dfs_lookup_rel)(
                    call.dfs(),
                    dir.raw(call),
                    name.as_ptr(),
                    self.mount().traits.open_flags() | libc::O_NOFOLLOW,
                    &mut raw,
                    &mut mode,
                    stat,
                )
            };
            if rc == 0 {
                let handle = Handle { call, raw };
                answer = found.take().map(|f| f(handle, mode));
            }
            rc
        })?;
        answer.ok_or(Errno::EIO)
    }

    /// Completes the attributes of a handle just looked up; local.
    fn attr_of(&self, handle: &Handle<'_>, stat: libc::stat) -> Attr {
        let chunk = match stat.st_mode & libc::S_IFMT {
            libc::S_IFREG => handle.chunk_size(),
            _ => 0,
        };
        self.mount().attr(stat, handle.id(), false, chunk)
    }

    /// Creates (or, not exclusive, opens) a regular file owned by the given ids; an existing one
    /// keeps its mode, owner and contents. Whether the file was created is known in the exclusive
    /// case only (always). One RPC. `EISDIR` if the name holds a directory, `ELOOP` if a link.
    pub fn create(
        self: &Arc<Self>,
        dir: &Object,
        name: &CStr,
        how: Create,
        owner: (u32, u32),
    ) -> Result<Object> {
        let mode = libc::S_IFREG | (how.mode & 0o7777);
        let exclusive = if how.exclusive { libc::O_EXCL } else { 0 };
        match self.make(dir, name, mode, exclusive, how.access, None, owner) {
            Err(Errno::EINVAL) => Err(self.not_a_file(dir, name)),
            other => other,
        }
    }

    /// Why a file cannot be opened where `dfs_open` said `EINVAL`.
    #[cold]
    fn not_a_file(self: &Arc<Self>, dir: &Object, name: &CStr) -> Errno {
        match self.stat(dir, name).map(|attr| attr.kind()) {
            Ok(Kind::Directory) => Errno::EISDIR,
            Ok(Kind::Symlink) => Errno::ELOOP,
            _ => Errno::EINVAL,
        }
    }

    /// `mkdir(2)`; mode with umask applied. One DFS call (two RPCs: object and entry).
    pub fn mkdir(&self, dir: &Object, name: &CStr, mode: u32, owner: (u32, u32)) -> Result<()> {
        let mode = mode & 0o7777;
        if owner != effective_ids() {
            let access = Access::ReadWrite;
            return self
                .make(
                    dir,
                    name,
                    libc::S_IFDIR | mode,
                    libc::O_EXCL,
                    access,
                    None,
                    owner,
                )
                .map(drop);
        }
        check(dir, name)?;
        self.mount().create(|call| {
            // SAFETY: the parent's handle is alive; the name lives through the call.
            unsafe { (call.api.dfs_mkdir)(call.dfs(), dir.raw(call), name.as_ptr(), mode, 0) }
        })
    }

    /// `symlink(2)`. An empty target is `ENOENT`, one of 4096 bytes or more `ENAMETOOLONG`. One
    /// RPC.
    pub fn symlink(
        &self,
        dir: &Object,
        name: &CStr,
        target: &CStr,
        owner: (u32, u32),
    ) -> Result<()> {
        self.make_symlink(dir, name, target, owner).map(drop)
    }

    pub(crate) fn make_symlink(
        &self,
        dir: &Object,
        name: &CStr,
        target: &CStr,
        owner: (u32, u32),
    ) -> Result<Object> {
        match target.to_bytes().len() {
            0 => return Err(Errno::ENOENT),
            len if len >= libc::PATH_MAX as usize => return Err(Errno::ENAMETOOLONG),
            _ => {}
        }
        let mode = libc::S_IFLNK | 0o777;
        let access = Access::ReadWrite;
        self.make(dir, name, mode, libc::O_EXCL, access, Some(target), owner)
    }

    /// `dfs_open` with `O_CREAT`. libdfs stores the effective ids of the process as owner, or with
    /// its internal `dfs_open_stat` the ones it is given; without that function the owner is
    /// changed afterwards (one RPC more, and a moment with the wrong one).
    #[allow(clippy::too_many_arguments)]
    fn make(
        &self,
        dir: &Object,
        name: &CStr,
        mode: u32,
        exclusive: i32,
        access: Access,
        target: Option<&CStr>,
        owner: (u32, u32),
    ) -> Result<Object> {
        check(dir, name)?;
        let flags = libc::O_CREAT | exclusive | libc::O_RDWR;
        let value = target.map_or(null(), CStr::as_ptr);
        let native = owner == effective_ids();
        let (mut made, mut owned) = (None, native);
        self.mount().create(|call| {
            let mut raw: *mut dfs_obj_t = null_mut();
            let dir = dir.raw(call);
            let rc = match call.api.dfs_open_stat {
                Some(open) if !native => {
                    let mut stat = stat_with_owner(owner);
                    owned = true;
                    // SAFETY: the parent's handle is alive; strings and results live through the
                    // call.
                    unsafe {
                        open(
                            call.dfs(),
                            dir,
                            name.as_ptr(),
                            mode,
                            flags,
                            0,
                            0,
                            value,
                            &mut raw,
                            &mut stat,
                        )
                    }
                }
                // SAFETY: as above.
                _ => unsafe {
                    (call.api.dfs_open)(
                        call.dfs(),
                        dir,
                        name.as_ptr(),
                        mode,
                        flags,
                        0,
                        0,
                        value,
                        &mut raw,
                    )
                },
            };
            if rc == 0 {
                made = Some(Handle { call, raw }.into_object(self.mount(), mode, access));
            }
            rc
        })?;
        let object = made.ok_or(Errno::EIO)?;
        if !owned && exclusive != 0 {
            object.set_attr(&SetAttr {
                uid: Some(owner.0),
                gid: Some(owner.1),
                ..SetAttr::default()
            })?;
        }
        Ok(object)
    }

    /// `unlink(2)` of an entry known to be no directory: the caller looked it up, it is not looked
    /// up again (a directory that took its place meanwhile is removed if empty, `EISDIR` if not).
    /// The object is destroyed at once: keeping open files alive is the caller's work. One DFS
    /// call.
    pub fn unlink(&self, dir: &Object, name: &CStr) -> Result<()> {
        self.remove(dir, name).map_err(|e| match e {
            Errno::ENOTEMPTY => Errno::EISDIR,
            other => other,
        })
    }

    /// `rmdir(2)` of an entry known to be a directory: `ENOTEMPTY` if it has entries. One DFS
    /// call. libdfs would remove a file as readily: the caller has checked.
    pub fn rmdir(&self, dir: &Object, name: &CStr) -> Result<()> {
        self.remove(dir, name)
    }

    /// `dfs_remove`, whatever the kind.
    pub(crate) fn remove(&self, dir: &Object, name: &CStr) -> Result<()> {
        check(dir, name)?;
        self.mount().change(|call| {
            // SAFETY: the parent's handle is alive; the name lives through the call.
            unsafe {
                (call.api.dfs_remove)(call.dfs(), dir.raw(call), name.as_ptr(), false, null_mut())
            }
        })
    }
}

/// Name and parent as every call here wants them.
#[inline]
pub(crate) fn check(dir: &Object, name: &CStr) -> Result<()> {
    if dir.kind() != Kind::Directory {
        return Err(Errno::ENOTDIR);
    }
    name::check(name)
}

/// What libdfs stores as owner of its own accord.
fn effective_ids() -> (u32, u32) {
    // SAFETY: both cannot fail.
    unsafe { (libc::geteuid(), libc::getegid()) }
}

fn stat_with_owner(owner: (u32, u32)) -> libc::stat {
    // SAFETY: a stat of zeros is valid.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    (stat.st_uid, stat.st_gid) = owner;
    stat
}
