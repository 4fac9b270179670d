//! Open objects: what a handle knows, its duplicates, its identity and serialized form.
use super::mount::Mount;
use super::open::{check_class, check_flags};
use super::pool::process;
use super::{attr, bytes, glob, required};
use crate::data::Cache;
use crate::entry::Entry;
use crate::error::{errno, Result};
use crate::key::Oid;
use crate::lmdb::Txn;
use crate::namespace::{Node, Tree};
use daos_sys::*;
use libc::mode_t;
use std::ffi::{c_char, c_int};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

const MARK: u64 = 0x7069_6c34_6f62_6a21;

/// What a `dfs_obj_t` points to. It knows where its name was found, and goes there for everything
/// but its bytes - even when the name is gone or another's by now.
pub(crate) struct Object {
    mark: u64,
    pub(crate) cont: u32,
    pub(crate) oid: Oid,
    pub(crate) parent: Oid,
    pub(crate) name: Vec<u8>,
    /// Open flags.
    pub(crate) flags: c_int,
    mode: AtomicU32,
    chunk: AtomicU64,
    oclass: AtomicU32,
    /// A symbolic link's text.
    link: Vec<u8>,
    pub(crate) file: Cache,
}

impl Object {
    pub(super) fn new(cont: u32, node: Node, flags: c_int) -> Object {
        Object {
            mark: MARK,
            cont,
            oid: node.entry.oid,
            parent: node.parent,
            name: node.name,
            flags,
            mode: AtomicU32::new(node.entry.mode),
            chunk: AtomicU64::new(node.entry.chunk),
            oclass: AtomicU32::new(node.entry.oclass),
            link: node.link,
            file: Cache::new(),
        }
    }

    pub(super) fn into_pointer(self) -> *mut dfs_obj_t {
        Box::into_raw(Box::new(self)).cast()
    }

    /// The object behind a pointer; `EINVAL` if it is none.
    ///
    /// # Safety
    /// Null or a pointer that an open gave out, and not released meanwhile.
    pub(crate) unsafe fn of<'a>(obj: *mut dfs_obj_t) -> Result<&'a Object> {
        // SAFETY: as this function asks.
        match unsafe { obj.cast::<Object>().as_ref() } {
            Some(object) if object.mark == MARK => Ok(object),
            _ => errno(libc::EINVAL),
        }
    }

    pub(crate) fn mode(&self) -> u32 {
        self.mode.load(Ordering::Relaxed)
    }

    pub(crate) fn set_mode(&self, mode: u32) {
        self.mode.store(mode, Ordering::Relaxed);
    }

    pub(crate) fn kind(&self) -> u32 {
        self.mode() & libc::S_IFMT
    }

    pub(crate) fn chunk(&self) -> u64 {
        self.chunk.load(Ordering::Relaxed)
    }

    pub(crate) fn oclass(&self) -> u32 {
        self.oclass.load(Ordering::Relaxed)
    }

    /// The entry where the name was found; `ENOENT` when it is gone or another's.
    pub(crate) fn current(&self, tree: Tree<'_>, txn: &Txn<'_>) -> Result<Entry> {
        match tree.get(txn, self.parent, &self.name)? {
            Some(entry) if entry.oid == self.oid => Ok(entry),
            _ => errno(libc::ENOENT),
        }
    }

    /// As [`Object::current`], to be changed and put back.
    pub(crate) fn node(&self, tree: Tree<'_>, txn: &Txn<'_>) -> Result<Node> {
        let node = tree.node(txn, self.parent, &self.name)?;
        match node.entry.oid == self.oid {
            true => Ok(node),
            false => errno(libc::ENOENT),
        }
    }
}

/// The directory of a call: its object, or the root for null. `ENOTDIR` for anything else.
///
/// # Safety
/// As [`Object::of`].
pub(crate) unsafe fn directory(mount: &Mount, parent: *mut dfs_obj_t) -> Result<Directory> {
    if parent.is_null() {
        return Ok(Directory {
            oid: crate::key::ROOT,
            chunk: 0,
            oclass: 0,
        });
    }
    // SAFETY: as this function asks.
    let object = unsafe { Object::of(parent)? };
    if object.kind() != libc::S_IFDIR {
        return errno(libc::ENOTDIR);
    }
    if object.cont != mount.cont.id {
        return errno(libc::EINVAL);
    }
    Ok(Directory {
        oid: object.oid,
        chunk: object.chunk(),
        oclass: object.oclass(),
    })
}

