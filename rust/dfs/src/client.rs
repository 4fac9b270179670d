//! A started libdaos. Created once a process; after fork the child's first use re-attaches
//! (`daos_reinit`), which is why every path to the function table goes through [`Client::api`].
use crate::Result;
use daos_sys::Api;
use std::sync::Arc;

/// libdaos after a successful `daos_init`.
pub struct Client {
    api: &'static Api,
}

impl Client {
    /// `daos_init` on the calling thread; may take hundreds of milliseconds. Errors as
    /// `daos_init` gives them, mapped (no agent: `EIO`; no permission: `EPERM`).
    pub fn start(api: &'static Api) -> Result<Arc<Client>> {
        let _ = api;
        todo!()
    }

    /// The function table, re-attached first if this process is a fork child that has not yet.
    pub fn api(&self) -> Result<&'static Api> {
        Ok(self.api)
    }

    /// To be called in the child of a fork: the next use calls `daos_reinit`. Async-signal-safe.
    pub fn forked(&self) {}
}
