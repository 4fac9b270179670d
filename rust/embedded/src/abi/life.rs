//! Life cycle: `daos_init` and its kin.
use crate::error::der;
use crate::process;
use std::ffi::{c_char, c_int};
use std::sync::atomic::{AtomicU32, Ordering};

/// References of `dfs_init`; they hold one of `daos_init` between them.
static DFS_USERS: AtomicU32 = AtomicU32::new(0);

/// True after `dfs_init`.
pub(crate) fn dfs_is_up() -> bool {
    DFS_USERS.load(Ordering::Acquire) > 0
}

export_any_time! {
    /// Attaches the process; reference counted.
    DaosLocal fn daos_init() {
        process::init()?;
        if let Some(process) = process::current() {
            // The call itself came before there was a counter.
            process.counters.call(crate::call::Function::daos_init);
        }
        Ok(0)
    }

    /// Gives one reference back; -DER_UNINIT without init.
    DaosLocal fn daos_fini() {
        process::fini()?;
        Ok(0)
    }

    /// Attaches a fork child; pool, container, mount and object handles stay valid.
    DaosLocal fn daos_reinit() {
        process::reinit()?;
        Ok(0)
    }

    /// What 2.6.0 to 2.6.3 had instead of `daos_reinit`.
    DaosLocal fn daos_eq_lib_reset_after_fork() {
        process::reinit()?;
        Ok(0)
    }

    /// Event queues need no taking down here.
    DaosLocal fn daos_eq_lib_fini() {
        Ok(0)
    }

    /// The API's version: that of DAOS 2.8.
    DaosLocal fn daos_version_get(major: *mut c_int, minor: *mut c_int, fix: *mut c_int) {
        if major.is_null() || minor.is_null() || fix.is_null() {
            return der(daos_sys::DER_INVAL);
        }
        *major = 2;
        *minor = 8;
        *fix = 0;
        Ok(0)
    }

    /// `daos_init`, reference counted by itself.
    DfsLocal fn dfs_init() {
        if DFS_USERS.fetch_add(1, Ordering::AcqRel) == 0 {
            if let Err(error) = process::init() {
                DFS_USERS.fetch_sub(1, Ordering::AcqRel);
                return Err(error);
            }
        }
        Ok(0)
    }

    /// Gives one reference back; `EINVAL` without init.
    DfsLocal fn dfs_fini() {
        match DFS_USERS.fetch_update(Ordering::AcqRel, Ordering::Acquire, |users| users.checked_sub(1)) {
            Ok(1) => process::fini().map(|()| 0),
            Ok(_) => Ok(0),
            Err(_) => crate::error::errno(libc::EINVAL),
        }
    }
}

/// libdaos_common's logging: `D_LOG_FILE` is all that decides.
#[no_mangle]
pub extern "C" fn daos_debug_init(_log_file: *mut c_char) -> c_int {
    0
}

/// The counterpart.
#[no_mangle]
pub extern "C" fn daos_debug_fini() {}