/// A directory and what it gives its new children.
#[derive(Clone, Copy)]
pub(crate) struct Directory {
    pub(crate) oid: Oid,
    pub(crate) chunk: u64,
    pub(crate) oclass: u32,
}

export! {
    /// Another handle of the same object with its own access mode. Local.
    DfsLocal fn dfs_dup(dfs: *mut dfs_t, obj: *mut dfs_obj_t, flags: c_int, new_obj: *mut *mut dfs_obj_t) {
        let (mount, object, new_obj) = (Mount::of(dfs)?, Object::of(obj)?, required(new_obj)?);
        check_flags(mount, flags)?;
        let copy = Object {
            mark: MARK,
            cont: object.cont,
            oid: object.oid,
            parent: object.parent,
            name: object.name.clone(),
            flags,
            mode: AtomicU32::new(object.mode()),
            chunk: AtomicU64::new(object.chunk()),
            oclass: AtomicU32::new(object.oclass()),
            link: object.link.clone(),
            file: Cache::new(),
        };
        *new_obj = copy.into_pointer();
        Ok(0)
    }

    /// Ends an object; it is freed at once.
    DfsLocal fn dfs_release(obj: *mut dfs_obj_t) {
        Object::of(obj)?;
        (*obj.cast::<Object>()).mark = 0;
        drop(Box::from_raw(obj.cast::<Object>()));
        Ok(0)
    }

    /// The object's id.
    DfsLocal fn dfs_obj2id(obj: *mut dfs_obj_t, oid: *mut daos_obj_id_t) {
        let (object, oid) = (Object::of(obj)?, required(oid)?);
        *oid = object.oid;
        Ok(0)
    }

    /// Type and permissions as the handle knows them.
    DfsLocal fn dfs_get_mode(obj: *mut dfs_obj_t, mode: *mut mode_t) {
        let (object, mode) = (Object::of(obj)?, required(mode)?);
        *mode = object.mode();
        Ok(0)
    }

    /// A symbolic link's text with its NUL, cut where the buffer ends; the size it needs.
    DfsLocal fn dfs_get_symlink_value(obj: *mut dfs_obj_t, buf: *mut c_char, size: *mut daos_size_t) {
        let (object, size) = (Object::of(obj)?, required(size)?);
        if object.kind() != libc::S_IFLNK {
            return errno(libc::EINVAL);
        }
        let room = *size as usize;
        *size = object.link.len() as u64 + 1;
        if !buf.is_null() && room > 0 {
            let n = object.link.len().min(room - 1);
            std::ptr::copy_nonoverlapping(object.link.as_ptr(), buf.cast(), n);
            *buf.add(n) = 0;
        }
        Ok(0)
    }

    /// The object as bytes; a symbolic link has none (`EINVAL`).
    DfsLocal fn dfs_obj_local2global(dfs: *mut dfs_t, obj: *mut dfs_obj_t, glob: *mut d_iov_t) {
        let (mount, object) = (Mount::of(dfs)?, Object::of(obj)?);
        if object.kind() == libc::S_IFLNK {
            return errno(libc::EINVAL);
        }
        glob::export(required(glob)?, &glob::object(object, &mount.cont.uuid))
    }

    /// An object of bytes; no server is asked. Flags 0 takes over the sender's access mode.
    DfsLocal fn dfs_obj_global2local(dfs: *mut dfs_t, flags: c_int, glob: d_iov_t, obj: *mut *mut dfs_obj_t) {
        let (mount, obj) = (Mount::of(dfs)?, required(obj)?);
        let blob = glob::object_from(glob::import(&glob)?)?;
        if blob.cont != mount.cont.uuid {
            return errno(libc::EINVAL);
        }
        let object = Object {
            mark: MARK,
            cont: mount.cont.id,
            oid: blob.oid,
            parent: blob.parent,
            name: blob.name,
            flags: if flags == 0 { blob.flags & !libc::O_TRUNC } else { flags },
            mode: AtomicU32::new(blob.mode),
            chunk: AtomicU64::new(blob.chunk),
            oclass: AtomicU32::new(blob.oclass),
            link: Vec::new(),
            file: Cache::new(),
        };
        *obj = object.into_pointer();
        Ok(0)
    }

    /// Repairs a handle after a rename: the parent is taken from `src_obj`, the name is new.
    DfsLocal fn dfs_update_parent(obj: *mut dfs_obj_t, src_obj: *mut dfs_obj_t, name: *const c_char) {
        let (_, source) = (Object::of(obj)?, Object::of(src_obj)?);
        let (parent, oid_name) = (source.parent, name);
        let object = &mut *obj.cast::<Object>();
        object.parent = parent;
        if !oid_name.is_null() {
            object.name = bytes(oid_name)?.to_vec();
        }
        Ok(0)
    }

    /// Class, chunk size and id; of a directory the defaults of its children.
    DfsLocal fn dfs_obj_get_info(dfs: *mut dfs_t, obj: *mut dfs_obj_t, info: *mut dfs_obj_info_t) {
        let (mount, object, info) = (Mount::of(dfs)?, Object::of(obj)?, required(info)?);
        let class = |default| if object.oclass() == 0 { default } else { object.oclass() };
        info.write(dfs_obj_info_t {
            doi_oclass_id: class(OC_S1),
            doi_chunk_size: if object.chunk() == 0 { mount.cont.chunk } else { object.chunk() },
            doi_dir_oclass_id: class(OC_S1),
            doi_file_oclass_id: class(OC_SX),
            doi_oid: object.oid,
        });
        Ok(0)
    }

    /// A file's chunk size, bytes.
    DfsLocal fn dfs_get_chunk_size(obj: *mut dfs_obj_t, chunk_size: *mut daos_size_t) {
        let (object, chunk_size) = (Object::of(obj)?, required(chunk_size)?);
        if object.kind() != libc::S_IFREG {
            return errno(libc::EINVAL);
        }
        *chunk_size = object.chunk();
        Ok(0)
    }

    /// The chunk size of a directory's new files.
    Dfs fn dfs_obj_set_chunk_size(dfs: *mut dfs_t, obj: *mut dfs_obj_t, flags: c_int, csize: daos_size_t) {
        let _ = flags;
        let (mount, object) = (Mount::of(dfs)?, Object::of(obj)?);
        mount.writable()?;
        if object.kind() != libc::S_IFDIR {
            return errno(libc::ENOTSUP);
        }
        attr::change(mount, object, |entry| entry.chunk = csize)?;
        object.chunk.store(csize, Ordering::Relaxed);
        Ok(0)
    }

    /// The class of a directory's new children.
    Dfs fn dfs_obj_set_oclass(dfs: *mut dfs_t, obj: *mut dfs_obj_t, flags: c_int, cid: daos_oclass_id_t) {
        let _ = flags;
        let (mount, object) = (Mount::of(dfs)?, Object::of(obj)?);
        mount.writable()?;
        if object.kind() != libc::S_IFDIR {
            return errno(libc::ENOTSUP);
        }
        check_class(cid)?;
        attr::change(mount, object, |entry| entry.oclass = cid)?;
        object.oclass.store(cid, Ordering::Relaxed);
        Ok(0)
    }
}

