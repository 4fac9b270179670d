//! Properties of pools and containers, as far as a client asks for them.
use daos_sys::*;
use std::ffi::c_void;

/// A property's value.
pub(crate) enum Value {
    Number(u64),
    Text(String),
    Roots(daos_prop_co_roots),
}

/// Types whose value is memory of its own.
const POINTERS: &[u32] = &[
    DAOS_PROP_PO_LABEL,
    DAOS_PROP_CO_LABEL,
    DAOS_PROP_CO_OWNER,
    DAOS_PROP_CO_OWNER_GROUP,
    DAOS_PROP_CO_ROOTS,
];

/// A malloc'ed copy of `len` bytes and a NUL.
unsafe fn copied(bytes: *const u8, len: usize) -> u64 {
    // SAFETY: the caller's bytes, into fresh memory that is one longer and zeroed.
    unsafe {
        let copy = libc::calloc(1, len + 1).cast::<u8>();
        if !copy.is_null() {
            std::ptr::copy_nonoverlapping(bytes, copy, len);
        }
        copy as usize as u64
    }
}

/// Answers every entry of `prop`, if there is one.
///
/// # Safety
/// Null or a valid list.
pub(crate) unsafe fn fill(prop: *mut daos_prop_t, value: impl Fn(u32) -> Value) {
    // SAFETY: as this function asks.
    let entries = unsafe {
        match prop.as_ref() {
            Some(list) if !list.dpp_entries.is_null() => {
                std::slice::from_raw_parts_mut(list.dpp_entries, list.dpp_nr as usize)
            }
            _ => return,
        }
    };
    for entry in entries {
        entry.dpe_val = match value(entry.dpe_type) {
            Value::Number(number) => number,
            // SAFETY: a string's own bytes.
            Value::Text(text) => unsafe { copied(text.as_ptr(), text.len()) },
            // SAFETY: a structure's own bytes.
            Value::Roots(roots) => unsafe {
                copied((&raw const roots).cast(), std::mem::size_of_val(&roots))
            },
        };
    }
}

/// A list of `entries` empty properties.
#[no_mangle]
pub extern "C" fn daos_prop_alloc(entries: u32) -> *mut daos_prop_t {
    // SAFETY: fresh zeroed memory, each piece checked.
    unsafe {
        let prop = libc::calloc(1, std::mem::size_of::<daos_prop_t>()).cast::<daos_prop_t>();
        if prop.is_null() {
            return prop;
        }
        if entries > 0 {
            let size = std::mem::size_of::<daos_prop_entry>();
            (*prop).dpp_entries = libc::calloc(entries as usize, size).cast();
            if (*prop).dpp_entries.is_null() {
                libc::free(prop.cast());
                return std::ptr::null_mut();
            }
        }
        (*prop).dpp_nr = entries;
        prop
    }
}

/// Frees a list and the memory its entries own.
///
/// # Safety
/// Null or a list of `daos_prop_alloc`.
#[no_mangle]
pub unsafe extern "C" fn daos_prop_free(prop: *mut daos_prop_t) {
    // SAFETY: as this function asks.
    unsafe {
        let Some(list) = prop.as_ref() else { return };
        for place in 0..list.dpp_nr as usize {
            let entry = &*list.dpp_entries.add(place);
            if POINTERS.contains(&entry.dpe_type) {
                libc::free(entry.dpe_val as *mut c_void);
            }
        }
        libc::free(list.dpp_entries.cast());
        libc::free(prop.cast());
    }
}

/// The entry of a type; null if there is none.
///
/// # Safety
/// Null or a valid list.
#[no_mangle]
pub unsafe extern "C" fn daos_prop_entry_get(
    prop: *mut daos_prop_t,
    kind: u32,
) -> *mut daos_prop_entry {
    // SAFETY: as this function asks.
    unsafe {
        let Some(list) = prop.as_ref() else {
            return std::ptr::null_mut();
        };
        (0..list.dpp_nr as usize)
            .map(|place| list.dpp_entries.add(place))
            .find(|entry| (**entry).dpe_type == kind)
            .unwrap_or(std::ptr::null_mut())
    }
}
