//! For unit tests: a function table in which nothing works, to be filled in by each test.
use crate::{Client, Result};
use daos_sys::Api;
use std::ffi::{c_int, c_void, CStr};
use std::sync::{Arc, Mutex};

/// Held while a client starts: starting changes the environment.
pub(crate) static ENVIRONMENT: Mutex<()> = Mutex::new(());

unsafe extern "C" fn refuse() -> c_int {
    libc::ENOSYS
}

/// Required functions answer `ENOSYS`, optional ones are missing.
pub(crate) fn api() -> Api {
    let mut api = Api::resolve(&mut |_: &CStr| refuse as *mut c_void).expect("all is there");
    api.daos_reinit = None;
    api.daos_eq_lib_reset_after_fork = None;
    api.dfs_query = None;
    api.dfs_obj_get_info = None;
    api
}

/// Such a table with this `daos_init`.
pub(crate) fn table(init: unsafe extern "C" fn() -> c_int) -> Api {
    let mut api = api();
    api.daos_init = init;
    api
}

/// A client over such a table.
pub(crate) fn start(api: Api) -> Result<Arc<Client>> {
    let _alone = ENVIRONMENT.lock();
    Client::start(Box::leak(Box::new(api)))
}
