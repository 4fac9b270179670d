//! A bare `dfs_obj_t`: what libdfs just handed out, and its form as bytes. The calls on it are local.
use crate::mount::{release, Call, Mount};
use crate::{Access, Object, ObjectId};
use daos_sys::{d_iov_t, daos_obj_id_t, dfs_obj_t};
use std::ptr::null_mut;
use std::sync::Arc;

/// A handle just got from libdfs, released on drop unless it becomes an [`Object`].
pub(crate) struct Handle<'a> {
    pub(crate) call: &'a Call<'a>,
    pub(crate) raw: *mut dfs_obj_t,
}

impl Handle<'_> {
    /// Identity; local.
    pub(crate) fn id(&self) -> ObjectId {
        let mut oid = daos_obj_id_t { lo: 0, hi: 0 };
        // SAFETY: the handle is ours; the result lives through the call, which cannot fail then.
        unsafe { (self.call.api.dfs_obj2id)(self.raw, &mut oid) };
        ObjectId {
            lo: oid.lo,
            hi: oid.hi,
        }
    }

    /// Chunk size of a file, 0 if unknown; local.
    pub(crate) fn chunk_size(&self) -> u64 {
        let mut size = 0;
        match self.call.api.dfs_get_chunk_size {
            // SAFETY: the handle is ours; the result lives through the call.
            Some(get) if unsafe { get(self.raw, &mut size) } == 0 => size,
            _ => 0,
        }
    }

    /// Keeps the handle.
    pub(crate) fn into_object(self, mount: &Arc<Mount>, mode: u32, access: Access) -> Object {
        let object = Object::new(mount, &self, mode, access);
        std::mem::forget(self);
        object
    }
}

impl Drop for Handle<'_> {
    fn drop(&mut self) {
        release(self.call.api, self.raw);
    }
}

/// `dfs_obj_local2global`: one call for the size, one for the bytes; both local.
pub(crate) fn export_raw(
    call: &Call<'_>,
    raw: *mut dfs_obj_t,
) -> std::result::Result<Vec<u8>, i32> {
    crate::handles::blob(|iov| {
        // SAFETY: the handle is alive; the iov is empty or describes the buffer.
        unsafe { (call.api.dfs_obj_local2global)(call.dfs(), raw, iov) }
    })
}

/// `dfs_obj_global2local`; local.
pub(crate) fn import_raw(
    call: &Call<'_>,
    blob: &[u8],
    flags: i32,
) -> std::result::Result<*mut dfs_obj_t, i32> {
    let mut copy = blob.to_vec();
    let glob = d_iov_t {
        iov_buf: copy.as_mut_ptr().cast(),
        iov_buf_len: copy.len() as u64,
        iov_len: copy.len() as u64,
    };
    let mut raw = null_mut();
    // SAFETY: the iov describes the copy, which libdfs may byte-swap; the result lives through
    // the call.
    let rc = unsafe { (call.api.dfs_obj_global2local)(call.dfs(), flags, glob, &mut raw) };
    if rc == 0 {
        Ok(raw)
    } else {
        Err(rc)
    }
}
