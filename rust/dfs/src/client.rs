//! A started libdaos. Created once a process; after fork the child's first use re-attaches
//! (`daos_reinit`), which is why every path to the function table goes through [`Client::api`].
//! No lock is held here: a child may inherit this state from any instant of its parent.
use crate::environment::{Overlay, Pair, Variable};
use crate::footprint::Footprint;
use crate::meter::timed;
use crate::{Errno, Result};
use daos_sys::Api;
use std::ffi::CStr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::Arc;

/// libdaos after a successful `daos_init`.
pub struct Client {
    api: &'static Api,
    /// How many forks lie between this process and the one that called `daos_init`.
    forks: AtomicU32,
    /// The value of `forks` libdaos was last attached at.
    attached: AtomicU32,
    /// 1 while a thread of this process re-attaches.
    attaching: AtomicU32,
    /// Variables libdaos set when it started, for the time of a `daos_reinit`.
    settings: Vec<Pair>,
}

impl Client {
    /// `daos_init` on the calling thread; may take hundreds of milliseconds. Errors as
    /// `daos_init` gives them, mapped (no agent: `EIO`; no permission: `EPERM`).
    /// libdaos is kept silent unless the user set `D_LOG_FILE`.
    pub fn start(api: &'static Api) -> Result<Arc<Client>> {
        Client::start_logging(api, c"/dev/null")
    }

    /// As [`Client::start`]; libdaos logs to `log_file` where the user did not set `D_LOG_FILE`
    /// (without any it would write its error lines to the program's standard output). This
    /// variable and two that make verbs survive a fork are in the environment during `daos_init`
    /// only, so that children do not inherit them; other threads must not be in getenv at that
    /// time, as with any setenv. What libdaos itself leaves in the process (its variables, the
    /// limit of descriptors, signal handlers) is put back as it was.
    pub fn start_logging(api: &'static Api, log_file: &CStr) -> Result<Arc<Client>> {
        let before = Footprint::take();
        let rc = {
            let _log = Variable::set(c"D_LOG_FILE", log_file);
            // Verbs memory survives a fork only if the fabric knows of it from the start.
            let _verbs = Variable::set(c"IBV_FORK_SAFE", c"1");
            let _rdma = Variable::set(c"RDMAV_FORK_SAFE", c"1");
            // SAFETY: the table's functions are libdaos's own, loaded for good.
            timed(|m| &m.start, || unsafe { (api.daos_init)() })
        };
        let settings = before.put_back(api);
        if rc != 0 {
            return Err(Errno::from_daos(rc));
        }
        Ok(Arc::new(Client {
            api,
            forks: AtomicU32::new(0),
            attached: AtomicU32::new(0),
            attaching: AtomicU32::new(0),
            settings,
        }))
    }

