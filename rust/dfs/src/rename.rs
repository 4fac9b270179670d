//! Rename and exchange, with everything `dfs_move` leaves out: it destroys an entry renamed to
//! itself, moves a directory below itself, puts a directory over a file, sets new times, and in
//! balanced containers forgets to commit a symbolic link's move.
use crate::entry::check;
use crate::{Access, Attr, Errno, Filesystem, Kind, Object, Result, SetAttr, SetTime, XattrFlags};
use daos_sys::daos_obj_id_t;
use std::ffi::{CStr, CString};
use std::ptr::null_mut;
use std::sync::Arc;

/// `RENAME_NOREPLACE` of `renameat2(2)`, as `dfs_move_internal` takes it.
const NO_REPLACE: u32 = libc::RENAME_NOREPLACE;

/// One side of a rename.
#[derive(Clone, Copy)]
struct Place<'a> {
    dir: &'a Object,
    name: &'a CStr,
}

impl Place<'_> {
    fn is(&self, other: &Place<'_>) -> bool {
        self.dir.id() == other.dir.id() && self.name == other.name
    }
}

/// The extended attributes of an entry.
type Xattrs = Vec<(CString, Vec<u8>)>;

impl Filesystem {
    /// `rename(2)` of an entry `from` (looked up by the caller: its attributes) to a name that
    /// holds `to` (or nothing). Types must agree and the target may not lie below the source: the
    /// caller has checked. Here `EINVAL` (a directory into itself), `ENOTDIR` and `EISDIR` guard
    /// the fatal cases as far as they show without another look (that the target directory does
    /// not lie deeper below the source is the caller's check), and a rename to itself does
    /// nothing. With `no_replace` an existing target is `EEXIST`.
    ///
    /// Keeps mtime and extended attributes. One DFS call, and two to restore the time. In a
    /// balanced container a link is moved in two steps: by exchange with the target, or by a new
    /// link (and a new inode number) where there is none.
    #[allow(clippy::too_many_arguments)]
    pub fn rename(
        self: &Arc<Self>,
        from_dir: &Object,
        from_name: &CStr,
        from: &Attr,
        to_dir: &Object,
        to_name: &CStr,
        to: Option<&Attr>,
        no_replace: bool,
    ) -> Result<()> {
        let source = Place {
            dir: from_dir,
            name: from_name,
        };
        let target = Place {
            dir: to_dir,
            name: to_name,
        };
        check(from_dir, from_name)?;
        check(to_dir, to_name)?;
        if self.is_read_only() {
            return Err(Errno::EROFS);
        }
        if no_replace && (to.is_some() || source.is(&target)) {
            return Err(Errno::EEXIST);
        }
        if source.is(&target) {
            return Ok(());
        }
        guard(from, &target, to)?;
        if from.kind() == Kind::Symlink && self.mount().traits.balanced {
            return self.move_link(source, target, from, to, no_replace);
        }
        self.move_entry(source, target, from, to, no_replace)?;
        self.restore_mtime(target, from);
        Ok(())
    }

    /// `dfs_move`. Where nothing is said to be in the way it must stay so: a target that appeared
    /// meanwhile is looked at once more, because libdfs would put anything over anything.
    fn move_entry(
        self: &Arc<Self>,
        source: Place<'_>,
        target: Place<'_>,
        from: &Attr,
        to: Option<&Attr>,
        no_replace: bool,
    ) -> Result<()> {
        if to.is_some() {
            return self.call_move(source, target, 0);
        }
        match self.call_move(source, target, NO_REPLACE) {
            Err(Errno::EEXIST) if !no_replace => {
                match self.stat(target.dir, target.name) {
                    Ok(now) => guard(from, &target, Some(&now))?,
                    Err(Errno::ENOENT) => {}
                    Err(e) => return Err(e),
                }
                self.call_move(source, target, 0)
            }
            other => other,
        }
    }

