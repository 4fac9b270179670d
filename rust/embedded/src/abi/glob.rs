//! Serialized handles: the sizes and magics of DAOS, with our own contents. The protocol of
//! `local2global`: without a buffer the size comes back; one too small gets the size and an error.
use super::object::Object;
use crate::error::{errno, Result};
use crate::evict::Owner;
use crate::handle::{ContHandle, PoolHandle};
use crate::key::Oid;
use crate::record::uuid_text;
use crate::store::Store;
use daos_sys::*;
use std::ffi::c_int;

/// As on a system with one engine; `PIL4DFS_EMBEDDED_POOL_HANDLE` makes it as large as that of a large one.
pub(crate) const POOL_SIZE: usize = 236;

/// Fields in order.
struct Writer(Vec<u8>);

impl Writer {
    fn new(magic: u32) -> Writer {
        Writer(magic.to_le_bytes().to_vec())
    }
    fn add(mut self, field: &[u8]) -> Writer {
        self.0.extend_from_slice(field);
        self
    }
    fn filled(mut self, size: usize) -> Vec<u8> {
        self.0.resize(size, 0);
        self.0
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn new(bytes: &'a [u8], magic: u32) -> Result<Reader<'a>> {
        let mut reader = Reader(bytes);
        match reader.u32()? == magic {
            true => Ok(reader),
            false => errno(libc::EINVAL),
        }
    }
    fn take<const N: usize>(&mut self) -> Result<[u8; N]> {
        let Some((head, rest)) = self.0.split_first_chunk::<N>() else {
            return errno(libc::EINVAL);
        };
        self.0 = rest;
        Ok(*head)
    }
    fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.take()?))
    }
    fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_le_bytes(self.take()?))
    }
    fn owner(&mut self) -> Result<Owner> {
        Ok(Owner {
            pid: self.u32()?,
            start: self.u64()?,
            age: self.u32()?,
        })
    }
    fn oid(&mut self) -> Result<Oid> {
        Ok(Oid {
            lo: self.u64()?,
            hi: self.u64()?,
        })
    }
}

/// Answers a `local2global` call.
///
/// # Safety
/// `glob` is valid, and its buffer as long as it says.
pub(crate) unsafe fn export(glob: *mut d_iov_t, blob: &[u8]) -> Result<c_int> {
    // SAFETY: as this function asks.
    unsafe {
        let iov = &mut *glob;
        let room = iov.iov_buf_len as usize;
        iov.iov_buf_len = blob.len() as u64;
        if iov.iov_buf.is_null() {
            return Ok(0);
        }
        if room < blob.len() {
            return errno(libc::ENOBUFS);
        }
        std::ptr::copy_nonoverlapping(blob.as_ptr(), iov.iov_buf.cast(), blob.len());
        iov.iov_len = blob.len() as u64;
        Ok(0)
    }
}

/// The bytes of a `global2local` call.
///
/// # Safety
/// The buffer holds `iov_len` bytes for as long as they are used.
pub(crate) unsafe fn import(glob: &d_iov_t) -> Result<&[u8]> {
    if glob.iov_buf.is_null() || glob.iov_buf_len < glob.iov_len {
        return errno(libc::EINVAL);
    }
    // SAFETY: as this function asks.
    Ok(unsafe { std::slice::from_raw_parts(glob.iov_buf.cast(), glob.iov_len as usize) })
}

pub(crate) fn pool(handle: &PoolHandle, size: usize) -> Vec<u8> {
    Writer::new(POOL_GLOB_MAGIC)
        .add(&handle.flags.to_le_bytes())
        .add(&handle.pool.uuid)
        .add(&handle.owner.pid.to_le_bytes())
        .add(&handle.owner.start.to_le_bytes())
        .add(&handle.owner.age.to_le_bytes())
        .filled(size)
}

