//! Opening: create, open, look up; what each hands out is an [`Object`].
use super::mount::Mount;
use super::object::{directory, Directory, Object};
use super::{answer, attr, bytes, required};
use crate::entry::Entry;
use crate::error::{errno, Error, Result};
use crate::namespace::{check_name, Node};
use daos_sys::*;
use libc::{mode_t, stat};
use std::ffi::{c_char, c_int, c_void};

/// Refuses the flags that no open takes.
pub(super) fn check_flags(mount: &Mount, flags: c_int) -> Result<()> {
    if flags & libc::O_APPEND != 0 {
        return errno(libc::ENOTSUP);
    }
    if mount.access == libc::O_RDONLY && flags & libc::O_ACCMODE != libc::O_RDONLY {
        return errno(libc::EPERM);
    }
    Ok(())
}

/// `O_TRUNC` of an existing file.
fn truncated(mount: &Mount, object: &Object) -> Result<()> {
    if object.flags & libc::O_TRUNC == 0 || object.kind() != libc::S_IFREG {
        return Ok(());
    }
    if object.flags & libc::O_ACCMODE == libc::O_RDONLY {
        return errno(libc::EPERM);
    }
    mount.writable()?;
    super::file::set_size(object, 0)
}

/// A class that no server knows.
pub(super) fn check_class(class: u32) -> Result<()> {
    let ordinal = class >> 24;
    match class == 0 || (51..=54).contains(&class) || (1..=0x40).contains(&ordinal) {
        true => Ok(()),
        false => errno(libc::EINVAL),
    }
}

struct Creation {
    mode: u32,
    flags: c_int,
    class: u32,
    chunk: u64,
    owner: Option<(u32, u32)>,
}

fn create(mount: &Mount, dir: Directory, name: &[u8], new: &Creation, link: &[u8]) -> Result<Node> {
    mount.writable()?;
    check_class(new.class)?;
    let first = |values: [u64; 3]| values.into_iter().find(|value| *value != 0).unwrap_or(0);
    let is_dir = new.mode & libc::S_IFMT == libc::S_IFDIR;
    let chunk = first([
        new.chunk,
        dir.chunk,
        if is_dir { 0 } else { mount.cont.chunk },
    ]);
    let class = first([
        u64::from(new.class),
        u64::from(dir.oclass),
        u64::from(mount.cont.oclass),
    ]);
    // SAFETY: these two cannot fail.
    let (uid, gid) = new
        .owner
        .unwrap_or_else(|| unsafe { (libc::geteuid(), libc::getegid()) });
    let oid = mount.new_oid(new.mode, class as u32)?;
    let entry = Entry::new(new.mode, uid, gid, oid, chunk, class as u32);
    let tree = mount.tree()?;
    tree.store
        .env()
        .write(|txn| tree.insert(txn, dir.oid, name, &entry, link))?;
    Ok(Node {
        parent: dir.oid,
        name: name.to_vec(),
        entry,
        link: link.to_vec(),
    })
}

/// Opens, and creates where `O_CREAT` asks for it. True with the object if it is new.
fn open(
    mount: &Mount,
    dir: Directory,
    name: &[u8],
    new: &Creation,
    link: &[u8],
) -> Result<(Object, bool)> {
    check_name(name)?;
    check_flags(mount, new.flags)?;
    let kind = new.mode & libc::S_IFMT;
    if !matches!(kind, libc::S_IFREG | libc::S_IFDIR | libc::S_IFLNK) {
        return errno(libc::EINVAL);
    }
    if new.flags & libc::O_CREAT != 0 {
        match create(mount, dir, name, new, link) {
            Err(Error::Errno(libc::EEXIST))
                if new.flags & libc::O_EXCL == 0 && kind != libc::S_IFLNK => {}
            other => return Ok((Object::new(mount.cont.id, other?, new.flags), true)),
        }
    } else if kind == libc::S_IFLNK {
        return errno(libc::ENOTSUP);
    }
    let tree = mount.tree()?;
    let node = tree.node(&*tree.store.env().read()?, dir.oid, name)?;
    match (kind, node.entry.kind()) {
        (wanted, found) if wanted == found => {}
        (libc::S_IFDIR, _) => return errno(libc::ENOTDIR),
        _ => return errno(libc::EINVAL),
    }
    let object = Object::new(mount.cont.id, node, new.flags);
    truncated(mount, &object)?;
    Ok((object, false))
}

/// A new name without opening it (`dfs_mkdir`).
pub(crate) fn make(
    mount: &Mount,
    dir: Directory,
    name: &[u8],
    mode: u32,
    class: u32,
) -> Result<()> {
    check_name(name)?;
    let new = Creation {
        mode,
        flags: libc::O_CREAT | libc::O_EXCL,
        class,
        chunk: 0,
        owner: None,
    };
    create(mount, dir, name, &new, b"").map(drop)
}

/// Hands out what a lookup found: object, mode, stat (whose block size stays 0).
unsafe fn found(
    mount: &Mount,
    node: Node,
    flags: c_int,
    obj: *mut *mut dfs_obj_t,
    mode: *mut mode_t,
    stbuf: *mut stat,
) -> Result<()> {
    let entry = node.entry;
    let object = Object::new(mount.cont.id, node, flags);
    truncated(mount, &object)?;
    // SAFETY: the caller's places for answers, null or valid.
    unsafe {
        if !stbuf.is_null() {
            let tree = mount.tree()?;
            let mut answer = attr::stat_of(tree, &*tree.store.env().read()?, &entry, None)?;
            answer.st_blksize = 0;
            stbuf.write(answer);
        }
        answer(mode, entry.mode);
        *obj = object.into_pointer();
    }
    Ok(())
}