    /// One call of `dfs_move_internal`, or where that is missing of `dfs_move` (two DFS calls if
    /// nothing may be replaced, and not atomic then).
    fn call_move(self: &Arc<Self>, source: Place<'_>, target: Place<'_>, flags: u32) -> Result<()> {
        let mount = self.mount();
        let internal = mount.begin()?.api.dfs_move_internal;
        if internal.is_none() && flags != 0 {
            match self.stat(target.dir, target.name) {
                Ok(_) => return Err(Errno::EEXIST),
                Err(Errno::ENOENT) => {}
                Err(e) => return Err(e),
            }
        }
        mount.change(|call| {
            let (dir1, dir2) = (source.dir.raw(call), target.dir.raw(call));
            let (name1, name2) = (source.name.as_ptr(), target.name.as_ptr());
            let mut moved = daos_obj_id_t::zeroed();
            let mut replaced = daos_obj_id_t::zeroed();
            // SAFETY: both parents' handles are alive; names and results live through the call.
            unsafe {
                match internal {
                    Some(f) => f(
                        call.dfs(),
                        flags,
                        dir1,
                        name1,
                        dir2,
                        name2,
                        &mut moved,
                        &mut replaced,
                    ),
                    None => (call.api.dfs_move)(call.dfs(), dir1, name1, dir2, name2, null_mut()),
                }
            }
        })
    }

    /// Gives a moved entry its time back. That it fails is no failure of the rename.
    fn restore_mtime(self: &Arc<Self>, place: Place<'_>, before: &Attr) {
        if let Ok((object, _)) = self.open(place.dir, place.name, Access::ReadWrite) {
            if object.id() == before.oid {
                let _ = object.set_attr(&mtime_of(before));
            }
        }
    }

    /// Renames a link of a balanced container.
    fn move_link(
        self: &Arc<Self>,
        source: Place<'_>,
        target: Place<'_>,
        from: &Attr,
        to: Option<&Attr>,
        no_replace: bool,
    ) -> Result<()> {
        let (link, _) = self.open(source.dir, source.name, Access::Read)?;
        if link.id() != from.oid {
            return Err(Errno::ENOENT);
        }
        if to.is_some() {
            return self.move_link_over(source, target, from, &link);
        }
        match self.copy_link(target, from, &link) {
            Err(Errno::EEXIST) if !no_replace => {
                let now = self.stat(target.dir, target.name)?;
                guard(from, &target, Some(&now))?;
                self.move_link_over(source, target, from, &link)
            }
            Err(e) => Err(e),
            Ok(()) => self.remove(source.dir, source.name),
        }
    }

    /// Exchange, then remove what the link replaced. If this libdfs cannot exchange links either,
    /// the target has to go first.
    fn move_link_over(
        self: &Arc<Self>,
        source: Place<'_>,
        target: Place<'_>,
        from: &Attr,
        link: &Object,
    ) -> Result<()> {
        let xattrs = xattrs_of(link)?;
        let exchanged = self.call_exchange(source, target).is_ok()
            && self.stat(target.dir, target.name)?.oid == from.oid;
        if exchanged {
            self.remove(source.dir, source.name)?;
            let (moved, _) = self.open(target.dir, target.name, Access::ReadWrite)?;
            restore_xattrs(&moved, &xattrs)?;
            let _ = moved.set_attr(&mtime_of(from));
            return Ok(());
        }
        self.remove(target.dir, target.name)?;
        self.copy_link(target, from, link)?;
        self.remove(source.dir, source.name)
    }

    /// Creates a link like `link` at `place`.
    fn copy_link(&self, place: Place<'_>, from: &Attr, link: &Object) -> Result<()> {
        let xattrs = xattrs_of(link)?;
        let owner = (from.stat.st_uid, from.stat.st_gid);
        let new = self.make_symlink(place.dir, place.name, &link.readlink()?, owner)?;
        restore_xattrs(&new, &xattrs)?;
        let _ = new.set_attr(&mtime_of(from));
        Ok(())
    }

