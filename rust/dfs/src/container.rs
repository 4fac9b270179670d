//! What a mounted container says of itself: its identity and the attributes an administrator set
//! on it (the ones of dfuse's caching, for example).
use crate::connect::daos;
use crate::{Errno, Filesystem, Result};
use daos_sys::{daos_cont_info_t, daos_pool_info_t, uuid_t, DER_NONEXIST};
use std::ffi::CStr;
use std::ptr::null_mut;

/// Pool and container, as the servers know them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Uuids {
    /// Pool.
    pub pool: uuid_t,
    /// Container.
    pub cont: uuid_t,
}

/// Longest value asked for, bytes.
const VALUE_MAX: usize = 256;

impl Filesystem {
    /// The identity of pool and container, whatever they were connected by. Two RPCs; `ENOSYS`
    /// where libdaos cannot say.
    pub fn uuids(&self) -> Result<Uuids> {
        let call = self.mount().begin()?;
        let query = call.api.daos_cont_query.ok_or(Errno::ENOSYS)?;
        let mut pool = daos_pool_info_t::zeroed();
        let mut cont = daos_cont_info_t::zeroed();

        // SAFETY: the handles are open; the results live through the calls.
        unsafe {
            daos((call.api.daos_pool_query)(
                call.session.pool,
                null_mut(),
                &mut pool,
                null_mut(),
                null_mut(),
            ))?;
            daos(query(call.session.cont, &mut cont, null_mut(), null_mut()))?;
        }
        Ok(Uuids {
            pool: pool.pi_uuid,
            cont: cont.ci_uuid,
        })
    }

    /// An attribute of the container (`daos cont get-attr`); `None` if it is not set. One RPC;
    /// `ENOSYS` where libdaos cannot say, `EOVERFLOW` for a value over 256 bytes.
    pub fn container_attribute(&self, name: &CStr) -> Result<Option<Vec<u8>>> {
        let call = self.mount().begin()?;
        let get = call.api.daos_cont_get_attr.ok_or(Errno::ENOSYS)?;
        let mut value = vec![0u8; VALUE_MAX];
        let names = [name.as_ptr()];
        let buffers = [value.as_mut_ptr().cast()];
        let mut size = value.len();
        // SAFETY: arrays of one; the buffer holds `size` bytes.
        let rc = unsafe {
            get(
                call.session.cont,
                1,
                names.as_ptr(),
                buffers.as_ptr(),
                &mut size,
                null_mut(),
            )
        };
        match rc.wrapping_abs() {
            0 if size == 0 => Ok(None),
            0 if size > value.len() => Err(Errno::EOVERFLOW),
            0 => {
                value.truncate(size);
                Ok(Some(value))
            }
            DER_NONEXIST => Ok(None),
            _ => daos(rc).map(|()| None),
        }
    }
}
