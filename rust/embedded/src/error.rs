//! One error type for both conventions of DAOS's client ABI: libdfs answers positive errnos,
//! libdaos negative DER numbers. What crosses layers inside the provider is translated at the edge.
use std::ffi::c_int;

/// A failed call, in whichever convention it failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// A Linux errno, positive.
    Errno(c_int),
    /// A DER number, positive (`daos_sys::DER_*`).
    Der(c_int),
}

/// What every function inside the provider answers.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// As a `dfs_*` function returns it.
    pub fn as_dfs(self) -> c_int {
        match self {
            Error::Errno(errno) => errno,
            Error::Der(number) => daos_sys::der_to_errno(-number),
        }
    }

    /// As a `daos_*` function returns it.
    pub fn as_daos(self) -> c_int {
        use daos_sys::*;
        -match self {
            Error::Der(number) => number,
            Error::Errno(errno) => match errno {
                libc::EPERM | libc::EACCES => DER_NO_PERM,
                libc::ENOMEM => DER_NOMEM,
                libc::ENOSPC | libc::EDQUOT => DER_NOSPACE,
                libc::EEXIST => DER_EXIST,
                libc::ENOENT => DER_NONEXIST,
                libc::ECANCELED => DER_CANCELED,
                libc::EBUSY => DER_BUSY,
                libc::EOVERFLOW => DER_OVERFLOW,
                libc::EBADF => DER_NO_HDL,
                libc::ENOSYS => DER_NOSYS,
                libc::ETIMEDOUT => DER_TIMEDOUT,
                libc::EAGAIN => DER_AGAIN,
                libc::EPROTO => DER_PROTO,
                libc::EINVAL => DER_INVAL,
                libc::ENOTDIR => DER_NOTDIR,
                libc::EIO => DER_IO,
                libc::ENOTSUP => DER_NOTSUPPORTED,
                _ => DER_MISC,
            },
        }
    }

    /// From this thread's `errno`.
    pub fn last() -> Error {
        Error::Errno(
            std::io::Error::last_os_error()
                .raw_os_error()
                .unwrap_or(libc::EIO),
        )
    }
}

/// `Err` of an errno.
pub fn errno<T>(number: c_int) -> Result<T> {
    Err(Error::Errno(number))
}

/// `Err` of a DER number (positive).
pub fn der<T>(number: c_int) -> Result<T> {
    Err(Error::Der(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quirk_dfs_returns_positive_errno_and_daos_negative_der() {
        assert_eq!(Error::Errno(libc::ENOENT).as_dfs(), libc::ENOENT);
        assert_eq!(
            Error::Errno(libc::ENOENT).as_daos(),
            -daos_sys::DER_NONEXIST
        );
        assert_eq!(
            Error::Der(daos_sys::DER_NO_HDL).as_daos(),
            -daos_sys::DER_NO_HDL
        );
        assert_eq!(Error::Der(daos_sys::DER_NO_HDL).as_dfs(), libc::EINVAL);
    }
}
