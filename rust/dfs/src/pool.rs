//! A pool on its own: what dfuse shows above its containers. A [`crate::Filesystem`] connects for
//! itself; this handle only lists and names.
use crate::connect::daos;
use crate::{Client, Errno, Result};
use daos_sys::{
    daos_handle_t, daos_pool_cont_info, daos_pool_info_t, uuid_t, DAOS_PC_RO, DER_TRUNC,
};
use std::ffi::{CStr, CString};
use std::ptr::{null, null_mut};
use std::sync::Arc;

/// A connection to a pool, given back on drop.
pub struct Pool {
    client: Arc<Client>,
    handle: daos_handle_t,
    uuid: uuid_t,
}

/// One container of a pool.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Label; empty if it has none.
    pub label: CString,
    /// UUID as text.
    pub uuid: CString,
}

impl Pool {
    /// Connects to a pool (label or UUID) for reading. `ENOENT` if there is none. One RPC.
    pub fn connect(client: &Arc<Client>, name: &CStr) -> Result<Pool> {
        let api = client.api()?;
        let mut handle = daos_handle_t { cookie: 0 };
        let mut info = daos_pool_info_t::zeroed();
        // SAFETY: strings and results live through the call.
        daos(unsafe {
            (api.daos_pool_connect)(
                name.as_ptr(),
                null(),
                DAOS_PC_RO,
                &mut handle,
                &mut info,
                null_mut(),
            )
        })?;
        Ok(Pool {
            client: client.clone(),
            handle,
            uuid: info.pi_uuid,
        })
    }

    /// UUID as text.
    pub fn uuid(&self) -> CString {
        uuid_text(&self.uuid)
    }

    /// The containers as they are now. One RPC, more where their number grows meanwhile; `ENOSYS`
    /// where libdaos lacks the call.
    pub fn containers(&self) -> Result<Vec<Listed>> {
        let api = self.client.api()?;
        let list = api.daos_pool_list_cont.ok_or(Errno::ENOSYS)?;
        let mut room = 64;
        loop {
            let mut count = room as u64;
            let mut found = vec![daos_pool_cont_info::zeroed(); room];
            // SAFETY: the handle is open; the array has room for `count`.
            let rc = unsafe { list(self.handle, &mut count, found.as_mut_ptr(), null_mut()) };
            if rc.wrapping_abs() == DER_TRUNC || count as usize > room {
                room = room.max(count as usize) * 2;
                continue;
            }
            daos(rc)?;
            found.truncate(count as usize);
            return Ok(found.iter().map(listed).collect());
        }
    }
}

fn listed(info: &daos_pool_cont_info) -> Listed {
    let label = info.pci_label.iter().take_while(|&&c| c != 0);
    let label: Vec<u8> = label.map(|&c| c as u8).collect();
    Listed {
        label: CString::new(label).unwrap_or_default(),
        uuid: uuid_text(&info.pci_uuid),
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        if self.client.is_attached() {
            // SAFETY: the handle is ours and used no more.
            unsafe { (self.client.raw_api().daos_pool_disconnect)(self.handle, null_mut()) };
        }
    }
}

/// A UUID as `uuid_unparse` writes it, in lower case.
pub fn uuid_text(uuid: &uuid_t) -> CString {
    let mut text = String::with_capacity(36);
    for (place, byte) in uuid.iter().enumerate() {
        if matches!(place, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push_str(&format!("{byte:02x}"));
    }
    CString::new(text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuids_are_written_as_uuid_unparse_does() {
        let uuid = std::array::from_fn(|i| (i as u8) * 0x11);
        assert_eq!(
            uuid_text(&uuid).as_c_str(),
            c"00112233-4455-6677-8899-aabbccddeeff"
        );
    }
}
