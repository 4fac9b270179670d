//! The one error type of the product: a Linux errno, as the kernel would answer it.
//! Relies on `daos_sys::der_to_errno` for the numbers of libdaos; libdfs already answers in
//! positive errnos.

use daos_sys::{DER_CONT_DESTROYING, DER_CONT_NONEXIST};

/// A positive Linux error number (`errno(3)`).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Errno(pub i32);

/// What every call of this crate answers.
pub type Result<T> = core::result::Result<T, Errno>;

macro_rules! errnos {
    ($($name:ident)*) => {
        impl Errno {
            $(#[allow(missing_docs)] pub const $name: Errno = Errno(libc::$name);)*
            /// The symbolic name (`"ENOENT"`), or `"E?"` for a number without one here.
            pub fn name(self) -> &'static str {
                match self { $(Errno::$name => stringify!($name),)* _ => "E?" }
            }
        }
    };
}

errnos! {
    E2BIG EACCES EAGAIN EALREADY EBADF EBUSY ECANCELED EDEADLK EDQUOT EEXIST EFAULT EFBIG EHOSTUNREACH
    EINTR EINVAL EIO EISDIR ELOOP EMFILE EMLINK ENAMETOOLONG ENFILE ENOBUFS ENODATA ENODEV ENOENT ENOEXEC
    ENOLCK ENOLINK ENOMEM ENOSPC ENOSYS ENOTDIR ENOTEMPTY ENOTSUP ENOTTY ENXIO EOVERFLOW EPERM EPIPE
    EPROTO ERANGE EROFS ESPIPE ESTALE ETIMEDOUT ETXTBSY EXDEV ESRCH
}

impl Errno {
    /// From a libdaos result: a negative DER number. A container that is gone or going is `ENOENT`
    /// in every release (libdfs would say `EIO` or `EPERM`).
    pub(crate) fn from_daos(rc: i32) -> Errno {
        match rc.wrapping_abs() {
            DER_CONT_NONEXIST | DER_CONT_DESTROYING => Errno::ENOENT,
            _ => Errno(daos_sys::der_to_errno(rc)),
        }
    }

    /// From a libdfs result: a positive errno; a DER number that slipped through is translated.
    /// `ERESTART` (a conflicting transaction) means nothing to a program and becomes `EIO`.
    pub(crate) fn from_dfs(rc: i32) -> Errno {
        match rc {
            libc::ERESTART => Errno::EIO,
            rc if rc < 0 => Errno::from_daos(rc),
            rc => Errno(rc),
        }
    }

    /// Servers do not answer: another call would wait as long for nothing.
    pub fn is_outage(self) -> bool {
        matches!(self, Errno::ETIMEDOUT | Errno::EHOSTUNREACH)
    }

    /// A call that found its file by (parent, name) and did not: the file is there, its name is
    /// not any more.
    pub(crate) fn entry_gone(self) -> Errno {
        match self {
            Errno::ENOENT => Errno::ESTALE,
            other => other,
        }
    }
}

impl core::fmt::Debug for Errno {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}({})", self.name(), self.0)
    }
}

impl core::fmt::Display for Errno {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dfs_results_become_linux_errnos() {
        assert_eq!(Errno::from_dfs(libc::ENOENT), Errno::ENOENT);
        assert_eq!(Errno::from_dfs(libc::ERESTART), Errno::EIO);
        assert_eq!(Errno::from_dfs(-1005), Errno::ENOENT);
        assert_eq!(Errno::from_daos(-1001), Errno::EPERM);
        assert_eq!(Errno::from_daos(-2034), Errno::EIO);
        assert_eq!(Errno::from_daos(-2050), Errno::ENOENT);
        assert_eq!(Errno::from_daos(-2051), Errno::ENOENT);
        assert_eq!(Errno::ENOENT.entry_gone(), Errno::ESTALE);
        assert_eq!(Errno::EIO.entry_gone(), Errno::EIO);
    }
}
