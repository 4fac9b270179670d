//! Event queues and events. Every operation is complete when its launch returns; it is still
//! reported only by polling or testing, as in DAOS.
use super::required;
use crate::error::{der, Error, Result};
use crate::handle;
use daos_sys::*;
use std::ffi::{c_int, c_uint, c_void};
use std::time::{Duration, Instant};

/// What this provider keeps in an event's private words.
const QUEUE: usize = 0;
const STATE: usize = 1;
const CALLBACK: usize = 2;
const ARGUMENT: usize = 3;
const MARK: usize = 4;
const MARKED: u64 = 0x70_69_6c_34_65_76;

fn queue_of(ev: &daos_event_t) -> daos_handle_t {
    daos_handle_t {
        cookie: ev.ev_private[QUEUE],
    }
}

/// Runs `body`: at once without an event; else its result goes into the event, which completes.
///
/// # Safety
/// `ev` is null or an event that was initialised and did not move.
pub(crate) unsafe fn run(
    ev: *mut daos_event_t,
    body: impl FnOnce() -> Result<()>,
) -> Result<c_int> {
    if ev.is_null() {
        return body().map(|()| 0);
    }
    // SAFETY: as this function asks; the borrow ends before the callback.
    let event = unsafe { &mut *ev };
    if event.ev_private[MARK] != MARKED || event.ev_private[STATE] != u64::from(DAOS_EV_READY) {
        return der(DER_INVAL);
    }
    let rc = body().err().map_or(0, Error::as_dfs);
    event.ev_error = rc;
    event.ev_private[STATE] = u64::from(DAOS_EV_COMPLETED);
    let callback = event.ev_private[CALLBACK] as *const c_void;
    if !callback.is_null() {
        // SAFETY: only `daos_event_register_comp_cb` puts a value there: such a function.
        let callback = unsafe {
            std::mem::transmute::<
                *const c_void,
                unsafe extern "C" fn(*mut c_void, *mut daos_event_t, c_int) -> c_int,
            >(callback)
        };
        let argument = event.ev_private[ARGUMENT] as *mut c_void;
        // SAFETY: the caller registered it for exactly this call.
        event.ev_error = unsafe { callback(argument, ev, rc) };
    }
    // SAFETY: as above.
    let queue = queue_of(unsafe { &*ev });
    let _ = handle::with_queue(queue, |queue| queue.complete.push(ev as usize));
    Ok(0)
}

/// As [`run`] for functions of libdaos: the event gets a negative DER number.
///
/// # Safety
/// As [`run`].
pub(crate) unsafe fn run_daos(
    ev: *mut daos_event_t,
    body: impl FnOnce() -> Result<()>,
) -> Result<c_int> {
    if ev.is_null() {
        return body().map(|()| 0);
    }
    let mut result = Ok(());
    // SAFETY: as this function asks.
    let answer = unsafe {
        run(ev, || {
            result = body();
            Ok(())
        })
    };
    if let Err(error) = result {
        // SAFETY: not null, the caller's event.
        unsafe { (*ev).ev_error = error.as_daos() };
    }
    answer
}

export! {
    /// A new queue.
    DaosLocal fn daos_eq_create(eqh: *mut daos_handle_t) {
        let eqh = required(eqh)?;
        *eqh = handle::add_queue();
        Ok(0)
    }

    /// Destroys a queue; -DER_BUSY while events wait to be polled, unless forced.
    DaosLocal fn daos_eq_destroy(eqh: daos_handle_t, flags: c_int) {
        handle::close_queue(eqh, flags & DAOS_EQ_DESTROY_FORCE != 0)?;
        Ok(0)
    }

    /// Up to `nevents` complete events; waits up to `timeout` microseconds for the first.
    DaosLocal fn daos_eq_poll(eqh: daos_handle_t, wait_running: c_int, timeout: i64, nevents: c_uint, events: *mut *mut daos_event_t) {
        if nevents == 0 || events.is_null() {
            return der(DER_INVAL);
        }
        let start = Instant::now();
        loop {
            let ready = handle::with_queue(eqh, |queue| {
                let n = queue.complete.len().min(nevents as usize);
                queue.complete.drain(..n).collect::<Vec<_>>()
            })?;
            for (place, address) in ready.iter().enumerate() {
                let event = *address as *mut daos_event_t;
                (*event).ev_private[STATE] = u64::from(DAOS_EV_READY);
                *events.add(place) = event;
            }
            // Nothing is ever running, so waiting for what runs ends at once.
            let over = timeout >= 0 && start.elapsed() >= Duration::from_micros(timeout as u64);
            if !ready.is_empty() || wait_running != 0 || over {
                return Ok(ready.len() as c_int);
            }
            std::thread::sleep(Duration::from_micros(50));
        }
    }

    /// How many events are complete, and which.
    DaosLocal fn daos_eq_query(eqh: daos_handle_t, query: c_uint, nevents: c_uint, events: *mut *mut daos_event_t) {
        let complete = handle::with_queue(eqh, |queue| queue.complete.clone())?;
        if query & DAOS_EQR_COMPLETED == 0 {
            return Ok(0);
        }
        if !events.is_null() {
            for (place, address) in complete.iter().take(nevents as usize).enumerate() {
                *events.add(place) = *address as *mut daos_event_t;
            }
        }
        Ok(complete.len() as c_int)
    }

    /// Makes an event ready; without a valid queue it can still be tested.
    DaosLocal fn daos_event_init(ev: *mut daos_event_t, eqh: daos_handle_t, parent: *mut daos_event_t) {
        let _ = parent; // children complete at once, so a parent has nothing to wait for
        let ev = required(ev)?;
        ev.write(daos_event_t::zeroed());
        (*ev).ev_private[QUEUE] = eqh.cookie;
        (*ev).ev_private[MARK] = MARKED;
        Ok(0)
    }

    /// Ends an event; -DER_BUSY while it runs, which it never does here.
    DaosLocal fn daos_event_fini(ev: *mut daos_event_t) {
        let ev = required(ev)?;
        if (*ev).ev_private[MARK] != MARKED {
            return der(DER_INVAL);
        }
        handle::forget_event(queue_of(&*ev), ev);
        (*ev).ev_private[MARK] = 0;
        Ok(0)
    }

    /// True in `flag` when the event is complete; it is ready again then.
    DaosLocal fn daos_event_test(ev: *mut daos_event_t, timeout: i64, flag: *mut bool) {
        let _ = timeout;
        let (ev, flag) = (required(ev)?, required(flag)?);
        if (*ev).ev_private[MARK] != MARKED {
            return der(DER_INVAL);
        }
        handle::forget_event(queue_of(&*ev), ev);
        (*ev).ev_private[STATE] = u64::from(DAOS_EV_READY);
        *flag = true;
        Ok(0)
    }

    /// Called at completion, before the event is reported; what it answers becomes the result.
    DaosLocal fn daos_event_register_comp_cb(ev: *mut daos_event_t, cb: daos_event_comp_cb_t, arg: *mut c_void) {
        let ev = required(ev)?;
        (*ev).ev_private[CALLBACK] = cb.map_or(0, |cb| cb as usize as u64);
        (*ev).ev_private[ARGUMENT] = arg as usize as u64;
        Ok(0)
    }

    /// Does nothing to an operation that runs, as in DAOS.
    DaosLocal fn daos_event_abort(ev: *mut daos_event_t) {
        required(ev)?;
        Ok(0)
    }
}