/// Repairs a handle after a rename: `new_parent` is the directory it is in now.
///
/// # Safety
/// Valid objects that nobody else uses meanwhile.
#[no_mangle]
pub unsafe extern "C" fn dfs_update_parentfd(
    obj: *mut dfs_obj_t,
    new_parent: *mut dfs_obj_t,
    name: *const c_char,
) {
    // SAFETY: as this function asks.
    unsafe {
        let Ok(parent) = Object::of(new_parent).map(|parent| parent.oid) else {
            return;
        };
        if Object::of(obj).is_err() {
            return;
        }
        if let Ok(process) = process() {
            process
                .counters
                .call(crate::call::Function::dfs_update_parentfd);
        }
        let object = &mut *obj.cast::<Object>();
        object.parent = parent;
        if let Ok(name) = bytes(name) {
            object.name = name.to_vec();
        }
    }
}

/// Copies what a directory gives its new children to another handle.
///
/// # Safety
/// Valid objects.
#[no_mangle]
pub unsafe extern "C" fn dfs_obj_copy_attr(dst_obj: *mut dfs_obj_t, src_obj: *mut dfs_obj_t) {
    // SAFETY: as this function asks.
    unsafe {
        if let (Ok(to), Ok(from)) = (Object::of(dst_obj), Object::of(src_obj)) {
            to.chunk.store(from.chunk(), Ordering::Relaxed);
            to.oclass.store(from.oclass(), Ordering::Relaxed);
        }
    }
}