unsafe fn look_up_in(
    dfs: *mut dfs_t,
    parent: *mut dfs_obj_t,
    name: *const c_char,
    flags: c_int,
) -> Result<(&'static Mount, Node)> {
    // SAFETY: the caller's handles and name; a mount outlives the calls made on it.
    unsafe {
        let mount: &'static Mount = Mount::of(dfs)?;
        let dir = directory(mount, parent)?;
        let name = bytes(name)?;
        check_name(name)?;
        check_flags(mount, flags)?;
        let tree = mount.tree()?;
        let txn = tree.store.env().read()?;
        let node = tree.lookup_in(&txn, dir.oid, name, flags & libc::O_NOFOLLOW == 0)?;
        Ok((mount, node))
    }
}

export! {
    /// Opens or creates one name of a directory; the type bits of `mode` say which kind.
    Dfs fn dfs_open(dfs: *mut dfs_t, parent: *mut dfs_obj_t, name: *const c_char, mode: mode_t, flags: c_int, cid: daos_oclass_id_t, chunk_size: daos_size_t, value: *const c_char, obj: *mut *mut dfs_obj_t) {
        let (mount, obj) = (Mount::of(dfs)?, required(obj)?);
        let dir = directory(mount, parent)?;
        let makes_link = mode & libc::S_IFMT == libc::S_IFLNK && flags & libc::O_CREAT != 0;
        let link = if makes_link { bytes(value)? } else { b"" };
        let mode = if makes_link { libc::S_IFLNK | 0o777 } else { mode };
        let new = Creation { mode, flags, class: cid, chunk: chunk_size, owner: None };
        *obj = open(mount, dir, bytes(name)?, &new, link)?.0.into_pointer();
        Ok(0)
    }

    /// `dfs_open` with `O_CREAT` and a stat, whose owner on input is the owner to be.
    Dfs fn dfs_open_stat(dfs: *mut dfs_t, parent: *mut dfs_obj_t, name: *const c_char, mode: mode_t, flags: c_int, cid: daos_oclass_id_t, chunk_size: daos_size_t, value: *const c_char, obj: *mut *mut dfs_obj_t, stbuf: *mut stat) {
        let (mount, obj) = (Mount::of(dfs)?, required(obj)?);
        let dir = directory(mount, parent)?;
        if !stbuf.is_null() && flags & libc::O_CREAT == 0 {
            return errno(libc::ENOTSUP);
        }
        let makes_link = mode & libc::S_IFMT == libc::S_IFLNK && flags & libc::O_CREAT != 0;
        let link = if makes_link { bytes(value)? } else { b"" };
        let mode = if makes_link { libc::S_IFLNK | 0o777 } else { mode };
        // SAFETY: the caller's own pointers, as DAOS's header asks.
        let owner = unsafe { stbuf.as_ref() }.map(|stat| (stat.st_uid, stat.st_gid));
        let new = Creation { mode, flags, class: cid, chunk: chunk_size, owner };
        let (object, _) = open(mount, dir, bytes(name)?, &new, link)?;
        if !stbuf.is_null() {
            let tree = mount.tree()?;
            let txn = tree.store.env().read()?;
            let entry = object.current(tree, &txn)?;
            stbuf.write(attr::stat_of(tree, &txn, &entry, Some(&object))?);
        }
        *obj = object.into_pointer();
        Ok(0)
    }

    /// Walks an absolute path of the container.
    Dfs fn dfs_lookup(dfs: *mut dfs_t, path: *const c_char, flags: c_int, obj: *mut *mut dfs_obj_t, mode: *mut mode_t, stbuf: *mut stat) {
        let (mount, obj) = (Mount::of(dfs)?, required(obj)?);
        check_flags(mount, flags)?;
        let path = mount.without_prefix(bytes(path)?)?;
        let tree = mount.tree()?;
        let node = tree.lookup(&*tree.store.env().read()?, &path, flags & libc::O_NOFOLLOW == 0)?;
        found(mount, node, flags, obj, mode, stbuf)?;
        Ok(0)
    }

    /// One name of a directory, through symbolic links unless `O_NOFOLLOW`.
    Dfs fn dfs_lookup_rel(dfs: *mut dfs_t, parent: *mut dfs_obj_t, name: *const c_char, flags: c_int, obj: *mut *mut dfs_obj_t, mode: *mut mode_t, stbuf: *mut stat) {
        let obj = required(obj)?;
        let (mount, node) = look_up_in(dfs, parent, name, flags)?;
        found(mount, node, flags, obj, mode, stbuf)?;
        Ok(0)
    }

    /// `dfs_lookup_rel` with extended attributes; one that is not there gets size 0.
    Dfs fn dfs_lookupx(dfs: *mut dfs_t, parent: *mut dfs_obj_t, name: *const c_char, flags: c_int, obj: *mut *mut dfs_obj_t, mode: *mut mode_t, stbuf: *mut stat, xnr: c_int, xnames: *mut *mut c_char, xvals: *mut *mut c_void, xsizes: *mut daos_size_t) {
        let obj = required(obj)?;
        let (mount, node) = look_up_in(dfs, parent, name, flags)?;
        if xnr > 0 && (xnames.is_null() || xvals.is_null() || xsizes.is_null()) {
            return errno(libc::EINVAL);
        }
        for place in 0..xnr.max(0) as usize {
            let (name, value) = (bytes(*xnames.add(place))?, *xvals.add(place));
            super::xattr::fetch_for_lookup(mount, node.entry.oid, name, value, xsizes.add(place))?;
        }
        found(mount, node, flags, obj, mode, stbuf)?;
        Ok(0)
    }
}