    /// The function table, re-attached first if this process is a fork child that has not yet
    /// (tens of milliseconds, once). `EIO` if that is impossible (libdaos before 2.6 cannot).
    #[inline]
    pub fn api(&self) -> Result<&'static Api> {
        if self.is_attached() {
            return Ok(self.api);
        }
        self.reattach()
    }

    /// To be called in the child of a fork: the next use calls `daos_reinit`. Async-signal-safe.
    pub fn forked(&self) {
        self.attaching.store(0, Ordering::Relaxed);
        self.forks.fetch_add(1, Ordering::Release);
    }

    /// False in a fork child until its first use. There nothing may be released: handles belong
    /// to the parent's network context.
    #[inline]
    pub(crate) fn is_attached(&self) -> bool {
        self.attached.load(Ordering::Acquire) == self.forks.load(Ordering::Relaxed)
    }

    /// Number of forks since `daos_init`: handles made at a lower number belong to a parent and
    /// die with it.
    pub(crate) fn forks(&self) -> u32 {
        self.forks.load(Ordering::Relaxed)
    }

    /// The functions, for what must not re-attach.
    pub(crate) fn raw_api(&self) -> &'static Api {
        self.api
    }

    #[cold]
    fn reattach(&self) -> Result<&'static Api> {
        loop {
            let forks = self.forks.load(Ordering::Acquire);
            if self.attached.load(Ordering::Acquire) == forks {
                return Ok(self.api);
            }
            if self
                .attaching
                .compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed)
                .is_err()
            {
                std::thread::yield_now();
                continue;
            }
            let result = if self.attached.load(Ordering::Acquire) == forks {
                Ok(())
            } else {
                self.call_reinit()
            };
            if result.is_ok() {
                self.attached.store(forks, Ordering::Release);
            }
            self.attaching.store(0, Ordering::Release);
            return result.map(|()| self.api);
        }
    }

    /// `daos_reinit` (2.6.4 and later), else the event-queue reset of 2.6.0 to 2.6.3.
    fn call_reinit(&self) -> Result<()> {
        let reinit = self
            .api
            .daos_reinit
            .or(self.api.daos_eq_lib_reset_after_fork);
        let reinit = reinit.ok_or(Errno::EIO)?;
        let _settings = Overlay::show(&self.settings);
        // SAFETY: called in a fork child, once, as both functions require.
        match timed(|m| &m.start, || unsafe { reinit() }) {
            0 => Ok(()),
            rc => Err(Errno::from_daos(rc)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stub::{start, table, ENVIRONMENT};
    use std::ffi::{c_int, CString};
    use std::sync::Mutex;

    /// What the environment held when libdaos was started.
    static SEEN: Mutex<Option<CString>> = Mutex::new(None);
    static REINITS: AtomicU32 = AtomicU32::new(0);

    fn log_file() -> Option<CString> {
        // SAFETY: called with the environment locked.
        unsafe {
            let value = libc::getenv(c"D_LOG_FILE".as_ptr());
            (!value.is_null()).then(|| CStr::from_ptr(value).to_owned())
        }
    }

    unsafe extern "C" fn started() -> c_int {
        0
    }

    unsafe extern "C" fn note_log_file() -> c_int {
        *SEEN.lock().unwrap() = log_file();
        0
    }

    unsafe extern "C" fn no_agent() -> c_int {
        -2034
    }

    unsafe extern "C" fn reinit() -> c_int {
        std::thread::sleep(std::time::Duration::from_millis(10));
        REINITS.fetch_add(1, Ordering::Relaxed);
        0
    }

    unsafe extern "C" fn reinit_in_vain() -> c_int {
        -2034
    }

    #[test]
    fn libdaos_never_logs_to_standard_output() {
        let _alone = ENVIRONMENT.lock();
        let set = |value: &CStr| {
            // SAFETY: other tests do not touch the environment meanwhile.
            unsafe { libc::setenv(c"D_LOG_FILE".as_ptr(), value.as_ptr(), 1) }
        };
        let api = Box::leak(Box::new(table(note_log_file)));
        // SAFETY: as above.
        unsafe { libc::unsetenv(c"D_LOG_FILE".as_ptr()) };
        Client::start(api).unwrap();
        assert_eq!(SEEN.lock().unwrap().as_deref(), Some(c"/dev/null"));
        assert_eq!(log_file(), None, "children do not inherit it");

        set(c"");
        Client::start_logging(api, c"/tmp/log").unwrap();
        assert_eq!(SEEN.lock().unwrap().as_deref(), Some(c"/tmp/log"));
        assert_eq!(log_file().as_deref(), Some(c""));

        set(c"/tmp/users");
        Client::start(api).unwrap();
        assert_eq!(SEEN.lock().unwrap().as_deref(), Some(c"/tmp/users"));
        assert_eq!(log_file().as_deref(), Some(c"/tmp/users"));
    }

    #[test]
    fn a_start_without_agent_is_an_io_error() {
        let error = start(table(no_agent)).err();
        assert_eq!(error, Some(Errno::EIO));
    }

    #[test]
    fn a_child_reattaches_once() {
        let mut api = table(started);
        api.daos_reinit = Some(reinit);
        api.daos_eq_lib_reset_after_fork = Some(reinit_in_vain);
        let client = start(api).unwrap();
        assert!(client.api().is_ok());
        assert_eq!(REINITS.load(Ordering::Relaxed), 0);
        client.forked();
        assert!(!client.is_attached());
        std::thread::scope(|s| {
            for _ in 0..4 {
                s.spawn(|| assert!(client.api().is_ok()));
            }
        });
        assert_eq!(REINITS.load(Ordering::Relaxed), 1);
        assert!(client.is_attached());
        assert_eq!(client.forks(), 1);
    }

    #[test]
    fn a_child_of_an_old_libdaos_gets_errors_not_hangs() {
        let client = start(table(started)).unwrap();
        client.forked();
        assert_eq!(client.api().err(), Some(Errno::EIO));

        let mut api = table(started);
        api.daos_reinit = Some(reinit_in_vain);
        let client = start(api).unwrap();
        client.forked();
        assert_eq!(client.api().err(), Some(Errno::EIO));
        assert!(!client.is_attached());
    }
}
