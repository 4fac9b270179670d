//! Pools: connect, query, disconnect, list containers.
use super::{answer, event, glob, required, text};
use crate::call::spin;
use crate::error::{der, Error, Result};
use crate::evict::Owner;
use crate::handle::{self, PoolHandle};
use crate::process::{self, Process};
use crate::record::Pool;
use daos_sys::*;
use std::ffi::{c_char, c_int, c_uint};

/// The attachment; there is one, or the call would have been refused.
pub(crate) fn process() -> Result<&'static Process> {
    process::current().ok_or(Error::Der(DER_UNINIT))
}

fn fill_info(info: &mut daos_pool_info_t, pool: &Pool) -> Result<()> {
    let wanted = info.pi_bits;
    info.pi_uuid = pool.uuid;
    info.pi_ntargets = 1;
    info.pi_nnodes = 1;
    info.pi_ndisabled = 0;
    info.pi_map_ver = 1;
    info.pi_leader = 0;
    if wanted & DPI_SPACE != 0 {
        // The host's space is shown as two media, so that whoever forgets one is found out.
        let (total, free) = process()?.store.space()?;
        let split = |bytes: u64| [bytes / 16, bytes - bytes / 16];
        let space = &mut info.pi_space;
        *space = daos_pool_space::zeroed();
        space.ps_space.s_total = split(total);
        space.ps_space.s_free = split(free);
        (space.ps_free_min, space.ps_free_max, space.ps_free_mean) =
            (split(free), split(free), split(free));
        space.ps_ntargets = 1;
    }
    if wanted & DPI_REBUILD_STATUS != 0 {
        info.pi_rebuild_st = daos_rebuild_status::zeroed();
    }
    Ok(())
}

export! {
    /// Opens a pool by label or UUID; -DER_NONEXIST, -DER_NO_PERM.
    Daos fn daos_pool_connect(pool: *const c_char, sys: *const c_char, flags: c_uint, poh: *mut daos_handle_t, info: *mut daos_pool_info_t, ev: *mut daos_event_t) {
        let _ = sys;
        let (name, poh) = (text(pool)?, required(poh)?);
        if !matches!(flags & (DAOS_PC_RO | DAOS_PC_RW | DAOS_PC_EX), DAOS_PC_RO | DAOS_PC_RW | DAOS_PC_EX) {
            return der(DER_INVAL);
        }
        event::run_daos(ev, || {
            let process = process()?;
            spin(process.connect_delay);
            let pool = process.store.pool(name).inspect_err(|_| {
                crate::log::error(&format!("there is no pool {name}"));
            })?;
            // SAFETY: the caller's own pointers, as DAOS's header asks.
            if let Some(info) = unsafe { info.as_mut() } {
                fill_info(info, &pool)?;
            }
            // SAFETY: the caller's own pointers, as DAOS's header asks.
            unsafe { *poh = handle::add_pool(PoolHandle { owner: Owner::me(), pool, flags }) };
            Ok(())
        })
    }

    /// Closes it; -DER_BUSY while containers are open through it, -DER_NO_HDL the second time.
    Daos fn daos_pool_disconnect(poh: daos_handle_t, ev: *mut daos_event_t) {
        event::run_daos(ev, || handle::close_pool(poh))
    }

    /// What the pool is; space where `pi_bits` asks for it.
    Daos fn daos_pool_query(poh: daos_handle_t, ranks: *mut *mut d_rank_list_t, info: *mut daos_pool_info_t, prop: *mut daos_prop_t, ev: *mut daos_event_t) {
        let pool = handle::pool(poh)?.pool;
        if !ranks.is_null() {
            return der(DER_NOSYS);
        }
        event::run_daos(ev, || {
            // SAFETY: the caller's own pointers, as DAOS's header asks.
            unsafe {
                if let Some(info) = info.as_mut() {
                    fill_info(info, &pool)?;
                }
                super::property::fill(prop, |kind| match kind {
                    DAOS_PROP_PO_LABEL => super::property::Value::Text(pool.label.clone()),
                    _ => super::property::Value::Number(0),
                });
            }
            Ok(())
        })
    }

    /// The containers of a pool; `*ncont` is the array's length and then their number.
    Daos fn daos_pool_list_cont(poh: daos_handle_t, ncont: *mut daos_size_t, cbuf: *mut daos_pool_cont_info, ev: *mut daos_event_t) {
        let (pool, ncont) = (handle::pool(poh)?.pool, required(ncont)?);
        event::run_daos(ev, || {
            let containers = process()?.store.containers(pool.id)?;
            // SAFETY: the caller's own pointers, as DAOS's header asks.
            unsafe {
                let room = *ncont as usize;
                *ncont = containers.len() as u64;
                if cbuf.is_null() {
                    return Ok(());
                }
                for (place, cont) in containers.iter().take(room).enumerate() {
                    let mut info = daos_pool_cont_info::zeroed();
                    info.pci_uuid = cont.uuid;
                    for (to, from) in info.pci_label.iter_mut().zip(cont.label.bytes()) {
                        *to = from as c_char;
                    }
                    answer(cbuf.add(place), info);
                }
                match containers.len() > room {
                    true => der(DER_TRUNC),
                    false => Ok(()),
                }
            }
        })
    }

    /// The handle as bytes.
    DaosLocal fn daos_pool_local2global(poh: daos_handle_t, glob: *mut d_iov_t) {
        let pool = handle::pool(poh)?;
        glob::export(required(glob)?, &glob::pool(&pool, process()?.pool_handle)).map_err(|_| Error::Der(DER_TRUNC))
    }

    /// A local handle of bytes; no server is asked.
    DaosLocal fn daos_pool_global2local(glob: d_iov_t, poh: *mut daos_handle_t) {
        let poh = required(poh)?;
        let pool = glob::pool_from(glob::import(&glob)?, &process()?.store)?;
        *poh = handle::add_pool(pool);
        Ok(0)
    }
}

/// The strong symbol behind `daos_pool_connect`.
///
/// # Safety
/// As [`daos_pool_connect`].
#[no_mangle]
pub unsafe extern "C" fn daos_pool_connect2(
    pool: *const c_char,
    sys: *const c_char,
    flags: c_uint,
    poh: *mut daos_handle_t,
    info: *mut daos_pool_info_t,
    ev: *mut daos_event_t,
) -> c_int {
    // SAFETY: handed on as it came.
    unsafe { daos_pool_connect(pool, sys, flags, poh, info, ev) }
}
