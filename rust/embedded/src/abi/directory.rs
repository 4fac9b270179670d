//! Names of directories: list, make, remove, move.
use super::mount::Mount;
use super::object::{directory, Object};
use super::open;
use super::{answer, attr, bytes, required};
use crate::data;
use crate::error::{errno, Result};
use crate::key::{hash, Oid};
use crate::namespace::check_name;
use daos_sys::*;
use libc::{dirent, mode_t, stat};
use std::ffi::{c_char, c_int, c_uint, c_void};

/// A place in hash order, as an anchor holds it.
#[derive(Clone, Copy)]
struct Place {
    hash: u64,
    /// Names with this hash that were shown already.
    shown: u32,
}

fn place_of(anchor: &daos_anchor_t) -> Place {
    let mut hash = [0; 8];
    let mut shown = [0; 4];
    if anchor.da_type != DAOS_ANCHOR_TYPE_ZERO {
        hash.copy_from_slice(&anchor.da_buf[..8]);
        shown.copy_from_slice(&anchor.da_buf[8..12]);
    }
    Place {
        hash: u64::from_le_bytes(hash),
        shown: u32::from_le_bytes(shown),
    }
}

fn set_place(anchor: &mut daos_anchor_t, place: Place) {
    anchor.da_type = DAOS_ANCHOR_TYPE_HKEY;
    anchor.da_buf[..8].copy_from_slice(&place.hash.to_le_bytes());
    anchor.da_buf[8..12].copy_from_slice(&place.shown.to_le_bytes());
}

impl Place {
    fn after(self, hash: u64) -> Place {
        match hash == self.hash {
            true => Place {
                hash,
                shown: self.shown + 1,
            },
            false => Place { hash, shown: 1 },
        }
    }
}

/// Up to `most` names from the anchor on, whose place moves; at the end it says so. `fits` may
/// refuse a name, which ends the batch before it.
fn batch(
    mount: &Mount,
    dir: Oid,
    anchor: &mut daos_anchor_t,
    most: usize,
    mut fits: impl FnMut(&[u8]) -> bool,
) -> Result<Vec<Vec<u8>>> {
    if anchor.is_eof() || most == 0 {
        return Ok(Vec::new());
    }
    let tree = mount.tree()?;
    let mut place = place_of(anchor);
    let (from, skip) = (place.hash, place.shown);
    let mut names: Vec<Vec<u8>> = Vec::new();
    let mut more = false;
    tree.list(&*tree.store.env().read()?, dir, from, skip, |hash, name| {
        if names.len() == most || !fits(name) {
            more = true;
            return false;
        }
        place = place.after(hash);
        names.push(name.to_vec());
        true
    })?;
    set_place(anchor, place);
    // A batch that came out just full does not know yet that it was the last, as in DAOS.
    if !more && names.len() < most {
        anchor.da_type = DAOS_ANCHOR_TYPE_EOF;
    }
    Ok(names)
}

/// Only `d_name`: every other field of a directory entry keeps what was there.
unsafe fn set_name(entry: *mut dirent, name: &[u8]) {
    // SAFETY: the caller's entry, whose name field holds 256 bytes and a name at most 255.
    unsafe {
        let place = (&raw mut (*entry).d_name).cast::<u8>();
        std::ptr::copy_nonoverlapping(name.as_ptr(), place, name.len());
        *place.add(name.len()) = 0;
    }
}

unsafe fn listed<'a>(dfs: *mut dfs_t, obj: *mut dfs_obj_t) -> Result<(&'a Mount, Oid)> {
    // SAFETY: the caller's handles.
    unsafe {
        let (mount, object) = (Mount::of(dfs)?, Object::of(obj)?);
        match object.kind() {
            libc::S_IFDIR => Ok((mount, object.oid)),
            _ => errno(libc::ENOTDIR),
        }
    }
}

/// Removes and moves name a name in a directory.
unsafe fn place_named<'a>(
    mount: &Mount,
    parent: *mut dfs_obj_t,
    name: *const c_char,
) -> Result<(Oid, &'a [u8])> {
    // SAFETY: the caller's handle and name.
    unsafe {
        let (dir, name) = (directory(mount, parent)?, bytes(name)?);
        check_name(name)?;
        Ok((dir.oid, name))
    }
}

