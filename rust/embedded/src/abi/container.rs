//! Containers: open, query, create, destroy, attributes.
use super::pool::process;
use super::property::{self, Value};
use super::{answer, bytes, event, glob, mount, required, text};
use crate::error::{der, Error, Result};
use crate::handle::{self, ContHandle};
use crate::key::{Key, ROOT, SUPERBLOCK};
use crate::record::{Container, NewContainer};
use daos_sys::*;
use std::ffi::{c_char, c_int, c_uint, c_void};

fn info_of(cont: &Container) -> daos_cont_info_t {
    daos_cont_info_t {
        ci_uuid: cont.uuid,
        ci_nhandles: 1,
        ..daos_cont_info_t::zeroed()
    }
}

/// Opens a container; not to write where that is not allowed.
pub(crate) fn open(poh: daos_handle_t, name: &str, flags: u32) -> Result<daos_handle_t> {
    let pool = handle::pool(poh)?;
    let process = process()?;
    let cont = process
        .store
        .container(pool.pool.id, name)
        .inspect_err(|_| {
            crate::log::error(&format!(
                "there is no container {name} in pool {}",
                pool.pool.label
            ));
        })?;
    let writes = flags & (DAOS_COO_RW | DAOS_COO_EX) != 0;
    if writes && (cont.protected || !process.store.env().writable()) {
        crate::log::error(&format!("no permission to write container {name}"));
        return der(DER_NO_PERM);
    }
    Ok(handle::add_cont(ContHandle {
        owner: pool.owner,
        poh: poh.cookie,
        cont,
        flags,
    }))
}