pub(crate) fn pool_from(blob: &[u8], store: &Store) -> Result<PoolHandle> {
    let mut reader = Reader::new(blob, POOL_GLOB_MAGIC)?;
    let flags = reader.u32()?;
    let pool = store.pool(&uuid_text(&reader.take()?))?;
    Ok(PoolHandle {
        owner: reader.owner()?,
        pool,
        flags,
    })
}

pub(crate) fn cont(handle: &ContHandle) -> Vec<u8> {
    Writer::new(CONT_GLOB_MAGIC)
        .add(&handle.flags.to_le_bytes())
        .add(&handle.cont.uuid)
        .add(&handle.owner.pid.to_le_bytes())
        .add(&handle.owner.start.to_le_bytes())
        .add(&handle.owner.age.to_le_bytes())
        .filled(CONT_GLOB_SIZE)
}

pub(crate) fn cont_from(
    blob: &[u8],
    store: &Store,
    poh: u64,
    pool: &PoolHandle,
) -> Result<ContHandle> {
    let mut reader = Reader::new(blob, CONT_GLOB_MAGIC)?;
    let flags = reader.u32()?;
    let cont = store.container(pool.pool.id, &uuid_text(&reader.take()?))?;
    let owner = reader.owner()?;
    Ok(ContHandle {
        owner,
        poh,
        cont,
        flags,
    })
}

/// A mount: the container and the flags it was mounted with.
pub(crate) fn mount(cont: &[u8; 16], flags: c_int) -> Vec<u8> {
    Writer::new(DFS_GLOB_MAGIC)
        .add(&flags.to_le_bytes())
        .add(cont)
        .filled(DFS_GLOB_SIZE)
}

pub(crate) fn mount_from(blob: &[u8]) -> Result<([u8; 16], c_int)> {
    if blob.len() != DFS_GLOB_SIZE {
        return errno(libc::EINVAL);
    }
    let mut reader = Reader::new(blob, DFS_GLOB_MAGIC)?;
    let flags = reader.u32()? as c_int;
    Ok((reader.take()?, flags))
}

pub(crate) fn object(object: &Object, cont: &[u8; 16]) -> Vec<u8> {
    let mut name = object.name.clone();
    name.resize(256, 0);
    Writer::new(DFS_OBJ_GLOB_MAGIC)
        .add(&object.flags.to_le_bytes())
        .add(&object.mode().to_le_bytes())
        .add(&object.oclass().to_le_bytes())
        .add(cont)
        .add(&object.oid.lo.to_le_bytes())
        .add(&object.oid.hi.to_le_bytes())
        .add(&object.parent.lo.to_le_bytes())
        .add(&object.parent.hi.to_le_bytes())
        .add(&object.chunk().to_le_bytes())
        .add(&name)
        .filled(DFS_OBJ_GLOB_SIZE)
}

/// A serialized object, taken apart.
pub(crate) struct ObjectBlob {
    pub(crate) flags: c_int,
    pub(crate) mode: u32,
    pub(crate) oclass: u32,
    pub(crate) cont: [u8; 16],
    pub(crate) oid: Oid,
    pub(crate) parent: Oid,
    pub(crate) chunk: u64,
    pub(crate) name: Vec<u8>,
}

pub(crate) fn object_from(blob: &[u8]) -> Result<ObjectBlob> {
    if blob.len() != DFS_OBJ_GLOB_SIZE {
        return errno(libc::EINVAL);
    }
    let mut reader = Reader::new(blob, DFS_OBJ_GLOB_MAGIC)?;
    Ok(ObjectBlob {
        flags: reader.u32()? as c_int,
        mode: reader.u32()?,
        oclass: reader.u32()?,
        cont: reader.take()?,
        oid: reader.oid()?,
        parent: reader.oid()?,
        chunk: reader.u64()?,
        name: reader
            .take::<256>()?
            .into_iter()
            .take_while(|byte| *byte != 0)
            .collect(),
    })
}