unsafe fn rename(
    dfs: *mut dfs_t,
    noreplace: bool,
    from: (*mut dfs_obj_t, *const c_char),
    to: (*mut dfs_obj_t, *const c_char),
    moved: *mut daos_obj_id_t,
    gone: *mut daos_obj_id_t,
) -> Result<c_int> {
    // SAFETY: the caller's handles, names and places for answers.
    unsafe {
        let mount = Mount::of(dfs)?;
        mount.writable()?;
        let (from, to) = (
            place_named(mount, from.0, from.1)?,
            place_named(mount, to.0, to.1)?,
        );
        let tree = mount.tree()?;
        if mount.balanced {
            let node = tree.node(&*tree.store.env().read()?, from.0, from.1)?;
            if node.entry.is_link() {
                return Ok(0); // DAOS forgets to commit the transaction here
            }
        }
        let mut doomed = Vec::new();
        let (entry, there) = tree
            .store
            .env()
            .write(|txn| tree.rename(txn, from, to, noreplace, &mut doomed))?;
        for oid in doomed {
            data::destroy(tree.store, tree.cont, oid);
        }
        answer(moved, entry.oid);
        if let Some(there) = there {
            answer(gone, there.oid);
        }
        Ok(0)
    }
}

export! {
    /// Names from the anchor on, in hash order, without "." and "..".
    Dfs fn dfs_readdir(dfs: *mut dfs_t, obj: *mut dfs_obj_t, anchor: *mut daos_anchor_t, nr: *mut u32, dirs: *mut dirent) {
        let (mount, dir) = listed(dfs, obj)?;
        let (anchor, nr, dirs) = (required(anchor)?, required(nr)?, required(dirs)?);
        let names = batch(mount, dir, &mut *anchor, *nr as usize, |_| true)?;
        for (place, name) in names.iter().enumerate() {
            set_name(dirs.add(place), name);
        }
        *nr = names.len() as u32;
        Ok(0)
    }

    /// `dfs_readdir` with a stat of each; fails as a whole if a name vanishes meanwhile.
    Dfs fn dfs_readdirplus(dfs: *mut dfs_t, obj: *mut dfs_obj_t, anchor: *mut daos_anchor_t, nr: *mut u32, dirs: *mut dirent, stbufs: *mut stat) {
        let (mount, dir) = listed(dfs, obj)?;
        let (anchor, nr, dirs, stbufs) = (required(anchor)?, required(nr)?, required(dirs)?, required(stbufs)?);
        let names = batch(mount, dir, &mut *anchor, *nr as usize, |_| true)?;
        let tree = mount.tree()?;
        let txn = tree.store.env().read()?;
        for (place, name) in names.iter().enumerate() {
            set_name(dirs.add(place), name);
            let Some(entry) = tree.get(&txn, dir, name)? else {
                return errno(libc::ENOENT);
            };
            stbufs.add(place).write(attr::stat_of(tree, &txn, &entry, None)?);
        }
        *nr = names.len() as u32;
        Ok(0)
    }

    /// Calls `op` for each name of a batch of `size` bytes; its value other than 0 ends it and is
    /// returned, and the rest of the batch is lost.
    Dfs fn dfs_iterate(dfs: *mut dfs_t, obj: *mut dfs_obj_t, anchor: *mut daos_anchor_t, nr: *mut u32, size: usize, op: dfs_filler_cb_t, arg: *mut c_void) {
        let (mount, dir) = listed(dfs, obj)?;
        let (anchor, nr) = (required(anchor)?, required(nr)?);
        if size == 0 || *nr == 0 {
            return Ok(0);
        }
        let mut left = size;
        let names = batch(mount, dir, &mut *anchor, *nr as usize, |name| {
            let fits = name.len() < left;
            left = left.saturating_sub(name.len() + 1);
            fits
        })?;
        if names.is_empty() && !(*anchor).is_eof() && left < size {
            return errno(libc::E2BIG);
        }
        for name in &names {
            let Some(op) = op else { break };
            let text = [name.as_slice(), &[0]].concat();
            let rc = op(dfs, obj, text.as_ptr().cast(), arg);
            if rc != 0 {
                return Ok(rc);
            }
        }
        *nr = names.len() as u32;
        Ok(0)
    }

    /// Sets the anchor at a name, which will be the next shown.
    DfsLocal fn dfs_dir_anchor_set(obj: *mut dfs_obj_t, name: *const c_char, anchor: *mut daos_anchor_t) {
        let (object, name, anchor) = (Object::of(obj)?, bytes(name)?, required(anchor)?);
        if object.kind() != libc::S_IFDIR {
            return errno(libc::ENOTDIR);
        }
        check_name(name)?;
        anchor.write(daos_anchor_t::zeroed());
        set_place(&mut *anchor, Place { hash: hash(name), shown: 0 });
        Ok(0)
    }

    /// One part only: a directory is not spread here.
    DfsLocal fn dfs_obj_anchor_split(obj: *mut dfs_obj_t, nr: *mut u32, anchors: *mut daos_anchor_t) {
        let (_, nr) = (Object::of(obj)?, required(nr)?);
        *nr = 1;
        answer(anchors, daos_anchor_t::zeroed());
        Ok(0)
    }

    /// The start of part `index`.
    DfsLocal fn dfs_obj_anchor_set(obj: *mut dfs_obj_t, index: u32, anchor: *mut daos_anchor_t) {
        let (_, anchor) = (Object::of(obj)?, required(anchor)?);
        if index != 0 {
            return errno(libc::EINVAL);
        }
        anchor.write(daos_anchor_t::zeroed());
        Ok(0)
    }

    /// A new directory; the umask is not applied.
    Dfs fn dfs_mkdir(dfs: *mut dfs_t, parent: *mut dfs_obj_t, name: *const c_char, mode: mode_t, cid: daos_oclass_id_t) {
        let mount = Mount::of(dfs)?;
        mount.writable()?;
        let dir = directory(mount, parent)?;
        open::make(mount, dir, bytes(name)?, libc::S_IFDIR | mode & 0o7777, cid)?;
        Ok(0)
    }

    /// Removes a name of any type and destroys its object, whoever has it open.
    Dfs fn dfs_remove(dfs: *mut dfs_t, parent: *mut dfs_obj_t, name: *const c_char, force: bool, oid: *mut daos_obj_id_t) {
        let mount = Mount::of(dfs)?;
        mount.writable()?;
        let (dir, name) = place_named(mount, parent, name)?;
        let tree = mount.tree()?;
        let mut doomed = Vec::new();
        let entry = tree.store.env().shrink(|txn| tree.remove(txn, dir, name, force, &mut doomed))?;
        for oid in doomed {
            data::destroy(tree.store, tree.cont, oid);
        }
        answer(oid, entry.oid);
        Ok(0)
    }

    /// Moves a name; see `Tree::rename` for what it does not prevent.
    Dfs fn dfs_move(dfs: *mut dfs_t, parent: *mut dfs_obj_t, name: *const c_char, new_parent: *mut dfs_obj_t, new_name: *const c_char, oid: *mut daos_obj_id_t) {
        rename(dfs, false, (parent, name), (new_parent, new_name), std::ptr::null_mut(), oid)
    }

    /// `dfs_move` with `RENAME_NOREPLACE`, and no other flag.
    Dfs fn dfs_move_internal(dfs: *mut dfs_t, flags: c_uint, parent: *mut dfs_obj_t, name: *const c_char, new_parent: *mut dfs_obj_t, new_name: *const c_char, moid: *mut daos_obj_id_t, oid: *mut daos_obj_id_t) {
        if flags & !libc::RENAME_NOREPLACE != 0 {
            return errno(libc::ENOTSUP);
        }
        let noreplace = flags & libc::RENAME_NOREPLACE != 0;
        rename(dfs, noreplace, (parent, name), (new_parent, new_name), moid, oid)
    }

    /// Two names change places, and both lose their extended attributes.
    Dfs fn dfs_exchange(dfs: *mut dfs_t, parent1: *mut dfs_obj_t, name1: *const c_char, parent2: *mut dfs_obj_t, name2: *const c_char) {
        let mount = Mount::of(dfs)?;
        mount.writable()?;
        let (one, two) = (place_named(mount, parent1, name1)?, place_named(mount, parent2, name2)?);
        let tree = mount.tree()?;
        tree.store.env().write(|txn| tree.exchange(txn, one, two))?;
        Ok(0)
    }
}