export! {
    /// Opens by label or UUID; -DER_NONEXIST, -DER_NO_PERM.
    Daos fn daos_cont_open(poh: daos_handle_t, cont: *const c_char, flags: c_uint, coh: *mut daos_handle_t, info: *mut daos_cont_info_t, ev: *mut daos_event_t) {
        let (name, coh) = (text(cont)?, required(coh)?);
        if flags & (DAOS_COO_RO | DAOS_COO_RW | DAOS_COO_EX) == 0 {
            return der(DER_INVAL);
        }
        event::run_daos(ev, || {
            let opened = open(poh, name, flags)?;
            // SAFETY: the caller's own pointers, as DAOS's header asks.
            unsafe {
                answer(info, info_of(&handle::cont(opened)?.cont));
                *coh = opened;
            }
            Ok(())
        })
    }

    /// Closes it; -DER_NO_HDL the second time. Mounts on it do not keep it open.
    Daos fn daos_cont_close(coh: daos_handle_t, ev: *mut daos_event_t) {
        event::run_daos(ev, || handle::close_cont(coh))
    }

    /// What the container is; every property that was asked for.
    Daos fn daos_cont_query(coh: daos_handle_t, info: *mut daos_cont_info_t, prop: *mut daos_prop_t, ev: *mut daos_event_t) {
        let cont = handle::cont(coh)?.cont;
        event::run_daos(ev, || {
            // SAFETY: the caller's own pointers, as DAOS's header asks.
            unsafe {
                answer(info, info_of(&cont));
                property::fill(prop, |kind| match kind {
                    DAOS_PROP_CO_LABEL => Value::Text(cont.label.clone()),
                    DAOS_PROP_CO_LAYOUT_TYPE if cont.posix => Value::Number(u64::from(DAOS_PROP_CO_LAYOUT_POSIX)),
                    DAOS_PROP_CO_LAYOUT_VER => Value::Number(3),
                    DAOS_PROP_CO_ROOTS => {
                        let mut roots = daos_prop_co_roots::zeroed();
                        roots.cr_oids[0] = SUPERBLOCK;
                        roots.cr_oids[1] = ROOT;
                        Value::Roots(roots)
                    }
                    DAOS_PROP_CO_OWNER => Value::Text("root@".into()),
                    DAOS_PROP_CO_OWNER_GROUP => Value::Text("root@".into()),
                    _ => Value::Number(0),
                });
            }
            Ok(())
        })
    }

    /// A container without a file system: its layout is unknown unless a property says POSIX.
    Daos fn daos_cont_create_with_label(poh: daos_handle_t, label: *const c_char, prop: *mut daos_prop_t, uuid: *mut uuid_t, ev: *mut daos_event_t) {
        let (pool, label) = (handle::pool(poh)?, text(label)?);
        // SAFETY: the caller's own pointers, as DAOS's header asks.
        let layout = unsafe { property::daos_prop_entry_get(prop, DAOS_PROP_CO_LAYOUT_TYPE).as_ref() };
        let posix = layout.is_some_and(|entry| entry.dpe_val == u64::from(DAOS_PROP_CO_LAYOUT_POSIX));
        event::run_daos(ev, || {
            let new = NewContainer { posix, ..NewContainer::default() };
            let cont = process()?.store.create_container(pool.pool.id, label, new)?;
            // SAFETY: the caller's own pointers, as DAOS's header asks.
            unsafe { answer(uuid, cont.uuid) };
            Ok(())
        })
    }

    /// Destroys a container with all it holds.
    Daos fn daos_cont_destroy(poh: daos_handle_t, cont: *const c_char, force: c_int, ev: *mut daos_event_t) {
        let _ = force;
        let (pool, name) = (handle::pool(poh)?, text(cont)?);
        event::run_daos(ev, || process()?.store.destroy_container(pool.pool.id, name))
    }

    /// A POSIX container, opened and mounted where `coh` and `dfs` are wanted.
    Dfs fn dfs_cont_create_with_label(poh: daos_handle_t, label: *const c_char, attr: *mut dfs_attr_t, uuid: *mut uuid_t, coh: *mut daos_handle_t, dfs: *mut *mut dfs_t) {
        let (pool, label) = (handle::pool(poh)?, text(label)?);
        // SAFETY: the caller's own pointers, as DAOS's header asks.
        let attr = unsafe { attr.as_ref() }.copied().unwrap_or_default();
        let new = NewContainer {
            posix: true,
            balanced: attr.da_mode & DFS_BALANCED as u32 != 0,
            chunk: attr.da_chunk_size,
            oclass: attr.da_oclass_id,
        };
        let cont = process()?.store.create_container(pool.pool.id, label, new)?;
        answer(uuid, cont.uuid);
        if coh.is_null() && dfs.is_null() {
            return Ok(0);
        }
        let opened = open(poh, label, DAOS_COO_RW)?;
        answer(coh, opened);
        if !dfs.is_null() {
            *dfs = mount::mount(poh, opened, libc::O_RDWR)?;
        }
        Ok(0)
    }

    /// Names of the attributes, each with its NUL; `*size` is the room and then the need.
    Daos fn daos_cont_list_attr(coh: daos_handle_t, buffer: *mut c_char, size: *mut usize, ev: *mut daos_event_t) {
        let (cont, size) = (handle::cont(coh)?.cont, required(size)?);
        event::run_daos(ev, || {
            let mut names = Vec::new();
            let prefix = Key::attribute(cont.id, b"");
            process()?.store.env().read()?.scan(&prefix, &prefix, |key, _| {
                names.extend_from_slice(&key[prefix.len()..]);
                names.push(0);
                true
            })?;
            // SAFETY: the caller's own pointers, as DAOS's header asks.
            unsafe {
                if !buffer.is_null() {
                    let room = (*size).min(names.len());
                    std::ptr::copy_nonoverlapping(names.as_ptr().cast(), buffer, room);
                }
                *size = names.len();
            }
            Ok(())
        })
    }

    /// Values of attributes; a missing one gets size 0 and makes the call answer -DER_NONEXIST.
    Daos fn daos_cont_get_attr(coh: daos_handle_t, n: c_int, names: *const *const c_char, buffers: *const *mut c_void, sizes: *mut usize, ev: *mut daos_event_t) {
        let cont = handle::cont(coh)?.cont;
        if n <= 0 || names.is_null() || sizes.is_null() {
            return der(DER_INVAL);
        }
        event::run_daos(ev, || {
            let txn = process()?.store.env().read()?;
            let mut missing = false;
            for place in 0..n as usize {
                // SAFETY: the caller's arrays of `n`.
                unsafe {
                    let name = bytes(*names.add(place))?;
                    let size = &mut *sizes.add(place);
                    let buffer = if buffers.is_null() { std::ptr::null_mut() } else { *buffers.add(place) };
                    let found = txn.get(&Key::attribute(cont.id, name), |value| {
                        if !buffer.is_null() {
                            let room = (*size).min(value.len());
                            std::ptr::copy_nonoverlapping(value.as_ptr(), buffer.cast(), room);
                        }
                        value.len()
                    })?;
                    missing |= found.is_none();
                    *size = found.unwrap_or(0);
                }
            }
            match missing {
                true => der(DER_NONEXIST),
                false => Ok(()),
            }
        })
    }

    /// Sets attributes.
    Daos fn daos_cont_set_attr(coh: daos_handle_t, n: c_int, names: *const *const c_char, values: *const *const c_void, sizes: *const usize, ev: *mut daos_event_t) {
        let cont = handle::cont(coh)?;
        if n <= 0 || names.is_null() || values.is_null() || sizes.is_null() {
            return der(DER_INVAL);
        }
        if cont.flags & (DAOS_COO_RW | DAOS_COO_EX) == 0 {
            return der(DER_NO_PERM);
        }
        event::run_daos(ev, || {
            process()?.store.env().write(|txn| {
                for place in 0..n as usize {
                    // SAFETY: the caller's arrays of `n`.
                    let (name, value) = unsafe {
                        let value = (*values.add(place)).cast::<u8>();
                        let len = *sizes.add(place);
                        let value: &[u8] =
                            if value.is_null() { &[] } else { std::slice::from_raw_parts(value, len) };
                        (bytes(*names.add(place))?, value)
                    };
                    if name.is_empty() || name.len() > 255 {
                        return der(DER_INVAL); // DAOS's limit is 511; a key here holds 255
                    }
                    txn.put(&Key::attribute(cont.cont.id, name), value)?;
                }
                Ok(())
            })
        })
    }

    /// Removes attributes; missing ones are no error.
    Daos fn daos_cont_del_attr(coh: daos_handle_t, n: c_int, names: *const *const c_char, ev: *mut daos_event_t) {
        let cont = handle::cont(coh)?;
        if n <= 0 || names.is_null() {
            return der(DER_INVAL);
        }
        event::run_daos(ev, || {
            process()?.store.env().write(|txn| {
                for place in 0..n as usize {
                    // SAFETY: the caller's array of `n`.
                    let name = unsafe { bytes(*names.add(place))? };
                    txn.delete(&Key::attribute(cont.cont.id, name))?;
                }
                Ok(())
            })
        })
    }

    /// The handle as bytes.
    DaosLocal fn daos_cont_local2global(coh: daos_handle_t, glob: *mut d_iov_t) {
        let cont = handle::cont(coh)?;
        glob::export(required(glob)?, &glob::cont(&cont)).map_err(|_| Error::Der(DER_TRUNC))
    }

    /// A local handle of bytes; no server is asked.
    DaosLocal fn daos_cont_global2local(poh: daos_handle_t, glob: d_iov_t, coh: *mut daos_handle_t) {
        let (pool, coh) = (handle::pool(poh)?, required(coh)?);
        let cont = glob::cont_from(glob::import(&glob)?, &process()?.store, poh.cookie, &pool)?;
        *coh = handle::add_cont(cont);
        Ok(0)
    }
}

/// The strong symbol behind `daos_cont_open`.
///
/// # Safety
/// As [`daos_cont_open`].
#[no_mangle]
pub unsafe extern "C" fn daos_cont_open2(
    poh: daos_handle_t,
    cont: *const c_char,
    flags: c_uint,
    coh: *mut daos_handle_t,
    info: *mut daos_cont_info_t,
    ev: *mut daos_event_t,
) -> c_int {
    // SAFETY: handed on as it came.
    unsafe { daos_cont_open(poh, cont, flags, coh, info, ev) }
}

/// The strong symbol behind `daos_cont_destroy`.
///
/// # Safety
/// As [`daos_cont_destroy`].
#[no_mangle]
pub unsafe extern "C" fn daos_cont_destroy2(
    poh: daos_handle_t,
    cont: *const c_char,
    force: c_int,
    ev: *mut daos_event_t,
) -> c_int {
    // SAFETY: handed on as it came.
    unsafe { daos_cont_destroy(poh, cont, force, ev) }
}