    /// `RENAME_EXCHANGE`; extended attributes and times of both sides are kept. `ENOENT` if a name
    /// is missing, `EINVAL` where libdfs cannot exchange or a side would come below itself (only
    /// the directories themselves are compared, see [`Filesystem::rename`]). One DFS call between
    /// a look at both sides and the repair of both: about ten in all; the extended attributes are
    /// missing for a moment.
    pub fn exchange(
        self: &Arc<Self>,
        dir1: &Object,
        name1: &CStr,
        dir2: &Object,
        name2: &CStr,
    ) -> Result<()> {
        let (one, two) = (
            Place {
                dir: dir1,
                name: name1,
            },
            Place {
                dir: dir2,
                name: name2,
            },
        );
        if self.is_read_only() {
            return Err(Errno::EROFS);
        }
        let (object1, attr1) = self.lookup(dir1, name1, Access::ReadWrite)?;
        let (object2, attr2) = self.lookup(dir2, name2, Access::ReadWrite)?;
        if one.is(&two) {
            return Ok(());
        }
        guard_loop(&attr1, dir2)?;
        guard_loop(&attr2, dir1)?;
        let (xattrs1, xattrs2) = (xattrs_of(&object1)?, xattrs_of(&object2)?);
        self.call_exchange(one, two)?;
        self.repair(two, &attr1, &xattrs1)?;
        self.repair(one, &attr2, &xattrs2)
    }

    fn call_exchange(&self, one: Place<'_>, two: Place<'_>) -> Result<()> {
        self.mount().change(|call| match call.api.dfs_exchange {
            // SAFETY: both parents' handles are alive; the names live through the call.
            Some(exchange) => unsafe {
                exchange(
                    call.dfs(),
                    one.dir.raw(call),
                    one.name.as_ptr(),
                    two.dir.raw(call),
                    two.name.as_ptr(),
                )
            },
            None => libc::EINVAL,
        })
    }

    /// Gives an exchanged entry its extended attributes and its time back.
    fn repair(self: &Arc<Self>, place: Place<'_>, before: &Attr, xattrs: &Xattrs) -> Result<()> {
        let (object, _) = self.open(place.dir, place.name, Access::ReadWrite)?;
        if object.id() != before.oid {
            return Ok(());
        }
        restore_xattrs(&object, xattrs)?;
        let _ = object.set_attr(&mtime_of(before));
        Ok(())
    }
}

/// What may not be put where.
fn guard(from: &Attr, target: &Place<'_>, to: Option<&Attr>) -> Result<()> {
    guard_loop(from, target.dir)?;
    let Some(to) = to else { return Ok(()) };
    match (from.kind(), to.kind()) {
        _ if from.oid == to.oid => Err(Errno::EINVAL),
        (Kind::Directory, Kind::Directory) => Ok(()),
        (Kind::Directory, _) => Err(Errno::ENOTDIR),
        (_, Kind::Directory) => Err(Errno::EISDIR),
        _ => Ok(()),
    }
}

/// `EINVAL` if `moved` is the directory it would move into.
fn guard_loop(moved: &Attr, into: &Object) -> Result<()> {
    match moved.oid == into.id() {
        true => Err(Errno::EINVAL),
        false => Ok(()),
    }
}

fn mtime_of(attr: &Attr) -> SetAttr {
    SetAttr {
        mtime: Some(SetTime::At(attr.stat.st_mtime, attr.stat.st_mtime_nsec)),
        ..SetAttr::default()
    }
}

fn xattrs_of(object: &Object) -> Result<Xattrs> {
    let list = object.list_xattr()?;
    let mut xattrs = Vec::new();
    for name in list.split_inclusive(|&b| b == 0) {
        if let Ok(name) = CStr::from_bytes_with_nul(name) {
            match object.get_xattr(name) {
                Ok(value) => xattrs.push((name.to_owned(), value)),
                // Removed by somebody else since.
                Err(Errno::ENODATA) => {}
                Err(e) => return Err(e),
            }
        }
    }
    Ok(xattrs)
}

fn restore_xattrs(object: &Object, xattrs: &Xattrs) -> Result<()> {
    for (name, value) in xattrs {
        object.set_xattr(name, value, XattrFlags::Any)?;
    }
    Ok(())
}
