//! Pool, container and event queue handles: numbers that are never given twice, so that a second
//! close is known for one.
use crate::error::{der, Result};
use crate::evict::Owner;
use crate::record::{Container, Pool};
use crate::spin::Spin;
use daos_sys::{daos_event_t, daos_handle_t, DER_BUSY, DER_NO_HDL};
use std::collections::BTreeMap;

/// An open pool.
#[derive(Clone)]
pub struct PoolHandle {
    /// Who connected.
    pub owner: Owner,
    /// The pool.
    pub pool: Pool,
    /// `DAOS_PC_*`.
    pub flags: u32,
}

/// An open container.
#[derive(Clone)]
pub struct ContHandle {
    /// Who opened it.
    pub owner: Owner,
    /// The pool handle it was opened with.
    pub poh: u64,
    /// The container.
    pub cont: Container,
    /// `DAOS_COO_*`.
    pub flags: u32,
}

/// An event queue: what is complete and not yet polled.
#[derive(Default)]
pub struct Queue {
    /// Complete events, oldest first, as addresses.
    pub complete: Vec<usize>,
}

enum Handle {
    Pool(PoolHandle),
    Cont(ContHandle),
    Queue(Queue),
}

struct Table {
    next: u64,
    open: BTreeMap<u64, Handle>,
}

static TABLE: Spin<Table> = Spin::new(Table {
    next: 0x1000,
    open: BTreeMap::new(),
});

fn add(handle: Handle) -> daos_handle_t {
    let mut table = TABLE.lock();
    table.next += 1;
    let cookie = table.next;
    table.open.insert(cookie, handle);
    daos_handle_t { cookie }
}

/// Registers an open pool.
pub fn add_pool(pool: PoolHandle) -> daos_handle_t {
    add(Handle::Pool(pool))
}

/// Registers an open container.
pub fn add_cont(cont: ContHandle) -> daos_handle_t {
    add(Handle::Cont(cont))
}

/// Registers an event queue.
pub fn add_queue() -> daos_handle_t {
    add(Handle::Queue(Queue::default()))
}

/// The pool of a handle that is not evicted.
pub fn pool(handle: daos_handle_t) -> Result<PoolHandle> {
    let pool = known_pool(handle)?;
    pool.owner.check().map(|()| pool)
}

fn known_pool(handle: daos_handle_t) -> Result<PoolHandle> {
    match TABLE.lock().open.get(&handle.cookie) {
        Some(Handle::Pool(pool)) => Ok(pool.clone()),
        _ => der(DER_NO_HDL),
    }
}

/// The container of a handle that is not evicted.
pub fn cont(handle: daos_handle_t) -> Result<ContHandle> {
    let cont = known_cont(handle)?;
    cont.owner.check().map(|()| cont)
}

fn known_cont(handle: daos_handle_t) -> Result<ContHandle> {
    match TABLE.lock().open.get(&handle.cookie) {
        Some(Handle::Cont(cont)) => Ok(cont.clone()),
        _ => der(DER_NO_HDL),
    }
}

/// Closes a pool; busy while containers opened with it are.
pub fn close_pool(handle: daos_handle_t) -> Result<()> {
    known_pool(handle)?;
    let mut table = TABLE.lock();
    let uses = |open: &Handle| matches!(open, Handle::Cont(cont) if cont.poh == handle.cookie);
    if table.open.values().any(uses) {
        return der(DER_BUSY);
    }
    table.open.remove(&handle.cookie);
    Ok(())
}

/// Closes a container.
pub fn close_cont(handle: daos_handle_t) -> Result<()> {
    known_cont(handle)?;
    TABLE.lock().open.remove(&handle.cookie);
    Ok(())
}

/// Looks at or changes a queue.
pub fn with_queue<T>(handle: daos_handle_t, change: impl FnOnce(&mut Queue) -> T) -> Result<T> {
    match TABLE.lock().open.get_mut(&handle.cookie) {
        Some(Handle::Queue(queue)) => Ok(change(queue)),
        _ => der(DER_NO_HDL),
    }
}

/// Destroys a queue; busy while it holds events that were not polled, unless forced.
pub fn close_queue(handle: daos_handle_t, force: bool) -> Result<()> {
    let waiting = with_queue(handle, |queue| queue.complete.len())?;
    if waiting > 0 && !force {
        return der(DER_BUSY);
    }
    TABLE.lock().open.remove(&handle.cookie);
    Ok(())
}

/// Takes an event out of whatever queue holds it.
pub fn forget_event(handle: daos_handle_t, event: *const daos_event_t) {
    let _ = with_queue(handle, |queue| {
        queue.complete.retain(|known| *known != event as usize)
    });
}

/// In a fork child that attaches: queues belong to the parent's network context and are gone; pools
/// and containers stay, as local ("slave") handles.
pub fn forked() {
    TABLE
        .lock()
        .open
        .retain(|_, handle| !matches!(handle, Handle::Queue(_)));
}
